//! Counts that were made before, under all that they depend on.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use quick_cache::sync::Cache;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use tertulia_storage::Position;

use super::{Unread, count::Counted, marks::Marks};

/// Of how many users' rooms counts are kept.
const CAPACITY: usize = 50_000;

/// The counts that were made last.
pub(super) struct Memory(Cache<(OwnedUserId, OwnedRoomId), Arc<Known>>);

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
#[derive(Debug)]
pub(super) struct Known {
    pub(super) depends: Depends,
    /// The newest event that was counted.
    pub(super) last: Position,
    pub(super) unread: Unread,
    /// Up to where the user has read.
    pub(super) marks: Marks,
    /// Up to where in the log the user gave no other receipt.
    seen: AtomicU64,
}

impl Known {
    pub(super) fn new(depends: Depends, last: Position, counted: Counted) -> Self {
        let Counted { unread, marks, .. } = counted;
        Self { depends, last, unread, marks, seen: AtomicU64::new(0) }
    }

    /// The newest receipt, if there was none after `since`.
    pub(super) fn receipts_unless_given_after(&self, since: Position) -> Option<Position> {
        (self.seen.load(Ordering::Relaxed) >= since.get()).then_some(self.depends.receipts)
    }

    /// At `settled`, it still depended on the same.
    pub(super) fn holds_at(&self, settled: Position) {
        self.seen.fetch_max(settled.get(), Ordering::Relaxed);
    }
}

impl Memory {
    /// The last count.
    pub(super) fn get(&self, user: &UserId, room: &RoomId) -> Option<Arc<Known>> {
        self.0.get(&(user.to_owned(), room.to_owned()))
    }

    pub(super) fn keep(&self, user: &UserId, room: &RoomId, known: Arc<Known>) {
        self.0.insert((user.to_owned(), room.to_owned()), known);
    }
}
