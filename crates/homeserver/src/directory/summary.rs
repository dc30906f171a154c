//! What rooms tell those who are not in them.

use ruma::OwnedRoomId;
use serde::Serialize;
use tertulia_protocol::{SUMMARY, Slot, Summary, redact};
use tertulia_storage::View;

use crate::{
    Result,
    core::Core,
    events::{EventCache, Head, current_rows},
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
    let slots: Vec<Slot> = SUMMARY.into_iter().map(|kind| (kind, String::new())).collect();
    let rows: Vec<_> = current_rows(view, head, &slots).await?.into_iter().flatten().collect();
    let ids: Vec<_> = rows.iter().map(|row| row.event.clone()).collect();
    let events = core.local::<EventCache>().load_many(view, &head.rules, &ids).await?;
    let as_told = events.into_iter().zip(rows).filter_map(|(event, row)| {
        Some(if row.redacted { redact(&head.rules, &event?) } else { event? })
    });
    Ok(Summary::of(&head.rules.authorization, &as_told.collect()))
}
