//! Bringing a generation into force.

use std::{ops::Bound, sync::Arc};

use ruma::{OwnedEventId, OwnedRoomId};
use tertulia_protocol::Incoming;
use tertulia_storage::{Command, Direction, Partition, Position, Tx};

use super::{
    Extent,
    draft::Draft,
    settle::{self, Settled},
};
use crate::{
    Error, Result,
    core::Core,
    events::{
        Admitted, FullState, Head,
        admit::arrive,
        current_state,
        fork::{Before, differences, now, overlay, resolve_states},
        guard_head, guests,
        history::{lay_over, state_of},
        load_head,
    },
    log,
    schema::{EVENT_META, Entry, Extremity, STATE_CHANGES, Stage, StateChange, StateRef, StateRow},
};

/// How many changes one step lays over the base. What one event changes is never divided; a
/// commit bears it.
const STEP: usize = 60;

/// With how many changes a generation may come into force in the same step.
const FEW: usize = 20;

/// Brings a generation into force, or closer to it.
pub(super) struct Enter {
    pub(super) core: Arc<Core>,
    pub(super) room: OwnedRoomId,
    pub(super) number: u32,
    pub(super) extent: Extent,
    /// The event with which the server comes into the room.
    pub(super) arrival: Option<Incoming>,
}

/// Whether a generation is in force.
pub(super) enum Entered {
    /// Its base still lacks changes of the one in force.
    NotYet,
    /// It is, and the lists of local users follow.
    Now(Settled),
}

/// An end of the room, and the state after it by the new base; none where that is the room's.
struct End {
    event: OwnedEventId,
    after: Option<FullState>,
}

impl Command for Enter {
    type Out = Entered;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<Entered> {
        let mut head = guard_head(tx, &self.room).await?;
        let mut draft = Draft::guard_unfinished(tx, &self.room, self.number).await?;
        let ends = match &self.arrival {
            Some(_) => Some(Vec::new()),
            None => self.carry_over(tx, &head, &mut draft).await?,
        };
        let Some(ends) = ends else {
            draft.put(tx, &self.room);
            return Ok(Entered::NotYet);
        };
        self.move_head(tx, &mut head, &mut draft);
        for End { event, after } in ends {
            let after = match after {
                Some(state) => overlay(tx, &mut head, &Before::given(state)).await?,
                None => now(&head),
            };
            head.row.extremities.push(Extremity { event, after });
        }
        head.put(tx);
        // The new base may say something else of guests.
        guests::note_closed(tx, &self.room).await?;
        if let Some(arrival) = self.arrival.clone() {
            head = self.arrive(tx, &head, arrival).await?;
        }
        let settled = settle::step(tx, &self.core, &head, &mut draft, None).await?;
        draft.put(tx, &self.room);
        Ok(Entered::Now(settled))
    }
}

impl Enter {
    /// The room goes on from the new base. Its ends are yet to be told.
    fn move_head(&self, tx: &mut Tx, head: &mut Head, draft: &mut Draft) {
        let entry = Entry::Generation { room: self.room.clone(), member: None };
        let position = log::record(tx, &entry);
        draft.row.stage = Stage::Settling(position);
        draft.row.anew = self.arrival.is_some();
        let row = &mut head.row;
        row.generation = self.number;
        row.partial = self.extent == Extent::Partial;
        (row.joined, row.invited) = (draft.row.joined, draft.row.invited);
        (row.last, row.state_at) = (position, position);
        row.extremities.clear();
        if self.arrival.is_some() {
            row.stretch += 1;
            row.unblocked = 0;
            row.first = None;
        }
    }

    async fn arrive(&self, tx: &mut Tx, head: &Head, arrival: Incoming) -> Result<Head> {
        match arrive(tx, &self.core, head, arrival).await? {
            Admitted::Accepted => load_head(tx, &self.room).await,
            _ => Err(Error::Forbidden("the room does not let this server come in".to_owned())),
        }
    }

    /// Lays over the base what changed since in the generation in force, and tells the room's
    /// ends; none if there is more than one step bears.
    async fn carry_over(
        &self,
        tx: &mut Tx,
        head: &Head,
        draft: &mut Draft,
    ) -> Result<Option<Vec<End>>> {
        if !self.replay(tx, head, draft).await? {
            return Ok(None);
        }
        let ends = &head.row.extremities;
        if ends.iter().all(|end| end.after == now(head)) {
            let ends = ends.iter().map(|end| End { event: end.event.clone(), after: None });
            return Ok(Some(ends.collect()));
        }
        self.resolve(tx, head, draft).await
    }

    /// Repeats changes of the generation in force; tells whether all that are left were few.
    async fn replay(&self, tx: &mut Tx, head: &Head, draft: &mut Draft) -> Result<bool> {
        let prefix = (self.room.clone(), head.row.generation);
        let from = (self.room.clone(), head.row.generation, draft.row.as_of);
        let from = Bound::Excluded(&from);
        let rows =
            tx.scan_from(&STATE_CHANGES, &prefix, from, Direction::Forward, STEP + 1).await?;
        let mut changed = 0;
        for ((.., at), (changes,)) in rows {
            if changed > 0 && changed + changes.len() > STEP {
                return Ok(false);
            }
            changed += changes.len();
            for change in changes {
                self.repeat(tx, head, draft, change, at).await?;
            }
            draft.row.as_of = at;
        }
        Ok(changed <= FEW)
    }

    async fn repeat(
        &self,
        tx: &mut Tx,
        head: &Head,
        draft: &mut Draft,
        change: StateChange,
        at: Position,
    ) -> Result<()> {
        let StateChange { kind, key, event, .. } = change;
        let row = match event {
            Some(event) => {
                let meta = tx.get(&EVENT_META, &(self.room.clone(), event.clone())).await?;
                let redacted = meta.is_some_and(|meta| meta.redacted_by.is_some());
                Some(StateRow { event, at, redacted })
            }
            None => None,
        };
        draft.set(tx, &self.core, head, (kind, key), row.as_ref()).await
    }

    /// Where the room has branches, each differs from the room as it did before, and the room is
    /// what they resolve to.
    async fn resolve(
        &self,
        tx: &mut Tx,
        head: &Head,
        draft: &mut Draft,
    ) -> Result<Option<Vec<End>>> {
        let old = current_state(tx, head.base()).await?;
        let base = current_state(tx, draft.base(&self.room)).await?;
        let mut branches = Vec::new();
        for end in &head.row.extremities {
            branches.push(lifted(tx, head, &old, &base, end.after).await?);
        }
        let resolved = resolve_states(tx, &self.core, head, &branches, None).await?;
        let mut rest = differences(&base, &resolved);
        let are_few = rest.len() <= FEW;
        rest.truncate(STEP);
        for (kind, key, event) in rest {
            let change = StateChange { kind, key, event, replaced: None, own: false };
            self.repeat(tx, head, draft, change, head.row.state_at).await?;
        }
        let ends = head.row.extremities.iter().zip(branches).map(|(end, after)| End {
            event: end.event.clone(),
            after: (after != resolved).then_some(after),
        });
        Ok(are_few.then(|| ends.collect()))
    }
}

/// The state at a place of the room as it was known, by a new base.
async fn lifted(
    tx: &Tx,
    head: &Head,
    old: &FullState,
    base: &FullState,
    place: StateRef,
) -> Result<FullState> {
    let known = state_of(tx, &head.room, place).await?;
    let mut state = base.clone();
    lay_over(&mut state, differences(old, &known));
    Ok(state)
}
