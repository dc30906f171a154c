use serde_json::json;

use super::*;
use crate::testing::{Room, VERSIONS, draft, rules, user};

fn upgrade(old: &Room, version: &str) -> Upgrade {
    Upgrade {
        old: old.id.clone().unwrap(),
        last: old.tips.first().cloned(),
        by: user("@a:x"),
        version: version.try_into().unwrap(),
        additional_creators: vec![],
    }
}

fn create_of(room: &Room) -> Pdu {
    room.events[0].clone()
}

fn state_of(room: &Room) -> Vec<Pdu> {
    room.state.values().cloned().collect()
}

/// The room that replaces `old`, with all that is carried over.
#[track_caller]
fn replace(old: &Room, upgrade: &Upgrade) -> Room {
    let mut new = Room::empty(upgrade.version.as_str());
    let create = new.say(replacement_create(upgrade, &create_of(old)).unwrap());
    let carried = Carried {
        old_rules: &old.rules,
        old_create: &create_of(old),
        state: &state_of(old),
        create: &create,
        rules: &rules(upgrade.version.as_str()),
        profile: JsonObject::new(),
    };
    let Replacement { drafts, power_levels } = carried.replacement();
    drafts.into_iter().chain(power_levels).for_each(|draft| drop(new.say(draft)));
    new
}

fn content(room: &Room, kind: &str, key: &str) -> Value {
    let event = room.state.get(&(kind.into(), key.to_owned()));
    event.map_or(Value::Null, |event| event.content_as().unwrap())
}

fn put(room: &mut Room, kind: &str, key: &str, content: Value) {
    room.say(draft("@a:x", kind, Some(key), content));
}

#[test]
fn every_version_replaces_every_version() {
    for from in VERSIONS {
        for to in VERSIONS {
            let mut old = Room::new(from, "public");
            old.power(json!({ "@b:x": 50 }));
            put(&mut old, "m.room.name", "", json!({ "name": "Pub" }));
            let new = replace(&old, &upgrade(&old, to));
            let predecessor = content(&new, "m.room.create", "")["predecessor"].clone();
            assert_eq!(predecessor["room_id"], old.id.clone().unwrap().as_str(), "{from} {to}");
            assert_eq!(predecessor["event_id"].is_string(), to != "12", "{from} {to}");
            assert_eq!(content(&new, "m.room.name", ""), json!({ "name": "Pub" }), "{from} {to}");
            let users = content(&new, "m.room.power_levels", "")["users"].clone();
            assert_eq!(users["@b:x"], 50, "{from} {to}");
            let own = if to == "12" { Value::Null } else { json!(100) };
            assert_eq!(users["@a:x"], own, "{from} {to}");
        }
    }
}

#[test]
fn what_the_specification_names_is_carried_and_what_belongs_to_somebody_is_not() {
    let mut old = Room::new("11", "knock");
    let told = [
        ("m.room.server_acl", json!({ "allow": ["*"] })),
        ("m.room.encryption", json!({ "algorithm": "a" })),
        ("m.room.name", json!({ "name": "n" })),
        ("m.room.avatar", json!({ "url": "mxc://x/1" })),
        ("m.room.topic", json!({ "topic": "t" })),
        ("m.room.guest_access", json!({ "guest_access": "can_join" })),
        ("m.room.history_visibility", json!({ "history_visibility": "world_readable" })),
    ];
    for (kind, content) in &told {
        put(&mut old, kind, "", content.clone());
    }
    put(&mut old, "m.space.child", "!c:x", json!({ "via": ["x"] }));
    put(&mut old, "m.space.child", "!gone:x", json!({}));
    put(&mut old, "m.policy.rule.user", "rule", json!({ "entity": "@*:y" }));
    put(&mut old, "m.policy.rule.user", "@a:x", json!({ "entity": "@*:z" }));
    put(&mut old, "org.example.widget", "", json!({ "mine": true }));
    put(&mut old, "m.room.pinned_events", "", json!({ "pinned": ["$e"] }));
    old.say(crate::testing::member("@a:x", "@b:x", "invite"));
    let new = replace(&old, &upgrade(&old, "12"));
    for (kind, expected) in &told {
        assert_eq!(content(&new, kind, ""), *expected, "{kind}");
    }
    assert_eq!(content(&new, "m.room.join_rules", ""), json!({ "join_rule": "knock" }));
    assert_eq!(content(&new, "m.space.child", "!c:x"), json!({ "via": ["x"] }));
    assert_eq!(content(&new, "m.policy.rule.user", "rule"), json!({ "entity": "@*:y" }));
    for (kind, key) in [
        ("m.space.child", "!gone:x"),
        ("m.policy.rule.user", "@a:x"),
        ("org.example.widget", ""),
        ("m.room.pinned_events", ""),
        ("m.room.member", "@b:x"),
    ] {
        assert_eq!(content(&new, kind, key), Value::Null, "{kind} {key}");
    }
}

#[test]
fn a_room_that_says_nothing_is_replaced_by_one_that_says_what_this_means() {
    let old = Room::new("1", "public");
    let new = replace(&old, &upgrade(&old, "11"));
    let shared = json!({ "history_visibility": "shared" });
    assert_eq!(content(&new, "m.room.history_visibility", ""), shared);
    assert_eq!(content(&new, "m.room.guest_access", ""), json!({ "guest_access": "forbidden" }));
    assert_eq!(content(&new, "m.room.power_levels", "")["users"], json!({ "@a:x": 100 }));
}

#[test]
fn the_type_and_whether_a_room_federates_stay_and_creators_are_named_anew() {
    let mut old = Room::empty("12");
    let create = json!({
        "room_version": "12", "type": "m.space", "m.federate": false,
        "additional_creators": ["@old:x"], "org.example": 1,
    });
    old.say(draft("@a:x", "m.room.create", Some(""), create));
    old.join("@a:x");
    let mut asked = upgrade(&old, "12");
    asked.additional_creators = vec![user("@c:x"), user("@a:x"), user("@c:x")];
    let created = content(&replace(&old, &asked), "m.room.create", "");
    assert_eq!(created["type"], "m.space");
    assert_eq!(created["m.federate"], false);
    assert_eq!(created["additional_creators"], json!(["@c:x"]));
    assert_eq!(created["org.example"], Value::Null);
    let asked = Upgrade { version: "11".try_into().unwrap(), ..asked };
    let created = content(&replace(&old, &asked), "m.room.create", "");
    assert_eq!(created["additional_creators"], Value::Null);
}

#[test]
fn creators_get_the_highest_level_where_they_are_no_longer_above_all() {
    let mut old = Room::empty("12");
    let create = json!({ "room_version": "12", "additional_creators": ["@c:x"] });
    old.say(draft("@a:x", "m.room.create", Some(""), create));
    old.join("@a:x");
    old.power(json!({ "@b:x": 120 }));
    let new = replace(&old, &upgrade(&old, "10"));
    let users = content(&new, "m.room.power_levels", "")["users"].clone();
    assert_eq!(users, json!({ "@a:x": 120, "@b:x": 120, "@c:x": 120 }));
}

#[test]
fn those_who_become_creators_are_no_longer_named_in_the_levels() {
    let mut old = Room::new("11", "public");
    old.power(json!({ "@b:x": 100, "@c:x": 50 }));
    let mut asked = upgrade(&old, "12");
    asked.additional_creators = vec![user("@b:x")];
    let levels = content(&replace(&old, &asked), "m.room.power_levels", "");
    assert_eq!(levels["users"], json!({ "@c:x": 50 }));
    assert_eq!(levels["events"]["m.room.tombstone"], 150);
}

#[test]
fn whoever_upgrades_with_little_power_ends_with_as_little() {
    let mut old = Room::new("11", "public");
    let levels = json!({
        "users": { "@a:x": 60 }, "ban": 90,
        "events": { "m.room.tombstone": 10, "m.room.encryption": 60 },
    });
    put(&mut old, "m.room.encryption", "", json!({ "algorithm": "a" }));
    put(&mut old, "m.room.power_levels", "", levels.clone());
    let new = replace(&old, &upgrade(&old, "11"));
    assert_eq!(content(&new, "m.room.power_levels", ""), levels);
    assert_eq!(content(&new, "m.room.encryption", ""), json!({ "algorithm": "a" }));
}

#[test]
fn levels_that_are_written_as_strings_become_numbers() {
    let mut old = Room::new("1", "public");
    // Nobody writes such levels here any more.
    let levels = json!({ "users": { "@a:x": "100", "@b:x": " 7 ", "@c:x": "many" }, "ban": "50" });
    let forged = old.forge(&draft("@a:x", "m.room.power_levels", Some(""), levels));
    old.take(forged);
    let levels = content(&replace(&old, &upgrade(&old, "11")), "m.room.power_levels", "");
    assert_eq!(levels, json!({ "users": { "@a:x": 100, "@b:x": 7 }, "ban": 50 }));
}

#[test]
fn join_rules_that_a_version_does_not_know_become_the_nearest_it_does() {
    let allow = json!([{ "type": "m.room_membership", "room_id": "!s:x" }]);
    for (rule, version, expected) in [
        ("knock_restricted", "12", "knock_restricted"),
        ("knock_restricted", "9", "restricted"),
        ("knock_restricted", "7", "knock"),
        ("knock_restricted", "1", "invite"),
        ("restricted", "8", "restricted"),
        ("restricted", "7", "invite"),
        ("knock", "7", "knock"),
        ("knock", "6", "invite"),
        ("public", "1", "public"),
    ] {
        let mut old = Room::new("12", "public");
        put(&mut old, "m.room.join_rules", "", json!({ "join_rule": rule, "allow": allow }));
        let rules = content(&replace(&old, &upgrade(&old, version)), "m.room.join_rules", "");
        assert_eq!(rules, json!({ "join_rule": expected, "allow": allow }), "{rule} in {version}");
    }
}

/// What an old room of these levels ends with.
#[track_caller]
fn check_quiet(levels: Value, expected: Option<Value>) {
    let mut old = Room::new("11", "public");
    put(&mut old, "m.room.power_levels", "", levels);
    let levels = old.state.get(&(StateEventType::RoomPowerLevels, String::new()));
    let drafts = ending(&user("@a:x"), ruma::room_id!("!new:x"), levels);
    let said: Value = serde_json::from_str(drafts[0].content.get()).unwrap();
    assert_eq!(said["replacement_room"], "!new:x");
    let quiet = drafts.get(1).map(|draft| serde_json::from_str(draft.content.get()).unwrap());
    assert_eq!(quiet, expected);
}

#[test]
fn only_moderators_speak_and_invite_in_a_room_that_was_replaced() {
    let users = json!({ "@a:x": 100 });
    check_quiet(
        json!({ "users": users }),
        Some(json!({ "users": users, "events_default": 50, "invite": 50 })),
    );
    check_quiet(
        json!({ "users": users, "users_default": 60, "invite": 70 }),
        Some(json!({ "users": users, "users_default": 60, "invite": 70, "events_default": 61 })),
    );
    check_quiet(json!({ "users": users, "events_default": 50, "invite": 50 }), None);
}

#[test]
fn a_room_without_levels_ends_with_a_tombstone_alone() {
    let drafts = ending(&user("@a:x"), ruma::room_id!("!new:x"), None);
    assert_eq!(drafts.len(), 1);
}

#[test]
fn of_the_aliases_those_stay_that_are_to_stay() {
    let check = |content: Value, expected: Option<Value>| {
        let left = canonical_alias_of(&raw(&content), |alias| alias.server_name() == "x");
        let left = left.map(|left| serde_json::from_str::<Value>(left.get()).unwrap());
        assert_eq!(left, expected, "{content}");
    };
    check(json!({ "alias": "#a:x" }), Some(json!({ "alias": "#a:x" })));
    check(
        json!({ "alias": "#a:y", "alt_aliases": ["#b:y", "#c:x", 7, "no"] }),
        Some(json!({ "alt_aliases": ["#c:x"] })),
    );
    check(json!({ "alias": "#a:y" }), None);
    check(json!({ "alias": 7, "alt_aliases": "#c:x" }), None);
    check(json!([]), None);
}

#[test]
fn rooms_that_point_at_each_other_are_read_and_nonsense_is_not() {
    let mut old = Room::new("11", "public");
    let tombstone =
        old.say(draft("@a:x", "m.room.tombstone", Some(""), json!({ "replacement_room": "!n:x" })));
    assert_eq!(replaced_by(&tombstone).unwrap(), "!n:x");
    let new = replace(&old, &upgrade(&old, "11"));
    assert_eq!(predecessor(&create_of(&new)), old.id);
    assert_eq!(predecessor(&create_of(&old)), None);
    for nonsense in
        [json!({}), json!({ "replacement_room": 7 }), json!({ "replacement_room": "x" })]
    {
        let tombstone = old.say(draft("@a:x", "m.room.tombstone", Some(""), nonsense));
        assert_eq!(replaced_by(&tombstone), None);
    }
}

#[test]
fn an_unknown_version_is_none_to_upgrade_to() {
    let old = Room::new("11", "public");
    replacement_create(&upgrade(&old, "org.example.99"), &create_of(&old)).unwrap_err();
}
