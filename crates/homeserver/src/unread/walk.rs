//! From the newest event of a room backwards, in as large steps as may be.

use ruma::UserId;
use tertulia_storage::Position;

use super::marks::{Marks, Thread};
use crate::schema::{PushBlock, TimelineRow};

/// How a block is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All that is in it and unread counts.
    Whole,
    /// Row by row: what was read ends inside of it.
    Rows,
    /// It was read, and so was all before it.
    Done,
}

/// How to take the block that ends at `last`.
pub(super) fn step(marks: &Marks, me: &UserId, last: Position, block: &PushBlock) -> Step {
    if last <= marks.floor {
        return Step::Done;
    }
    let ends_inside = |thread: &Thread| {
        let read = marks.up_to(thread);
        read >= block.from && read < last
    };
    let tallied = block.tallies.iter().map(|tally| (&tally.sender, &tally.thread));
    let mentioning = block.mentioning.iter().map(|event| (&event.push.sender, &event.push.thread));
    let mut all = tallied.chain(mentioning);
    let mixed = |(sender, thread): (&_, &Thread)| {
        ends_inside(thread) || (*sender == me && marks.up_to(thread) < last)
    };
    if all.any(mixed) { Step::Rows } else { Step::Whole }
}

/// Takes one row, the newest that was not taken: whether it is unread by `me`, who has read what
/// is before their own events.
pub(super) fn is_unread(
    marks: &mut Marks,
    me: &UserId,
    place: Position,
    row: &TimelineRow,
) -> bool {
    let Some(push) = &row.push else { return false };
    if marks.is_read(&push.thread, place) {
        return false;
    }
    if push.sender == me {
        marks.spoke(push.thread.clone(), place);
        return false;
    }
    row.redacted_by.is_none()
}

#[cfg(test)]
mod tests {
    use ruma::{OwnedEventId, owned_event_id, owned_user_id, user_id};

    use super::*;
    use crate::schema::{PushMention, PushRow, PushTally};

    fn push(sender: &str, thread: Option<&str>) -> PushRow {
        PushRow {
            class: 1,
            sender: UserId::parse(sender).unwrap().to_owned(),
            thread: thread.map(|root| OwnedEventId::try_from(root).unwrap()),
            mentions: vec![owned_user_id!("@me:x")],
            mentions_many: false,
            mentions_room: false,
        }
    }

    fn marks(floor: u64, main: u64) -> Marks {
        Marks { floor: Position::new(floor), read: [(None, Position::new(main))].into() }
    }

    /// A block from 10 to 20.
    #[track_caller]
    fn check(marks: &Marks, sender: &str, thread: Option<&str>, expected: Step) {
        let PushRow { class, sender, thread, .. } = push(sender, thread);
        let tally = PushTally { class, sender, thread, count: 2 };
        let event = owned_event_id!("$e");
        let mention = PushMention {
            event,
            push: push(tally.sender.as_str(), tally.thread.as_ref().map(|root| root.as_str())),
        };
        let from = Position::new(10);
        for block in [
            PushBlock { from, tallies: vec![tally], mentioning: vec![] },
            PushBlock { from, tallies: vec![], mentioning: vec![mention] },
        ] {
            let got = step(marks, user_id!("@me:x"), Position::new(20), &block);
            assert_eq!(got, expected, "{marks:?} {block:?}");
        }
    }

    #[test]
    fn a_block_is_taken_whole_unless_reading_ends_in_it() {
        check(&marks(9, 0), "@bob:x", None, Step::Whole);
        check(&marks(10, 0), "@bob:x", None, Step::Rows);
        check(&marks(19, 0), "@bob:x", None, Step::Rows);
        check(&marks(20, 0), "@bob:x", None, Step::Done);
        check(&marks(5, 9), "@bob:x", None, Step::Whole);
        check(&marks(5, 15), "@bob:x", None, Step::Rows);
        check(&marks(5, 15), "@bob:x", Some("$t"), Step::Whole);
        check(&marks(5, 20), "@bob:x", None, Step::Whole);
        check(&marks(5, 0), "@me:x", None, Step::Rows);
        check(&marks(5, 20), "@me:x", None, Step::Whole);
        check(&marks(5, 20), "@me:x", Some("$t"), Step::Rows);
    }

    #[test]
    fn who_speaks_has_read() {
        let me = user_id!("@me:x");
        let row = |push| TimelineRow {
            event: owned_event_id!("$e"),
            is_state: false,
            redacted_by: None,
            sent_by: None,
            push,
            related: None,
        };
        let mut marks = marks(1, 2);
        let mut take =
            |place, row: &TimelineRow| is_unread(&mut marks, me, Position::new(place), row);
        assert!(take(9, &row(Some(push("@bob:x", None)))));
        let redacted = TimelineRow {
            redacted_by: Some(owned_event_id!("$r")),
            ..row(Some(push("@bob:x", None)))
        };
        assert!(!take(8, &redacted));
        assert!(!take(7, &row(None)));
        assert!(!take(6, &row(Some(push("@me:x", None)))));
        assert!(!take(5, &row(Some(push("@bob:x", None)))));
        assert!(take(4, &row(Some(push("@bob:x", Some("$t"))))));
        assert!(!take(1, &row(Some(push("@bob:x", Some("$t"))))));
    }
}
