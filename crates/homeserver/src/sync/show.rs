//! Events in the form the client asks for, with what is its own about them.

use std::collections::BTreeMap;

use ruma::{EventId, OwnedEventId, events::room::member::MembershipState};
use tertulia_protocol::{Pdu, Slot, visibility::membership_in, with_unsigned};

use super::{
    answer::Shown,
    filter::Form,
    reading::{Part, Reading},
    state::{Changes, Told},
    timeline::{Placed, Window},
};
use crate::{
    Result,
    events::{ClientEvent, EventCache, RoomIdShown, load_redacted},
    schema::EVENT_META,
};

/// The events of a timeline.
pub(super) async fn timeline(
    reading: &Reading<'_>,
    part: &Part<'_>,
    window: Window,
    changes: &Changes,
) -> Result<Vec<Shown>> {
    let replaced = replaced(reading, part, &window, changes).await?;
    let mut shown = Vec::with_capacity(window.events.len());
    for placed in window.events {
        let membership = membership(reading, part, window.sight.as_ref(), &placed);
        let previous = replaced.get(placed.pdu.event_id());
        let Placed { row, pdu, .. } = placed;
        let mut event = client_event(reading, part, pdu, row.redacted_by).await?;
        let mine = event.sender() == reading.me();
        let unsigned = event.unsigned_mut();
        unsigned.membership = Some(membership);
        unsigned.prev_content = previous.map(|pdu| pdu.content().to_owned());
        let sent_here = row.sent_by.filter(|(device, _)| mine && device == reading.device());
        unsigned.transaction_id = sent_here.map(|(_, transaction)| transaction);
        shown.push(in_form(reading, event));
    }
    Ok(shown)
}

/// The state events of a room that the filter lets pass.
pub(super) async fn state(
    reading: &Reading<'_>,
    part: &Part<'_>,
    told: Told,
) -> Result<Vec<Shown>> {
    let ids: Vec<OwnedEventId> = told.slots.into_values().collect();
    let cache = reading.core().local::<EventCache>();
    let pdus = cache.load_many(&reading.view, &part.head.rules, &ids).await?;
    let doubtful: Vec<_> = ids
        .iter()
        .filter(|id| !told.intact.contains(*id))
        .map(|id| (part.head.room.clone(), id.clone()))
        .collect();
    let metas = reading.view.get_many(&EVENT_META, &doubtful).await?;
    let redacted = doubtful
        .into_iter()
        .zip(metas)
        .filter_map(|((_, id), meta)| Some((id, meta?.redacted_by?)));
    let mut redacted: BTreeMap<OwnedEventId, OwnedEventId> = redacted.collect();
    let mut shown = Vec::with_capacity(ids.len());
    for pdu in pdus.into_iter().flatten().filter(|pdu| reading.query.filter.state.passes(pdu)) {
        let because = redacted.remove(pdu.event_id());
        let event = client_event(reading, part, pdu, because).await?;
        shown.push(in_form(reading, event));
    }
    Ok(shown)
}

async fn client_event(
    reading: &Reading<'_>,
    part: &Part<'_>,
    pdu: Pdu,
    redacted_by: Option<OwnedEventId>,
) -> Result<ClientEvent> {
    let event = load_redacted(&reading.view, reading.core(), part.head, pdu, redacted_by).await?;
    Ok(event.shown(RoomIdShown::No).aged(reading.now))
}

fn in_form(reading: &Reading<'_>, event: ClientEvent) -> Shown {
    match &reading.query.filter.form {
        Form::Client => Shown::Client(event),
        Form::Fields(fields) => {
            Shown::Chosen(fields.of(&event).expect("events of clients serialise"))
        }
        Form::Federation => Shown::Chosen(with_unsigned(event.pdu().json(), event.unsigned())),
    }
}

/// What the user was to the room once an event had happened.
fn membership(
    reading: &Reading<'_>,
    part: &Part<'_>,
    sight: Option<&crate::events::Sight>,
    placed: &Placed,
) -> MembershipState {
    let is_mine = |(kind, key): &Slot| {
        *kind == ruma::events::StateEventType::RoomMember && key == reading.me().as_str()
    };
    match sight.filter(|_| !part.joined_at(placed.place)) {
        Some(sight) => sight.membership_at(placed.place),
        None if placed.pdu.slot().is_some_and(is_mine) => membership_in(&placed.pdu),
        None => MembershipState::Join,
    }
}

/// The events that those in the window replaced, by the newer one.
async fn replaced(
    reading: &Reading<'_>,
    part: &Part<'_>,
    window: &Window,
    changes: &Changes,
) -> Result<BTreeMap<OwnedEventId, Pdu>> {
    let shown = |id: &EventId| window.events.iter().any(|placed| placed.pdu.event_id() == id);
    let (newer, older): (Vec<_>, Vec<_>) = changes
        .iter()
        .filter_map(|change| Some((change.event.clone()?, change.replaced.clone()?)))
        .filter(|(newer, _)| shown(newer))
        .unzip();
    if newer.is_empty() {
        return Ok(BTreeMap::new());
    }
    let cache = reading.core().local::<EventCache>();
    let events = cache.load_many(&reading.view, &part.head.rules, &older).await?;
    let keys: Vec<_> = older.into_iter().map(|id| (part.head.room.clone(), id)).collect();
    let metas = reading.view.get_many(&EVENT_META, &keys).await?;
    let intact =
        metas.iter().map(|meta| meta.as_ref().is_some_and(|meta| meta.redacted_by.is_none()));
    let pairs = newer.into_iter().zip(events).zip(intact);
    Ok(pairs
        .filter_map(|((newer, event), intact)| Some((newer, event.filter(|_| intact)?)))
        .collect())
}
