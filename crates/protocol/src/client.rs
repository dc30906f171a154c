//! Events as clients get them.

use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, UserId, events::TimelineEventType,
};
use serde::Serialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use crate::Pdu;

/// The two forms in which clients get events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// With `room_id`, as most endpoints answer.
    Full,
    /// Without `room_id`, as `/sync` answers.
    Sync,
}

#[derive(Serialize)]
struct Rendered<'a> {
    content: &'a RawValue,
    event_id: &'a EventId,
    origin_server_ts: MilliSecondsSinceUnixEpoch,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacts: Option<&'a OwnedEventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a RoomId>,
    sender: &'a UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_key: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'a TimelineEventType,
}

/// The event as a client gets it, without `unsigned`, so that all clients can share it.
///
/// A redaction names its target both beside and in the content, whatever its room version.
pub fn client_event(event: &Pdu, format: Format) -> Box<RawValue> {
    let with_target = content_with_target(event);
    let rendered = Rendered {
        content: with_target.as_deref().unwrap_or(event.content()),
        event_id: event.event_id(),
        origin_server_ts: event.origin_server_ts(),
        redacts: event.redacts(),
        room_id: (format == Format::Full).then_some(event.room_id()),
        sender: event.sender(),
        state_key: event.state_key(),
        kind: event.kind(),
    };
    to_raw_value(&rendered).expect("strings and numbers always serialise")
}

/// The content of a redaction that names its target only beside the content.
fn content_with_target(event: &Pdu) -> Option<Box<RawValue>> {
    let target = event.redacts()?;
    let mut content: serde_json::Map<String, Value> = event.content_as()?;
    if content.contains_key("redacts") {
        return None;
    }
    content.insert("redacts".to_owned(), target.as_str().into());
    to_raw_value(&content).ok()
}

/// A rendered event with `unsigned` added.
pub fn with_unsigned(event: &RawValue, unsigned: &impl Serialize) -> Box<RawValue> {
    let unsigned = to_raw_value(unsigned).ok();
    let body = event.get().strip_suffix('}');
    match (body, unsigned) {
        (Some(body), Some(unsigned)) => {
            let joined = format!("{body},\"unsigned\":{unsigned}}}");
            RawValue::from_string(joined).unwrap_or_else(|_| event.to_owned())
        }
        _ => event.to_owned(),
    }
}

/// A state event as those who are invited or knock see it: type, state key, sender and content. Nothing for other events.
pub fn stripped(event: &Pdu) -> Option<Box<RawValue>> {
    #[derive(Serialize)]
    struct Stripped<'a> {
        content: &'a RawValue,
        sender: &'a UserId,
        state_key: &'a str,
        #[serde(rename = "type")]
        kind: &'a TimelineEventType,
    }
    let stripped = Stripped {
        content: event.content(),
        sender: event.sender(),
        state_key: event.state_key()?,
        kind: event.kind(),
    };
    Some(to_raw_value(&stripped).expect("strings always serialise"))
}
