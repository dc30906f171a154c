//! The rooms that two users share.

use std::{collections::BTreeSet, ops::Bound};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ruma::{OwnedRoomId, OwnedUserId, UserId};
use serde::Serialize;
use tertulia_storage::{Direction, View};

use crate::{
    Error, Result, User,
    schema::{MEMBERSHIPS, Membership, MembershipKind},
};

/// How many memberships are read at once.
const STEP: usize = 200;
/// In how many rooms a user can be for each of them to be asked for with each of many others.
const FEW: usize = 16;
/// How many rooms one answer tells.
const PAGE: usize = 1_000;

/// The rooms a user is in, to ask who shares one of them.
pub(super) struct Company {
    rooms: BTreeSet<OwnedRoomId>,
}

impl Company {
    /// The rooms `user` is in.
    pub(super) async fn of(view: &View, user: &UserId) -> Result<Self> {
        let (mut rooms, mut stays) = (BTreeSet::new(), Stays::of(view, user));
        while let Some(page) = stays.next().await? {
            rooms.extend(page);
        }
        Ok(Self { rooms })
    }

    /// Which of `others` are in one of the rooms, too.
    pub(super) async fn among(&self, view: &View, others: &[OwnedUserId]) -> Result<Vec<bool>> {
        if self.rooms.is_empty() {
            return Ok(vec![false; others.len()]);
        }
        if self.rooms.len() <= FEW {
            let of = |other: &OwnedUserId| {
                let other = other.clone();
                self.rooms.iter().map(move |room| (other.clone(), room.clone()))
            };
            let keys: Vec<_> = others.iter().flat_map(of).collect();
            let rows = view.get_many(&MEMBERSHIPS, &keys).await?;
            let is_in = |row: &Membership| row.kind == MembershipKind::Join;
            let is_in_one = |rows: &[Option<Membership>]| rows.iter().flatten().any(is_in);
            return Ok(rows.chunks(self.rooms.len()).map(is_in_one).collect());
        }
        let mut among = Vec::with_capacity(others.len());
        for other in others {
            among.push(self.has(view, other).await?);
        }
        Ok(among)
    }

    /// Whether `other` is in one of the rooms, by looking through theirs.
    async fn has(&self, view: &View, other: &UserId) -> Result<bool> {
        let mut stays = Stays::of(view, other);
        while let Some(page) = stays.next().await? {
            if page.iter().any(|room| self.rooms.contains(room)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds rooms.
    #[cfg(test)]
    pub(super) fn extend(&mut self, rooms: impl IntoIterator<Item = OwnedRoomId>) {
        self.rooms.extend(rooms);
    }

    /// The rooms in which `other` is, too.
    async fn shared(self, view: &View, other: &UserId) -> Result<Vec<OwnedRoomId>> {
        let (mut shared, mut stays) = (Vec::new(), Stays::of(view, other));
        while let Some(page) = stays.next().await? {
            shared.extend(page.into_iter().filter(|room| self.rooms.contains(room)));
        }
        Ok(shared)
    }
}

/// Goes through the rooms a user is in.
pub(super) struct Stays<'a> {
    view: &'a View,
    user: &'a UserId,
    last: Option<OwnedRoomId>,
    ended: bool,
}

impl<'a> Stays<'a> {
    pub(super) fn of(view: &'a View, user: &'a UserId) -> Self {
        Self { view, user, last: None, ended: false }
    }

    /// Some more of the rooms; none after all.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<OwnedRoomId>>> {
        if self.ended {
            return Ok(None);
        }
        let own = (self.user.to_owned(),);
        let from = self.last.take().map(|room| (self.user.to_owned(), room));
        let from = from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let forward = Direction::Forward;
        let rows = self.view.scan_from(&MEMBERSHIPS, &own, from, forward, STEP).await?;
        self.ended = rows.len() < STEP;
        self.last = rows.last().map(|((_, room), _)| room.clone());
        let joined = rows.into_iter().filter(|(_, row)| row.kind == MembershipKind::Join);
        Ok(Some(joined.map(|((_, room), _)| room).collect()))
    }
}

/// Rooms that two users share. It serialises as the answer of `/mutual_rooms`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MutualRooms {
    /// Some of the rooms, in the order of their IDs.
    pub joined: Vec<OwnedRoomId>,
    /// How many there are in all.
    pub count: usize,
    /// Where the next of them begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_batch: Option<String>,
}

impl User {
    /// The rooms that the user shares with `other`; none if there is no such user.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if `other` is the user, or `from` no token of an answer before.
    pub async fn mutual_rooms(&self, other: &UserId, from: Option<&str>) -> Result<MutualRooms> {
        if other == self.id {
            return Err(Error::Invalid("the user: it is your own ID"));
        }
        let from = from.map(read_token).transpose()?;
        let view = self.core.store.view().await?;
        let shared = Company::of(&view, &self.id).await?.shared(&view, other).await?;
        Ok(page(shared, from.as_ref()))
    }
}

/// The rooms behind `from`, so many as go into one answer.
pub(super) fn page(shared: Vec<OwnedRoomId>, from: Option<&OwnedRoomId>) -> MutualRooms {
    let count = shared.len();
    let is_behind = |room: &OwnedRoomId| from.is_none_or(|from| room > from);
    let mut joined: Vec<_> = shared.into_iter().filter(is_behind).collect();
    let is_all = joined.len() <= PAGE;
    joined.truncate(PAGE);
    let next_batch = joined.last().filter(|_| !is_all).map(|room| URL_SAFE_NO_PAD.encode(room));
    MutualRooms { joined, count, next_batch }
}

pub(super) fn read_token(token: &str) -> Result<OwnedRoomId> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let room = bytes.and_then(|bytes| OwnedRoomId::try_from(String::from_utf8(bytes).ok()?).ok());
    room.ok_or(Error::Invalid("the token of a page"))
}
