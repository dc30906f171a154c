//! Which rooms a user is in, kept between polls.
//!
//! The list as of a position never changes, and the log tells whether a later one is the same.

use std::sync::Arc;

use quick_cache::sync::Cache;
use ruma::{OwnedRoomId, OwnedUserId, RoomId};
use tertulia_storage::{Direction, Position};

use super::reading::Reading;
use crate::{
    Result,
    schema::{MEMBERSHIPS, Membership, MembershipKind},
};

/// Of how many users the list is kept.
const CAPACITY: usize = 2_000;

/// The lists of the users who synced last.
pub(super) struct JoinedLists {
    lists: Cache<OwnedUserId, Joined>,
}

impl Default for JoinedLists {
    fn default() -> Self {
        Self { lists: Cache::new(CAPACITY) }
    }
}

/// The rooms a user is in as of a position, in the order of their IDs. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    at: Position,
    pub(super) rooms: Arc<[OwnedRoomId]>,
}

impl Joined {
    pub(super) fn contains(&self, room: &RoomId) -> bool {
        self.rooms.binary_search_by(|other| (**other).cmp(room)).is_ok()
    }

    /// Whether it is the same list, not only an equal one.
    pub(super) fn is(&self, rooms: &Arc<[OwnedRoomId]>) -> bool {
        Arc::ptr_eq(&self.rooms, rooms)
    }
}

/// The rooms the user is in. `unchanged_since` says from where on the log was seen to hold no
/// change of the user's memberships.
pub(super) async fn joined(
    reading: &Reading<'_>,
    unchanged_since: Option<Position>,
) -> Result<Joined> {
    let settled = reading.view.settled();
    let known = reading.core().local::<JoinedLists>().lists.get(reading.me());
    // A list that another poll read later is of no use: in between the user may have left.
    let same = known.filter(|known| {
        let since = unchanged_since.unwrap_or(settled);
        known.at <= settled && known.at >= since
    });
    match same {
        Some(known) => Ok(remember(reading, known.rooms)),
        None => {
            let prefix = (reading.me().to_owned(),);
            let rows =
                reading.view.scan(&MEMBERSHIPS, &prefix, Direction::Forward, usize::MAX).await?;
            Ok(of_rows(reading, rows.iter().map(|((_, room), row)| (room, row))))
        }
    }
}

/// The rooms the user is in, from all rows about the user.
pub(super) fn of_rows<'a>(
    reading: &Reading<'_>,
    rows: impl Iterator<Item = (&'a OwnedRoomId, &'a Membership)>,
) -> Joined {
    let joined = rows.filter(|(_, row)| row.kind == MembershipKind::Join);
    remember(reading, joined.map(|(room, _)| room.clone()).collect())
}

fn remember(reading: &Reading<'_>, rooms: Arc<[OwnedRoomId]>) -> Joined {
    let joined = Joined { at: reading.view.settled(), rooms };
    let memory = reading.core().local::<JoinedLists>();
    memory.lists.insert(reading.me().to_owned(), joined.clone());
    joined
}
