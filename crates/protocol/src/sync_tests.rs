use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::{Room, draft, text, user};

/// A room whose state has four slots. Some state events lose at once, as after a fork; some slots change by themselves.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody speaks.
    Say,
    /// A state event takes effect in a slot.
    Set(u8),
    /// A state event that changes nothing, since another branch wins.
    Lose(u8),
    /// A state event takes effect in one slot, and resolution brings back an older event in another.
    Reset(u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Say),
        3 => (0..4u8).prop_map(Step::Set),
        1 => (0..4u8).prop_map(Step::Lose),
        1 => (0..4u8, 0..4u8).prop_map(|(slot, other)| Step::Reset(slot, other)),
    ]
}

#[derive(Default)]
struct History {
    events: Vec<(u64, Pdu)>,
    changes: Vec<Change<u64>>,
    state: StateIds,
    /// The state after each position.
    states: Vec<StateIds>,
}

impl History {
    fn new(steps: &[Step]) -> Self {
        let mut history = Self::default();
        history.states.push(StateIds::new());
        let mut room = Room::new("11", "public");
        for step in steps {
            let at = history.states.len() as u64;
            let set = |slot: u8| draft("@a:x", "m.test", Some(&slot.to_string()), json!({"n": at}));
            let event = room.say(match step {
                Step::Say => text("@a:x", "hi"),
                Step::Set(slot) | Step::Lose(slot) | Step::Reset(slot, _) => set(*slot),
            });
            history.events.push((at, event.clone()));
            if let (Step::Set(_) | Step::Reset(..), Some(slot)) = (step, event.slot()) {
                history.change(at, slot.clone(), event.event_id().clone());
            }
            if let Step::Reset(slot, other) = step
                && slot != other
            {
                history.reset(at, *other);
            }
            history.states.push(history.state.clone());
        }
        history
    }

    fn change(&mut self, at: u64, slot: Slot, event: OwnedEventId) {
        let replaced = self.state.insert(slot.clone(), event.clone());
        self.changes.push(Change { at, slot, event: Some(event), replaced });
    }

    /// Puts the first event ever of a slot back.
    fn reset(&mut self, at: u64, slot: u8) {
        let slot = ("m.test".into(), slot.to_string());
        let mut events = self.events.iter().map(|(_, event)| event);
        let first = events.find(|event| event.slot() == Some(&slot)).cloned();
        if let Some(first) = first
            && self.state.get(&slot) != Some(first.event_id())
        {
            self.change(at, slot, first.event_id().clone());
        }
    }

    fn since(&self, since: usize) -> (Vec<(u64, Pdu)>, Vec<Change<u64>>) {
        let since = since as u64;
        let events = self.events.iter().filter(|(at, _)| *at > since);
        let changes = self.changes.iter().filter(|change| change.at > since);
        (events.cloned().collect(), changes.cloned().collect())
    }
}

/// What a client holds that applies `state` and then the timeline.
fn fold(mut known: StateIds, state: StateIds, timeline: &Timeline<u64>) -> StateIds {
    known.extend(state);
    for (_, event) in &timeline.events {
        if let Some(slot) = event.slot() {
            known.insert(slot.clone(), event.event_id().clone());
        }
    }
    known
}

proptest! {
    #[test]
    fn a_client_that_applies_every_sync_knows_the_state(
        steps in prop::collection::vec(step(), 1..40), limit in 1..12usize, stride in 1..9usize,
    ) {
        let history = History::new(&steps);
        let mut known = StateIds::new();
        let mut since = 0;
        while since < steps.len() {
            let end = (since + stride).min(steps.len());
            let (mut events, mut changes) = history.since(since);
            events.retain(|(at, _)| *at <= end as u64);
            changes.retain(|change| change.at <= end as u64);
            let timeline = cut(events, &changes, limit);
            prop_assert!(timeline.events.len() <= limit);
            let mut after = known.clone();
            after.extend(state_after(&changes));
            known = fold(known, state(&changes, &timeline), &timeline);
            prop_assert_eq!(&known, &history.states[end]);
            prop_assert_eq!(&after, &history.states[end]);
            since = end;
        }
    }

    #[test]
    fn a_new_client_knows_the_state_too(
        steps in prop::collection::vec(step(), 1..40), limit in 0..12usize,
    ) {
        let history = History::new(&steps);
        let (events, changes) = history.since(0);
        let timeline = cut(events, &changes, limit);
        let full = full_state(history.state.clone(), &changes, &timeline);
        prop_assert_eq!(fold(StateIds::new(), full, &timeline), history.state);
    }

    #[test]
    fn rewinding_gives_the_state_of_the_past(
        steps in prop::collection::vec(step(), 1..40), back in 0..40usize,
    ) {
        let history = History::new(&steps);
        let past = steps.len().saturating_sub(back);
        let mut state = history.state.clone();
        rewind(&mut state, &history.since(past).1);
        prop_assert_eq!(&state, &history.states[past]);
    }

    #[test]
    fn nothing_is_cut_from_a_straight_room(count in 1..20usize) {
        let history = History::new(&vec![Step::Set(1); count]);
        let (events, changes) = history.since(0);
        let timeline = cut(events, &changes, 100);
        prop_assert_eq!(timeline.events.len(), count);
        prop_assert!(!timeline.limited);
    }
}

#[test]
fn the_timeline_starts_behind_an_event_that_lost() {
    let steps = [Step::Say, Step::Set(1), Step::Lose(1), Step::Say, Step::Say];
    let (events, changes) = History::new(&steps).since(0);
    let timeline = cut(events, &changes, 10);
    let positions: Vec<_> = timeline.events.iter().map(|(at, _)| *at).collect();
    assert_eq!(positions, [4, 5]);
    assert!(timeline.limited);
}

#[test]
fn without_the_cut_the_law_would_break() {
    let history = History::new(&[Step::Set(1), Step::Lose(1)]);
    let (events, changes) = history.since(0);
    let whole = Timeline { events, limited: false };
    let known = fold(StateIds::new(), state(&changes, &whole), &whole);
    assert_ne!(known, history.state);
}

#[track_caller]
fn check_heroes(members: &[(&str, MembershipState)], expected: &[&str]) {
    let members: Vec<_> = members.iter().map(|(id, state)| (user(id), state.clone())).collect();
    let got = heroes(members.iter().map(|(id, state)| (id, state)), &user("@me:x"));
    assert_eq!(
        got,
        expected.iter().map(|id| user(id)).collect::<Vec<_>>().iter().collect::<Vec<_>>()
    );
}

#[test]
fn heroes_are_those_present_else_those_gone() {
    use MembershipState::{Ban, Invite, Join, Knock, Leave};
    check_heroes(
        &[("@me:x", Join), ("@a:x", Join), ("@b:x", Leave), ("@c:x", Invite)],
        &["@a:x", "@c:x"],
    );
    check_heroes(
        &[("@me:x", Join), ("@a:x", Leave), ("@b:x", Ban), ("@c:x", Knock)],
        &["@a:x", "@b:x"],
    );
    let many = ["@a:x", "@b:x", "@c:x", "@d:x", "@e:x", "@f:x"];
    check_heroes(&many.map(|id| (id, Join)), &many[..5]);
}
