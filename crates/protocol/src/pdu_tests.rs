use ruma::{events::TimelineEventType, signatures::reference_hash};
use serde_json::{Value, json};

use super::*;
use crate::testing::{Room, VERSIONS, redaction, rules, text};

/// A message in a room of the version.
fn message(version: &str) -> (RoomVersionRules, Value) {
    let mut room = Room::new(version, "public");
    let event = room.say(text("@a:x", "hello"));
    let json = serde_json::from_str(event.json().get()).unwrap();
    (room.rules, json)
}

/// Whether the message is still an event after `change`, in each of the versions.
#[track_caller]
fn check(change: impl Fn(&mut Value), expected: impl Fn(&str) -> bool) {
    for version in VERSIONS {
        let (rules, mut json) = message(version);
        change(&mut json);
        let result = Pdu::parse(&json.to_string(), &rules);
        assert_eq!(result.is_ok(), expected(version), "version {version}: {result:?}");
    }
}

fn always(_: &str) -> bool {
    true
}

fn never(_: &str) -> bool {
    false
}

fn cites_hashes(version: &str) -> bool {
    ["1", "2"].contains(&version)
}

#[test]
fn every_field_that_an_event_has_must_be_there() {
    for field in ["type", "sender", "content", "prev_events", "auth_events", "depth", "room_id"] {
        check(
            |json| {
                json.as_object_mut().unwrap().remove(field);
            },
            never,
        );
    }
    let without_id = |json: &mut Value| {
        json.as_object_mut().unwrap().remove("event_id");
    };
    check(without_id, |version| !cites_hashes(version));
}

#[test]
fn references_have_the_form_of_their_version() {
    check(|json| json["prev_events"] = json!(["$e"]), |version| !cites_hashes(version));
    check(|json| json["prev_events"] = json!([["$e", {"sha256": "h"}]]), cites_hashes);
    check(|json| json["auth_events"] = json!([["$e", {}]]), cites_hashes);
    check(|json| json["prev_events"] = json!([]), always);
}

#[test]
fn references_are_few() {
    let many = |version: &str, count: usize| {
        let one = if cites_hashes(version) { json!(["$e", {}]) } else { json!("$e") };
        Value::from(vec![one; count])
    };
    for version in VERSIONS {
        for (field, limit) in [("prev_events", 20), ("auth_events", 10)] {
            for count in [limit, limit + 1] {
                let (rules, mut json) = message(version);
                json[field] = many(version, count);
                let result = Pdu::parse(&json.to_string(), &rules);
                assert_eq!(result.is_ok(), count <= limit, "{field} {count}");
            }
        }
    }
}

#[test]
fn identifiers_have_at_most_255_bytes() {
    for (length, fits) in [(255, true), (256, false)] {
        let long = |start: &str, end: &str| {
            format!("{start}{}{end}", "x".repeat(length - start.len() - end.len()))
        };
        check(|json| json["type"] = long("", "").into(), |_| fits);
        check(|json| json["state_key"] = long("", "").into(), |_| fits);
        check(|json| json["sender"] = long("@", ":y").into(), |_| fits);
        check(|json| json["room_id"] = long("!", ":y").into(), |_| fits);
        let event_id = |json: &mut Value| json["event_id"] = long("$", ":y").into();
        check(event_id, |version| fits || !cites_hashes(version));
    }
}

#[test]
fn an_event_has_at_most_65536_bytes() {
    for (size, fits) in [(65_536, true), (65_537, false)] {
        let fill = |json: &mut Value| {
            json["content"]["body"] = "".into();
            let length = size - json.to_string().len();
            json["content"]["body"] = "x".repeat(length).into();
        };
        check(fill, |_| fits);
    }
}

#[test]
fn numbers_are_integers_that_all_can_hold() {
    let number = |number: Value| move |json: &mut Value| json["content"]["n"] = number.clone();
    check(number(9_007_199_254_740_991_i64.into()), always);
    check(number((-9_007_199_254_740_991_i64).into()), always);
    check(number(9_007_199_254_740_992_i64.into()), never);
    check(number(0.5.into()), never);
    check(|json| json["depth"] = (-1).into(), never);
    check(|json| json["depth"] = 0.into(), always);
}

#[test]
fn the_canonical_form_is_sorted_and_dense() {
    let rules = rules("11");
    let text = r#"{ "type": "T", "sender": "@a:x", "room_id": "!r:x", "prev_events": [],
        "origin_server_ts": 1, "depth": 1, "content": {"b": "\u00e9", "a": 1}, "auth_events": [],
        "unsigned": {"age": 1} }"#;
    let event = Pdu::parse(text, &rules).unwrap();
    let expected = concat!(
        r#"{"auth_events":[],"content":{"a":1,"b":"é"},"depth":1,"origin_server_ts":1,"#,
        r#""prev_events":[],"room_id":"!r:x","sender":"@a:x","type":"T"}"#,
    );
    assert_eq!(event.json().get(), expected);
}

#[test]
fn ids_are_the_hashes_that_ruma_computes() {
    for version in VERSIONS.into_iter().filter(|version| !cites_hashes(version)) {
        let (rules, json) = message(version);
        let event = Pdu::parse(&json.to_string(), &rules).unwrap();
        let hash = reference_hash(&event.to_object().unwrap(), &rules).unwrap();
        assert_eq!(event.event_id().as_str(), format!("${hash}"));
    }
}

#[test]
fn in_version_12_the_room_is_its_create_event() {
    let room = Room::new("12", "public");
    let mut json: Value = serde_json::from_str(room.events[0].json().get()).unwrap();
    assert!(json.get("room_id").is_none());
    let create = Pdu::parse(&json.to_string(), &room.rules).unwrap();
    assert_eq!(create.room_id().as_str()[1..], create.event_id().as_str()[1..]);
    assert_eq!(Event::room_id(&create), None);
    json["room_id"] = "!other".into();
    let named = Pdu::parse(&json.to_string(), &room.rules).unwrap();
    assert_eq!(Event::room_id(&named).map(RoomId::as_str), Some("!other"));
}

#[test]
fn in_version_12_nobody_cites_the_create_event() {
    let room = Room::new("12", "public");
    let mut json: Value = serde_json::from_str(room.events[1].json().get()).unwrap();
    json["auth_events"] = json!([room.events[0].event_id()]);
    let refused = Pdu::parse(&json.to_string(), &room.rules).unwrap_err();
    assert_eq!(refused, bad("auth_events", "must not name the create event"));
}

#[test]
fn only_redactions_redact() {
    let target = |json: &mut Value| {
        json["redacts"] = "$target".into();
        json["content"]["redacts"] = "$target".into();
    };
    for version in VERSIONS {
        let (rules, mut json) = message(version);
        target(&mut json);
        let event = Pdu::parse(&json.to_string(), &rules).unwrap();
        assert_eq!(event.redacts(), None);
        json["type"] = TimelineEventType::RoomRedaction.to_string().into();
        let event = Pdu::parse(&json.to_string(), &rules).unwrap();
        assert_eq!(event.redacts().unwrap().as_str(), "$target");
    }
}

#[test]
fn a_redaction_of_nonsense_redacts_nothing() {
    for version in VERSIONS {
        let mut room = Room::new(version, "public");
        let target = room.say(text("@a:x", "hi"));
        let redaction = room.say(redaction("@a:x", &target));
        let mut json: Value = serde_json::from_str(redaction.json().get()).unwrap();
        for nonsense in [json!(5), json!("no id"), json!(["$e"])] {
            json["redacts"] = nonsense.clone();
            json["content"]["redacts"] = nonsense;
            let event = Pdu::parse(&json.to_string(), &room.rules).unwrap();
            assert_eq!(event.redacts(), None, "room version {version}");
        }
    }
}

#[test]
fn rejection_is_a_mark_on_an_event_that_stays_the_same() {
    let mut room = Room::new("11", "public");
    let event = room.say(text("@a:x", "hi"));
    let rejected = event.clone().with_rejected(true);
    assert!(rejected.rejected() && !event.rejected());
    assert_eq!(rejected, event);
}
