//! The state of a room that a client needs to be told.

use std::{collections::BTreeSet, ops::Bound};

use ruma::{OwnedEventId, OwnedUserId, events::StateEventType};
use tertulia_protocol::{
    Slot, StateIds,
    sync::{Change, Timeline, full_state, state, state_after},
};
use tertulia_storage::{Direction, Position};

use super::{
    filter::Members,
    reading::{Part, Reading, StateFor},
    timeline::Window,
};
use crate::{
    Result,
    events::{current_rows, slot_at, state_at},
    schema::{Ordinal, STATE, STATE_CHANGES, StateRow},
};

/// How many rows are read in one go.
const PAGE: usize = 500;

pub(super) const MEMBER: &str = "m.room.member";

/// The changes of a room's state that matter for an answer, oldest first.
pub(super) type Changes = Vec<Change<Ordinal>>;

/// What to tell of a room's state.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) slots: StateIds,
    /// Those of its events that are known not to be redacted.
    pub(super) intact: BTreeSet<OwnedEventId>,
}

/// Rows of a room's state by their slots.
pub(super) type Rows = Vec<(Slot, StateRow)>;

impl Told {
    fn of(rows: Rows) -> Self {
        let mut told = Self::default();
        rows.into_iter().for_each(|(slot, row)| told.insert(slot, row));
        told
    }

    fn insert(&mut self, slot: Slot, row: StateRow) {
        if !row.redacted {
            self.intact.insert(row.event.clone());
        }
        self.slots.insert(slot, row.event);
    }
}

/// The changes since the client knew the state; for one who does not know it, those since the
/// start of its timeline, if a state event stands in it.
pub(super) async fn changes(
    reading: &Reading<'_>,
    part: &Part<'_>,
    window: &Window,
) -> Result<Changes> {
    let has_state = window.events.iter().any(|event| event.row.is_state);
    let start = window.events.first().filter(|_| has_state).map(|first| match first.place {
        Ordinal::Live(position) => Bound::Included(position),
        Ordinal::Backfilled(_) => Bound::Unbounded,
    });
    let known = part.span.state_after.map(Bound::Excluded);
    let Some(from) = known.or(start).filter(|from| may_follow(part.head.row.state_at, *from))
    else {
        return Ok(Changes::new());
    };
    read_changes(reading, part, from).await
}

fn may_follow(newest: Position, from: Bound<Position>) -> bool {
    match from {
        Bound::Included(from) => newest >= from,
        Bound::Excluded(from) => newest > from,
        Bound::Unbounded => true,
    }
}

/// The changes from a position on, up to the end of `part`.
async fn read_changes(
    reading: &Reading<'_>,
    part: &Part<'_>,
    from: Bound<Position>,
) -> Result<Changes> {
    read_changes_in(reading, part, part.head.row.generation, from).await
}

/// The changes of one generation from a position on, up to the end of `part`.
pub(super) async fn read_changes_in(
    reading: &Reading<'_>,
    part: &Part<'_>,
    generation: u32,
    from: Bound<Position>,
) -> Result<Changes> {
    let key = |at| (part.head.room.clone(), generation, at);
    let prefix = (part.head.room.clone(), generation);
    let (mut changes, mut from) = (Changes::new(), from.map(key));
    loop {
        let rows = reading
            .view
            .scan_from(&STATE_CHANGES, &prefix, from.as_ref(), Direction::Forward, PAGE)
            .await?;
        let Some((last, _)) = rows.last() else { return Ok(changes) };
        from = Bound::Excluded(last.clone());
        for ((_, _, at), (slots,)) in rows {
            if at > part.end {
                return Ok(changes);
            }
            changes.extend(slots.into_iter().map(|slot| Change {
                at: Ordinal::Live(at),
                slot: (slot.kind.into(), slot.key),
                event: slot.event,
                replaced: slot.replaced,
            }));
        }
    }
}

/// All rows of the current state, in the order of their slots, where all of it is to be told.
pub(super) async fn whole(reading: &Reading<'_>, part: &Part<'_>) -> Result<Option<Rows>> {
    let all = reading.query.filter.members == Members::All && part.span.state_after.is_none();
    match all && part.ends_now() {
        true => Ok(Some(current(reading, part, Bound::Unbounded, None).await?)),
        false => Ok(None),
    }
}

/// What to tell one who gets `timeline`, and needs to know these `members` to show it. What is
/// known of the `whole` state is not read again.
pub(super) async fn told(
    reading: &Reading<'_>,
    part: &Part<'_>,
    changes: &Changes,
    timeline: &Timeline<Ordinal>,
    members: &BTreeSet<OwnedUserId>,
    whole: Option<Rows>,
) -> Result<Told> {
    if part.span.state_after.is_none() {
        let mut told = match whole {
            Some(rows) => Told::of(rows),
            None => all(reading, part, members).await?,
        };
        if reading.query.state == StateFor::TimelineStart {
            told.slots = full_state(told.slots, changes, timeline);
        }
        return Ok(told);
    }
    let mut told = members_at_end(reading, part, members).await?;
    match reading.query.state {
        StateFor::TimelineStart => {
            let own = |change: &&Change<Ordinal>| told.slots.contains_key(&change.slot);
            let own: Changes = changes.iter().filter(own).cloned().collect();
            told.slots = full_state(told.slots, &own, timeline);
            told.slots.extend(state(changes, timeline));
        }
        StateFor::TimelineEnd => told.slots.extend(state_after(changes)),
    }
    Ok(told)
}

/// All of the state at the end of `part`, with those members that the filter asks for.
async fn all(
    reading: &Reading<'_>,
    part: &Part<'_>,
    members: &BTreeSet<OwnedUserId>,
) -> Result<Told> {
    let lazy = reading.query.filter.members == Members::Needed;
    if !part.ends_now() {
        let state = state_at(&reading.view, part.head.base(), part.end).await?;
        let needed = |kind: &str, key: &str| {
            !lazy || kind != MEMBER || members.iter().any(|member| member == key)
        };
        let state = state.into_iter().filter(|((kind, key), _)| needed(kind, key));
        let slots = state.map(|((kind, key), event)| ((kind.into(), key), event)).collect();
        return Ok(Told { slots, intact: BTreeSet::new() });
    }
    if !lazy {
        return Ok(Told::of(current(reading, part, Bound::Unbounded, None).await?));
    }
    // The members are one run of keys in the middle, and the longest one in a large room.
    let mut rows = current(reading, part, Bound::Unbounded, Some(MEMBER)).await?;
    let behind = part.head.slot(&format!("{MEMBER}\0"), "");
    rows.extend(current(reading, part, Bound::Included(behind), None).await?);
    let mut told = Told::of(rows);
    let needed = members_at_end(reading, part, members).await?;
    told.slots.extend(needed.slots);
    told.intact.extend(needed.intact);
    Ok(told)
}

/// The current state from a slot on, up to the first slot of a type.
async fn current(
    reading: &Reading<'_>,
    part: &Part<'_>,
    mut from: Bound<(ruma::OwnedRoomId, u32, String, String)>,
    until: Option<&str>,
) -> Result<Rows> {
    let prefix = (part.head.room.clone(), part.head.row.generation);
    // A page of a large room would hold mostly what is not asked for.
    let page = if until.is_some() { 32 } else { PAGE };
    let mut found = Rows::new();
    loop {
        let rows = reading
            .view
            .scan_from(&STATE, &prefix, from.as_ref(), Direction::Forward, page)
            .await?;
        let last_page = rows.len() < page;
        from = rows.last().map_or(Bound::Unbounded, |(last, _)| Bound::Excluded(last.clone()));
        for ((_, _, kind, key), row) in rows {
            if until.is_some_and(|until| kind.as_str() >= until) {
                return Ok(found);
            }
            found.push(((kind.into(), key), row));
        }
        if last_page {
            return Ok(found);
        }
    }
}

/// The member events in force at the end of `part`.
pub(super) async fn members_at_end(
    reading: &Reading<'_>,
    part: &Part<'_>,
    members: &BTreeSet<OwnedUserId>,
) -> Result<Told> {
    let slots: Vec<Slot> =
        members.iter().map(|user| (StateEventType::RoomMember, user.to_string())).collect();
    let mut told = Told::default();
    if part.ends_now() {
        let rows = current_rows(&reading.view, part.head, &slots).await?;
        let filled = slots.into_iter().zip(rows).filter_map(|(slot, row)| Some((slot, row?)));
        filled.for_each(|(slot, row)| told.insert(slot, row));
        return Ok(told);
    }
    for slot in slots {
        let base = part.head.base();
        if let Some(event) = slot_at(&reading.view, base, MEMBER, &slot.1, part.end).await? {
            told.slots.insert(slot, event);
        }
    }
    Ok(told)
}
