//! State resolution since version 2 as the specification words it, slowly and without ruma's implementation of it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use ruma::{
    OwnedEventId,
    events::{StateEventType, TimelineEventType, room::member::MembershipState},
    room_version_rules::{RoomVersionRules, StateResolutionV2Rules},
};

use crate::{
    AuthState, Pdu, Power, StateIds,
    auth::{auth_slots_of, authorize_by_state, create_of},
    visibility::membership_in,
};

type Ids = BTreeSet<OwnedEventId>;

/// A rule to leave out, so that one sees whether anybody would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Omit {
    Nothing,
    /// The events that some branches rely on and others do not.
    AuthDifference,
    /// That events of the more powerful come first.
    Power,
    /// That events are put in the order of the power levels they knew.
    Mainline,
    /// That what all branches agree on stays.
    Agreement,
}

pub(super) struct Naive<'a> {
    pub(super) rules: &'a RoomVersionRules,
    pub(super) v2: StateResolutionV2Rules,
    pub(super) events: &'a BTreeMap<OwnedEventId, Pdu>,
    pub(super) omit: Omit,
}

impl Naive<'_> {
    fn chain(&self, id: &OwnedEventId) -> Ids {
        let mut chain = Ids::new();
        let mut open = vec![id.clone()];
        while let Some(id) = open.pop() {
            for cited in self.events[&id].auth_events() {
                if chain.insert(cited.clone()) {
                    open.push(cited.clone());
                }
            }
        }
        chain
    }

    fn full_conflicted_set(&self, forks: &[StateIds], conflicted: &Ids) -> Ids {
        let chains = forks.iter().map(|fork| fork.values().flat_map(|id| self.chain(id)).collect());
        let chains: Vec<Ids> = chains.collect();
        let mut all: Ids = chains.iter().flatten().cloned().collect();
        if self.omit == Omit::AuthDifference {
            all.clear();
        }
        let differing = all.into_iter().filter(|id| !chains.iter().all(|chain| chain.contains(id)));
        let mut full: Ids = differing.chain(conflicted.iter().cloned()).collect();
        if self.v2.consider_conflicted_state_subgraph {
            for one in conflicted {
                let passed = self.chain(one).into_iter().filter(|id| {
                    conflicted.contains(id) || !self.chain(id).is_disjoint(conflicted)
                });
                full.extend(passed);
            }
        }
        full
    }

    fn is_power_event(&self, id: &OwnedEventId) -> bool {
        let event = &self.events[id];
        match event.kind() {
            TimelineEventType::RoomPowerLevels | TimelineEventType::RoomJoinRules => true,
            TimelineEventType::RoomMember => {
                let gone = [MembershipState::Leave, MembershipState::Ban];
                gone.contains(&membership_in(event))
                    && event.state_key() != Some(event.sender().as_str())
            }
            _ => false,
        }
    }

    /// What an event cites, the create event included where its ID is the room's.
    fn cited(&self, event: &Pdu) -> Vec<&Pdu> {
        let create = create_of(self.rules, event);
        let ids = event.auth_events().iter().chain(create.as_ref());
        ids.map(|id| &self.events[id]).collect()
    }

    fn power_order(&self, chosen: &Ids) -> Vec<OwnedEventId> {
        let mut order: Vec<OwnedEventId> = Vec::new();
        while order.len() < chosen.len() {
            let open = chosen.iter().filter(|id| !order.contains(id));
            let ready = open.filter(|id| {
                let mut cited = self.events[*id].auth_events().iter();
                cited.all(|cited| !chosen.contains(cited) || order.contains(cited))
            });
            let next = ready.min_by_key(|id| {
                let event = &self.events[*id];
                let cited = self.cited(event);
                let find = |kind| cited.iter().copied().find(|event| event.is_at(&kind, ""));
                let create = find(StateEventType::RoomCreate).unwrap();
                let levels = find(StateEventType::RoomPowerLevels);
                let power = Power::new(self.rules, create, levels).of(event.sender());
                let power = (self.omit != Omit::Power).then_some(power);
                (Reverse(power), event.origin_server_ts(), (*id).clone())
            });
            order.push(next.unwrap().clone());
        }
        order
    }

    fn check_in_turn(&self, mut state: StateIds, order: &[OwnedEventId]) -> StateIds {
        for id in order {
            let event = &self.events[id];
            let cited = self.cited(event).into_iter().filter(|cited| !cited.rejected());
            let mut auth: AuthState = cited.cloned().collect();
            let slots = auth_slots_of(self.rules, event).unwrap();
            let present = slots.iter().filter_map(|slot| state.get(slot));
            auth.extend(present.map(|id| self.events[id].clone()));
            if authorize_by_state(self.rules, event, &auth).is_ok() {
                state.insert(event.slot().unwrap().clone(), id.clone());
            }
        }
        state
    }

    fn levels_cited_by(&self, id: &OwnedEventId) -> Option<&OwnedEventId> {
        let mut cited = self.events[id].auth_events().iter();
        cited.find(|id| self.events[*id].is_at(&StateEventType::RoomPowerLevels, ""))
    }

    fn mainline_order(&self, events: &Ids, levels: Option<&OwnedEventId>) -> Vec<OwnedEventId> {
        let mainline: Vec<_> =
            std::iter::successors(levels, |id| self.levels_cited_by(id)).collect();
        let position = |id: &OwnedEventId| {
            let own = std::iter::successors(Some(id), |id| self.levels_cited_by(id));
            let mut places = own.filter_map(|id| mainline.iter().position(|main| *main == id));
            places.next().unwrap_or(usize::MAX)
        };
        let mut order: Vec<_> = events.iter().cloned().collect();
        order.sort_by_key(|id| {
            let time = self.events[id].origin_server_ts();
            let position = (self.omit != Omit::Mainline).then(|| position(id));
            (Reverse(position), time, id.clone())
        });
        order
    }

    pub(super) fn resolve(&self, forks: &[StateIds]) -> StateIds {
        let entries = || forks.iter().flatten();
        let everywhere =
            |(slot, id): &(_, &OwnedEventId)| forks.iter().all(|fork| fork.get(*slot) == Some(id));
        let unconflicted: StateIds =
            entries().filter(everywhere).map(|(slot, id)| (slot.clone(), id.clone())).collect();
        let conflicts = entries().filter(|entry| !everywhere(entry));
        let conflicted: Ids = conflicts.map(|(_, id)| id.clone()).collect();
        if conflicted.is_empty() {
            return unconflicted;
        }
        let full = self.full_conflicted_set(forks, &conflicted);
        let power: Ids = full.iter().filter(|id| self.is_power_event(id)).cloned().collect();
        let cited = power.iter().flat_map(|id| self.chain(id));
        let mut chosen: Ids = cited.filter(|id| full.contains(id)).collect();
        chosen.extend(power);
        let start = if self.v2.begin_iterative_auth_checks_with_empty_state_map {
            StateIds::new()
        } else {
            unconflicted.clone()
        };
        let partial = self.check_in_turn(start, &self.power_order(&chosen));
        let rest: Ids = full.difference(&chosen).cloned().collect();
        let levels = partial.get(&(StateEventType::RoomPowerLevels, String::new())).cloned();
        let mut state = self.check_in_turn(partial, &self.mainline_order(&rest, levels.as_ref()));
        if self.omit != Omit::Agreement {
            state.extend(unconflicted);
        }
        state
    }
}
