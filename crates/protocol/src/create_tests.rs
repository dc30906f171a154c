use ruma::events::TimelineEventType;

use super::*;
use crate::{
    Pdu,
    testing::{Room, VERSIONS, user},
};

fn wishes(version: &str) -> NewRoom {
    NewRoom::new(user("@a:x"), version.try_into().unwrap())
}

/// Creates the room and appends all its events.
#[track_caller]
fn build(wishes: &NewRoom) -> Room {
    let mut room = Room::empty(wishes.version.as_str());
    for draft in create(wishes).unwrap() {
        room.say(draft);
    }
    room
}

fn object(value: Value) -> JsonObject {
    value.as_object().unwrap().clone()
}

fn content(room: &Room, kind: &str, key: &str) -> Value {
    let slot = (kind.into(), key.to_owned());
    let event = room.state.get(&slot);
    event.map_or(Value::Null, |event| event.content_as().unwrap())
}

fn initial(kind: &str, value: Value) -> InitialState {
    InitialState {
        kind: kind.into(),
        state_key: String::new(),
        content: to_raw_value(&value).unwrap(),
    }
}

/// Every version accepts the events, and the content of one of them is as expected.
#[track_caller]
fn check(change: impl Fn(&mut NewRoom), kind: &str, expected: &Value) {
    for version in VERSIONS {
        let mut wishes = wishes(version);
        change(&mut wishes);
        assert_eq!(content(&build(&wishes), kind, ""), *expected, "{version}");
    }
}

#[test]
fn events_come_in_the_order_of_the_specification() {
    let mut wishes = wishes("12");
    wishes.alias = Some("#pub:x".try_into().unwrap());
    wishes.initial_state = vec![initial("m.room.encryption", json!({"algorithm": "a"}))];
    wishes.name = Some("Pub".to_owned());
    wishes.topic = Some("Beer".to_owned());
    wishes.invite = vec![user("@b:x")];
    let kinds: Vec<_> = build(&wishes).events.iter().map(|e| e.kind().to_string()).collect();
    let expected = [
        "create",
        "member",
        "power_levels",
        "canonical_alias",
        "join_rules",
        "history_visibility",
        "guest_access",
        "encryption",
        "name",
        "topic",
        "member",
    ];
    assert_eq!(kinds, expected.map(|kind| format!("m.room.{kind}")));
}

#[test]
fn presets_decide_who_may_join() {
    let preset = |preset| move |room: &mut NewRoom| room.preset = preset;
    for (name, rule, guests) in [
        (Preset::PrivateChat, "invite", "can_join"),
        (Preset::TrustedPrivateChat, "invite", "can_join"),
        (Preset::PublicChat, "public", "forbidden"),
    ] {
        check(preset(name), "m.room.join_rules", &json!({ "join_rule": rule }));
        check(preset(name), "m.room.guest_access", &json!({ "guest_access": guests }));
        let shared = json!({"history_visibility": "shared"});
        check(preset(name), "m.room.history_visibility", &shared);
    }
}

#[test]
fn initial_state_wins_over_the_preset_and_is_said_once() {
    let knock = json!({"join_rule": "public"});
    let rule = knock.clone();
    let change = move |room: &mut NewRoom| {
        room.initial_state = vec![initial("m.room.join_rules", rule.clone())];
    };
    check(&change, "m.room.join_rules", &knock);
    let mut wishes = wishes("11");
    change(&mut wishes);
    let drafts = create(&wishes).unwrap();
    let rules = drafts.iter().filter(|draft| draft.kind == TimelineEventType::RoomJoinRules);
    assert_eq!(rules.count(), 1);
}

#[test]
fn name_and_topic_win_over_initial_state() {
    let change = |room: &mut NewRoom| {
        room.initial_state = vec![
            initial("m.room.name", json!({"name": "old"})),
            initial("m.room.topic", json!({"topic": "old"})),
        ];
        room.name = Some("new".to_owned());
        room.topic = Some("new".to_owned());
    };
    check(change, "m.room.name", &json!({"name": "new"}));
    let text = json!([{"body": "new", "mimetype": "text/plain"}]);
    let topic = json!({"topic": "new", "m.topic": {"m.text": text}});
    check(change, "m.room.topic", &topic);
}

#[test]
fn the_create_event_names_the_creator_where_its_version_wants_it() {
    for version in VERSIONS {
        let mut wishes = wishes(version);
        wishes.creation_content = object(json!({
            "creator": "@evil:x", "room_version": "77", "type": "m.space",
        }));
        let content = content(&build(&wishes), "m.room.create", "");
        let named = (!["11", "12"].contains(&version)).then_some("@a:x");
        assert_eq!(content.get("creator").and_then(Value::as_str), named);
        assert_eq!(content["room_version"], version);
        assert_eq!(content["type"], "m.space");
    }
}

#[test]
fn the_creator_has_a_hundred_or_stands_above_all_levels() {
    for version in VERSIONS {
        let levels = content(&build(&wishes(version)), "m.room.power_levels", "");
        let users = if version == "12" { json!({}) } else { json!({"@a:x": 100}) };
        assert_eq!(levels["users"], users, "room version {version}");
        let tombstone = if version == "12" { 150 } else { 100 };
        assert_eq!(levels["events"]["m.room.tombstone"], tombstone);
    }
}

#[test]
fn in_a_trusted_chat_those_invited_have_the_creators_power() {
    for version in VERSIONS {
        let mut wishes = wishes(version);
        wishes.preset = Preset::TrustedPrivateChat;
        wishes.invite = vec![user("@b:x"), user("@c:x")];
        wishes.creation_content = object(json!({"additional_creators": ["@c:x"]}));
        let room = build(&wishes);
        let levels = content(&room, "m.room.power_levels", "");
        let creators = &content(&room, "m.room.create", "")["additional_creators"];
        if version == "12" {
            assert_eq!(levels["users"], json!({}));
            assert_eq!(*creators, json!(["@c:x", "@b:x"]));
        } else {
            assert_eq!(levels["users"], json!({"@a:x": 100, "@b:x": 100, "@c:x": 100}));
        }
    }
}

#[test]
fn wished_power_levels_replace_the_defaults_key_by_key() {
    for version in VERSIONS {
        let mut wishes = wishes(version);
        wishes.power_levels = object(json!({"invite": 30, "events": {"m.room.name": 0}}));
        let levels = content(&build(&wishes), "m.room.power_levels", "");
        assert_eq!(levels["invite"], 30);
        assert_eq!(levels["ban"], 50);
        let mut events = json!({"m.room.name": 0});
        if version == "12" {
            events["m.room.tombstone"] = 150.into();
        }
        assert_eq!(levels["events"], events, "room version {version}");
    }
}

#[test]
fn a_tombstone_takes_more_than_any_state() {
    let mut wishes = wishes("12");
    wishes.power_levels = object(json!({"state_default": 900}));
    let levels = content(&build(&wishes), "m.room.power_levels", "");
    assert_eq!(levels["events"]["m.room.tombstone"], 901);
}

#[test]
fn a_tombstone_takes_what_the_creator_wishes() {
    for level in [0, 100, 7_000] {
        let mut wishes = wishes("12");
        wishes.power_levels = object(json!({"events": {"m.room.tombstone": level}}));
        let levels = content(&build(&wishes), "m.room.power_levels", "");
        assert_eq!(levels["events"], json!({"m.room.tombstone": level}));
    }
}

#[test]
fn initial_power_levels_replace_the_defaults_wholly() {
    let mut wishes = wishes("11");
    let levels = json!({"users": {"@a:x": 100}, "kick": 7});
    wishes.initial_state = vec![initial("m.room.power_levels", levels.clone())];
    let room = build(&wishes);
    assert_eq!(content(&room, "m.room.power_levels", ""), levels);
    let is_levels = |event: &&Pdu| event.kind() == &TimelineEventType::RoomPowerLevels;
    assert_eq!(room.events.iter().filter(is_levels).count(), 1);
}

#[test]
fn invitations_say_that_the_chat_is_direct() {
    let mut wishes = wishes("11");
    wishes.invite = vec![user("@b:x")];
    wishes.is_direct = true;
    let room = build(&wishes);
    let expected = json!({"membership": "invite", "is_direct": true});
    assert_eq!(content(&room, "m.room.member", "@b:x"), expected);
}

#[test]
fn the_creator_brings_a_profile() {
    let mut wishes = wishes("11");
    wishes.creator_profile = object(json!({"displayname": "Alice"}));
    let expected = json!({"membership": "join", "displayname": "Alice"});
    assert_eq!(content(&build(&wishes), "m.room.member", "@a:x"), expected);
}

#[test]
fn wishes_that_contradict_each_other_are_refused_by_the_room() {
    let mut wishes = wishes("12");
    wishes.power_levels = object(json!({"users": {"@a:x": 100}}));
    let mut room = Room::empty("12");
    let results = create(&wishes).unwrap().into_iter().map(|draft| room.try_say(draft));
    assert!(results.take(3).any(|result| result.is_err()));
}

#[test]
fn an_unknown_version_is_refused_by_name() {
    let refused = create(&wishes("77")).unwrap_err();
    assert_eq!(refused.to_string(), "room version 77 is not known");
}

#[test]
fn an_invitation_shows_whom_it_invites() {
    let mut wishes = wishes("12");
    wishes.invite = vec![user("@b:x"), user("@c:x")];
    let profile = object(json!({"displayname": "Bob", "membership": "join"}));
    wishes.guest_profiles.insert(user("@b:x"), profile);
    let drafts = create(&wishes).unwrap();
    let said = drafts.iter().rev().take(2).map(|draft| draft.content.get());
    let bobs = r#"{"displayname":"Bob","membership":"invite"}"#;
    assert_eq!(said.collect::<Vec<_>>(), [r#"{"membership":"invite"}"#, bobs]);
}
