//! Events as clients get them.

use std::collections::BTreeMap;

use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, UserId,
    events::{StateEventType, TimelineEventType},
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::Pdu;

/// Whether an event says in which room it happened. Inside `/sync` the room is said once, outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoomIdShown {
    /// With `room_id`.
    Yes,
    /// Without `room_id`.
    No,
}

/// An event as a client gets it. It serialises as the specification's `ClientEvent`.
///
/// All but `unsigned` is the same for all clients.
#[derive(Debug, Serialize)]
pub struct Rendered<'a, U> {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    unsigned: Option<&'a U>,
}

impl<'a, U: Serialize> Rendered<'a, U> {
    /// `event`, with the [`content_for_clients`] that was made of it, if any was.
    pub fn new(
        event: &'a Pdu,
        content: Option<&'a RawValue>,
        room_id: RoomIdShown,
        unsigned: Option<&'a U>,
    ) -> Self {
        Self {
            content: content.unwrap_or(event.content()),
            event_id: event.event_id(),
            origin_server_ts: event.origin_server_ts(),
            redacts: event.redacts(),
            room_id: (room_id == RoomIdShown::Yes).then_some(event.room_id()),
            sender: event.sender(),
            state_key: event.state_key(),
            kind: event.kind(),
            unsigned,
        }
    }
}

/// The content to show to clients where it is not the event's own.
///
/// Clients find what a redaction redacts beside the content and in it, whatever the room version
/// (room version 11, "Moving the `redacts` property"). Only what the server acts upon is shown: in
/// older rooms the content might name another event, and nothing comes of that.
pub fn content_for_clients(event: &Pdu) -> Option<Box<RawValue>> {
    let target = to_raw_value(event.redacts()?).ok()?;
    let mut content: BTreeMap<String, &RawValue> = event.content_as()?;
    let named = content.insert("redacts".to_owned(), &target);
    if named.is_some_and(|named| named.get() == target.get()) {
        return None;
    }
    to_raw_value(&content).ok()
}

/// The JSON of an event with `unsigned` added.
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
    use ruma::CanonicalJsonValue;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        redact,
        testing::{Room, VERSIONS, nested, redaction, text},
    };

    fn read(raw: &RawValue) -> Value {
        serde_json::from_str(raw.get()).unwrap()
    }

    /// The event as a client without a share in it gets it.
    fn shown(event: &Pdu, room_id: RoomIdShown) -> Value {
        let content = content_for_clients(event);
        let rendered = Rendered::new(event, content.as_deref(), room_id, None::<&Value>);
        serde_json::to_value(rendered).unwrap()
    }

    #[test]
    fn what_a_redaction_says_beside_its_target_is_told_as_it_is() {
        let mut room = Room::new("10", "public");
        let target = room.events[1].clone();
        let event = room.say(redaction("@a:x", &target));
        let key_of_its_reader = r#"{"$serde_json::private::RawValue":"1"}"#.to_owned();
        for said in [nested(127), nested(5_000), key_of_its_reader] {
            let json = event.json().get().replace(r#""spam""#, &said);
            let event = Pdu::load(event.event_id().clone(), json.as_bytes(), &room.rules).unwrap();
            let content = content_for_clients(&event).unwrap();
            let target = target.event_id();
            assert_eq!(content.get(), format!(r#"{{"reason":{said},"redacts":"{target}"}}"#));
        }
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
            assert_eq!(shown(&event, RoomIdShown::Yes), expected);
            expected.as_object_mut().unwrap().remove("room_id");
            assert_eq!(shown(&event, RoomIdShown::No), expected);
        }
    }

    #[test]
    fn the_create_event_names_its_room_to_clients() {
        let room = Room::new("12", "public");
        let create = shown(&room.events[0], RoomIdShown::Yes);
        assert_eq!(create["room_id"], room.events[1].room_id().as_str());
    }

    #[test]
    fn a_state_event_has_its_key() {
        let room = Room::new("11", "public");
        let join = shown(&room.events[1], RoomIdShown::No);
        assert_eq!(join["state_key"], "@a:x");
    }

    #[test]
    fn old_and_new_clients_find_what_was_redacted() {
        for version in VERSIONS {
            let mut room = Room::new(version, "public");
            let target = room.say(text("@a:x", "oops"));
            let redaction = room.say(redaction("@a:x", &target));
            let got = shown(&redaction, RoomIdShown::No);
            assert_eq!(got["redacts"], target.event_id().as_str());
            let content = json!({"reason": "spam", "redacts": target.event_id()});
            assert_eq!(got["content"], content, "room version {version}");
        }
    }

    #[test]
    fn a_redaction_that_names_two_events_shows_the_one_it_redacts() {
        for version in VERSIONS {
            let mut room = Room::new(version, "public");
            let target = room.say(text("@a:x", "oops"));
            let mut redaction = room.say(redaction("@a:x", &target)).to_object().unwrap();
            let mut name = |at: Option<&str>, id: &str| match at {
                None => redaction.insert("redacts".to_owned(), id.into()),
                Some(key) => match redaction.get_mut(key) {
                    Some(CanonicalJsonValue::Object(inner)) => {
                        inner.insert("redacts".to_owned(), id.into())
                    }
                    _ => panic!("no {key}"),
                },
            };
            name(None, "$beside");
            name(Some("content"), "$inside");
            let json = serde_json::to_string(&redaction).unwrap();
            let got = shown(&Pdu::parse(&json, &room.rules).unwrap(), RoomIdShown::No);
            let expected = if ["11", "12"].contains(&version) { "$inside" } else { "$beside" };
            assert_eq!(got["redacts"], expected, "room version {version}");
            assert_eq!(got["content"]["redacts"], expected, "room version {version}");
        }
    }

    #[test]
    fn a_redacted_redaction_shows_what_is_left_of_it() {
        for version in VERSIONS {
            let mut room = Room::new(version, "public");
            let target = room.say(text("@a:x", "oops"));
            let redaction = room.say(redaction("@a:x", &target));
            let got = shown(&redact(&room.rules, &redaction), RoomIdShown::No);
            let id = json!(target.event_id());
            if ["11", "12"].contains(&version) {
                assert_eq!((&got["redacts"], &got["content"]), (&id, &json!({ "redacts": id })));
            } else {
                assert_eq!((&got["redacts"], &got["content"]), (&Value::Null, &json!({})));
            }
        }
    }

    #[test]
    fn unsigned_is_put_around_the_shared_part() {
        let mut room = Room::new("11", "public");
        let event = room.say(text("@a:x", "hello"));
        let mut expected = read(event.json());
        expected["unsigned"] = json!({"age": 5});
        assert_eq!(read(&with_unsigned(event.json(), &json!({"age": 5}))), expected);
        let unsigned = json!({"age": 5});
        let rendered = Rendered::new(&event, None, RoomIdShown::No, Some(&unsigned));
        assert_eq!(serde_json::to_value(rendered).unwrap()["unsigned"], json!({"age": 5}));
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
