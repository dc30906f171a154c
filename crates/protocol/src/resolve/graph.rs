//! The graph of events and the events they cite as allowing them.

use std::collections::{BTreeSet, HashMap, HashSet};

use ruma::{EventId, OwnedEventId};

use super::Unresolved;
use crate::{Known, Needs, Pdu, StateIds};

/// The events named and all that they cite directly or not, each after those it cites. Absent events are left out.
pub(super) fn oldest_first<'a>(
    starts: impl Iterator<Item = &'a OwnedEventId>,
    known: &'a Known,
) -> Result<Vec<&'a Pdu>, Unresolved> {
    let mut walk = Walk { known, done: HashMap::new(), order: Vec::new(), needs: Needs::default() };
    for start in starts {
        walk.visit(start)?;
    }
    if walk.needs.is_empty() { Ok(walk.order) } else { Err(walk.needs.into()) }
}

struct Walk<'a> {
    known: &'a Known,
    /// Every event met, and whether all that it cites has been put in order.
    done: HashMap<&'a EventId, bool>,
    order: Vec<&'a Pdu>,
    needs: Needs,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, start: &'a OwnedEventId) -> Result<(), Unresolved> {
        let mut path: Vec<(&'a Pdu, usize)> = self.enter(start)?.into_iter().collect();
        while let Some((event, next)) = path.last_mut() {
            let event = *event;
            if let Some(cited) = event.auth_events().get(*next) {
                *next += 1;
                path.extend(self.enter(cited)?);
            } else {
                self.done.insert(event.event_id(), true);
                self.order.push(event);
                path.pop();
            }
        }
        Ok(())
    }

    /// The event to go on with, unless it was met before or is not there.
    fn enter(&mut self, id: &'a OwnedEventId) -> Result<Option<(&'a Pdu, usize)>, Unresolved> {
        match self.done.get(&**id) {
            Some(true) => return Ok(None),
            Some(false) => {
                return Err(Unresolved::Broken(format!("{id} cites itself in a circle")));
            }
            None => {}
        }
        if !self.known.was_asked(id) {
            self.needs.events.insert(id.clone());
        }
        let event = self.known.get(id);
        if event.is_some() {
            self.done.insert(id, false);
        }
        Ok(event.map(|event| (event, 0)))
    }
}

/// The events in the auth chain of some branches, but not of all.
pub(super) fn difference(forks: &[StateIds], order: &[&Pdu]) -> BTreeSet<OwnedEventId> {
    let chains: Vec<_> = forks.iter().map(|fork| chain(fork, order)).collect();
    let events = order.iter().map(|event| event.event_id());
    let differs = |id: &&OwnedEventId| {
        let inside = chains.iter().filter(|chain| chain.contains(&***id)).count();
        inside > 0 && inside < chains.len()
    };
    events.filter(differs).cloned().collect()
}

/// All that the events of a branch cite, directly or not.
fn chain<'a>(fork: &StateIds, order: &[&'a Pdu]) -> HashSet<&'a EventId> {
    let state: HashSet<&EventId> = fork.values().map(|id| &**id).collect();
    let mut chain = HashSet::new();
    for event in order.iter().rev() {
        let id: &EventId = event.event_id();
        if state.contains(id) || chain.contains(id) {
            chain.extend(event.auth_events().iter().map(|id| &**id));
        }
    }
    chain
}

/// The events on paths from one of `ends` to another, the ends of these paths included.
pub(super) fn paths_between(
    ends: &BTreeSet<&OwnedEventId>,
    order: &[&Pdu],
) -> BTreeSet<OwnedEventId> {
    let mut leading: HashSet<&EventId> = HashSet::new();
    for event in order {
        let cites = event.auth_events().iter().any(|id| leading.contains(&**id));
        if cites || ends.contains(event.event_id()) {
            leading.insert(event.event_id());
        }
    }
    let mut between = BTreeSet::new();
    for event in order.iter().rev() {
        let id = event.event_id();
        if ends.contains(id) || between.contains(id) {
            let cited = event.auth_events().iter();
            between.extend(cited.filter(|id| leading.contains(&***id)).cloned());
        }
    }
    between.extend(ends.iter().map(|id| (*id).clone()));
    between
}
