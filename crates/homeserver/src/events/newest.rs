//! The newest places of timelines, kept between answers: all who are in a room are told them.
//!
//! They are kept under the version of the timeline that the room's head names. Whatever changes
//! the row of a live event, like a redaction, moves the head.

use std::sync::Arc;

use quick_cache::sync::Cache;
use ruma::OwnedRoomId;
use tertulia_protocol::Pdu;
use tertulia_storage::Position;

use super::Head;
use crate::schema::{Ordinal, TimelineRow};

/// Of how many rooms the newest places are kept.
const ROOMS: usize = 4_000;

/// How many places of a room are kept at most.
const PLACES: usize = 32;

/// A place of a timeline and what stands there.
pub(crate) type PlacedRow = (Ordinal, TimelineRow);

/// An event at its place in the timeline.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// Where it stands.
    pub(crate) place: Ordinal,
    /// What stands there.
    pub(crate) row: TimelineRow,
    /// The event.
    pub(crate) pdu: Pdu,
}

/// The newest places of the rooms that were told last.
pub(crate) struct NewestPlaces(Cache<OwnedRoomId, Arc<Newest>>);

impl Default for NewestPlaces {
    fn default() -> Self {
        Self(Cache::new(ROOMS))
    }
}

/// The newest places of one version of a timeline.
#[derive(Debug)]
struct Newest {
    version: Version,
    /// Newest first.
    rows: Vec<PlacedRow>,
    /// Whether these are all there are.
    complete: bool,
}

/// A version of a timeline: its stretch, and its newest place.
type Version = (u32, Position);

fn version(head: &Head) -> Version {
    (head.row.stretch, head.row.last)
}

impl NewestPlaces {
    /// The newest `limit` places, newest first, if so many are known.
    pub(crate) fn get(&self, head: &Head, limit: usize) -> Option<Vec<PlacedRow>> {
        let newest = self.0.get(&*head.room).filter(|newest| newest.version == version(head))?;
        let enough = newest.complete || newest.rows.len() >= limit;
        enough.then(|| newest.rows.iter().take(limit).cloned().collect())
    }

    /// The live places after a position, newest first, if all of them are known.
    pub(crate) fn after(
        &self,
        head: &Head,
        last: Position,
    ) -> Option<Vec<(Position, TimelineRow)>> {
        let newest = self.0.get(&*head.room).filter(|newest| newest.version == version(head))?;
        let is_new = |place: &Ordinal| *place > Ordinal::Live(last);
        let reaches = newest.rows.last().is_some_and(|(place, _)| !is_new(place));
        let rows = newest.rows.iter().take_while(|(place, _)| is_new(place)).cloned();
        let live = rows.filter_map(|(place, row)| Some((place.position()?, row)));
        (newest.complete || reaches).then(|| live.collect())
    }

    /// Keeps `rows`, newest first, which are the first `limit` ones.
    pub(crate) fn keep(&self, head: &Head, limit: usize, rows: &[PlacedRow]) {
        // Only to a room that did not begin here older events come later, which the head does
        // not tell.
        let began_here = head.row.generation == 0;
        let all_live = rows.iter().all(|(place, _)| matches!(place, Ordinal::Live(_)));
        if rows.len() > PLACES || !all_live {
            return;
        }
        let complete = began_here && rows.len() < limit;
        let newest = Newest { version: version(head), rows: rows.to_vec(), complete };
        self.0.insert(head.room.clone(), Arc::new(newest));
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use ruma::{owned_event_id, owned_room_id};

    use super::*;
    use crate::schema::RoomHead;

    fn head(generation: u32, last: u64) -> Head {
        let row = RoomHead { generation, last: Position::new(last), ..RoomHead::of_version("11") };
        Head::new(owned_room_id!("!r:x"), row).unwrap()
    }

    fn live(position: u64) -> PlacedRow {
        let event = owned_event_id!("$e");
        let row = TimelineRow {
            event,
            is_state: false,
            redacted_by: None,
            sent_by: None,
            push: None,
            related: None,
        };
        (Ordinal::Live(Position::new(position)), row)
    }

    /// How many places are known without reading, after `rows` were read where `limit` were
    /// wanted.
    #[track_caller]
    fn check(read: (&Head, usize, &[PlacedRow]), asked: (&Head, usize), expected: Option<usize>) {
        let kept = NewestPlaces::default();
        kept.keep(read.0, read.1, read.2);
        assert_eq!(kept.get(asked.0, asked.1).map(|rows| rows.len()), expected);
    }

    #[test]
    fn as_many_are_known_as_were_read_or_are_there() {
        let head = head(0, 9);
        let rows = [live(9), live(8)];
        check((&head, 2, &rows), (&head, 1), Some(1));
        check((&head, 2, &rows), (&head, 2), Some(2));
        check((&head, 2, &rows), (&head, 3), None);
        check((&head, 3, &rows), (&head, 50), Some(2));
    }

    #[test]
    fn what_came_after_a_place_is_known_if_the_place_is() {
        let head = head(0, 9);
        let kept = NewestPlaces::default();
        kept.keep(&head, 2, &[live(9), live(7)]);
        let after = |last| kept.after(&head, Position::new(last)).map(|rows| rows.len());
        assert_eq!([9, 8, 7, 6].map(after), [Some(0), Some(1), Some(1), None]);
        kept.keep(&head, 3, &[live(9), live(7)]);
        assert_eq!(kept.after(&head, Position::ZERO).map(|rows| rows.len()), Some(2));
    }

    #[test]
    fn a_later_version_is_read() {
        check((&head(0, 9), 1, &[live(9)]), (&head(0, 10), 1), None);
    }

    #[test]
    fn in_a_room_that_did_not_begin_here_older_events_may_come() {
        let head = head(1, 9);
        check((&head, 2, &[live(9)]), (&head, 2), None);
        check((&head, 2, &[live(9)]), (&head, 1), Some(1));
        let past = (Ordinal::Backfilled(Reverse(1)), live(1).1);
        check((&head, 2, &[live(9), past]), (&head, 2), None);
    }

    #[test]
    fn long_pages_are_not_kept() {
        let rows: Vec<_> = (0..=PLACES as u64).rev().map(live).collect();
        check((&head(0, 9), 100, &rows), (&head(0, 9), 1), None);
    }
}
