//! What a client must be told so that it knows a room's state: pure parts of every kind of sync.
//!
//! A client applies what it is told in order: first `state`, then the state events of the timeline. Where branches of a room
//! met, that is not always the room's real state, since an event of the timeline may have lost against one the client knew
//! already. [`cut`] takes such events out of the timeline, [`state`] and [`full_state`] tell the rest.

use std::collections::BTreeMap;

use ruma::{OwnedEventId, OwnedUserId, events::room::member::MembershipState};

use crate::{Pdu, Slot, StateIds};

/// One change of a room's current state at the position `P` of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<P> {
    /// Where it happened.
    pub at: P,
    /// What changed.
    pub slot: Slot,
    /// The event in the slot since then; none if the slot was emptied.
    pub event: Option<OwnedEventId>,
    /// The event in the slot before.
    pub replaced: Option<OwnedEventId>,
}

/// The newest events of a room, oldest first, each with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline<P> {
    /// The events.
    pub events: Vec<(P, Pdu)>,
    /// Whether events before them were left out.
    pub limited: bool,
}

impl<P: Ord + Copy> Timeline<P> {
    fn start(&self) -> Option<P> {
        self.events.first().map(|(at, _)| *at)
    }

    /// The last state event of each slot.
    fn last_in_slot(&self) -> BTreeMap<&Slot, &Pdu> {
        let in_slot = |(_, event): &'_ (P, Pdu)| event.slot().is_some();
        let events = self.events.iter().filter(|entry| in_slot(entry));
        events.filter_map(|(_, event)| Some((event.slot()?, event))).collect()
    }
}

/// Cuts `events` (oldest first) down to the newest `limit`, and behind the last event whose slot has another value at the
/// end. `changes` are those of the same stretch of the log, oldest first.
pub fn cut<P: Ord + Copy>(
    mut events: Vec<(P, Pdu)>,
    changes: &[Change<P>],
    limit: usize,
) -> Timeline<P> {
    let at_end: BTreeMap<&Slot, Option<&OwnedEventId>> =
        changes.iter().map(|change| (&change.slot, change.event.as_ref())).collect();
    let last: BTreeMap<Slot, usize> = events
        .iter()
        .enumerate()
        .filter_map(|(index, (_, event))| Some((event.slot()?.clone(), index)))
        .collect();
    let misleading = last.iter().filter(|(slot, index)| {
        let end = at_end.get(slot).copied().flatten();
        end != Some(events[**index].1.event_id())
    });
    let behind = misleading.map(|(_, index)| index + 1).max().unwrap_or(0);
    let start = behind.max(events.len().saturating_sub(limit));
    let timeline = events.split_off(start);
    Timeline { events: timeline, limited: !events.is_empty() }
}

/// What each changed slot holds at the end of `changes` (oldest first): `state_after` of a sync. Emptied slots are left out,
/// as Matrix has no words for them.
pub fn state_after<P>(changes: &[Change<P>]) -> StateIds {
    let mut state = StateIds::new();
    apply(&mut state, changes.iter());
    state
}

/// The `state` that goes before `timeline`, for a client that knows the state before `changes` (oldest first).
///
/// It holds what changed before the timeline starts, and what changes in it without being seen there.
pub fn state<P: Ord + Copy>(changes: &[Change<P>], timeline: &Timeline<P>) -> StateIds {
    let start = timeline.start();
    let seen = timeline.last_in_slot();
    let mut state = StateIds::new();
    let told = changes.iter().filter(|change| {
        let before = start.is_none_or(|start| change.at < start);
        before || !seen.contains_key(&change.slot)
    });
    apply(&mut state, told);
    state
}

/// The `state` that goes before `timeline`, for a client that knows nothing of the room.
///
/// `current` is the state at the end, `changes` (oldest first) at least those since the start of the timeline.
pub fn full_state<P: Ord + Copy>(
    mut current: StateIds,
    changes: &[Change<P>],
    timeline: &Timeline<P>,
) -> StateIds {
    let Some(start) = timeline.start() else {
        return current;
    };
    let seen = timeline.last_in_slot();
    let hidden = |change: &&Change<P>| change.at >= start && seen.contains_key(&change.slot);
    for change in changes.iter().rev().filter(hidden) {
        set(&mut current, &change.slot, change.replaced.as_ref());
    }
    current
}

/// Takes `changes` (oldest first) back from the state they led to.
pub fn rewind<P>(state: &mut StateIds, changes: &[Change<P>]) {
    for change in changes.iter().rev() {
        set(state, &change.slot, change.replaced.as_ref());
    }
}

fn apply<'a, P: 'a>(state: &mut StateIds, changes: impl Iterator<Item = &'a Change<P>>) {
    for change in changes {
        set(state, &change.slot, change.event.as_ref());
    }
}

fn set(state: &mut StateIds, slot: &Slot, event: Option<&OwnedEventId>) {
    match event {
        Some(event) => state.insert(slot.clone(), event.clone()),
        None => state.remove(slot),
    };
}

/// The members a client names a nameless room by: at most five of those joined or invited, else of those who were, without
/// the reader. `members` come in the order in which they joined the story.
pub fn heroes<'a>(
    members: impl Iterator<Item = (&'a OwnedUserId, &'a MembershipState)>,
    reader: &OwnedUserId,
) -> Vec<&'a OwnedUserId> {
    let (mut present, mut gone) = (Vec::new(), Vec::new());
    for (user, membership) in members.filter(|(user, _)| *user != reader) {
        match membership {
            MembershipState::Join | MembershipState::Invite => present.push(user),
            MembershipState::Leave | MembershipState::Ban => gone.push(user),
            _ => {}
        }
    }
    let mut heroes = if present.is_empty() { gone } else { present };
    heroes.truncate(5);
    heroes
}

#[cfg(test)]
#[path = "sync_tests.rs"]
mod tests;
