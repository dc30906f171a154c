//! What state events replaced, which clients are told in `unsigned`.

use std::collections::BTreeMap;

use ruma::{OwnedEventId, events::room::member::MembershipState};
use serde_json::value::RawValue;
use tertulia_protocol::redact;
use tertulia_storage::View;

use super::{Head, Reader, Sight, client_event::Unsigned, load_for};
use crate::{
    Result,
    core::Core,
    schema::{EVENT_META, EventMeta, Ordinal, STATE_CHANGES, Verdict},
};

/// What a state event replaced.
#[derive(Clone, Debug)]
pub(crate) struct Replaced {
    event: OwnedEventId,
    /// Where it stands, if it stands in the timeline.
    place: Option<Ordinal>,
    /// What it said, or what the reader is told of that.
    content: Option<Box<RawValue>>,
}

/// By the event that replaced it.
pub(crate) type Replacements = BTreeMap<OwnedEventId, Replaced>;

impl Replaced {
    /// Whether one with this `sight` may see what was replaced by the event at `place`: who was
    /// in the room then knew its state.
    pub(crate) fn is_seen(&self, sight: &Sight, place: Ordinal) -> bool {
        sight.membership_at(place) == MembershipState::Join
            || self.place.is_some_and(|older| sight.sees(older))
    }

    /// Tells one who may see what was replaced, or may not (client-server API, `unsigned`).
    pub(crate) fn tell(&self, unsigned: &mut Unsigned, is_seen: bool) {
        unsigned.replaces_state = Some(self.event.clone());
        unsigned.prev_content = self.content.clone().filter(|_| is_seen);
    }
}

/// What these events replaced at the places where they stand, as `reader` is told.
pub(crate) async fn load_replaced(
    view: &View,
    core: &Core,
    head: &Head,
    reader: Reader<'_>,
    events: Vec<(OwnedEventId, Ordinal)>,
) -> Result<Replacements> {
    let live = events.into_iter().filter_map(|(event, place)| Some((event, place.position()?)));
    let (ids, positions): (Vec<_>, Vec<_>) = live.unzip();
    if ids.is_empty() {
        return Ok(Replacements::new());
    }
    let key = |position| (head.room.clone(), head.row.generation, position);
    let keys: Vec<_> = positions.into_iter().map(key).collect();
    let rows = view.get_many(&STATE_CHANGES, &keys).await?;
    let pairs = ids.into_iter().zip(rows).filter_map(|(id, row)| {
        let mut changes = row?.0.into_iter();
        let change = changes.find(|change| change.event.as_ref() == Some(&id))?;
        Some((id, change.replaced?))
    });
    load_pairs(view, core, head, reader, pairs.collect()).await
}

/// What `reader` is told of the second event of each pair, which the first one replaced.
pub(crate) async fn load_pairs(
    view: &View,
    core: &Core,
    head: &Head,
    reader: Reader<'_>,
    pairs: Vec<(OwnedEventId, OwnedEventId)>,
) -> Result<Replacements> {
    let (newer, older): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    if newer.is_empty() {
        return Ok(Replacements::new());
    }
    let events = load_for(view, core, head, reader, &older).await?;
    let keys: Vec<_> = older.iter().map(|id| (head.room.clone(), id.clone())).collect();
    let metas = view.get_many(&EVENT_META, &keys).await?;
    let replaced = older.into_iter().zip(events).zip(metas).map(|((event, pdu), meta)| {
        let is_redacted = meta.as_ref().is_none_or(|meta| meta.redacted_by.is_some());
        let left = |pdu| if is_redacted { redact(&head.rules, &pdu) } else { pdu };
        let content = pdu.map(left).map(|pdu| pdu.content().to_owned());
        Replaced { event, place: meta.and_then(place_of), content }
    });
    Ok(newer.into_iter().zip(replaced).collect())
}

fn place_of(meta: EventMeta) -> Option<Ordinal> {
    match meta.verdict {
        Verdict::Timeline { ordinal, .. } => Some(ordinal),
        _ => None,
    }
}
