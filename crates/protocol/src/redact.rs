//! Removing the content of events.

use ruma::{canonical_json::redact_in_place, room_version_rules::RoomVersionRules};

use crate::Pdu;

/// `event` without what the rules of its room version remove. It keeps its ID, hashes and signatures.
///
/// The answer can be stored in the place of the event, and rendered by [`client_event`](crate::client_event); which event
/// was the cause is told to clients in `unsigned`.
#[must_use]
pub fn redact(rules: &RoomVersionRules, event: &Pdu) -> Pdu {
    let mut object = event.to_object();
    redact_in_place(&mut object, &rules.redaction, None).expect("every event has a type");
    Pdu::with_id(event.event_id().clone(), &object, rules)
        .expect("redaction keeps the fields that every event has")
        .with_rejected(event.rejected())
}
