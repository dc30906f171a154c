//! Up to where a user has read a room.

use std::collections::BTreeMap;

use ruma::{OwnedEventId, RoomId, UserId};
use tertulia_storage::{Direction, Position, View};

use crate::{
    Result,
    events::Head,
    schema::{EVENT_META, RECEIPTS, ReceiptRow, Verdict},
};

/// How many receipts of a user in a room are looked at, one or two a thread.
const MOST: usize = 1_000;

/// A user's receipts in a room, by the thread they are for.
pub(super) type Rows = Vec<(String, ReceiptRow)>;

/// A thread; none is the main timeline.
pub(super) type Thread = Option<OwnedEventId>;

/// Up to where each thread was read, where that is further than for the whole room.
pub(super) type Read = BTreeMap<Thread, Position>;

/// Up to where a user has read a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// The whole of it: nothing before this is unread.
    pub(super) floor: Position,
    pub(super) read: Read,
}

/// The receipts of `user` in `room`.
pub(super) async fn rows(view: &View, room: &RoomId, user: &UserId) -> Result<Rows> {
    let prefix = (room.to_owned(), user.to_owned());
    let rows = view.scan(&RECEIPTS, &prefix, Direction::Forward, MOST).await?;
    Ok(rows.into_iter().map(|((.., thread), row)| (thread, row)).collect())
}

impl Marks {
    /// What receipts say of a room that the user is in since a position.
    pub(super) async fn of(view: &View, head: &Head, since: Position, rows: Rows) -> Result<Self> {
        let ids: Vec<_> = rows.iter().map(|(_, row)| row.event.clone()).collect();
        let places = places(view, head, ids).await?;
        let mut marks = Self { floor: since, read: Read::new() };
        for ((thread, _), place) in rows.into_iter().zip(places) {
            if let Some(place) = place {
                marks.add(&thread, place);
            }
        }
        Ok(marks)
    }

    fn add(&mut self, thread: &str, place: Position) {
        let read = match thread {
            "" => &mut self.floor,
            "main" => self.read.entry(None).or_default(),
            root => match OwnedEventId::try_from(root) {
                Ok(root) => self.read.entry(Some(root)).or_default(),
                Err(_) => return,
            },
        };
        *read = place.max(*read);
    }

    /// Whether the user has read what is at `place` in a thread.
    pub(super) fn is_read(&self, thread: &Thread, place: Position) -> bool {
        place <= self.up_to(thread)
    }

    /// Up to where the user has read a thread.
    pub(super) fn up_to(&self, thread: &Thread) -> Position {
        self.read.get(thread).copied().unwrap_or_default().max(self.floor)
    }

    /// The user wrote in a thread at `place`, and so has read what is before.
    pub(super) fn spoke(&mut self, thread: Thread, place: Position) {
        let read = self.read.entry(thread).or_default();
        *read = place.max(*read);
    }
}

/// Where events stand in the present stretch of a room's timeline.
async fn places(view: &View, head: &Head, ids: Vec<OwnedEventId>) -> Result<Vec<Option<Position>>> {
    let keys: Vec<_> = ids.into_iter().map(|id| (head.room.clone(), id)).collect();
    let metas = view.get_many(&EVENT_META, &keys).await?;
    let place = |verdict| match verdict {
        Verdict::Timeline { stretch, ordinal } if stretch == head.row.stretch => ordinal.position(),
        _ => None,
    };
    Ok(metas.into_iter().map(|meta| meta.and_then(|meta| place(meta.verdict))).collect())
}

#[cfg(test)]
mod tests {
    use ruma::owned_event_id;

    use super::*;

    #[test]
    fn what_is_furthest_counts_and_threads_are_read_by_themselves() {
        let mut marks = Marks { floor: Position::new(3), ..Marks::default() };
        for (thread, place) in [("main", 5), ("$t", 2), ("main", 4), ("$u", 9), ("", 1)] {
            marks.add(thread, Position::new(place));
        }
        let thread = |id: &str| OwnedEventId::try_from(id).ok();
        for (of, up_to) in [(None, 5), (thread("$t"), 3), (thread("$u"), 9), (thread("$v"), 3)] {
            assert_eq!(marks.up_to(&of), Position::new(up_to), "{of:?}");
            assert!(marks.is_read(&of, Position::new(up_to)));
            assert!(!marks.is_read(&of, Position::new(up_to + 1)));
        }
        marks.add("", Position::new(7));
        assert_eq!(marks.up_to(&None), Position::new(7));
        marks.spoke(None, Position::new(8));
        assert_eq!(marks.up_to(&None), Position::new(8));
        assert_eq!(marks.up_to(&Some(owned_event_id!("$t"))), Position::new(7));
    }
}
