//! Events in the form the client asks for, with what is its own about them.

use std::collections::BTreeMap;

use ruma::{EventId, OwnedEventId, events::room::member::MembershipState};
use tertulia_protocol::{Pdu, RoomIdShown, Slot, visibility::membership_in, with_unsigned};

use super::{
    answer::Shown,
    filter::Form,
    reading::{Part, Reading},
    state::{Changes, Told},
    timeline::Window,
};
use crate::{
    Result,
    events::{
        Bundles, Bundling, ClientEvent, Placed, Replacements, has_bundle, load_for, load_pairs,
        load_redacted,
    },
    schema::{EVENT_META, Ordinal},
};

/// The events of a timeline.
pub(super) async fn timeline(
    reading: &Reading<'_>,
    part: &Part<'_>,
    window: Window,
    changes: &Changes,
) -> Result<Vec<Shown>> {
    let replaced = replaced(reading, part, &window, changes).await?;
    let mut bundles = bundles(reading, part, &window).await?;
    let Window { events, sight, .. } = window;
    let pdus = events.iter().map(|placed| (placed.pdu.clone(), placed.row.redacted_by.clone()));
    let told = client_events(reading, part, pdus.collect()).await?;
    let mut shown = Vec::with_capacity(events.len());
    for (mut event, placed) in told.into_iter().zip(events) {
        let membership = membership(reading, part, sight.as_ref(), &placed);
        let mine = event.sender() == reading.me();
        let unsigned = event.unsigned_mut();
        unsigned.membership = Some(membership);
        unsigned.relations = bundles.remove(placed.pdu.event_id()).map(Box::new);
        if let Some(older) = replaced.get(placed.pdu.event_id()) {
            let sees = |sight| older.is_seen(sight, placed.place);
            older.tell(unsigned, part.joined_at(placed.place) || sight.as_ref().is_some_and(sees));
        }
        let sent_by = placed.row.sent_by;
        let sent_here = sent_by.filter(|(device, _)| mine && device == reading.device());
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
    let (view, reader) = (&reading.view, reading.reader());
    let pdus = load_for(view, reading.core(), part.head, reader, &ids).await?;
    let doubtful: Vec<_> = ids
        .iter()
        .filter(|id| !told.intact.contains(*id))
        .map(|id| (part.head.room.clone(), id.clone()))
        .collect();
    let metas = view.get_many(&EVENT_META, &doubtful).await?;
    let redacted = doubtful
        .into_iter()
        .zip(metas)
        .filter_map(|((_, id), meta)| Some((id, meta?.redacted_by?)));
    let mut redacted: BTreeMap<OwnedEventId, OwnedEventId> = redacted.collect();
    let wanted = pdus.into_iter().flatten().filter_map(|pdu| {
        let because = redacted.remove(pdu.event_id());
        let passes = reading.query.filter.state.passes(&pdu, because.is_some());
        passes.then_some((pdu, because))
    });
    let shown = client_events(reading, part, wanted.collect()).await?;
    Ok(shown.into_iter().map(|event| in_form(reading, event)).collect())
}

/// What is told with those of the events to which others relate. A client that is told all that
/// happened puts it together itself ("Aggregations of child events").
async fn bundles(reading: &Reading<'_>, part: &Part<'_>, window: &Window) -> Result<Bundles> {
    let Window { events, limited, sight, .. } = window;
    if !limited || !events.iter().any(|placed| has_bundle(&placed.row)) {
        return Ok(Bundles::new());
    }
    let sees = |place| {
        let sight = sight.as_ref();
        place <= Ordinal::Live(part.end)
            && (part.joined_at(place) || sight.is_some_and(|sight| sight.sees(place)))
    };
    let bundling = Bundling {
        view: &reading.view,
        core: reading.core(),
        head: part.head,
        me: reading.me(),
        device: Some(reading.device()),
        ignored: reading.ignored().await?,
        sees: &sees,
        room_id: RoomIdShown::No,
        now: reading.now,
    };
    let parents: Vec<_> = events.iter().map(|placed| (&placed.pdu, &placed.row)).collect();
    bundling.of(&parents).await
}

async fn client_events(
    reading: &Reading<'_>,
    part: &Part<'_>,
    events: Vec<(Pdu, Option<OwnedEventId>)>,
) -> Result<Vec<ClientEvent>> {
    let (view, core, reader) = (&reading.view, reading.core(), reading.reader());
    let events = load_redacted(view, core, part.head, reader, events).await?;
    let aged = |event: crate::events::Shown<'_>| event.shown(RoomIdShown::No).aged(reading.now);
    Ok(events.into_iter().map(aged).collect())
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

/// What the events in the window replaced.
async fn replaced(
    reading: &Reading<'_>,
    part: &Part<'_>,
    window: &Window,
    changes: &Changes,
) -> Result<Replacements> {
    if changes.is_empty() {
        return Ok(Replacements::new());
    }
    let places: BTreeMap<&EventId, Ordinal> =
        window.events.iter().map(|placed| (&**placed.pdu.event_id(), placed.place)).collect();
    let pairs = changes.iter().filter_map(|change| {
        let (newer, older) = (change.event.clone()?, change.replaced.clone()?);
        (places.get(&*newer) == Some(&change.at)).then_some((newer, older))
    });
    let (view, core, reader) = (&reading.view, reading.core(), reading.reader());
    load_pairs(view, core, part.head, reader, pairs.collect()).await
}
