//! Rooms with more than one end: the state before an event that follows some of them, and what
//! becomes of the room's current state when it arrives.

use std::collections::BTreeSet;

use ruma::{OwnedEventId, events::StateEventType};
use tertulia_protocol::{
    AuthState, Known, Pdu, Slot, StateIds, Unresolved, resolve, resolve_contended,
};
use tertulia_storage::{Tx, View};

use super::{
    Base, EventCache, FullState, Head,
    admit::load_judged,
    contention::reduced,
    current_slots,
    eras::{Now, state_now},
    history::{current_state, state_at, state_of},
};
use crate::{
    Error, Result,
    core::Core,
    schema::{EVENT_META, EventMeta, OVERLAYS, Overlay, StateChange, StateRef, Verdict},
};

/// After so many links an overlay is written against the current state again.
const LINKS_MOST: u8 = 16;

/// The state before an event.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    /// Where it is found, if it is one that is kept already.
    kept: Option<StateRef>,
    /// All of it; none where it is the room's current state, or not known.
    full: Option<FullState>,
    /// What it is written against, if it has to be kept.
    parent: Option<StateRef>,
}

impl Before {
    /// A state that somebody else told.
    pub(crate) fn given(state: FullState) -> Self {
        Self { kept: None, full: Some(state), parent: None }
    }

    /// No state: the event is judged by what it cites.
    pub(crate) fn unknown() -> Self {
        Self { kept: Some(StateRef::Unknown), full: None, parent: None }
    }

    /// The room's current state.
    fn current(head: &Head) -> Self {
        Self { kept: Some(now(head)), full: None, parent: None }
    }

    /// The events in some of its slots.
    pub(crate) async fn slots(
        &self,
        view: &View,
        core: &Core,
        head: &Head,
        slots: &[Slot],
    ) -> Result<AuthState> {
        let Some(full) = &self.full else {
            return match self.kept {
                Some(StateRef::Unknown) => Ok(AuthState::default()),
                _ => current_slots(view, core, head, slots).await,
            };
        };
        let held = slots
            .iter()
            .filter_map(|(kind, key)| full.get(&(kind.to_string(), key.clone())).cloned());
        let ids: Vec<_> = held.collect();
        let events = core.local::<EventCache>().load_many(view, &head.rules, &ids).await?;
        Ok(events.into_iter().flatten().collect())
    }
}

/// The current state, as it is told of events.
pub(super) fn now(head: &Head) -> StateRef {
    StateRef::AsOf { generation: head.row.generation, position: head.row.state_at }
}

/// The state before `pdu`; the inner error names events it follows that are not here.
pub(crate) async fn state_before(
    tx: &Tx,
    core: &Core,
    head: &Head,
    pdu: &Pdu,
) -> Result<Result<Before, Vec<OwnedEventId>>> {
    let ends: BTreeSet<_> = head.row.extremities.iter().map(|end| &end.event).collect();
    if ends == pdu.prev_events().iter().collect() {
        return Ok(Ok(Before::current(head)));
    }
    let ids = pdu.prev_events();
    let keys: Vec<_> = ids.iter().map(|id| (head.room.clone(), id.clone())).collect();
    let metas = tx.get_many(&EVENT_META, &keys).await?;
    let usable = |meta: &Option<EventMeta>| {
        meta.as_ref().is_some_and(|meta| meta.before != StateRef::Unknown)
    };
    let missing: Vec<_> = ids
        .iter()
        .zip(&metas)
        .filter(|(_, meta)| !usable(meta))
        .map(|(id, _)| id.clone())
        .collect();
    if !missing.is_empty() || ids.is_empty() {
        return Ok(Err(missing));
    }
    let metas: Vec<_> = ids.iter().cloned().zip(metas.into_iter().flatten()).collect();
    from_previous(tx, core, head, &metas).await.map(Ok)
}

async fn from_previous(
    tx: &Tx,
    core: &Core,
    head: &Head,
    previous: &[(OwnedEventId, EventMeta)],
) -> Result<Before> {
    let mut afters = Vec::new();
    for (id, meta) in previous {
        afters.push(after(tx, core, head, id, meta).await?);
    }
    if let [only] = &afters[..] {
        return Ok(only.clone());
    }
    let forks: Vec<FullState> = afters.into_iter().filter_map(|after| after.full).collect();
    let full = resolve_states(tx, core, head, &forks, None).await?;
    let kept = find_kept(tx, head, previous, &full).await?;
    Ok(Before { kept, full: Some(full), parent: None })
}

/// The state after an event by its own branch.
async fn after(
    tx: &Tx,
    core: &Core,
    head: &Head,
    id: &OwnedEventId,
    meta: &EventMeta,
) -> Result<Before> {
    if let Some(end) = head.row.extremities.iter().find(|end| end.event == *id) {
        let full = Some(state_of(tx, &head.room, end.after).await?);
        return Ok(Before { kept: Some(end.after), full, parent: None });
    }
    let Now { mut state, as_kept } = state_now(tx, head, meta.before).await?;
    let before = Some(meta.before).filter(|_| as_kept);
    let pdu = core.local::<EventCache>().load(tx, &head.rules, id).await?;
    if meta.verdict == Verdict::Rejected || pdu.slot().is_none() {
        return Ok(Before { kept: before, full: Some(state), parent: None });
    }
    set_slot(&mut state, &pdu);
    Ok(Before { kept: None, full: Some(state), parent: before })
}

fn set_slot(state: &mut FullState, pdu: &Pdu) {
    if let Some((kind, key)) = pdu.slot() {
        state.insert((kind.to_string(), key.clone()), pdu.event_id().clone());
    }
}

/// A kept state that equals `full`: the room's state at one of the previous events, or now.
async fn find_kept(
    view: &View,
    head: &Head,
    previous: &[(OwnedEventId, EventMeta)],
    full: &FullState,
) -> Result<Option<StateRef>> {
    let base = Base { room: &head.room, generation: head.row.generation };
    let at = |verdict: Verdict| match verdict {
        Verdict::Timeline { ordinal, .. } => ordinal.position(),
        _ => None,
    };
    let positions = previous.iter().filter_map(|(_, meta)| at(meta.verdict));
    for position in positions.chain([head.row.state_at]) {
        if state_at(view, base, position).await? == *full {
            return Ok(Some(StateRef::AsOf { generation: base.generation, position }));
        }
    }
    Ok(None)
}

/// Where the state is kept; it is written down if it is not yet.
pub(crate) async fn overlay(tx: &mut Tx, head: &mut Head, state: &Before) -> Result<StateRef> {
    let full = match (&state.kept, &state.full) {
        (Some(kept), _) => return Ok(*kept),
        (None, Some(full)) => full,
        (None, None) => return Ok(StateRef::Unknown),
    };
    let (parent, links) = match state.parent {
        Some(parent) => (parent, links_of(tx, head, parent).await?),
        None => (now(head), 0),
    };
    let (parent, links) = if links >= LINKS_MOST { (now(head), 0) } else { (parent, links) };
    let changes = differences(&state_of(tx, &head.room, parent).await?, full);
    let number = head.row.next_overlay;
    head.row.next_overlay += 1;
    let row = Overlay { parent, links: links + 1, changes };
    tx.put(&OVERLAYS, &(head.room.clone(), number), &row);
    Ok(StateRef::Overlay(number))
}

async fn links_of(view: &View, head: &Head, state: StateRef) -> Result<u8> {
    let StateRef::Overlay(number) = state else { return Ok(0) };
    let row = view.get(&OVERLAYS, &(head.room.clone(), number)).await?;
    Ok(row.ok_or(Error::NotFound("state before the event"))?.links)
}

/// What turns `old` into `new`.
pub(super) fn differences(
    old: &FullState,
    new: &FullState,
) -> Vec<(String, String, Option<OwnedEventId>)> {
    let gone = old.keys().filter(|slot| !new.contains_key(*slot)).map(|slot| (slot, None));
    let set = new
        .iter()
        .filter(|(slot, event)| old.get(*slot) != Some(event))
        .map(|(slot, event)| (slot, Some(event.clone())));
    gone.chain(set).map(|((kind, key), event)| (kind.clone(), key.clone(), event)).collect()
}

/// What an accepted event does to its room.
pub(crate) struct Merged {
    pub(crate) before: StateRef,
    /// The state after the event; none where it is the new current state.
    pub(crate) after: Option<StateRef>,
    pub(crate) changes: Vec<StateChange>,
}

/// Finds the room's new current state: what all its ends, `pdu` now among them, resolve to.
pub(crate) async fn merge(
    tx: &mut Tx,
    core: &Core,
    head: &mut Head,
    before: &Before,
    pdu: &Pdu,
) -> Result<Merged> {
    let current = current_state(tx, head.base()).await?;
    let mut after = match &before.full {
        Some(full) => full.clone(),
        None => current.clone(),
    };
    set_slot(&mut after, pdu);
    let mut forks = vec![after.clone()];
    let others = head.row.extremities.iter().filter(|end| !pdu.prev_events().contains(&end.event));
    for end in others {
        forks.push(state_of(tx, &head.room, end.after).await?);
    }
    let new = match &forks[..] {
        [only] => only.clone(),
        _ => resolve_states(tx, core, head, &forks, Some(pdu)).await?,
    };
    let kept = overlay(tx, head, before).await?;
    let after = match (after == new, pdu.slot().is_some()) {
        (true, _) => None,
        (false, false) => Some(kept),
        (false, true) => {
            let state = Before { kept: None, full: Some(after), parent: Some(kept) };
            Some(overlay(tx, head, &state).await?)
        }
    };
    let changes = changes_between(&current, &new, pdu);
    Ok(Merged { before: kept, after, changes })
}

fn changes_between(old: &FullState, new: &FullState, pdu: &Pdu) -> Vec<StateChange> {
    let changes = differences(old, new).into_iter();
    changes
        .map(|(kind, key, event)| {
            let own = event.as_ref() == Some(pdu.event_id());
            let replaced = old.get(&(kind.clone(), key.clone())).cloned();
            StateChange { kind, key, event, replaced, own }
        })
        .collect()
}

/// What several states of a room resolve to by the rules of its version. `new` is an event that
/// is not stored yet.
pub(super) async fn resolve_states(
    view: &View,
    core: &Core,
    head: &Head,
    forks: &[FullState],
    new: Option<&Pdu>,
) -> Result<FullState> {
    if forks.windows(2).all(|pair| pair[0] == pair[1]) {
        return Ok(forks.first().cloned().unwrap_or_default());
    }
    let (rules, forks) = (&head.rules, forks.iter().map(typed).collect::<Vec<_>>());
    let Some(reduced) = reduced(view, core, head, &forks, new).await? else {
        let whole = |known: &Known| resolve(rules, &forks, known);
        return Ok(untyped(with_events(view, core, head, new, whole).await?));
    };
    let small: Vec<_> = forks.iter().map(|fork| reduced.of(fork)).collect();
    let decisive = |known: &Known| resolve_contended(rules, &small, &reduced.contention, known);
    let resolved = with_events(view, core, head, new, decisive).await?;
    Ok(untyped(reduced.completed(&forks[0], resolved)))
}

/// Decides with the events that it asks for.
async fn with_events(
    view: &View,
    core: &Core,
    head: &Head,
    new: Option<&Pdu>,
    decide: impl Fn(&Known) -> Result<StateIds, Unresolved>,
) -> Result<StateIds> {
    let mut known: Known = new.cloned().into_iter().collect();
    loop {
        let needs = match decide(&known) {
            Ok(state) => return Ok(state),
            Err(Unresolved::Needs(needs)) => needs,
            Err(Unresolved::Broken(reason)) => return Err(Error::CorruptRoom(reason)),
        };
        let ids: Vec<_> = needs.events.into_iter().collect();
        for (id, event) in ids.iter().zip(load_judged(view, core, head, &ids).await?) {
            match event {
                Some(event) => known.found(event),
                None => known.absent(id.clone()),
            }
        }
    }
}

pub(super) fn typed(state: &FullState) -> StateIds {
    let slot = |((kind, key), event): (&(String, String), &OwnedEventId)| {
        ((StateEventType::from(kind.as_str()), key.clone()), event.clone())
    };
    state.iter().map(slot).collect()
}

pub(super) fn untyped(state: StateIds) -> FullState {
    state.into_iter().map(|((kind, key), event)| ((kind.to_string(), key), event)).collect()
}
