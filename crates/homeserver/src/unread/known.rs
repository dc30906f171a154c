//! Counts that were made before, under all that they depend on.

use std::sync::Arc;

use quick_cache::sync::Cache;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use tertulia_storage::Position;

use super::{Unread, marks::Marks};

/// Of how many users' rooms counts are kept.
const CAPACITY: usize = 50_000;

/// The counts that were made last.
pub(super) struct Memory(Cache<(OwnedUserId, OwnedRoomId), Arc<(Depends, Known)>>);

impl Default for Memory {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

/// What a count depends on, beside the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Depends {
    /// The newest receipt of the user in the room.
    pub(super) receipts: Position,
    /// Since when the user is in the room.
    pub(super) since: Position,
    /// When the user's push rules last changed.
    pub(super) rules: Position,
    /// When it last changed whom the user ignores.
    pub(super) ignored: Position,
    /// The version of the room's state, which rules may ask for members and powers.
    pub(super) state: (u32, Position),
    /// The stretch of the timeline.
    pub(super) stretch: u32,
}

/// A count.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The newest event that was counted.
    pub(super) last: Position,
    pub(super) unread: Unread,
    /// Up to where the user has read.
    pub(super) marks: Marks,
}

impl Memory {
    /// The last count, if nothing but events has been added since.
    pub(super) fn get(&self, user: &UserId, room: &RoomId, depends: &Depends) -> Option<Known> {
        let kept = self.0.get(&(user.to_owned(), room.to_owned()))?;
        (kept.0 == *depends).then(|| kept.1.clone())
    }

    pub(super) fn keep(&self, user: &UserId, room: &RoomId, depends: Depends, known: Known) {
        self.0.insert((user.to_owned(), room.to_owned()), Arc::new((depends, known)));
    }
}
