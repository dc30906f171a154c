//! What a room looks like to those outside who are asked in, or ask to be let in
//! (client-server API, "Stripped state").

use ruma::{OwnedEventId, events::StateEventType};
use serde_json::value::RawValue;
use tertulia_protocol::{Pdu, Slot, stripped};
use tertulia_storage::{Position, View};

use super::reading::Reading;
use crate::{
    Result,
    events::{EventCache, Head, Reader, base_at, current_rows, load_many_as_told, slot_at},
    schema::Membership,
};

/// The stripped state of a room as it was when the user was asked in or asked, their own member event and that of its
/// sender included: a new client is told what older ones were. What was redacted since is told to nobody.
pub(super) async fn state(
    reading: &Reading<'_>,
    head: &Head,
    me: &Membership,
) -> Result<Vec<Box<RawValue>>> {
    let (view, core) = (&reading.view, reading.core());
    let mine = core.local::<EventCache>().load(view, &head.rules, &me.event).await?;
    let mut ids = in_force(view, head, &slots(&mine), me.at).await?;
    ids.retain(|id| *id != me.event);
    ids.push(me.event.clone());
    let reader = Reader::Outside(reading.me(), me.at);
    let events = load_many_as_told(view, core, head, reader, &ids).await?;
    Ok(events.iter().flatten().filter_map(stripped).collect())
}

/// The events in some slots as of a position.
async fn in_force(
    view: &View,
    head: &Head,
    slots: &[Slot],
    at: Position,
) -> Result<Vec<OwnedEventId>> {
    let mut events = Vec::with_capacity(slots.len() + 1);
    let base = base_at(view, head, at).await?;
    let began_since = base.generation != head.row.generation;
    for ((kind, key), row) in slots.iter().zip(current_rows(view, head, slots).await?) {
        events.extend(match row {
            Some(row) if row.at <= at && !began_since => Some(row.event),
            _ if head.row.state_at <= at => None,
            _ => slot_at(view, base, &kind.to_string(), key, at).await?,
        });
    }
    Ok(events)
}

/// What tells a room apart for those who do not know it.
fn slots(mine: &Pdu) -> Vec<Slot> {
    use StateEventType::{
        RoomAvatar, RoomCanonicalAlias, RoomCreate, RoomEncryption, RoomJoinRules, RoomMember,
        RoomName, RoomTopic,
    };
    let kinds = [
        RoomCreate,
        RoomName,
        RoomAvatar,
        RoomTopic,
        RoomJoinRules,
        RoomCanonicalAlias,
        RoomEncryption,
    ];
    let sender = (RoomMember, mine.sender().to_string());
    kinds.into_iter().map(|kind| (kind, String::new())).chain([sender]).collect()
}
