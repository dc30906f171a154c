use serde_json::{Value, json};

use super::*;
use crate::{
    append::hash_and_sign,
    testing::{Room, VERSIONS, draft, member, rules, signer, tell_key, text},
};

/// A message of @b:y as the network brings it.
fn message(version: &str) -> (Room, Value) {
    let mut room = Room::new(version, "public");
    room.join("@b:y");
    let event = room.say(text("@b:y", "hello"));
    (room, serde_json::from_str(event.json().get()).unwrap())
}

/// What becomes of the message after `change`, in all versions, with the key of y known.
#[track_caller]
fn check(change: impl Fn(&mut Value), expected: impl Fn(&Result<Verified, Dropped>) -> bool) {
    let mut known = Known::default();
    tell_key(&mut known, "y", 1_000_000);
    for version in VERSIONS {
        let (room, mut json) = message(version);
        change(&mut json);
        let result = verify(&json.to_string(), &room.rules, &known).unwrap();
        assert!(expected(&result), "room version {version}: {result:?}");
    }
}

fn unsigned(result: &Result<Verified, Dropped>) -> bool {
    matches!(result, Err(Dropped::Unsigned(_)))
}

fn malformed(result: &Result<Verified, Dropped>) -> bool {
    matches!(result, Err(Dropped::Malformed(_)))
}

#[test]
fn what_is_as_it_was_signed_is_taken() {
    check(|_| {}, |result| result.as_ref().unwrap().pdu().content().get().contains("hello"));
}

#[test]
fn what_servers_add_on_the_way_is_left_out() {
    let added = |json: &mut Value| json["unsigned"] = json!({"age": 5});
    check(added, |result| !result.as_ref().unwrap().pdu().json().get().contains("unsigned"));
}

#[test]
fn a_changed_content_is_redacted() {
    let change = |json: &mut Value| json["content"]["body"] = "changed".into();
    check(change, |result| result.as_ref().unwrap().pdu().content().get() == "{}");
}

#[test]
fn a_redacted_event_keeps_its_id() {
    for version in VERSIONS {
        let (room, mut json) = message(version);
        let mut known = Known::default();
        tell_key(&mut known, "y", 1_000_000);
        json["content"]["body"] = "changed".into();
        let verified = verify(&json.to_string(), &room.rules, &known).unwrap().unwrap();
        let original = room.events.last().unwrap();
        assert_eq!(verified.into_pdu().event_id(), original.event_id());
    }
}

#[test]
fn a_changed_sender_breaks_the_signature() {
    check(|json| json["sender"] = "@c:y".into(), unsigned);
    check(|json| json["depth"] = 77.into(), unsigned);
}

#[test]
fn without_a_signature_it_is_dropped() {
    check(|json| json["signatures"] = json!({}), unsigned);
    check(|json| json["signatures"]["y"] = json!({}), unsigned);
    check(|json| json["signatures"] = 5.into(), unsigned);
    check(|json| json["signatures"]["y"] = json!({"ed25519:1": "nonsense"}), unsigned);
}

#[test]
fn what_is_no_event_is_dropped() {
    check(|json| json["type"] = 5.into(), malformed);
    check(|json| json["content"] = "x".into(), malformed);
    check(|json| json["content"]["n"] = 0.5.into(), malformed);
    check(|json| json["content"]["n"] = 9_007_199_254_740_993_u64.into(), malformed);
    check(|json| json["depth"] = (-1).into(), malformed);
    check(|json| json["sender"] = "b".into(), malformed);
    check(|json| json["room_id"] = "r".into(), malformed);
    check(|json| json["prev_events"] = "$e".into(), malformed);
    check(|json| json["prev_events"] = vec!["$e"; 21].into(), malformed);
    check(|json| json["auth_events"] = vec!["$e"; 11].into(), malformed);
    check(|json| json["auth_events"] = json!([5]), malformed);
    check(|json| json["state_key"] = "k".repeat(256).into(), malformed);
    check(|json| json["unsigned"] = "u".repeat(66_000).into(), malformed);
    check(|json| *json = json!([]), malformed);
}

#[test]
fn nesting_is_bounded() {
    let deep = format!("{}{}", "[".repeat(60_000), "]".repeat(60_000));
    let result = verify(&deep, &rules("11"), &Known::default()).unwrap();
    assert!(malformed(&result));
}

#[test]
fn a_key_is_asked_for_once() {
    let (room, json) = message("11");
    let mut known = Known::default();
    let needs = verify(&json.to_string(), &room.rules, &known).unwrap_err();
    let wanted = ("y".try_into().unwrap(), "ed25519:1".to_owned());
    assert_eq!(needs.keys, [wanted].into());
    known.tell_key("y".try_into().unwrap(), "ed25519:1".to_owned(), None);
    let result = verify(&json.to_string(), &room.rules, &known).unwrap();
    assert!(unsigned(&result));
}

#[test]
fn since_version_5_a_key_must_have_been_valid_then() {
    for version in VERSIONS {
        let (room, json) = message(version);
        let sent = room.events.last().unwrap().origin_server_ts().0;
        let sent = u32::try_from(u64::from(sent)).unwrap();
        let mut known = Known::default();
        tell_key(&mut known, "y", sent);
        assert!(verify(&json.to_string(), &room.rules, &known).unwrap().is_ok());
        tell_key(&mut known, "y", sent - 1);
        let late = verify(&json.to_string(), &room.rules, &known).unwrap();
        let old = ["1", "2", "3", "4"].contains(&version);
        assert_eq!(late.is_ok(), old, "room version {version}");
    }
}

#[test]
fn since_version_8_the_server_that_lets_somebody_in_signs_too() {
    for version in VERSIONS {
        let room = Room::new(version, "public");
        let mut join = member("@b:y", "@b:y", "join");
        let content = json!({"membership": "join", "join_authorised_via_users_server": "@a:x"});
        join.content = serde_json::value::to_raw_value(&content).unwrap();
        let event = room.forge(&join);
        let mut known = Known::default();
        tell_key(&mut known, "y", 1_000_000);
        tell_key(&mut known, "x", 1_000_000);
        let alone = verify(event.json().get(), &room.rules, &known).unwrap();
        let one_suffices = version.parse::<u32>().unwrap() < 8;
        assert_eq!(alone.is_ok(), one_suffices, "room version {version}");
        let mut object = event.to_object().unwrap();
        hash_and_sign(&mut object, &room.rules, &signer("x")).unwrap();
        let both = serde_json::to_string(&object).unwrap();
        assert!(verify(&both, &room.rules, &known).unwrap().is_ok());
    }
}

#[test]
fn only_a_membership_lets_somebody_in() {
    for version in VERSIONS {
        let mut room = Room::new(version, "public");
        room.join("@b:y");
        for authority in [json!("@a:x"), json!(5)] {
            let content = json!({ "join_authorised_via_users_server": authority });
            let event = room.say(draft("@b:y", "m.test", None, content));
            let mut known = Known::default();
            tell_key(&mut known, "y", 1_000_000);
            let verified = verify(event.json().get(), &room.rules, &known);
            assert!(verified.unwrap().is_ok(), "room version {version}");
        }
    }
}

#[test]
fn in_the_oldest_rooms_the_server_in_the_event_id_signs_too() {
    let (room, mut json) = message("1");
    json["event_id"] = "$other:z".into();
    let mut known = Known::default();
    tell_key(&mut known, "y", 1_000_000);
    assert!(unsigned(&verify(&json.to_string(), &room.rules, &known).unwrap()));
}

#[test]
fn own_events_are_trusted() {
    let event = Room::new("11", "public").say(draft("@a:x", "m.test", None, json!({})));
    let trusted = Verified::trusted(event.clone());
    assert_eq!(trusted.pdu(), &event);
}
