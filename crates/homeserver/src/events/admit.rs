//! A foreign event comes into a room: judged by what it cites, by the state before it, and by the
//! state now. Everything it needs is here already; fetching is somebody else's business.

use std::sync::Arc;

use ruma::{OwnedEventId, OwnedRoomId, RoomId};
use tertulia_protocol::{
    At, Incoming, Known, Needs, Pdu, Purpose, Slot, StateIds, Verdict as Judgement, admit,
};
use tertulia_storage::{Command, Direction, Partition, Tx, View};

use super::{
    EventCache, FullState, Head, current_slots, current_state,
    fork::{Before, merge, overlay, state_before, untyped},
    guard_head,
    place::{Accepted, number_event, place, put_event},
    redact, relations,
};
use crate::{
    Error, Result,
    core::{Core, Homeserver},
    schema::{EVENT_META, EventMeta, GAPS, Gap, Ordinal, StateRef, TIMELINE, TimelineRow, Verdict},
};

impl Homeserver {
    /// Brings one verified event of another server into `room`. `state_before` tells the state
    /// before it where the events it follows are not here.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the server does not know the room.
    pub async fn admit(
        &self,
        room: &RoomId,
        incoming: Incoming,
        state_before: Option<StateIds>,
    ) -> Result<Admitted> {
        let (core, room) = (self.core.clone(), room.to_owned());
        let state_before = state_before.map(untyped);
        let admit = Admit { core, room, incoming, state_before };
        Ok(self.core.store.write(admit).await?.out)
    }
}

/// What became of a foreign event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It was judged before; it stands where it stood.
    Known,
    /// It is as if it had never come.
    Dropped,
    /// It is kept because another event cites it.
    Outlier,
    /// The rules forbid it; kept because others may cite it.
    Rejected,
    /// It was allowed at its place and is forbidden by now; nobody is shown it.
    SoftFailed,
    /// It is part of the room's timeline.
    Accepted,
    /// These events must come first.
    Missing(Vec<OwnedEventId>),
}

impl From<Verdict> for Admitted {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Outlier => Self::Outlier,
            Verdict::Rejected => Self::Rejected,
            Verdict::SoftFailed => Self::SoftFailed,
            Verdict::Timeline { .. } => Self::Accepted,
        }
    }
}

/// Brings the event with which the server comes into the room; its head says that nothing of the
/// room is here yet but the state before the event.
pub(super) async fn arrive(
    tx: &mut Tx,
    core: &Arc<Core>,
    head: &Head,
    incoming: Incoming,
) -> Result<Admitted> {
    let state_before = Some(current_state(tx, head.base()).await?);
    Admit { core: core.clone(), room: head.room.clone(), incoming, state_before }.run(tx).await
}

/// Brings one verified foreign event into a room that the server knows.
struct Admit {
    core: Arc<Core>,
    room: OwnedRoomId,
    incoming: Incoming,
    /// The state before the event, where the events it follows are not here.
    state_before: Option<FullState>,
}

impl Command for Admit {
    type Out = Admitted;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<Admitted> {
        let mut head = guard_head(tx, &self.room).await?;
        let pdu = self.incoming.event.pdu();
        let key = (self.room.clone(), pdu.event_id().clone());
        if let Some(meta) = tx.get(&EVENT_META, &key).await?
            && meta.verdict != Verdict::Outlier
        {
            return Ok(Admitted::Known);
        }
        let before = match self.before(tx, &head).await? {
            Ok(before) => before,
            Err(missing) => return Ok(Admitted::Missing(missing)),
        };
        let judgement = self.judge(tx, &head, &before).await?;
        let verdict = match judgement {
            Judgement::Drop(_) => return Ok(Admitted::Dropped),
            Judgement::Reject(_) => self.keep(tx, &mut head, &before, Verdict::Rejected).await?,
            Judgement::SoftFail(_) => {
                self.keep(tx, &mut head, &before, Verdict::SoftFailed).await?
            }
            Judgement::Accept => self.accept(tx, &mut head, &before).await?,
        };
        Ok(verdict.into())
    }
}

impl Admit {
    /// The state before the event; the outer answer names events that must come first.
    async fn before(&self, tx: &Tx, head: &Head) -> Result<Result<Before, Vec<OwnedEventId>>> {
        match &self.state_before {
            Some(state) => Ok(Ok(Before::given(state.clone()))),
            None if self.incoming.purpose == Purpose::Cited => Ok(Ok(Before::unknown())),
            None => state_before(tx, &self.core, head, self.incoming.event.pdu()).await,
        }
    }

    async fn judge(&self, tx: &Tx, head: &Head, before: &Before) -> Result<Judgement> {
        let mut known = Known::default();
        loop {
            match admit(&head.rules, &self.incoming, &known) {
                Ok(judgement) => return Ok(judgement),
                Err(needs) => tell(tx, &self.core, head, before, needs, &mut known).await?,
            }
        }
    }

    /// Keeps an event that nobody is shown.
    async fn keep(
        &self,
        tx: &mut Tx,
        head: &mut Head,
        before: &Before,
        verdict: Verdict,
    ) -> Result<Verdict> {
        let pdu = self.incoming.event.pdu();
        let number = number_event(tx, head, pdu, verdict == Verdict::Rejected).await?;
        let before = overlay(tx, head, before).await?;
        put_event(tx, head, pdu, EventMeta { number, verdict, before, redacted_by: None });
        head.put(tx);
        Ok(verdict)
    }

    async fn accept(&self, tx: &mut Tx, head: &mut Head, before: &Before) -> Result<Verdict> {
        match self.incoming.purpose {
            Purpose::Cited => self.keep(tx, head, before, Verdict::Outlier).await,
            Purpose::Past => self.accept_past(tx, head).await,
            Purpose::Timeline { .. } => self.accept_now(tx, head, before).await,
        }
    }

    /// The event continues the room.
    async fn accept_now(&self, tx: &mut Tx, head: &mut Head, before: &Before) -> Result<Verdict> {
        let pdu = self.incoming.event.pdu().clone();
        let merged = merge(tx, &self.core, head, before, &pdu).await?;
        let accepted = Accepted {
            pdu: pdu.clone(),
            before: merged.before,
            after: merged.after,
            changes: merged.changes,
            sent_by: None,
        };
        let position = place(tx, &self.core, head, accepted).await?;
        relations::note_earlier(tx, &self.core, head, &pdu).await?;
        redact::apply_early(tx, &self.core, head, &pdu).await?;
        let ordinal = Ordinal::Live(position);
        self.note_gap(tx, head, ordinal).await?;
        Ok(Verdict::Timeline { stretch: head.row.stretch, ordinal })
    }

    /// Where the events that the event follows are not here, the timeline has a hole before it.
    async fn note_gap(&self, tx: &mut Tx, head: &Head, ordinal: Ordinal) -> Result<()> {
        let pdu = self.incoming.event.pdu();
        let keys: Vec<_> =
            pdu.prev_events().iter().map(|id| (self.room.clone(), id.clone())).collect();
        let metas = tx.get_many(&EVENT_META, &keys).await?;
        let absent = keys.into_iter().zip(metas).filter(|(_, meta)| meta.is_none());
        let from: Vec<_> = absent.map(|((_, id), _)| id).collect();
        if !from.is_empty() {
            let place = (self.room.clone(), head.row.stretch, ordinal);
            tx.put(&GAPS, &place, &Gap { from });
        }
        Ok(())
    }

    /// The event lies before all that the server has seen of the room.
    async fn accept_past(&self, tx: &mut Tx, head: &mut Head) -> Result<Verdict> {
        let pdu = self.incoming.event.pdu();
        let number = number_event(tx, head, pdu, false).await?;
        let stretch = head.row.stretch;
        let ordinal = next_backfilled(tx, head).await?;
        let verdict = Verdict::Timeline { stretch, ordinal };
        let meta = EventMeta { number, verdict, before: StateRef::Unknown, redacted_by: None };
        put_event(tx, head, pdu, meta);
        let row = TimelineRow {
            event: pdu.event_id().clone(),
            is_state: pdu.state_key().is_some(),
            redacted_by: None,
            sent_by: None,
            push: None,
            related: None,
        };
        tx.put(&TIMELINE, &(self.room.clone(), stretch, ordinal), &row);
        relations::note(tx, &self.core, head, pdu, (stretch, ordinal)).await?;
        relations::note_earlier(tx, &self.core, head, pdu).await?;
        redact::apply_early(tx, &self.core, head, pdu).await?;
        head.put(tx);
        Ok(verdict)
    }
}

/// The place before the oldest event of the present stretch.
async fn next_backfilled(view: &View, head: &Head) -> Result<Ordinal> {
    let prefix = (head.room.clone(), head.row.stretch);
    let rows = view.scan(&TIMELINE, &prefix, Direction::Forward, 1).await?;
    let oldest = rows.first().map(|((_, _, ordinal), _)| *ordinal);
    let last = match oldest {
        Some(Ordinal::Backfilled(std::cmp::Reverse(n))) => n,
        Some(Ordinal::Live(_)) | None => 0,
    };
    Ok(Ordinal::Backfilled(std::cmp::Reverse(last + 1)))
}

/// Loads what the judgement asked for.
async fn tell(
    view: &View,
    core: &Core,
    head: &Head,
    before: &Before,
    needs: Needs,
    known: &mut Known,
) -> Result<()> {
    let ids: Vec<_> = needs.events.into_iter().collect();
    for (id, event) in ids.iter().zip(load_judged(view, core, head, &ids).await?) {
        match event {
            Some(event) => known.found(event),
            None => known.absent(id.clone()),
        }
    }
    for (at, slots) in needs.state {
        let slots: Vec<Slot> = slots.into_iter().collect();
        let state = match &at {
            At::Before(_) => before.slots(view, core, head, &slots).await?,
            At::Now(_) => current_slots(view, core, head, &slots).await?,
        };
        for slot in slots {
            let event = state.get(&slot.0, &slot.1).cloned();
            known.tell_state(at.clone(), slot, event);
        }
    }
    for (server, key) in needs.keys {
        known.tell_key(server, key, None);
    }
    Ok(())
}

/// Events with the flag of those that were rejected.
pub(crate) async fn load_judged(
    view: &View,
    core: &Core,
    head: &Head,
    ids: &[OwnedEventId],
) -> Result<Vec<Option<Pdu>>> {
    let events = core.local::<EventCache>().load_many(view, &head.rules, ids).await?;
    let keys: Vec<_> = ids.iter().map(|id| (head.room.clone(), id.clone())).collect();
    let metas = view.get_many(&EVENT_META, &keys).await?;
    let judged = events.into_iter().zip(metas).map(|(event, meta)| {
        let rejected = meta.is_some_and(|meta| meta.verdict == Verdict::Rejected);
        event.map(|event| event.with_rejected(rejected))
    });
    Ok(judged.collect())
}
