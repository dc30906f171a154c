//! Events as clients get them.

use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, UserId,
    events::{StateEventType, TimelineEventType},
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

/// What those who are invited or knock are told of the room, beside the invitation or knock itself and its sender's membership.
pub const STRIPPED: [StateEventType; 7] = [
    StateEventType::RoomCreate,
    StateEventType::RoomJoinRules,
    StateEventType::RoomName,
    StateEventType::RoomTopic,
    StateEventType::RoomAvatar,
    StateEventType::RoomCanonicalAlias,
    StateEventType::RoomEncryption,
];

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Room, VERSIONS, redaction, text};

    fn read(raw: &RawValue) -> Value {
        serde_json::from_str(raw.get()).unwrap()
    }

    #[test]
    fn clients_get_what_the_specification_names_and_no_more() {
        for version in VERSIONS {
            let mut room = Room::new(version, "public");
            let event = room.say(text("@a:x", "hello"));
            let mut expected = json!({
                "content": {"body": "hello", "msgtype": "m.text"},
                "event_id": event.event_id(),
                "origin_server_ts": event.origin_server_ts(),
                "room_id": event.room_id(),
                "sender": "@a:x",
                "type": "m.room.message",
            });
            assert_eq!(read(&client_event(&event, Format::Full)), expected);
            expected.as_object_mut().unwrap().remove("room_id");
            assert_eq!(read(&client_event(&event, Format::Sync)), expected);
        }
    }

    #[test]
    fn the_create_event_names_its_room_to_clients() {
        let room = Room::new("12", "public");
        let create = read(&client_event(&room.events[0], Format::Full));
        assert_eq!(create["room_id"], room.events[1].room_id().as_str());
    }

    #[test]
    fn a_state_event_has_its_key() {
        let room = Room::new("11", "public");
        let join = read(&client_event(&room.events[1], Format::Sync));
        assert_eq!(join["state_key"], "@a:x");
    }

    #[test]
    fn old_and_new_clients_find_what_was_redacted() {
        for version in VERSIONS {
            let mut room = Room::new(version, "public");
            let target = room.say(text("@a:x", "oops"));
            let redaction = room.say(redaction("@a:x", &target));
            let got = read(&client_event(&redaction, Format::Sync));
            assert_eq!(got["redacts"], target.event_id().as_str());
            let content = json!({"reason": "spam", "redacts": target.event_id()});
            assert_eq!(got["content"], content, "room version {version}");
        }
    }

    #[test]
    fn unsigned_is_put_around_the_shared_part() {
        let mut room = Room::new("11", "public");
        let event = client_event(&room.say(text("@a:x", "hello")), Format::Sync);
        let mut expected = read(&event);
        expected["unsigned"] = json!({"age": 5});
        assert_eq!(read(&with_unsigned(&event, &json!({"age": 5}))), expected);
    }

    #[test]
    fn who_is_invited_sees_four_fields() {
        let mut room = Room::new("11", "public");
        let expected = json!({
            "type": "m.room.join_rules", "state_key": "", "sender": "@a:x",
            "content": {"join_rule": "public"},
        });
        assert_eq!(read(&stripped(&room.events[2]).unwrap()), expected);
        assert!(stripped(&room.say(text("@a:x", "hello"))).is_none());
    }
}
