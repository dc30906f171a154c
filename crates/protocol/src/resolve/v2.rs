//! State resolution since room version 2: ruma's, given what it asks for.

use std::{cell::RefCell, collections::BTreeSet};

use ruma::{
    EventId, OwnedEventId,
    room_version_rules::RoomVersionRules,
    state_res::{self, StateMap, utils::event_id_set::EventIdSet},
};

use super::{Contention, Unresolved};
use crate::{Known, Needs, Pdu, StateIds};

pub(super) fn resolve(
    rules: &RoomVersionRules,
    forks: &[StateIds],
    contention: &Contention,
    known: &Known,
) -> Result<StateIds, Unresolved> {
    let Some(v2) = rules.state_res.v2_rules() else {
        return Err(Unresolved::Broken("its version is older".to_owned()));
    };
    let maps: Vec<StateMap<OwnedEventId>> = forks.iter().map(to_map).collect();
    // Of two chains, one of them empty, everything in the other differs.
    let chains = vec![to_set(&contention.difference), EventIdSet::new()];
    let needs = RefCell::new(Needs::default());
    let fetch = |id: &EventId| -> Option<&Pdu> {
        if !known.was_asked(id) {
            needs.borrow_mut().events.insert(id.to_owned());
        }
        known.get(id)
    };
    let subgraph = |_: &StateMap<Vec<OwnedEventId>>| Some(to_set(&contention.subgraph));
    let resolved = state_res::resolve(&rules.authorization, v2, &maps, chains, fetch, subgraph);
    let needs = needs.into_inner();
    if !needs.is_empty() {
        return Err(needs.into());
    }
    match resolved {
        Ok(state) => Ok(state.into_iter().collect()),
        Err(error) => Err(Unresolved::Broken(error.to_string())),
    }
}

fn to_map(fork: &StateIds) -> StateMap<OwnedEventId> {
    let entries = fork.iter();
    entries.map(|(slot, id)| (slot.clone(), id.clone())).collect()
}

fn to_set(ids: &BTreeSet<OwnedEventId>) -> EventIdSet<OwnedEventId> {
    ids.iter().cloned().collect()
}
