//! The rooms that two users share.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ruma::{OwnedRoomId, UserId};
use serde::Serialize;

use crate::{Error, Result, User, company::Company};

/// How many rooms one answer tells.
const PAGE: usize = 1_000;

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
