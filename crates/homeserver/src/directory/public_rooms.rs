//! Reading the public room directory, page by page.

use std::ops::Bound;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ruma::OwnedRoomId;
use serde::Serialize;
use tertulia_protocol::Summary;
use tertulia_storage::{Descending, Direction, View};

use super::{RoomSummary, progress::caught_up};
use crate::{
    Error, Homeserver, Result,
    schema::{PUBLIC_ROOM_COUNT, PUBLIC_ROOMS, PublicRoom},
};

/// How many rooms a page has, if the client does not say.
const USUAL: usize = 100;
/// How many rooms a page has at most.
const MOST: usize = 500;
/// How many rooms are looked at for one page; where few of them are wanted, it has fewer than it could.
const LOOKED_AT: usize = 5_000;
/// How many rooms are read at once.
const STEP: usize = 500;

/// Which rooms of the public room directory to tell.
#[derive(Clone, Debug, Default)]
pub struct PublicRoomsQuery {
    /// How many at most.
    pub limit: Option<u64>,
    /// The token of another page, from which this one goes on.
    pub since: Option<String>,
    /// What their name, topic or alias holds, in any case.
    pub search: Option<String>,
    /// Of which type they are; `None` is an ordinary room.
    pub room_types: Option<Vec<Option<String>>>,
}

/// A page of the public room directory, the largest rooms first. It serialises as the answer of
/// `/publicRooms`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PublicRoomsPage {
    /// The rooms.
    pub chunk: Vec<RoomSummary>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_batch: Option<String>,
    /// Where the page before ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_batch: Option<String>,
    /// How many rooms there are in all.
    pub total_room_count_estimate: u64,
}

impl Homeserver {
    /// A page of the public room directory.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the token is none of this server's.
    pub async fn public_rooms(&self, query: &PublicRoomsQuery) -> Result<PublicRoomsPage> {
        let since = query.since.as_deref().map(Token::parse).transpose()?;
        caught_up(&self.core).await;
        let view = self.core.store.view().await?;
        let limit = match query.limit {
            None | Some(0) => USUAL,
            Some(limit) => usize::try_from(limit).unwrap_or(MOST).min(MOST),
        };
        let found = find(&view, &Wanted::new(query), since.as_ref(), limit).await?;
        let (total,) = view.get(&PUBLIC_ROOM_COUNT, &()).await?.unwrap_or_default();
        Ok(found.page(since, total))
    }
}

/// A place between two rooms of the directory.
type Place = (Descending<u64>, OwnedRoomId);

/// Where a page begins, and which way it goes from there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    towards: Direction,
    /// The room from which it begins, which is not part of it.
    from: Place,
}

impl Token {
    fn new(towards: Direction, from: &Place) -> Self {
        Self { towards, from: from.clone() }
    }

    fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or(Error::Invalid("the token of a page"))
    }

    fn read(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (towards, rest) = text.split_at_checked(1)?;
        let towards = match towards {
            "f" => Direction::Forward,
            "b" => Direction::Backward,
            _ => return None,
        };
        let (joined, room) = rest.split_once(' ')?;
        let room = OwnedRoomId::try_from(room).ok()?;
        Some(Self { towards, from: (Descending(joined.parse().ok()?), room) })
    }

    fn write(&self) -> String {
        let towards = if self.towards == Direction::Forward { 'f' } else { 'b' };
        let (joined, room) = &self.from;
        URL_SAFE_NO_PAD.encode(format!("{towards}{} {room}", joined.0))
    }
}

/// What a room must be like to be told.
struct Wanted<'a> {
    search: Option<String>,
    room_types: Option<&'a [Option<String>]>,
}

impl<'a> Wanted<'a> {
    fn new(query: &'a PublicRoomsQuery) -> Self {
        let search = query.search.as_deref().map(|search| search.trim().to_lowercase());
        Self {
            search: search.filter(|search| !search.is_empty()),
            room_types: query.room_types.as_deref(),
        }
    }

    fn holds(&self, room: &PublicRoom) -> bool {
        let alias = room.canonical_alias.as_ref().map(|alias| alias.as_str());
        let texts = [room.name.as_deref(), alias, room.topic.as_deref()];
        let is_found = self.search.as_ref().is_none_or(|search| {
            texts.into_iter().flatten().any(|text| text.to_lowercase().contains(search))
        });
        is_found && self.room_types.is_none_or(|types| types.contains(&room.room_type))
    }
}

/// What was found for a page, in the order of the directory.
struct Found {
    rooms: Vec<(Place, PublicRoom)>,
    /// Where to go on looking, in the direction of the search; none if that was all.
    more: Option<Place>,
}

/// Up to `limit` wanted rooms from `since` on.
async fn find(
    view: &View,
    wanted: &Wanted<'_>,
    since: Option<&Token>,
    limit: usize,
) -> Result<Found> {
    let towards = since.map_or(Direction::Forward, |token| token.towards);
    let mut last = since.map(|token| token.from.clone());
    let (mut rooms, mut looked_at) = (Vec::new(), 0);
    let more = loop {
        let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let rows = view.scan_from(&PUBLIC_ROOMS, &(), from, towards, STEP).await?;
        let complete = rows.len() < STEP;
        looked_at += rows.len();
        last = rows.last().map(|(place, _)| place.clone());
        rooms.extend(rows.into_iter().filter(|(_, room)| wanted.holds(room)));
        if rooms.len() > limit {
            rooms.truncate(limit);
            break rooms.last().map(|(place, _)| place.clone());
        }
        if complete {
            break None;
        }
        if looked_at >= LOOKED_AT {
            break last;
        }
    };
    if towards == Direction::Backward {
        rooms.reverse();
    }
    Ok(Found { rooms, more })
}

impl Found {
    fn page(self, since: Option<Token>, total: u64) -> PublicRoomsPage {
        use Direction::{Backward, Forward};
        let towards = since.as_ref().map_or(Forward, |token| token.towards);
        let first = self.rooms.first().map(|(place, _)| place);
        let last = self.rooms.last().map(|(place, _)| place);
        let (next, previous) = match towards {
            // Whoever came here with a token came from a page before, if not from these very rooms.
            Forward => (self.more.as_ref(), first.filter(|_| since.is_some())),
            Backward => (last, self.more.as_ref()),
        };
        PublicRoomsPage {
            next_batch: next.map(|place| Token::new(Forward, place).write()),
            prev_batch: previous.map(|place| Token::new(Backward, place).write()),
            chunk: self.rooms.into_iter().map(shown).collect(),
            total_room_count_estimate: total,
        }
    }
}

fn shown(((joined, room_id), room): (Place, PublicRoom)) -> RoomSummary {
    let summary = Summary {
        canonical_alias: room.canonical_alias,
        name: room.name,
        topic: room.topic,
        avatar_url: room.avatar_url,
        join_rule: room.join_rule,
        room_type: room.room_type,
        world_readable: room.world_readable,
        guest_can_join: room.guest_can_join,
        ..Summary::default()
    };
    RoomSummary { room_id, num_joined_members: joined.0, summary, room_version: None }
}

#[cfg(test)]
#[path = "public_rooms_tests.rs"]
mod published;

#[cfg(test)]
mod tests {
    use ruma::room_id;

    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_nothing_else_is() {
        for towards in [Direction::Forward, Direction::Backward] {
            let token = Token { towards, from: (Descending(7), room_id!("!r:x").to_owned()) };
            assert_eq!(Token::parse(&token.write()).unwrap(), token);
        }
        for text in ["", "f", "f7 !r:x", "é", &URL_SAFE_NO_PAD.encode("é7 !r:x")] {
            assert!(matches!(Token::parse(text), Err(Error::Invalid(_))), "{text:?}");
        }
        for text in ["", "f", "f7", "f !r:x", "f7 r", "g7 !r:x", "f-1 !r:x"] {
            assert_eq!(Token::read(&URL_SAFE_NO_PAD.encode(text)), None, "{text:?}");
        }
    }

    #[track_caller]
    fn check(search: Option<&str>, types: Option<&[Option<&str>]>, expected: bool) {
        let room = PublicRoom {
            name: Some("Tea and Cake".to_owned()),
            topic: Some("What to eat in the Afternoon".to_owned()),
            canonical_alias: Some(ruma::owned_room_alias_id!("#break:x")),
            room_type: Some("m.space".to_owned()),
            ..PublicRoom::default()
        };
        let types = types.map(|types| types.iter().map(|kind| kind.map(str::to_owned)).collect());
        let search = search.map(str::to_owned);
        let query = PublicRoomsQuery { search, room_types: types, ..PublicRoomsQuery::default() };
        assert_eq!(Wanted::new(&query).holds(&room), expected, "{query:?}");
    }

    #[test]
    fn rooms_are_found_by_name_topic_and_alias_and_by_type() {
        for found in ["tea", "TEA AND", " cake ", "afternoon", "#Break", "", " "] {
            check(Some(found), None, true);
        }
        check(Some("coffee"), None, false);
        check(None, Some(&[Some("m.space")]), true);
        check(None, Some(&[None, Some("m.space")]), true);
        check(None, Some(&[None]), false);
        check(None, Some(&[]), false);
        check(Some("coffee"), Some(&[Some("m.space")]), false);
    }
}
