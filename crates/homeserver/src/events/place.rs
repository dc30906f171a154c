//! Writing an accepted event down: the only place that writes a room's tables.

use bytes::Bytes;
use ruma::{UserId, events::TimelineEventType};
use tertulia_protocol::{Pdu, is_space, is_spoken};
use tertulia_storage::{Descending, Position, Tx};

use super::{Head, append::SentBy, guests, members, push, redact, relations, shown_media};
use crate::{
    Result,
    core::Core,
    log,
    schema::{
        AUTH, AuthRow, EVENT_META, EVENTS, Entry, EventMeta, Extremity, Ordinal, STATE,
        STATE_CHANGES, STATE_LOG, StateChange, StateLogRow, StateRef, StateRow, TIMELINE,
        TimelineRow, Verdict,
    },
};

/// An event on its way into the timeline, and what is known of it.
pub(crate) struct Accepted {
    pub(crate) pdu: Pdu,
    /// The state before it.
    pub(crate) before: StateRef,
    /// The state after it; none where it is the room's new current state.
    pub(crate) after: Option<StateRef>,
    /// What it changes in the room's current state.
    pub(crate) changes: Vec<StateChange>,
    /// The session and transaction that sent it.
    pub(crate) sent_by: SentBy,
}

/// Gives `accepted` its place at the end of the room, and moves `head` past it.
pub(crate) async fn place(
    tx: &mut Tx,
    core: &Core,
    head: &mut Head,
    accepted: Accepted,
) -> Result<Position> {
    let Accepted { pdu, before, after, changes, sent_by } = accepted;
    let position = log::record(tx, &entry_of(head, &pdu));
    let number = number_event(tx, head, &pdu, false).await?;
    put_event(
        tx,
        head,
        &pdu,
        EventMeta {
            number,
            verdict: Verdict::Timeline {
                stretch: head.row.stretch,
                ordinal: Ordinal::Live(position),
            },
            before,
            redacted_by: None,
        },
    );
    let place = (head.room.clone(), head.row.stretch, Ordinal::Live(position));
    let is_state = pdu.state_key().is_some();
    let push = Some(push::row_of(tx, core, &pdu).await?);
    let event = pdu.event_id().clone();
    let (redacted_by, related) = (None, None);
    let row = TimelineRow { event, is_state, redacted_by, sent_by, push, related };
    tx.put(&TIMELINE, &place, &row);
    relations::note(tx, core, head, &pdu, (head.row.stretch, Ordinal::Live(position))).await?;
    push::count(tx, head, position).await?;
    shown_media::note(tx, &head.room, &pdu);
    change_state(tx, core, head, position, changes, &pdu).await?;
    redact::apply_redaction(tx, core, head, &pdu).await?;
    let now_current =
        StateRef::AsOf { generation: head.row.generation, position: head.row.state_at };
    move_head(head, &pdu, position, after.unwrap_or(now_current));
    head.put(tx);
    Ok(position)
}

fn entry_of(head: &Head, pdu: &Pdu) -> Entry {
    let member = pdu
        .state_key()
        .filter(|_| *pdu.kind() == TimelineEventType::RoomMember)
        .and_then(|key| UserId::parse(key).ok().map(|user| user.to_owned()));
    Entry::Event { room: head.room.clone(), event: pdu.event_id().clone(), member }
}

/// Keeps the event itself and what the server made of it.
pub(crate) fn put_event(tx: &mut Tx, head: &Head, pdu: &Pdu, meta: EventMeta) {
    tx.put(
        &EVENTS,
        &(pdu.event_id().clone(),),
        &Bytes::copy_from_slice(pdu.json().get().as_bytes()),
    );
    tx.put(&EVENT_META, &(head.room.clone(), pdu.event_id().clone()), &meta);
}

/// Gives a state event the next number in the order of authorisation. An outlier that comes by
/// itself keeps the one under which others cite it.
pub(crate) async fn number_event(
    tx: &mut Tx,
    head: &mut Head,
    pdu: &Pdu,
    rejected: bool,
) -> Result<Option<u64>> {
    if pdu.state_key().is_none() {
        return Ok(None);
    }
    let room = &head.room;
    let ids = pdu.auth_events().iter().chain([pdu.event_id()]);
    let keys: Vec<_> = ids.map(|id| (room.clone(), id.clone())).collect();
    let mut metas = tx.get_many(&EVENT_META, &keys).await?;
    let own = metas.pop().flatten().and_then(|meta| meta.number);
    let auth = metas.into_iter().filter_map(|meta| meta?.number).collect();
    let number = own.unwrap_or(head.row.next_auth);
    head.row.next_auth = head.row.next_auth.max(number + 1);
    let row = AuthRow { event: pdu.event_id().clone(), auth, rejected };
    tx.put(&AUTH, &(head.room.clone(), number), &row);
    Ok(Some(number))
}

async fn change_state(
    tx: &mut Tx,
    core: &Core,
    head: &mut Head,
    position: Position,
    changes: Vec<StateChange>,
    pdu: &Pdu,
) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    head.row.state_at = position;
    for change in &changes {
        put_slot(tx, head, position, change, pdu).await?;
        if change.kind == "m.room.member" {
            members::note(tx, core, head, position, change, pdu).await?;
        }
        // Where nothing was said before, no guest could come in.
        if change.replaced.is_some() && guests::is_about_guests(&change.kind, &change.key) {
            guests::note_closed(tx, &head.room).await?;
        }
    }
    let key = (head.room.clone(), head.row.generation, position);
    tx.put(&STATE_CHANGES, &key, &(changes,));
    Ok(())
}

async fn put_slot(
    tx: &mut Tx,
    head: &Head,
    position: Position,
    change: &StateChange,
    pdu: &Pdu,
) -> Result<()> {
    let slot = head.slot(&change.kind, &change.key);
    match &change.event {
        Some(event) => {
            // Resolution can bring back what was redacted meanwhile.
            let is_older = event != pdu.event_id();
            let redacted = is_older && redact::is_redacted(tx, head, event).await?;
            let row = StateRow { event: event.clone(), at: position, redacted };
            tx.put(&STATE, &slot, &row);
        }
        None => tx.delete(&STATE, &slot),
    }
    let (room, generation, kind, key) = slot;
    let row = StateLogRow { event: change.event.clone(), replaced: change.replaced.clone() };
    tx.put(&STATE_LOG, &(room, generation, kind, key, Descending(position)), &row);
    Ok(())
}

fn move_head(head: &mut Head, pdu: &Pdu, position: Position, after: StateRef) {
    let row = &mut head.row;
    row.extremities.retain(|extremity| !pdu.prev_events().contains(&extremity.event));
    row.extremities.push(Extremity { event: pdu.event_id().clone(), after });
    row.depth = row.depth.max(pdu.depth());
    row.last = position;
    let begins = *pdu.kind() == TimelineEventType::RoomCreate;
    if begins {
        row.is_space = is_space(pdu);
    }
    if begins || is_spoken(pdu) {
        row.spoken = position;
    }
}
