//! What the branches of a room disagree about, from the index of auth chains, and their states
//! reduced to what decides it.
//!
//! [`AUTH`] numbers the events so that each has a greater number than those it cites. One sweep
//! from the greatest number down, with a bit for each branch, finds the events that some branches
//! rely on and others do not; it ends where all that is left is relied on by all.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Bound,
};

use ruma::{EventId, OwnedEventId, events::StateEventType};
use tertulia_protocol::{Contention, Pdu, Slot, StateIds, auth_slots_of};
use tertulia_storage::{Direction, View};

use super::{EventCache, Head};
use crate::{
    Result,
    core::Core,
    schema::{AUTH, AuthRow, EVENT_META},
};

/// How many branches one sweep tells apart.
const BRANCHES: usize = 64;

/// How many rows of the index are read at a time.
const PAGE: usize = 200;

/// In which branches something is so, a bit for each.
type Bits = u64;

/// What branches disagree about, and those of their slots that decide it.
pub(super) struct Reduced {
    pub(super) contention: Contention,
    slots: BTreeSet<Slot>,
}

impl Reduced {
    /// A state without the slots that decide nothing.
    pub(super) fn of(&self, state: &StateIds) -> StateIds {
        let decisive = state.iter().filter(|(slot, _)| self.slots.contains(slot));
        decisive.map(|(slot, event)| (slot.clone(), event.clone())).collect()
    }

    /// The state with what was `resolved` of it.
    pub(super) fn completed(&self, state: &StateIds, resolved: StateIds) -> StateIds {
        let rest = state.iter().filter(|(slot, _)| !self.slots.contains(slot));
        rest.map(|(slot, event)| (slot.clone(), event.clone())).chain(resolved).collect()
    }
}

/// Reduces the branches with these states, which differ; none where the version of the room or the
/// number of branches does not allow it. `new` is an event that is not stored yet.
pub(super) async fn reduced(
    view: &View,
    core: &Core,
    head: &Head,
    forks: &[StateIds],
    new: Option<&Pdu>,
) -> Result<Option<Reduced>> {
    if head.rules.state_res.v2_rules().is_none() || forks.len() > BRANCHES {
        return Ok(None);
    }
    let contention = contention(view, head, forks, new, Start::Everything).await?;
    let (mut slots, contended) = differing(forks);
    let contended = contended.into_iter().chain(&contention.difference).chain(&contention.subgraph);
    let ids: Vec<_> = contended.cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let events = core.local::<EventCache>().load_many(view, &head.rules, &ids).await?;
    for event in events.iter().flatten().chain(new) {
        slots.extend(event.slot().cloned());
        // One whose content cannot be read is refused by all that could be asked.
        slots.extend(auth_slots_of(&head.rules, event).unwrap_or_default());
    }
    use StateEventType::{RoomCreate, RoomJoinRules, RoomPowerLevels};
    slots.extend([RoomCreate, RoomPowerLevels, RoomJoinRules].map(|kind| (kind, String::new())));
    Ok(Some(Reduced { contention, slots }))
}

/// The slots in which the branches differ, and the events there.
fn differing(forks: &[StateIds]) -> (BTreeSet<Slot>, BTreeSet<&OwnedEventId>) {
    let is_same =
        |slot: &Slot, id: &OwnedEventId| forks.iter().all(|fork| fork.get(slot) == Some(id));
    let entries = forks.iter().flatten().filter(|(slot, id)| !is_same(slot, id));
    entries.map(|(slot, id)| (slot.clone(), id)).unzip()
}

/// From where the sweep begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// All that is in the states of the branches.
    Everything,
    /// Broken on purpose: what they have in common is left out, as if it relied on nothing.
    #[cfg(test)]
    Conflict,
}

/// What the branches with these states disagree about.
pub(super) async fn contention(
    view: &View,
    head: &Head,
    forks: &[StateIds],
    new: Option<&Pdu>,
    start: Start,
) -> Result<Contention> {
    let with_paths = head
        .rules
        .state_res
        .v2_rules()
        .is_some_and(|rules| rules.consider_conflicted_state_subgraph);
    let mut sweep = Sweep::new(forks, start);
    let mut rows = Vec::new();
    if let Some(new) = new {
        let row = row_to_be(view, head, new).await?;
        sweep.take(head.row.next_auth, &row);
        rows.push((head.row.next_auth, row));
    }
    let (prefix, mut from) = ((head.room.clone(),), Bound::Unbounded);
    while !sweep.is_done() {
        let page = view.scan_from(&AUTH, &prefix, from.as_ref(), Direction::Backward, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        from = Bound::Excluded(last.clone());
        for ((_, number), row) in page {
            sweep.take(number, &row);
            rows.push((number, row));
        }
    }
    let subgraph =
        if with_paths { paths_between(&sweep.contended, &rows) } else { BTreeSet::new() };
    Ok(Contention { difference: sweep.difference, subgraph })
}

/// The row of an event that will have the next number.
async fn row_to_be(view: &View, head: &Head, new: &Pdu) -> Result<AuthRow> {
    let cited = new.auth_events().iter();
    let keys: Vec<_> = cited.map(|id| (head.room.clone(), id.clone())).collect();
    let metas = view.get_many(&EVENT_META, &keys).await?;
    let auth = metas.into_iter().filter_map(|meta| meta?.number).collect();
    Ok(AuthRow { event: new.event_id().clone(), auth, rejected: false })
}

/// A sweep through the index, from the greatest number down.
struct Sweep<'a> {
    all: Bits,
    /// The events in the states, and in which.
    held: HashMap<&'a EventId, Bits>,
    /// Those of them that are not in all states.
    contended: HashSet<&'a EventId>,
    /// Those of these that the sweep has not met.
    ahead: HashSet<&'a EventId>,
    /// The numbers further down that are cited, and by which branches.
    cited: BTreeMap<u64, Bits>,
    /// How many of them are not cited by all.
    in_part: usize,
    /// The events that some branches rely on and others do not.
    difference: BTreeSet<OwnedEventId>,
}

impl<'a> Sweep<'a> {
    fn new(forks: &'a [StateIds], start: Start) -> Self {
        let all = Bits::MAX >> (BRANCHES - forks.len());
        let mut held: HashMap<&EventId, Bits> = HashMap::new();
        for (branch, fork) in forks.iter().enumerate() {
            for id in fork.values() {
                *held.entry(id).or_default() |= 1 << branch;
            }
        }
        if start != Start::Everything {
            held.retain(|_, bits| *bits != all);
        }
        let in_part = held.iter().filter(|(_, bits)| **bits != all);
        let contended: HashSet<_> = in_part.map(|(id, _)| *id).collect();
        let ahead = contended.clone();
        let (cited, difference) = (BTreeMap::new(), BTreeSet::new());
        Self { all, held, contended, ahead, cited, in_part: 0, difference }
    }

    fn take(&mut self, number: u64, row: &AuthRow) {
        let relied = self.cited.remove(&number).unwrap_or_default();
        if relied != 0 && relied != self.all {
            self.in_part -= 1;
            self.difference.insert(row.event.clone());
        }
        self.ahead.remove(&*row.event);
        let passed_on = relied | self.held.get(&*row.event).copied().unwrap_or_default();
        if passed_on != 0 {
            row.auth.iter().for_each(|number| self.cite(*number, passed_on));
        }
    }

    fn cite(&mut self, number: u64, by: Bits) {
        let bits = self.cited.entry(number).or_default();
        let was_in_part = *bits != 0 && *bits != self.all;
        *bits |= by;
        let is_in_part = *bits != self.all;
        self.in_part += usize::from(is_in_part);
        self.in_part -= usize::from(was_in_part);
    }

    /// Whether nothing further down can be relied on by some branches only.
    fn is_done(&self) -> bool {
        self.ahead.is_empty() && self.in_part == 0
    }
}

/// The events on paths of citations from one of `ends` to another, the ends included. `rows` go
/// down at least to the last of them.
fn paths_between(ends: &HashSet<&EventId>, rows: &[(u64, AuthRow)]) -> BTreeSet<OwnedEventId> {
    let mut leading: HashSet<u64> = HashSet::new();
    for (number, row) in rows.iter().rev() {
        let cites = row.auth.iter().any(|cited| leading.contains(cited));
        if cites || ends.contains(&*row.event) {
            leading.insert(*number);
        }
    }
    let mut reached: HashSet<u64> = HashSet::new();
    let mut between: BTreeSet<_> = ends.iter().map(|id| (*id).to_owned()).collect();
    for (number, row) in rows {
        let is_end = ends.contains(&*row.event);
        if is_end || reached.contains(number) {
            between.insert(row.event.clone());
            reached.extend(row.auth.iter().filter(|cited| leading.contains(*cited)));
        }
    }
    between
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> OwnedEventId {
        OwnedEventId::try_from(format!("${name}")).unwrap()
    }

    /// States of branches, by the names of the events in them. Each is in a slot of its own.
    fn states(forks: &[&str]) -> Vec<StateIds> {
        let slot = |name: &str| (StateEventType::from("org.example"), name[..1].to_owned());
        let state = |fork: &&str| fork.split(' ').map(|name| (slot(name), id(name))).collect();
        forks.iter().map(state).collect()
    }

    /// The index, oldest first: an event's name and the places of those it cites.
    fn rows(index: &[(&str, &[u64])]) -> Vec<(u64, AuthRow)> {
        let row = |(number, (name, auth)): (u64, &(&str, &[u64]))| {
            (number, AuthRow { event: id(name), auth: auth.to_vec(), rejected: false })
        };
        let mut rows: Vec<_> = (0..).zip(index).map(row).collect();
        rows.reverse();
        rows
    }

    fn names(ids: &BTreeSet<OwnedEventId>) -> String {
        ids.iter().map(|id| &id.as_str()[1..]).collect::<Vec<_>>().join(" ")
    }

    /// Sweeps no further than needed; tells the difference, the paths, and how many rows it took.
    fn swept(index: &[(&str, &[u64])], forks: &[&str], start: Start) -> (String, String, usize) {
        let (forks, rows) = (states(forks), rows(index));
        let mut sweep = Sweep::new(&forks, start);
        let mut taken = 0;
        for (number, row) in &rows {
            if sweep.is_done() {
                break;
            }
            sweep.take(*number, row);
            taken += 1;
        }
        let paths = paths_between(&sweep.contended, &rows[..taken]);
        (names(&sweep.difference), names(&paths), taken)
    }

    const CREATE: (&str, &[u64]) = ("create", &[]);

    #[track_caller]
    fn check(index: &[(&str, &[u64])], forks: &[&str], difference: &str, paths: &str, rows: usize) {
        let expected = (difference.to_owned(), paths.to_owned(), rows);
        assert_eq!(swept(index, forks, Start::Everything), expected, "{index:?} {forks:?}");
    }

    #[test]
    fn what_one_branch_relies_on_alone_is_in_dispute() {
        let index = [CREATE, ("levels", &[0]), ("n1", &[0, 1]), ("n2", &[0])];
        check(&index, &["create n1", "create n2"], "levels", "n1 n2", 3);
        check(&index, &["create levels n1", "create levels n2"], "levels", "n1 n2", 3);
    }

    #[test]
    fn what_all_rely_on_is_not_however_they_come_to_it() {
        let index = [CREATE, ("levels", &[0]), ("n1", &[1]), ("x", &[1]), ("n2", &[3])];
        check(&index, &["n1", "n2"], "x", "n1 n2", 3);
    }

    #[test]
    fn what_the_common_state_relies_on_is_not() {
        let index = [CREATE, ("levels", &[0]), ("member", &[0, 1]), ("n1", &[0, 1]), ("n2", &[0])];
        let forks = ["member n1", "member n2"];
        check(&index, &forks, "", "n1 n2", 3);
        let local = swept(&index, &forks, Start::Conflict).0;
        assert_eq!(local, "levels", "which only seems to be in dispute");
    }

    #[test]
    fn the_sweep_ends_where_branches_agree() {
        let mut index = vec![CREATE; 100];
        index.extend([("n1", &[0, 99][..]), ("n2", &[0, 99])]);
        check(&index, &["n1", "n2"], "", "n1 n2", 2);
        check(&index, &["n1", "n1"], "", "", 0);
    }

    #[test]
    fn paths_lead_from_one_event_in_conflict_to_another() {
        let index = [CREATE, ("n1", &[0]), ("way", &[1]), ("aside", &[0]), ("n2", &[2, 3])];
        check(&index, &["n1", "n2"], "aside n1 way", "n1 n2 way", 4);
    }
}
