use serde_json::json;

use super::*;
use crate::{
    Power,
    testing::{Room, VERSIONS, draft, member, user},
};

/// The state that decides on `draft` in a room of @a:x.
fn state_for(room: &Room, draft: &Draft) -> AuthState {
    room.auth_state(draft)
}

/// A room of @a:x with these join rules, forged: old versions would not take them.
fn room(version: &str, join_rules: Value) -> Room {
    let mut room = Room::new(version, "public");
    let event = room.forge(&draft("@a:x", "m.room.join_rules", Some(""), join_rules));
    room.take(event);
    room
}

fn allow(rooms: &[&str]) -> Value {
    let condition = |room: &&str| json!({ "type": "m.room_membership", "room_id": room });
    rooms.iter().map(condition).collect()
}

fn rooms_for(room: &Room, draft: &Draft) -> Option<Vec<String>> {
    let restriction = restriction(&room.rules, draft, &state_for(room, draft))?;
    Some(restriction.rooms.iter().map(ToString::to_string).collect())
}

/// Which rooms one from outside has to be in, by room version; none where the room does not ask.
#[track_caller]
fn check(join_rules: &Value, from_version: usize, expected: &[&str]) {
    for (index, version) in VERSIONS.into_iter().enumerate() {
        let room = room(version, join_rules.clone());
        let rooms = rooms_for(&room, &member("@b:x", "@b:x", "join"));
        let expected = (index + 1 >= from_version)
            .then(|| expected.iter().map(|&room| room.to_owned()).collect());
        assert_eq!(rooms, expected, "room version {version}, {join_rules}");
    }
}

const NEVER: usize = 13;

#[test]
fn restricted_rooms_name_other_rooms() {
    let both = allow(&["!two:x", "!one:x", "!two:x"]);
    check(&json!({ "join_rule": "restricted", "allow": both }), 8, &["!one:x", "!two:x"]);
    check(&json!({ "join_rule": "knock_restricted", "allow": both }), 10, &["!one:x", "!two:x"]);
    for rule in ["public", "invite", "knock", "private", "org.example"] {
        check(&json!({ "join_rule": rule, "allow": both }), NEVER, &[]);
    }
    check(&json!({ "allow": both }), NEVER, &[]);
}

#[test]
fn conditions_that_cannot_be_read_let_nobody_in() {
    for allow in [
        json!(null),
        json!("!one:x"),
        json!({}),
        json!([]),
        json!([1, {}, "!one:x"]),
        json!([{ "type": "org.example", "room_id": "!one:x" }]),
        json!([{ "room_id": "!one:x" }]),
        json!([{ "type": "m.room_membership", "room_id": "one" }]),
        json!([{ "type": "m.room_membership" }]),
    ] {
        check(&json!({ "join_rule": "restricted", "allow": allow }), 8, &[]);
    }
    check(&json!({ "join_rule": "restricted" }), 8, &[]);
}

fn restricted(version: &str) -> Room {
    room(version, json!({ "join_rule": "restricted", "allow": allow(&["!one:x"]) }))
}

#[test]
fn only_joins_of_ones_own_from_outside_are_answered_for() {
    for version in ["8", "9", "10", "11", "12"] {
        let room = restricted(version);
        let asks = |draft: Draft| rooms_for(&room, &draft).is_some();
        assert!(asks(member("@b:x", "@b:x", "join")));
        assert!(!asks(member("@b:x", "@b:x", "knock")));
        assert!(!asks(member("@b:x", "@b:x", "leave")));
        assert!(!asks(member("@b:x", "@c:x", "join")));
        assert!(!asks(member("@a:x", "@b:x", "invite")));
        assert!(!asks(member("@a:x", "@a:x", "join")), "is in the room");
        assert!(!asks(draft("@b:x", "m.room.name", Some("@b:x"), json!({ "membership": "join" }))));
    }
}

#[test]
fn who_was_invited_needs_nobody_and_who_is_banned_gets_nobody() {
    for (membership, expected) in [("invite", false), ("ban", false), ("leave", true)] {
        let mut room = restricted("11");
        let event = room.forge(&member("@a:x", "@b:x", membership));
        room.take(event);
        let asked = rooms_for(&room, &member("@b:x", "@b:x", "join"));
        assert_eq!(asked.is_some(), expected, "{membership}");
    }
}

fn content(draft: &Draft) -> Value {
    serde_json::from_str(draft.content.get()).unwrap()
}

#[test]
fn who_answers_is_for_the_server_to_say() {
    let claim = json!({ "membership": "join", AUTHORISER: "@evil:y", "foo": "bar" });
    for version in VERSIONS {
        let rules = crate::testing::rules(version);
        let claimed = draft("@b:x", "m.room.member", Some("@b:x"), claim.clone());
        let left = content(&without_authoriser(&rules, claimed.clone()));
        let known = rules.authorization.restricted_join_rule;
        assert_eq!(left.get(AUTHORISER).is_none(), known, "room version {version}");
        assert_eq!(left["foo"], "bar");
        let filled = content(&with_authoriser(claimed, &user("@a:x")));
        assert_eq!((&filled[AUTHORISER], &filled["foo"]), (&json!("@a:x"), &json!("bar")));
        let message = draft("@b:x", "m.room.message", None, claim.clone());
        assert_eq!(content(&without_authoriser(&rules, message)), claim);
    }
}

#[test]
fn the_rules_take_a_join_with_an_authoriser() {
    for version in ["8", "9", "10", "11", "12"] {
        let mut room = restricted(version);
        let alone = member("@b:x", "@b:x", "join");
        assert!(room.try_say(alone.clone()).is_err(), "room version {version}");
        room.say(with_authoriser(alone, &user("@a:x")));
    }
}

/// Who may invite by the power levels, in the order in which they are asked.
#[track_caller]
fn check_inviters(version: &str, levels: Value, expected: &[&str], everyone: bool) {
    let room = Room::new(version, "public");
    let event = room.forge(&draft("@a:x", "m.room.power_levels", Some(""), levels.clone()));
    let power = Power::new(&room.rules, &room.events[0], Some(&event));
    let found: Vec<_> = power.inviters().iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{levels}");
    assert_eq!(power.everyone_may_invite(), everyone, "{levels}");
}

#[test]
fn the_most_powerful_are_asked_first() {
    let users = json!({ "@c:x": 60, "@b:x": 60, "@d:x": 100, "@e:x": 10 });
    let levels = json!({ "users": users, "invite": 50 });
    check_inviters("11", levels.clone(), &["@d:x", "@b:x", "@c:x"], false);
    check_inviters("12", levels, &["@a:x", "@d:x", "@b:x", "@c:x"], false);
    let levels = json!({ "users": { "@b:x": -1 } });
    check_inviters("11", levels.clone(), &["@a:x"], true);
    check_inviters("12", levels, &["@a:x"], true);
    check_inviters("11", json!({ "users_default": 50, "invite": 50 }), &["@a:x"], true);
    check_inviters("11", json!({ "invite": 50 }), &[], false);
}

#[test]
fn a_room_without_power_levels_has_its_creator() {
    for version in ["8", "12"] {
        let room = Room::new(version, "public");
        let power = Power::new(&room.rules, &room.events[0], None);
        assert_eq!(power.inviters(), [user("@a:x")], "room version {version}");
        assert!(power.everyone_may_invite());
    }
}
