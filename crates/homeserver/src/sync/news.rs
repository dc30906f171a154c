//! Which rooms an answer has to look at.
//!
//! A client that was here lately is told what the log says since. For one that was long away it
//! costs less to look at every room of its own.

use std::{collections::BTreeMap, ops::Bound};

use ruma::{OwnedRoomId, UserId};
use tertulia_storage::{Direction, Position};

use super::{
    aside,
    joined::{Joined, joined, of_rows},
    reading::Reading,
};
use crate::{
    Result,
    log::SHARD,
    schema::{Entry, LOG, MEMBERSHIPS, Membership},
    typing,
};

/// How many entries of the log cost as much as looking at every room of a user.
const NEAR: u64 = 250;

/// What may be new in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Touch {
    /// Its timeline or state.
    pub(super) events: bool,
    /// Its receipts.
    pub(super) receipts: bool,
    /// How far the user has read.
    pub(super) read: bool,
    /// What the user is to it.
    membership: bool,
}

impl Touch {
    const ALL: Self = Self { events: true, receipts: true, read: true, membership: true };
}

/// What may be new for a user.
#[derive(Debug)]
pub(super) struct News {
    pub(super) rooms: Vec<(OwnedRoomId, Membership, Touch)>,
    /// Whether account data may be new.
    pub(super) account_data: bool,
    /// The rooms the user is in now.
    pub(super) joined: Joined,
}

/// What may be new for the user since the client was last told.
pub(super) async fn news(reading: &Reading<'_>) -> Result<News> {
    let near = reading.since().filter(|since| is_near(*since, reading.view.settled()));
    match near {
        Some(since) if !reading.query.full_state => by_log(reading, since).await,
        _ => by_rooms(reading).await,
    }
}

/// Whether one who knows what was up to `since` is told sooner by the log than by looking at rooms.
pub(super) fn is_near(since: Position, settled: Position) -> bool {
    settled.get().saturating_sub(since.get()) <= NEAR
}

/// All rooms of the user.
async fn by_rooms(reading: &Reading<'_>) -> Result<News> {
    let prefix = (reading.me().to_owned(),);
    let rows = reading.view.scan(&MEMBERSHIPS, &prefix, Direction::Forward, usize::MAX).await?;
    let joined = of_rows(reading, rows.iter().map(|((_, room), row)| (room, row)));
    let rooms = rows.into_iter().map(|((_, room), membership)| (room, membership, Touch::ALL));
    Ok(News { rooms: rooms.collect(), account_data: true, joined })
}

/// What the log says since a position.
async fn by_log(reading: &Reading<'_>, since: Position) -> Result<News> {
    let mut page = Page::default();
    let limit = usize::try_from(NEAR).expect("a small number");
    let from = Bound::Excluded((SHARD, since));
    let rows =
        reading.view.scan_from(&LOG, &(SHARD,), from.as_ref(), Direction::Forward, limit).await?;
    rows.into_iter().for_each(|(_, entry)| page.add(entry, reading.me()));
    if !page.account_data {
        reading.data_untouched.get_or_init(|| since);
    }
    let membership_changed = page.rooms.values().any(|touch| touch.membership);
    let joined = joined(reading, Some(since).filter(|_| !membership_changed)).await?;
    page.rooms.retain(|room, touch| touch.membership || joined.contains(room));
    if page.account_data && reading.counts_anew().await? {
        for room in joined.rooms.iter() {
            page.rooms.entry(room.clone()).or_default();
        }
    }
    let anyone_typed = reading.fleeting_since() != Some(typing::version(reading.core()));
    if anyone_typed || (page.account_data && reading.ignores_anew().await?) {
        for room in joined.rooms.iter() {
            if aside::typists(reading, room).await?.is_some() {
                page.rooms.entry(room.clone()).or_default();
            }
        }
    }
    let rooms = with_memberships(reading, page.rooms).await?;
    Ok(News { rooms, account_data: page.account_data, joined })
}

async fn with_memberships(
    reading: &Reading<'_>,
    rooms: BTreeMap<OwnedRoomId, Touch>,
) -> Result<Vec<(OwnedRoomId, Membership, Touch)>> {
    let keys: Vec<_> = rooms.keys().map(|room| (reading.me().to_owned(), room.clone())).collect();
    let memberships = reading.view.get_many(&MEMBERSHIPS, &keys).await?;
    let rows = rooms.into_iter().zip(memberships);
    Ok(rows.filter_map(|((room, touch), membership)| Some((room, membership?, touch))).collect())
}

/// What a page of the log says to one user.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    rooms: BTreeMap<OwnedRoomId, Touch>,
    account_data: bool,
}

impl Page {
    fn add(&mut self, entry: Entry, me: &UserId) {
        match entry {
            Entry::Event { room, member, .. } | Entry::Generation { room, member } => {
                let touch = self.rooms.entry(room).or_default();
                touch.events = true;
                touch.membership |= member.as_deref() == Some(me);
            }
            Entry::Receipt { room, user, private } if !private || user == me => {
                let touch = self.rooms.entry(room).or_default();
                touch.receipts = true;
                touch.read |= user == me;
            }
            Entry::AccountData { user, room, .. } if user == me => {
                self.account_data = true;
                // The room's section is where it is told.
                if let Some(room) = room {
                    self.rooms.entry(room).or_default();
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::{owned_event_id, owned_room_id, owned_user_id, user_id};

    use super::*;

    #[track_caller]
    fn check(entry: Entry, expected: Option<Touch>, account_data: bool) {
        let mut page = Page::default();
        page.add(entry, user_id!("@me:x"));
        let rooms = expected.map(|touch| (owned_room_id!("!r:x"), touch)).into_iter().collect();
        assert_eq!(page, Page { rooms, account_data });
    }

    fn event(member: Option<&UserId>) -> Entry {
        let (room, event) = (owned_room_id!("!r:x"), owned_event_id!("$e"));
        Entry::Event { room, event, member: member.map(ToOwned::to_owned) }
    }

    #[test]
    fn events_touch_their_room_and_my_own_membership_what_i_am_to_it() {
        let events = Touch { events: true, ..Touch::default() };
        check(event(None), Some(events), false);
        check(event(Some(user_id!("@you:x"))), Some(events), false);
        let membership = Touch { membership: true, ..events };
        check(event(Some(user_id!("@me:x"))), Some(membership), false);
    }

    #[test]
    fn private_receipts_are_news_to_their_reader_only() {
        let receipt =
            |user, private| Entry::Receipt { room: owned_room_id!("!r:x"), user, private };
        let (me, you) = (owned_user_id!("@me:x"), owned_user_id!("@you:x"));
        let receipts = Some(Touch { receipts: true, ..Touch::default() });
        let mine = Some(Touch { receipts: true, read: true, ..Touch::default() });
        check(receipt(me.clone(), false), mine, false);
        check(receipt(me, true), mine, false);
        check(receipt(you.clone(), false), receipts, false);
        check(receipt(you, true), None, false);
    }

    #[test]
    fn account_data_is_news_to_its_user_only() {
        let data = |user, room| Entry::AccountData { user, room, kind: "m.tag".to_owned() };
        let (me, you) = (owned_user_id!("@me:x"), owned_user_id!("@you:x"));
        check(data(me.clone(), None), None, true);
        check(data(me, Some(owned_room_id!("!r:x"))), Some(Touch::default()), true);
        check(data(you, Some(owned_room_id!("!r:x"))), None, false);
        check(Entry::Profile { user: owned_user_id!("@me:x") }, None, false);
    }

    #[test]
    fn several_entries_of_a_room_add_up() {
        let mut page = Page::default();
        let me = user_id!("@me:x");
        page.add(event(Some(me)), me);
        page.add(event(None), me);
        let touch = Touch { events: true, membership: true, ..Touch::default() };
        assert_eq!(page.rooms.into_iter().collect::<Vec<_>>(), [(owned_room_id!("!r:x"), touch)]);
    }
}
