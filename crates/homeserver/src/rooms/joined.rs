//! The rooms a user is in.

use std::ops::Bound;

use ruma::{OwnedRoomId, OwnedUserId};
use tertulia_storage::Direction;

use crate::{
    Result,
    core::User,
    schema::{MEMBERSHIPS, Membership, MembershipKind},
};

/// How many memberships are read at once.
const PAGE: usize = 1_000;

impl User {
    /// The rooms the user is in, in the order of their IDs.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`](crate::Error::Storage) if they cannot be read.
    pub async fn joined_rooms(&self) -> Result<Vec<OwnedRoomId>> {
        let view = self.core.store.view().await?;
        let (prefix, mut from) = ((self.id.clone(),), Bound::Unbounded);
        let mut joined = Vec::new();
        loop {
            let rows = view
                .scan_from(&MEMBERSHIPS, &prefix, from.as_ref(), Direction::Forward, PAGE)
                .await?;
            let Some((last, _)) = rows.last().filter(|_| rows.len() == PAGE) else {
                joined.extend(rows.into_iter().filter_map(room_joined));
                return Ok(joined);
            };
            from = Bound::Excluded(last.clone());
            joined.extend(rows.into_iter().filter_map(room_joined));
        }
    }
}

type Row = ((OwnedUserId, OwnedRoomId), Membership);

fn room_joined(((_, room), membership): Row) -> Option<OwnedRoomId> {
    (membership.kind == MembershipKind::Join).then_some(room)
}
