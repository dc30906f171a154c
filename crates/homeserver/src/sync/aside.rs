//! What goes along with a room's events: the user's own data, receipts, who is typing.

use std::collections::BTreeMap;

use ruma::{OwnedRoomId, OwnedUserId, RoomId};
use serde_json::value::RawValue;
use tertulia_storage::Position;

use super::{answer::Events, reading::Reading};
use crate::{
    Result,
    account_data::{self, Datum},
    receipts, typing,
};

/// The most receipts of others that are told of a room at once: the newest ones. In a room of so
/// many readers nobody misses who else has read what long ago. One's own are always told.
const RECEIPTS: usize = 1_000;

/// The user's account data that is to be told.
#[derive(Debug, Default)]
pub(super) struct AccountData {
    pub(super) global: Events<Box<RawValue>>,
    rooms: BTreeMap<OwnedRoomId, Events<Box<RawValue>>>,
}

impl AccountData {
    fn add(&mut self, reading: &Reading<'_>, datum: &Datum) {
        let filter = &reading.query.filter;
        let room = datum.scope.room();
        let kinds = if room.is_some() { &filter.room_account_data } else { &filter.account_data };
        if !kinds.passes(room, &datum.kind) {
            return;
        }
        let section = match room {
            Some(room) => self.rooms.entry(room.to_owned()).or_default(),
            None => &mut self.global,
        };
        section.events.push(datum.event());
    }

    /// The data about rooms that was not taken yet.
    pub(super) fn rest(&mut self) -> BTreeMap<OwnedRoomId, Events<Box<RawValue>>> {
        std::mem::take(&mut self.rooms)
    }

    /// The data about a room, once.
    pub(super) fn take(&mut self, room: &RoomId) -> Events<Box<RawValue>> {
        self.rooms.remove(room).unwrap_or_default()
    }
}

/// The account data that the client does not know.
pub(super) async fn account_data(reading: &Reading<'_>) -> Result<AccountData> {
    let data = match reading.since() {
        Some(since) => account_data::changed(&reading.view, reading.me(), since).await?,
        None => account_data::all(&reading.view, reading.me()).await?,
    };
    let mut sections = AccountData::default();
    data.iter().for_each(|datum| sections.add(reading, datum));
    Ok(sections)
}

/// All account data about a room: for one who comes in and was not told it outside.
pub(super) async fn account_data_of(
    reading: &Reading<'_>,
    room: &RoomId,
) -> Result<Events<Box<RawValue>>> {
    let mut sections = AccountData::default();
    let data = account_data::of_room(&reading.view, reading.me(), room).await?;
    data.iter().for_each(|datum| sections.add(reading, datum));
    Ok(sections.take(room))
}

/// Receipts in a room after a position.
pub(super) async fn receipts(
    reading: &Reading<'_>,
    room: &RoomId,
    after: Option<Position>,
) -> Result<Vec<Box<RawValue>>> {
    if !reading.query.filter.ephemeral.passes(Some(room), "m.receipt") {
        return Ok(Vec::new());
    }
    let after = after.unwrap_or(Position::ZERO);
    let reader = (reading.me(), reading.ignored().await?);
    let changed = receipts::changed(&reading.view, room, reader, after, RECEIPTS).await?;
    Ok(receipts::events(&changed))
}

/// Who is typing in a room, if the client does not know it and asks for it.
pub(super) async fn typing(
    reading: &Reading<'_>,
    room: &RoomId,
    is_new: bool,
) -> Result<Option<Box<RawValue>>> {
    if !reading.query.filter.ephemeral.passes(Some(room), "m.typing") {
        return Ok(None);
    }
    let users = match is_new && reading.since.is_some() {
        // Who comes back was told of those who typed when the last stay ended, and not since.
        true => Some(typists_now(reading, room).await?),
        false => typists(reading, room).await?,
    };
    Ok(users.map(|users| typing::event(&users)))
}

/// Who is typing in a room of those whom the user does not ignore, if the client does not know it.
pub(super) async fn typists(
    reading: &Reading<'_>,
    room: &RoomId,
) -> Result<Option<Vec<OwnedUserId>>> {
    let ignored = reading.ignored().await?;
    let (core, since) = (reading.core(), reading.fleeting_since());
    if !reading.ignores_anew().await? {
        return Ok(typing::changed(core, room, since, |user| !ignored.contains(user)));
    }
    // The client may have been told of some who are ignored by now.
    let changed = typing::changed(core, room, since, |_| true).is_some();
    let is_news = changed || !typing::now(core, room, |_| true).is_empty();
    Ok(if is_news { Some(typists_now(reading, room).await?) } else { None })
}

async fn typists_now(reading: &Reading<'_>, room: &RoomId) -> Result<Vec<OwnedUserId>> {
    let ignored = reading.ignored().await?;
    Ok(typing::now(reading.core(), room, |user| !ignored.contains(user)))
}
