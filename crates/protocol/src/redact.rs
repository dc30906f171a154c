//! Removing the content of events.

use ruma::{canonical_json::redact_in_place, room_version_rules::RoomVersionRules};

use crate::{Pdu, power::Power};

/// `event` without what the rules of its room version remove. It keeps its ID, hashes and signatures.
///
/// The answer can be stored in the place of the event, and rendered by [`Rendered`](crate::Rendered); which event
/// was the cause is told to clients in `unsigned`.
#[must_use]
pub fn redact(rules: &RoomVersionRules, event: &Pdu) -> Pdu {
    let mut object = event.to_readable_object();
    redact_in_place(&mut object, &rules.redaction, None).expect("every event has a type");
    Pdu::with_id(event.event_id().clone(), &object, rules)
        .expect("redaction keeps the fields that every event has")
        .with_rejected(event.rejected())
}

/// Whether `redaction` removes the content of `target`, once both are known and allowed: its sender has the redact level or
/// belongs to the server that sent the target. In rooms of versions 1 and 2 the authorisation has decided that already.
pub fn may_redact(rules: &RoomVersionRules, redaction: &Pdu, target: &Pdu, power: &Power) -> bool {
    if redaction.rejected() || redaction.room_id() != target.room_id() {
        return false;
    }
    if redaction.redacts() != Some(target.event_id()) {
        return false;
    }
    rules.authorization.special_case_room_redaction
        || redaction.sender().server_name() == target.sender().server_name()
        || power.may_redact_others(redaction.sender())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        Rendered, RoomIdShown,
        testing::{Room, VERSIONS, draft, nested, redaction, text},
    };

    /// The keys that the content of an event keeps, by room version.
    #[track_caller]
    fn check(kind: &str, content: &Value, kept: impl Fn(&str) -> Value) {
        for version in VERSIONS {
            let room = Room::new(version, "public");
            let (event, rules) = (sample(&room, kind, content), room.rules);
            let redacted = redact(&rules, &event);
            let got: Value = redacted.content_as().unwrap();
            assert_eq!(got, kept(version), "{kind} in room version {version}");
            assert_eq!(redacted.event_id(), event.event_id());
            let again = Pdu::parse(redacted.json().get(), &rules).unwrap();
            assert_eq!(again.event_id(), event.event_id(), "the ID covers only what stays");
        }
    }

    /// An event of any kind, allowed or not.
    fn sample(room: &Room, kind: &str, content: &Value) -> Pdu {
        let last = room.events.last().unwrap();
        let mut object = last.to_object().unwrap();
        let content = serde_json::from_value(content.clone()).unwrap();
        object.insert("content".to_owned(), ruma::CanonicalJsonValue::Object(content));
        object.insert("type".to_owned(), kind.into());
        Pdu::parse(&serde_json::to_string(&object).unwrap(), &room.rules).unwrap()
    }

    /// As [`sample`], read from the store, where a content once could be of any depth.
    fn stored(room: &Room, kind: &str, content: &str) -> Pdu {
        let event = sample(room, kind, &json!({ "here": 1 }));
        let json = event.json().get().replace(r#"{"here":1}"#, content);
        Pdu::load(event.event_id().clone(), json.as_bytes(), &room.rules).unwrap()
    }

    #[test]
    fn what_is_too_deep_to_be_read_is_removed_too() {
        for version in VERSIONS {
            let room = Room::new(version, "public");
            for depth in [126, 127, 128, 1_000, 10_000] {
                let deep = nested(depth);
                let message = stored(&room, "m.test", &deep);
                assert_eq!(redact(&room.rules, &message).content().get(), "{}", "{depth}");
                let content = format!(r#"{{"deep":{deep},"membership":"join"}}"#);
                let member = redact(&room.rules, &stored(&room, "m.room.member", &content));
                assert_eq!(member.content().get(), r#"{"membership":"join"}"#, "{depth}");
                assert_eq!(member.room_id(), message.room_id());
            }
        }
    }

    fn at_least(version: &str, first: u32) -> bool {
        version.parse::<u32>().unwrap() >= first
    }

    #[test]
    fn a_message_loses_its_content() {
        check("m.room.message", &json!({"body": "secret"}), |_| json!({}));
    }

    #[test]
    fn a_membership_stays() {
        let content = json!({
            "membership": "join", "displayname": "B", "join_authorised_via_users_server": "@a:x",
            "third_party_invite": {"signed": {"token": "t"}, "display_name": "b"},
        });
        check("m.room.member", &content, |version| {
            let mut kept = json!({"membership": "join"});
            if at_least(version, 9) {
                kept["join_authorised_via_users_server"] = "@a:x".into();
            }
            if at_least(version, 11) {
                kept["third_party_invite"] = json!({"signed": {"token": "t"}});
            }
            kept
        });
    }

    #[test]
    fn rules_and_powers_stay() {
        let rules = json!({"join_rule": "restricted", "allow": [], "x": 1});
        check("m.room.join_rules", &rules, |version| {
            let mut kept = json!({"join_rule": "restricted"});
            if at_least(version, 8) {
                kept["allow"] = json!([]);
            }
            kept
        });
        check("m.room.power_levels", &json!({"ban": 1, "invite": 2, "notifications": {}}), |v| {
            if at_least(v, 11) { json!({"ban": 1, "invite": 2}) } else { json!({"ban": 1}) }
        });
        let visibility = json!({"history_visibility": "joined", "x": 1});
        let kept = json!({"history_visibility": "joined"});
        check("m.room.history_visibility", &visibility, |_| kept.clone());
    }

    #[test]
    fn aliases_stay_in_the_oldest_rooms() {
        check("m.room.aliases", &json!({"aliases": ["#a:x"]}), |version| {
            if at_least(version, 6) { json!({}) } else { json!({"aliases": ["#a:x"]}) }
        });
    }

    #[test]
    fn a_redaction_keeps_its_target_in_the_newest_rooms() {
        check("m.room.redaction", &json!({"redacts": "$e", "reason": "r"}), |version| {
            if at_least(version, 11) { json!({"redacts": "$e"}) } else { json!({}) }
        });
    }

    #[test]
    fn a_redacted_event_still_names_its_room() {
        for version in VERSIONS {
            let room = Room::new(version, "public");
            for event in &room.events {
                let redacted = redact(&room.rules, event);
                assert_eq!(redacted.room_id(), event.room_id());
                let rendered = Rendered::new(&redacted, None, RoomIdShown::Yes, None::<&Value>);
                let json = serde_json::to_value(rendered).unwrap();
                assert_eq!(json["room_id"], event.room_id().as_str());
            }
        }
    }

    /// Whether @by may redact a message of @b:y, who have power 50 needed and given as told.
    fn allowed(version: &str, by: &str, level: i32) -> bool {
        let mut room = Room::new(version, "public");
        for user in ["@b:y", "@c:y", "@d:x"] {
            room.join(user);
        }
        let levels = room.power(json!({ by: level }));
        let target = room.say(text("@b:y", "hi"));
        let Ok(redaction) = room.try_say(redaction(by, &target)) else {
            return false;
        };
        let power = Power::new(&room.rules, &room.events[0], Some(&levels));
        may_redact(&room.rules, &redaction, &target, &power)
    }

    #[test]
    fn moderators_redact_everything() {
        for version in VERSIONS {
            assert!(allowed(version, "@d:x", 50), "room version {version}");
            assert!(!allowed(version, "@d:x", 49), "room version {version}");
        }
    }

    #[test]
    fn the_own_server_redacts_since_version_3() {
        for version in VERSIONS {
            assert!(allowed(version, "@c:y", 0), "room version {version}");
        }
    }

    #[test]
    fn a_redaction_redacts_only_what_it_names() {
        let mut room = Room::new("11", "public");
        let (one, two) = (room.say(text("@a:x", "1")), room.say(text("@a:x", "2")));
        let redaction = room.say(redaction("@a:x", &one));
        let power = Power::new(&room.rules, &room.events[0], None);
        assert!(may_redact(&room.rules, &redaction, &one, &power));
        assert!(!may_redact(&room.rules, &redaction, &two, &power));
        let rejected = redaction.with_rejected(true);
        assert!(!may_redact(&room.rules, &rejected, &one, &power));
    }

    #[test]
    fn redacting_twice_changes_nothing_more() {
        let mut room = Room::new("10", "public");
        let content = json!({"name": "secret"});
        let event = room.say(draft("@a:x", "m.room.name", Some(""), content));
        let once = redact(&room.rules, &event);
        assert_eq!(redact(&room.rules, &once).json().get(), once.json().get());
    }
}
