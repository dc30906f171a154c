//! What a room looks like to those outside who are asked in, or ask to be let in
//! (client-server API, "Stripped state").

use ruma::events::StateEventType;
use serde_json::value::RawValue;
use tertulia_protocol::{Pdu, Slot, redact, stripped};

use super::reading::Reading;
use crate::{
    Result,
    events::{EventCache, Head, current_rows},
    schema::Membership,
};

/// The stripped state of a room, the user's own member event and that of its sender included.
pub(super) async fn state(
    reading: &Reading<'_>,
    head: &Head,
    me: &Membership,
) -> Result<Vec<Box<RawValue>>> {
    let cache = reading.core().local::<EventCache>();
    let mine = cache.load(&reading.view, &head.rules, &me.event).await?;
    let rows = current_rows(&reading.view, head, &slots(&mine)).await?;
    let rows: Vec<_> = rows.into_iter().flatten().filter(|row| row.event != me.event).collect();
    let ids: Vec<_> = rows.iter().map(|row| row.event.clone()).collect();
    let events = cache.load_many(&reading.view, &head.rules, &ids).await?;
    let shown = |(event, redacted): (Pdu, bool)| {
        if redacted { stripped(&redact(&head.rules, &event)) } else { stripped(&event) }
    };
    let others =
        events.into_iter().zip(rows).filter_map(|(event, row)| shown((event?, row.redacted)));
    Ok(others.chain(stripped(&mine)).collect())
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
