//! A local user's wish becomes an event at the end of a room.

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedDeviceId, OwnedEventId, OwnedTransactionId,
    room_version_rules::EventsReferenceFormatVersion,
};
use tertulia_protocol::{AuthState, Draft, Known, Pdu, Tip, auth_slots, without_authoriser};
use tertulia_storage::Tx;

use super::{
    EventCache, Head, current_slots,
    place::{Accepted, place},
    restricted,
};
use crate::{
    Result,
    core::Core,
    schema::{STATE, StateChange, StateRef},
};

/// Which session sent an event, and what it called it.
pub(crate) type SentBy = Option<(OwnedDeviceId, OwnedTransactionId)>;

/// Makes `draft` an event at the end of the room: reads what decides, decides, writes.
pub(crate) async fn append(
    tx: &mut Tx,
    core: &Core,
    head: &mut Head,
    draft: Draft,
    now: MilliSecondsSinceUnixEpoch,
    sent_by: SentBy,
) -> Result<Pdu> {
    let pdu = allowed(tx, core, head, draft, now).await?;
    let accepted = at_the_end(tx, head, pdu.clone(), sent_by).await?;
    place(tx, core, head, accepted).await?;
    Ok(pdu)
}

/// The event that `draft` is at the end of the room, if the room's rules allow it; nothing is
/// written yet.
pub(crate) async fn allowed(
    tx: &Tx,
    core: &Core,
    head: &Head,
    draft: Draft,
    now: MilliSecondsSinceUnixEpoch,
) -> Result<Pdu> {
    let draft = without_authoriser(&head.rules, draft);
    let slots = auth_slots(&head.rules, &draft).map_err(tertulia_protocol::AppendError::from)?;
    let mut state = current_slots(tx, core, head, &slots).await?;
    let draft = restricted::answered_for(tx, core, head, draft, &mut state).await?;
    let known = cited_events(tx, core, head).await?;
    build(core, head, draft, now, &state, &known)
}

/// An event that was built at the end of the room and is allowed there, ready to be placed.
pub(crate) async fn at_the_end(
    tx: &Tx,
    head: &Head,
    pdu: Pdu,
    sent_by: SentBy,
) -> Result<Accepted> {
    let before = StateRef::AsOf { generation: head.row.generation, position: head.row.state_at };
    let changes = own_change(tx, head, &pdu).await?;
    Ok(Accepted { pdu, before, after: None, changes, sent_by })
}

fn build(
    core: &Core,
    head: &Head,
    draft: Draft,
    now: MilliSecondsSinceUnixEpoch,
    state: &AuthState,
    known: &Known,
) -> Result<Pdu> {
    let prev_events: Vec<OwnedEventId> =
        head.row.extremities.iter().map(|extremity| extremity.event.clone()).collect();
    let tip = Tip {
        room: Some(&head.room),
        rules: &head.rules,
        prev_events: &prev_events,
        depth: head.row.depth,
        state,
        known,
    };
    Ok(tertulia_protocol::append(&tip, draft, now, &core.signer)?)
}

/// The events at the end of the room, where its version cites them by hash.
async fn cited_events(tx: &Tx, core: &Core, head: &Head) -> Result<Known> {
    if head.rules.events_reference_format != EventsReferenceFormatVersion::V1 {
        return Ok(Known::default());
    }
    let ids: Vec<_> = head.row.extremities.iter().map(|at| at.event.clone()).collect();
    let events = core.local::<EventCache>().load_many(tx, &head.rules, &ids).await?;
    Ok(events.into_iter().flatten().collect())
}

/// What a state event at the end of the room changes: its own slot.
async fn own_change(tx: &Tx, head: &Head, pdu: &Pdu) -> Result<Vec<StateChange>> {
    let Some((kind, key)) = pdu.slot() else { return Ok(Vec::new()) };
    let kind = kind.to_string();
    let replaced = tx.get(&STATE, &head.slot(&kind, key)).await?.map(|row| row.event);
    let event = Some(pdu.event_id().clone());
    Ok(vec![StateChange { kind, key: key.clone(), event, replaced, own: true }])
}
