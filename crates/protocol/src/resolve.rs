//! One state out of those to which the branches of a room lead.

mod graph;
mod v1;
mod v2;

use std::collections::BTreeSet;

use ruma::{
    OwnedEventId,
    room_version_rules::{RoomVersionRules, StateResolutionVersion},
};

use crate::{Known, Needs, StateIds};

/// Why the branches did not lead to one state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// Something must be loaded first.
    #[error(transparent)]
    Needs(#[from] Needs),
    /// The events contradict what was checked when they were admitted.
    #[error("the events cannot be in one room: {0}")]
    Broken(String),
}

/// What the branches disagree about beyond the events in their states. A store with an index of auth chains knows it faster
/// than [`contention`] finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contention {
    /// The events in the auth chains of some branches, but not of all.
    pub difference: BTreeSet<OwnedEventId>,
    /// The events on paths of citations from one conflicted event to another. Only since version 12, empty elsewhere.
    pub subgraph: BTreeSet<OwnedEventId>,
}

/// Resolves the states of several branches into one, whatever the room's version.
///
/// The result does not depend on the order of the branches. Needed are the events in them and their whole auth chains; load
/// them beforehand where you can, and one call is enough.
pub fn resolve(
    rules: &RoomVersionRules,
    forks: &[StateIds],
    known: &Known,
) -> Result<StateIds, Unresolved> {
    let Some(forks) = differing(forks) else {
        return Ok(forks.first().cloned().unwrap_or_default());
    };
    match &rules.state_res {
        StateResolutionVersion::V1 => Ok(v1::resolve(rules, forks, known)?),
        _ => v2::resolve(rules, forks, &contention(rules, forks, known)?, known),
    }
}

/// Like [`resolve`] with [`Contention`] found already. The branches may then be reduced to the slots in which they differ,
/// those of the contended events and of what authorises them, the create event, the power levels and the join rules.
pub fn resolve_contended(
    rules: &RoomVersionRules,
    forks: &[StateIds],
    contention: &Contention,
    known: &Known,
) -> Result<StateIds, Unresolved> {
    let Some(forks) = differing(forks) else {
        return Ok(forks.first().cloned().unwrap_or_default());
    };
    match &rules.state_res {
        StateResolutionVersion::V1 => Ok(v1::resolve(rules, forks, known)?),
        _ => v2::resolve(rules, forks, contention, known),
    }
}

/// What the branches disagree about, found by walking their auth chains.
pub fn contention(
    rules: &RoomVersionRules,
    forks: &[StateIds],
    known: &Known,
) -> Result<Contention, Unresolved> {
    let Some(v2) = rules.state_res.v2_rules() else {
        return Ok(Contention::default());
    };
    let order = graph::oldest_first(forks.iter().flat_map(|fork| fork.values()), known)?;
    let subgraph = if v2.consider_conflicted_state_subgraph {
        graph::paths_between(&conflicted(forks), &order)
    } else {
        BTreeSet::new()
    };
    Ok(Contention { difference: graph::difference(forks, &order), subgraph })
}

/// The branches, unless they all lead to the same state.
fn differing(forks: &[StateIds]) -> Option<&[StateIds]> {
    let same = forks.windows(2).all(|pair| pair[0] == pair[1]);
    (!same).then_some(forks)
}

/// The events in slots that are not the same in all branches.
fn conflicted(forks: &[StateIds]) -> BTreeSet<&OwnedEventId> {
    let everywhere = |slot, id| forks.iter().all(|fork| fork.get(slot) == Some(id));
    let entries = forks.iter().flatten();
    entries.filter(|(slot, id)| !everywhere(*slot, *id)).map(|(_, id)| id).collect()
}

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;
