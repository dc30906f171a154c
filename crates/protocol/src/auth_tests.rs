use serde_json::{Value, json};

use super::*;
use crate::{
    AppendError,
    testing::{Room, VERSIONS, draft, member, text, user},
};

/// The versions in which the last of the drafts is allowed, after the others were; written as "8-12", "1-12" or "none".
#[track_caller]
fn check(join_rule: &str, drafts: &[Draft], expected: &str) {
    let allowed = |version: &&&str| {
        let mut room = Room::new(version, join_rule);
        let (last, first) = drafts.split_last().unwrap();
        for draft in first {
            if room.try_say(draft.clone()).is_err() {
                return false;
            }
        }
        match room.try_say(last.clone()) {
            Ok(_) => true,
            Err(AppendError::Rejected(_)) => false,
            Err(error) => panic!("{error}"),
        }
    };
    let versions: Vec<_> = VERSIONS.iter().filter(allowed).collect();
    let got = match (versions.first(), versions.last()) {
        (Some(first), Some(last)) => format!("{first}-{last}"),
        _ => "none".to_owned(),
    };
    assert_eq!(got, expected, "{versions:?}");
}

fn join_by(user: &str, authority: &str) -> Draft {
    let content = json!({"membership": "join", "join_authorised_via_users_server": authority});
    draft(user, "m.room.member", Some(user), content)
}

fn levels(by: &str, content: Value) -> Draft {
    draft(by, "m.room.power_levels", Some(""), content)
}

#[test]
fn whoever_wants_joins_a_public_room() {
    check("public", &[member("@b:x", "@b:x", "join")], "1-12");
    check("public", &[member("@b:x", "@c:x", "join")], "none");
    check("invite", &[member("@b:x", "@b:x", "join")], "none");
}

#[test]
fn knocking_came_with_version_7() {
    check("knock", &[member("@b:x", "@b:x", "knock")], "7-12");
    check("public", &[member("@b:x", "@b:x", "knock")], "none");
    check("knock_restricted", &[member("@b:x", "@b:x", "knock")], "10-12");
    let taken_back = [member("@b:x", "@b:x", "knock"), member("@b:x", "@b:x", "leave")];
    check("knock", &taken_back, "7-12");
    let let_in = [
        member("@b:x", "@b:x", "knock"),
        member("@a:x", "@b:x", "invite"),
        member("@b:x", "@b:x", "join"),
    ];
    check("knock", &let_in, "7-12");
}

#[test]
fn restricted_rooms_came_with_version_8() {
    check("restricted", &[join_by("@b:x", "@a:x")], "8-12");
    check("restricted", &[member("@b:x", "@b:x", "join")], "none");
    check("restricted", &[join_by("@b:x", "@stranger:x")], "none");
    check("knock_restricted", &[join_by("@b:x", "@a:x")], "10-12");
}

#[test]
fn kicking_takes_more_power_than_the_other_has() {
    let join = |user: &str| member(user, user, "join");
    let (b, c) = (join("@b:x"), join("@c:x"));
    check("public", &[b.clone(), c.clone(), member("@a:x", "@b:x", "leave")], "1-12");
    check("public", &[b.clone(), c.clone(), member("@b:x", "@c:x", "leave")], "none");
    check("public", &[b.clone(), member("@b:x", "@a:x", "leave")], "none");
    check("public", &[b, c, member("@b:x", "@c:x", "ban")], "none");
}

#[test]
fn nobody_writes_into_the_slots_of_others() {
    let slot = |by: &str, key: &str| draft(by, "m.test", Some(key), json!({}));
    check("public", &[slot("@a:x", "@b:x")], "none");
    check("public", &[slot("@a:x", "@a:x")], "1-12");
    check("public", &[slot("@a:x", "free")], "1-12");
}

/// The same for power levels that another server sends, which may be what this one would not send.
#[track_caller]
fn check_foreign_levels(content: &Value, expected: &[&str]) {
    let allowed = |version: &&&str| {
        let room = Room::new(version, "public");
        let event = room.forge(&levels("@a:x", content.clone()));
        let state: AuthState = room.state.values().cloned().collect();
        authorize(&room.rules, &event, &state, &room.known()) == Ok(Ok(()))
    };
    let versions: Vec<_> = VERSIONS.iter().filter(allowed).copied().collect();
    assert_eq!(versions, expected, "{content}");
}

#[test]
fn power_levels_are_integers_since_version_10() {
    check_foreign_levels(&json!({"ban": "50"}), &VERSIONS[..9]);
    check_foreign_levels(&json!({"ban": 50}), &VERSIONS);
    check_foreign_levels(&json!({"ban": {}}), &[]);
    check_foreign_levels(&json!({"users": {"nobody": 5}}), &[]);
}

#[test]
fn creators_have_no_level_since_version_12() {
    check("public", &[levels("@a:x", json!({"users": {"@a:x": 100}}))], "1-11");
    let powerless = levels("@a:x", json!({"users": {}}));
    let name = draft("@a:x", "m.room.name", Some(""), json!({"name": "n"}));
    check("public", &[powerless, name], "12-12");
}

#[test]
fn nobody_gives_more_power_than_they_have() {
    for version in VERSIONS {
        let mut room = Room::new(version, "public");
        room.join("@b:x");
        room.power(json!({"@b:x": 50}));
        let own = if version == "12" { json!({}) } else { json!({"@a:x": 100}) };
        let give = |b: i32, c: i32| {
            let mut users = own.clone();
            users["@b:x"] = b.into();
            users["@c:x"] = c.into();
            levels("@b:x", json!({"users": users, "redact": 50}))
        };
        assert!(room.clone().try_say(give(50, 51)).is_err(), "{version}");
        assert!(room.clone().try_say(give(60, 0)).is_err(), "{version}");
        assert!(room.clone().try_say(give(50, 50)).is_ok(), "{version}");
        assert!(room.clone().try_say(give(10, 0)).is_ok(), "{version}");
    }
}

#[test]
fn additional_creators_are_user_ids_since_version_12() {
    for (creators, allowed) in [
        (json!(["@b:x"]), true),
        (json!(["b"]), false),
        (json!("@b:x"), false),
        (json!([5]), false),
    ] {
        let content = json!({"room_version": "12", "additional_creators": creators});
        let result = Room::empty("12").try_say(draft("@a:x", "m.room.create", Some(""), content));
        assert_eq!(result.is_ok(), allowed, "{creators}");
    }
}

#[test]
fn a_room_has_one_beginning() {
    for version in VERSIONS {
        let mut room = Room::new(version, "public");
        let content = json!({"room_version": version, "creator": "@a:x"});
        let again = room.try_say(draft("@a:x", "m.room.create", Some(""), content));
        assert!(again.is_err(), "room version {version}");
    }
}

#[test]
fn a_room_that_does_not_federate_stays_with_its_server() {
    for version in VERSIONS {
        let mut room = Room::empty(version);
        let content = json!({"room_version": version, "creator": "@a:x", "m.federate": false});
        room.say(draft("@a:x", "m.room.create", Some(""), content));
        room.join("@a:x");
        room.say(draft("@a:x", "m.room.join_rules", Some(""), json!({"join_rule": "public"})));
        room.join("@b:x");
        assert!(room.try_say(member("@c:y", "@c:y", "join")).is_err(), "{version}");
    }
}

#[track_caller]
fn check_slots(draft: &Draft, expected: &[(&str, &str)]) {
    for version in VERSIONS {
        let rules = crate::testing::rules(version);
        let mut got = auth_slots(&rules, draft).unwrap();
        got.sort();
        let expected =
            expected.iter().map(|(kind, key)| (format!("m.room.{kind}").into(), (*key).to_owned()));
        let mut expected: Vec<Slot> = expected.collect();
        expected.sort();
        assert_eq!(got, expected, "room version {version}");
    }
}

#[test]
fn few_slots_decide_on_an_event() {
    let common = [("create", ""), ("power_levels", ""), ("member", "@a:x")];
    check_slots(&text("@a:x", "hi"), &common);
    let kick = [&common[..], &[("member", "@b:x")]].concat();
    check_slots(&member("@a:x", "@b:x", "leave"), &kick);
    let invite = [&kick[..], &[("join_rules", "")]].concat();
    check_slots(&member("@a:x", "@b:x", "invite"), &invite);
    let join = [&common[..], &[("join_rules", "")]].concat();
    check_slots(&member("@a:x", "@a:x", "join"), &join);
    check_slots(&draft("@a:x", "m.room.create", Some(""), json!({})), &[]);
}

#[test]
fn a_membership_that_cannot_be_read_is_refused() {
    let rules = crate::testing::rules("11");
    for content in [json!({}), json!({"membership": 5}), json!({"membership": null})] {
        let draft = draft("@a:x", "m.room.member", Some("@a:x"), content);
        assert!(auth_slots(&rules, &draft).is_err());
    }
}

#[test]
fn an_event_and_its_draft_have_the_same_slots() {
    for version in VERSIONS {
        let mut room = Room::new(version, "public");
        let draft = member("@b:x", "@b:x", "join");
        let event = room.say(draft.clone());
        assert_eq!(auth_slots_of(&room.rules, &event), auth_slots(&room.rules, &draft));
    }
}

#[test]
fn authorising_asks_for_what_an_event_cites() {
    for version in VERSIONS {
        let mut room = Room::new(version, "public");
        let state: AuthState = room.state.values().cloned().collect();
        let event = room.say(text("@a:x", "hi"));
        let needs = authorize(&room.rules, &event, &state, &Known::default()).unwrap_err();
        let mut cited: std::collections::BTreeSet<_> =
            event.auth_events().iter().cloned().collect();
        cited.insert(room.events[0].event_id().clone());
        assert_eq!(needs.events, cited, "room version {version}");
        assert_eq!(authorize(&room.rules, &event, &state, &room.known()), Ok(Ok(())));
    }
}

#[test]
fn a_state_holds_one_event_in_each_slot() {
    let mut room = Room::new("11", "public");
    let mut state: AuthState = room.events.iter().cloned().collect();
    let count = state.iter().count();
    let left = room.say(member("@a:x", "@a:x", "leave"));
    state.insert(left.clone());
    state.insert(room.forge(&text("@a:x", "no state")));
    assert_eq!(state.iter().count(), count);
    assert_eq!(state.get(&StateEventType::RoomMember, user("@a:x").as_str()), Some(&left));
}
