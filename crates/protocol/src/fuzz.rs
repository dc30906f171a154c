//! Nothing that comes over the network makes this crate panic.

use proptest::prelude::*;
use ruma::RoomVersionId;
use serde_json::{Map, Value, json};

use crate::{
    Draft, Incoming, JsonObject, Known, NewRoom, Pdu, Power, Preset, Purpose, Rendered,
    RoomIdShown, Verified, acl_allows, admit, auth_slots, auth_slots_of, content_for_clients,
    create, may_redact, redact, resolve, stripped,
    testing::{Room, VERSIONS, rules, tell_key, user},
    verify,
    visibility::{Moment, can_see},
};

const KINDS: [&str; 10] = [
    "m.room.create",
    "m.room.member",
    "m.room.power_levels",
    "m.room.join_rules",
    "m.room.redaction",
    "m.room.history_visibility",
    "m.room.server_acl",
    "m.room.aliases",
    "m.room.third_party_invite",
    "m.room.message",
];

const FIELDS: [&str; 13] = [
    "type",
    "content",
    "sender",
    "room_id",
    "state_key",
    "prev_events",
    "auth_events",
    "depth",
    "redacts",
    "event_id",
    "hashes",
    "signatures",
    "origin_server_ts",
];

const WORDS: [&str; 37] = [
    "membership",
    "join",
    "invite",
    "leave",
    "ban",
    "knock",
    "users",
    "events",
    "ban",
    "kick",
    "join_rule",
    "restricted",
    "creator",
    "room_version",
    "12",
    "additional_creators",
    "redacts",
    "third_party_invite",
    "signed",
    "token",
    "mxid",
    "signatures",
    "m.federate",
    "join_authorised_via_users_server",
    "history_visibility",
    "allow",
    "deny",
    "@a:x",
    "@b:y",
    "!room:x",
    "$event",
    "x",
    "sha256",
    "ed25519:1",
    "public_key",
    "public_keys",
    "",
];

/// Keys and strings that the rules look for, and others.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(&WORDS[..]).prop_map(ToOwned::to_owned),
        1 => ".*",
        1 => "[@!$#][a-z:]{0,9}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-120..120_i32).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word(), inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Asks everything there is to ask about an event.
fn ask_all(room: &Room, event: &Pdu) {
    let rules = &room.rules;
    let redacted = redact(rules, event);
    assert_eq!(redacted.event_id(), event.event_id());
    for event in [event, &redacted] {
        let content = content_for_clients(event);
        let rendered = Rendered::new(event, content.as_deref(), RoomIdShown::Yes, None::<&Value>);
        serde_json::to_value(rendered).unwrap();
        stripped(event);
        let _slots = auth_slots_of(rules, event);
        let power = Power::new(rules, event, Some(event));
        power.may_notify_room(event.sender());
        power.may_send(event.sender(), event.kind(), event.state_key());
        may_redact(rules, event, event, &power);
        acl_allows(Some(event), event.sender().server_name());
        let moment = Moment::new(Some(event), Some(event));
        can_see(event, event.sender(), &moment, true);
    }
    judge(room, event);
    let mut forks = [room.clone(), room.clone()].map(|room| {
        let entries = room.state.iter();
        entries.map(|(slot, event)| (slot.clone(), event.event_id().clone())).collect()
    });
    let _: &mut [crate::StateIds; 2] = &mut forks;
    if let Some(slot) = event.slot() {
        forks[0].insert(slot.clone(), event.event_id().clone());
    }
    let mut known = room.known();
    known.found(event.clone());
    for id in event.auth_events() {
        known.absent(id.clone());
    }
    let _state = resolve(rules, &forks, &known);
}

/// Admits the event; whatever is asked for cannot be had, beyond the state of the room.
fn judge(room: &Room, event: &Pdu) {
    let purpose = Purpose::Timeline { sent_by: user("@b:y").server_name().to_owned() };
    let event = Verified::trusted(event.clone());
    let mut known = room.known();
    for _ in 0..20 {
        let incoming = Incoming { event: event.clone(), purpose: purpose.clone() };
        let Err(needs) = admit(&room.rules, &incoming, &known) else {
            return;
        };
        needs.events.into_iter().for_each(|id| known.absent(id));
        for (at, slots) in needs.state {
            for slot in slots {
                let event = room.state.get(&slot).cloned();
                known.tell_state(at.clone(), slot, event);
            }
        }
    }
    panic!("the questions do not end");
}

proptest! {
    #[test]
    fn any_text_is_an_event_or_is_refused(text in ".*", version in 0..12usize) {
        let rules = rules(VERSIONS[version]);
        let _event = Pdu::parse(&text, &rules);
        let _event = Pdu::load("$e".try_into().unwrap(), text.as_bytes(), &rules);
    }

    #[test]
    fn any_change_of_an_event_has_an_answer(
        version in 0..12usize, kind in 0..KINDS.len(), content in value(),
        field in 0..FIELDS.len(), other in value(), change_field in any::<bool>(),
    ) {
        let room = Room::new(VERSIONS[version], "public");
        let event = room.events.last().unwrap();
        let mut json: Value = serde_json::from_str(event.json().get()).unwrap();
        json["type"] = KINDS[kind].into();
        json["content"] = content;
        if change_field {
            json[FIELDS[field]] = other;
        }
        let text = json.to_string();
        let mut known = Known::default();
        tell_key(&mut known, "x", 1_000_000);
        let _verified = verify(&text, &room.rules, &known);
        if let Ok(event) = Pdu::parse(&text, &room.rules) {
            ask_all(&room, &event);
        }
    }

    #[test]
    fn any_content_of_a_user_has_an_answer(
        version in 0..12usize, kind in 0..KINDS.len(), content in value(), key in word(),
        has_key in any::<bool>(),
    ) {
        let mut room = Room::new(VERSIONS[version], "public");
        let draft = Draft {
            sender: user("@a:x"),
            kind: KINDS[kind].into(),
            state_key: has_key.then_some(key),
            content: serde_json::value::to_raw_value(&content).unwrap(),
            redacts: None,
        };
        let _slots = auth_slots(&room.rules, &draft);
        if let Ok(event) = room.try_say(draft) {
            ask_all(&room, &event);
        }
    }

    #[test]
    fn any_wish_for_a_room_has_an_answer(
        version in 0..12usize, creation in value(), levels in value(), trusted in any::<bool>(),
    ) {
        let object = |value: Value| value.as_object().cloned().unwrap_or_default();
        let mut wishes = NewRoom::new(user("@a:x"), RoomVersionId::try_from(VERSIONS[version]).unwrap());
        wishes.creation_content = object(creation);
        wishes.power_levels = object(levels);
        wishes.invite = vec![user("@b:y")];
        if trusted {
            wishes.preset = Preset::TrustedPrivateChat;
        }
        let mut room = Room::empty(VERSIONS[version]);
        for draft in create(&wishes).unwrap() {
            if room.try_say(draft).is_err() {
                break;
            }
        }
    }
}

#[test]
fn additional_creators_that_are_no_list_are_for_the_rules_to_refuse() {
    let mut wishes = NewRoom::new(user("@a:x"), RoomVersionId::V12);
    wishes.preset = Preset::TrustedPrivateChat;
    wishes.invite = vec![user("@b:y")];
    wishes.creation_content = JsonObject::from_iter([("additional_creators".to_owned(), json!(5))]);
    let first = create(&wishes).unwrap().remove(0);
    assert!(Room::empty("12").try_say(first).is_err());
}
