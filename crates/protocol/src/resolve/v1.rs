//! State resolution of room version 1, which ruma does not have.
//!
//! Here a slot that is empty in one branch and filled in another is no conflict. Conflicts are settled in the order power
//! levels, join rules, members, everything else; the members are all settled against the state before any of them was.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use ruma::{OwnedEventId, events::StateEventType, room_version_rules::RoomVersionRules};
use sha1::{Digest as _, Sha1};

use crate::{
    AuthState, Known, Needs, Pdu, Slot, StateIds,
    auth::{auth_slots_of, authorize_by_state},
};

/// Conflicts that decide on later ones, in the order in which they are settled.
const FIRST: [StateEventType; 3] =
    [StateEventType::RoomPowerLevels, StateEventType::RoomJoinRules, StateEventType::RoomMember];

pub(super) fn resolve(
    rules: &RoomVersionRules,
    forks: &[StateIds],
    known: &Known,
) -> Result<StateIds, Needs> {
    let mut candidates: BTreeMap<&Slot, BTreeSet<&OwnedEventId>> = BTreeMap::new();
    for (slot, id) in forks.iter().flatten() {
        candidates.entry(slot).or_default().insert(id);
    }
    let (agreed, conflicts): (BTreeMap<_, _>, BTreeMap<_, _>) =
        candidates.into_iter().partition(|(_, ids)| ids.len() == 1);
    known.require(conflicts.values().flatten().copied())?;
    let agreed =
        agreed.into_iter().flat_map(|(slot, ids)| ids.into_iter().map(move |id| (slot, id)));
    let mut resolution = Resolution {
        rules,
        known,
        state: agreed.map(|(slot, id)| (slot.clone(), id.clone())).collect(),
    };
    for kind in FIRST {
        let conflicts = conflicts.iter().filter(|(slot, _)| slot.0 == kind);
        resolution.settle(conflicts, Resolution::last_of_the_first_allowed)?;
    }
    let others = conflicts.iter().filter(|(slot, _)| !FIRST.contains(&slot.0));
    resolution.settle(others, Resolution::newest_allowed)?;
    Ok(resolution.state)
}

struct Resolution<'a> {
    rules: &'a RoomVersionRules,
    known: &'a Known,
    state: StateIds,
}

/// How one of a slot's events is chosen, from the oldest to the newest.
type Choose<'a> = fn(&Resolution<'a>, &[&'a Pdu]) -> Result<Option<&'a Pdu>, Needs>;

impl<'a> Resolution<'a> {
    /// Settles conflicts of one kind, all of them against the state as it is.
    fn settle<'c>(
        &mut self,
        conflicts: impl Iterator<Item = (&'c &'c Slot, &'c BTreeSet<&'c OwnedEventId>)>,
        choose: Choose<'a>,
    ) -> Result<(), Needs> {
        let mut settled = Vec::new();
        for (slot, ids) in conflicts {
            let mut events: Vec<&'a Pdu> = ids.iter().filter_map(|id| self.known.get(id)).collect();
            events.sort_by_cached_key(|event| {
                let hash = Sha1::digest(event.event_id().as_str().as_bytes());
                (event.depth(), Reverse(hash))
            });
            if let Some(event) = choose(self, &events)? {
                settled.push(((**slot).clone(), event.event_id().clone()));
            }
        }
        self.state.extend(settled);
        Ok(())
    }

    /// Goes from the first event on, as long as each is allowed after the one before.
    fn last_of_the_first_allowed(&self, events: &[&'a Pdu]) -> Result<Option<&'a Pdu>, Needs> {
        let mut last = None;
        for event in events {
            if last.is_some() && !self.allows(event, last)? {
                break;
            }
            last = Some(*event);
        }
        Ok(last)
    }

    fn newest_allowed(&self, events: &[&'a Pdu]) -> Result<Option<&'a Pdu>, Needs> {
        for event in events.iter().rev() {
            if self.allows(event, None)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Whether the state allows `event`, with `own` in its slot.
    fn allows(&self, event: &Pdu, own: Option<&Pdu>) -> Result<bool, Needs> {
        let Ok(slots) = auth_slots_of(self.rules, event) else {
            return Ok(false);
        };
        let ids = slots.iter().filter_map(|slot| self.state.get(slot));
        let ids: Vec<&OwnedEventId> = ids.collect();
        self.known.require(ids.iter().copied())?;
        let mut state: AuthState =
            ids.iter().filter_map(|id| self.known.get(id).cloned()).collect();
        state.extend(own.cloned());
        Ok(authorize_by_state(self.rules, event, &state).is_ok())
    }
}
