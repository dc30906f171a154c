//! What rooms tell those who are not in them.

use std::collections::BTreeMap;

use ruma::{OwnedEventId, OwnedRoomId};
use serde::Serialize;
use tertulia_protocol::{Pdu, SUMMARY, Summary, redact};
use tertulia_storage::View;

use crate::{
    Result,
    core::Core,
    events::{EventCache, Head},
    schema::{STATE, StateRow},
};

/// A room as those see it who are not in it. It serialises as the specification's `RoomSummary`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoomSummary {
    /// The room.
    pub room_id: OwnedRoomId,
    /// How many are in it.
    pub num_joined_members: u64,
    /// What it tells of itself.
    #[serde(flatten)]
    pub summary: Summary,
    /// Its version, where that is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_version: Option<String>,
}

/// What the room tells of itself now.
pub(super) async fn summary(view: &View, core: &Core, head: &Head) -> Result<Summary> {
    let mut summaries = summaries(view, core, &[head]).await?;
    Ok(summaries.pop().expect("there is one for each room"))
}

/// What rooms tell of themselves now, in their order.
pub(crate) async fn summaries(view: &View, core: &Core, heads: &[&Head]) -> Result<Vec<Summary>> {
    let slots = |head: &&Head| SUMMARY.map(|kind| head.slot(&kind.to_string(), ""));
    let keys: Vec<_> = heads.iter().flat_map(slots).collect();
    let rows = view.get_many(&STATE, &keys).await?;
    let rows: Vec<_> = rows.chunks(SUMMARY.len()).collect();
    let events = events(view, core, heads, &rows).await?;
    let summary = |(head, rows): (&&Head, &&[Option<StateRow>])| {
        let as_told = rows.iter().flatten().filter_map(|row| {
            let event = events.get(&row.event)?;
            Some(if row.redacted { redact(&head.rules, event) } else { event.clone() })
        });
        Summary::of(&head.rules.authorization, &as_told.collect())
    };
    Ok(heads.iter().zip(&rows).map(summary).collect())
}

/// The events in the slots of some rooms: read together where the rooms are of one version.
async fn events(
    view: &View,
    core: &Core,
    heads: &[&Head],
    rows: &[&[Option<StateRow>]],
) -> Result<BTreeMap<OwnedEventId, Pdu>> {
    let mut of_version = BTreeMap::<_, (_, Vec<_>)>::new();
    for (head, rows) in heads.iter().zip(rows) {
        let (_, ids) = of_version.entry(&head.row.version).or_insert((&head.rules, Vec::new()));
        ids.extend(rows.iter().flatten().map(|row| row.event.clone()));
    }
    let mut events = BTreeMap::new();
    for (rules, ids) in of_version.into_values() {
        let loaded = core.local::<EventCache>().load_many(view, rules, &ids).await?;
        events.extend(ids.into_iter().zip(loaded).filter_map(|(id, event)| Some((id, event?))));
    }
    Ok(events)
}
