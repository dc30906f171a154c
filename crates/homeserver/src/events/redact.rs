//! Redactions: what they remove, and how a redacted event is told.

use ruma::{
    OwnedEventId, RoomId, UserId, events::StateEventType, room_version_rules::RoomVersionRules,
};
use tertulia_protocol::{Pdu, Power, RoomIdShown, may_redact, redact};
use tertulia_storage::{Tx, View};

use super::{
    Base, ClientEvent, EventCache, Head, Reader, current_slots, generation, guests, load_for,
    members::row_of, push, relations, roster::put_member, shown_media,
};
use crate::{
    Error, Result,
    core::Core,
    log,
    schema::{EARLY_REDACTIONS, EVENT_META, EventMeta, STATE, TIMELINE, UNSEEN_EVENTS, Verdict},
};

/// An event to tell, with what its redaction left.
pub(crate) struct Shown<'a> {
    pdu: Pdu,
    because: Option<Pdu>,
    rules: &'a RoomVersionRules,
}

impl Shown<'_> {
    /// The event as a client gets it.
    pub(crate) fn shown(self, room_id: RoomIdShown) -> ClientEvent {
        match self.because {
            None => ClientEvent::new(self.pdu, room_id),
            Some(because) => {
                let because = ClientEvent::new(because, room_id);
                ClientEvent::redacted(&self.pdu, self.rules, because, room_id)
            }
        }
    }
}

/// Events to tell, each with the event that redacted it, if one did.
pub(crate) async fn load_redacted<'a>(
    view: &View,
    core: &Core,
    head: &'a Head,
    reader: Reader<'_>,
    events: Vec<(Pdu, Option<OwnedEventId>)>,
) -> Result<Vec<Shown<'a>>> {
    let ids: Vec<_> = events.iter().filter_map(|(_, redacted_by)| redacted_by.clone()).collect();
    // A redaction can have been redacted in turn.
    let mut causes = load_many_as_told(view, core, head, reader, &ids).await?.into_iter();
    let with_cause = |(pdu, redacted_by): (Pdu, Option<OwnedEventId>)| {
        let because = match redacted_by {
            Some(id) => {
                let cause = causes.next().flatten();
                Some(cause.ok_or_else(|| Error::CorruptEvent(id.to_string()))?)
            }
            None => None,
        };
        Ok(Shown { pdu, because, rules: &head.rules })
    };
    events.into_iter().map(with_cause).collect()
}

/// The events `ids`, in their order, as `reader` is told them now.
pub(crate) async fn load_many_as_told(
    view: &View,
    core: &Core,
    head: &Head,
    reader: Reader<'_>,
    ids: &[OwnedEventId],
) -> Result<Vec<Option<Pdu>>> {
    let keys: Vec<_> = ids.iter().map(|id| (head.room.clone(), id.clone())).collect();
    let metas = view.get_many(&EVENT_META, &keys).await?;
    let events = load_for(view, core, head, reader, ids).await?;
    let as_told = |(event, meta): (Option<Pdu>, Option<EventMeta>)| {
        let is_redacted = meta.is_some_and(|meta| meta.redacted_by.is_some());
        event.map(|event| if is_redacted { redact(&head.rules, &event) } else { event })
    };
    Ok(events.into_iter().zip(metas).map(as_told).collect())
}

/// Applies the redaction `pdu`, if it is one and may redact its target; a target that is not
/// here yet is remembered.
pub(crate) async fn apply_redaction(
    tx: &mut Tx,
    core: &Core,
    head: &Head,
    pdu: &Pdu,
) -> Result<()> {
    let Some(target) = pdu.redacts() else { return Ok(()) };
    let key = (head.room.clone(), target.clone());
    if tx.get(&EVENT_META, &key).await?.is_none() {
        tx.put(&EARLY_REDACTIONS, &key, &(pdu.event_id().clone(),));
        return Ok(());
    }
    let event = core.local::<EventCache>().load(tx, &head.rules, target).await?;
    if may_redact(&head.rules, pdu, &event, &current_power(tx, core, head).await?) {
        mark_redacted(tx, core, head, &event, pdu.event_id()).await?;
    }
    Ok(())
}

/// Applies the redaction that came before `pdu`, if one did and may redact it.
pub(crate) async fn apply_early(tx: &mut Tx, core: &Core, head: &Head, pdu: &Pdu) -> Result<()> {
    let key = (head.room.clone(), pdu.event_id().clone());
    let Some((redaction,)) = tx.get(&EARLY_REDACTIONS, &key).await? else { return Ok(()) };
    tx.delete(&EARLY_REDACTIONS, &key);
    let redaction = core.local::<EventCache>().load(tx, &head.rules, &redaction).await?;
    if may_redact(&head.rules, &redaction, pdu, &current_power(tx, core, head).await?) {
        mark_redacted(tx, core, head, pdu, redaction.event_id()).await?;
    }
    Ok(())
}

/// Who may do what in the room as it is now.
pub(crate) async fn current_power(view: &View, core: &Core, head: &Head) -> Result<Power> {
    let slots = [StateEventType::RoomCreate, StateEventType::RoomPowerLevels];
    let slots = slots.map(|kind| (kind, String::new()));
    let state = current_slots(view, core, head, &slots).await?;
    let create = state.get(&StateEventType::RoomCreate, "").ok_or(Error::NotFound("room"))?;
    let levels = state.get(&StateEventType::RoomPowerLevels, "");
    Ok(Power::new(&head.rules, create, levels))
}

/// Notes in every row that shows `event`, or something of it, that it was redacted. The first redaction counts.
pub(crate) async fn mark_redacted(
    tx: &mut Tx,
    core: &Core,
    head: &Head,
    event: &Pdu,
    by: &OwnedEventId,
) -> Result<()> {
    let key = (head.room.clone(), event.event_id().clone());
    let Some(mut meta) = tx.get(&EVENT_META, &key).await? else { return Ok(()) };
    if meta.redacted_by.is_some() {
        return Ok(());
    }
    meta.redacted_by = Some(by.clone());
    tx.put(&EVENT_META, &key, &meta);
    if let Verdict::Timeline { stretch, ordinal } = meta.verdict {
        let place = (head.room.clone(), stretch, ordinal);
        if let Some(mut row) = tx.get(&TIMELINE, &place).await? {
            row.redacted_by = Some(by.clone());
            tx.put(&TIMELINE, &place, &row);
            push::note_redacted(tx, head, stretch, ordinal, &row).await?;
            relations::forget(tx, core, head, event, (stretch, ordinal)).await?;
        }
    }
    shown_media::forget_taken(tx, event, &redact(&head.rules, event));
    note_unseen(tx, &head.room, Some(event.event_id())).await?;
    mark_slot(tx, head, event).await
}

/// Notes that nobody is to see an event any more, or any of a room's. Whether anyone has kept it is
/// looked at later: so many may have that one commit would not bear it, and who keeps it meanwhile is
/// not overlooked.
pub(crate) async fn note_unseen(
    tx: &mut Tx,
    room: &RoomId,
    event: Option<&OwnedEventId>,
) -> Result<()> {
    let key = (room.to_owned(), event.map(ToString::to_string).unwrap_or_default());
    let (before,) = tx.get(&UNSEEN_EVENTS, &key).await?.unwrap_or_default();
    tx.put(&UNSEEN_EVENTS, &key, &(before + 1,));
    tx.wake(log::unseen_topic());
    Ok(())
}

/// Marks the slot that `event` holds, in the state in force and in a base that is being written.
async fn mark_slot(tx: &mut Tx, head: &Head, event: &Pdu) -> Result<()> {
    let next = generation::being_written(tx, &head.room).await?;
    for generation in next.into_iter().chain([head.row.generation]) {
        mark_in(tx, head, Base { room: &head.room, generation }, event).await?;
    }
    Ok(())
}

async fn mark_in(tx: &mut Tx, head: &Head, base: Base<'_>, event: &Pdu) -> Result<()> {
    let Some((kind, key)) = event.slot() else { return Ok(()) };
    let slot = (base.room.to_owned(), base.generation, kind.to_string(), key.clone());
    let Some(mut row) = tx.get(&STATE, &slot).await? else { return Ok(()) };
    if row.event != *event.event_id() {
        return Ok(());
    }
    row.redacted = true;
    tx.put(&STATE, &slot, &row);
    if guests::is_about_guests(&slot.2, key) {
        guests::note_closed(tx, base.room).await?;
    }
    if *kind == StateEventType::RoomMember
        && let Ok(user) = UserId::parse(key.as_str())
    {
        put_member(tx, base, &user, row_of(&redact(&head.rules, event)).as_ref());
    }
    Ok(())
}

/// The event `id` as it is told now: without what its redaction removed, if there was one.
pub(crate) async fn load_as_told(
    view: &View,
    core: &Core,
    head: &Head,
    id: &OwnedEventId,
) -> Result<Pdu> {
    let event = core.local::<EventCache>().load(view, &head.rules, id).await?;
    let is_redacted = is_redacted(view, head, id).await?;
    Ok(if is_redacted { redact(&head.rules, &event) } else { event })
}

/// Whether an event of the room was redacted.
pub(super) async fn is_redacted(view: &View, head: &Head, id: &OwnedEventId) -> Result<bool> {
    let meta = view.get(&EVENT_META, &(head.room.clone(), id.clone())).await?;
    Ok(meta.is_some_and(|meta| meta.redacted_by.is_some()))
}

#[cfg(test)]
mod tests;
