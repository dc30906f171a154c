//! What kind of chat a room is to a user.

use std::{collections::BTreeMap, ops::Bound};

use ruma::{OwnedRoomId, OwnedUserId, UserId};
use tertulia_storage::{Direction, View};

use super::ChatKind;
use crate::{Result, events::direct_with, schema::DIRECT};

/// How many rows are read at once.
const PAGE: usize = 1_000;

/// What kind of chat a room is, and with whom if it is direct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Direct(OwnedUserId),
    Group,
}

impl Kind {
    pub(super) fn of(&self) -> ChatKind {
        match self {
            Self::Direct(_) => ChatKind::Direct,
            Self::Group => ChatKind::Group,
        }
    }
}

/// What kind of chat each of `rooms` is. One that is direct with several is so with the first of them; one
/// that is direct with the user alone is a place for notes.
pub(super) async fn kinds(view: &View, user: &UserId, rooms: &[OwnedRoomId]) -> Result<Vec<Kind>> {
    let with = direct_with(view, user, rooms).await?;
    let kind = |others: Vec<OwnedUserId>| {
        let other = others.into_iter().filter(|other| other != user).min();
        other.map_or(Kind::Group, Kind::Direct)
    };
    Ok(with.into_iter().map(kind).collect())
}

/// The same of all rooms that are direct for the user, by reading them one after the other.
pub(super) async fn kinds_of_all(
    view: &View,
    user: &UserId,
) -> Result<BTreeMap<OwnedRoomId, Kind>> {
    let mut with = BTreeMap::<OwnedRoomId, OwnedUserId>::new();
    let (prefix, mut from) = ((user.to_owned(),), Bound::Unbounded);
    loop {
        let forward = Direction::Forward;
        let rows = view.scan_from(&DIRECT, &prefix, from.as_ref(), forward, PAGE).await?;
        let Some((last, ())) = rows.last() else { break };
        from = Bound::Excluded(last.clone());
        for ((_, other, room, _), ()) in rows {
            let known = with.get(&room).is_some_and(|known| *known <= other);
            if other != user && !known {
                with.insert(room, other);
            }
        }
    }
    Ok(with.into_iter().map(|(room, other)| (room, Kind::Direct(other))).collect())
}
