use proptest::{prelude::*, sample::select};
use ruma::{
    event_id, owned_room_id, owned_user_id,
    push::{
        AnyPushRule, EventMatchConditionData, HighlightTweakValue, NewConditionalPushRule,
        NewPatternedPushRule, NewPushRule, NewSimplePushRule, RoomMemberCountConditionData,
        RuleKind, Tweak,
    },
    room_id,
    room_version_rules::RoomVersionRules,
    server_name, user_id,
};

use super::*;

const ME: &str = "@me:x";

/// An event by `@bob:x` with these parts.
fn event(kind: &str, state_key: Option<&str>, content: Value) -> Pdu {
    let mut json = json!({
        "type": kind, "sender": "@bob:x", "content": content, "room_id": "!r:x",
        "origin_server_ts": 1, "depth": 1, "prev_events": [], "auth_events": [],
    });
    if let Some(key) = state_key {
        json["state_key"] = key.into();
    }
    let json = json.to_string();
    Pdu::load(event_id!("$e").to_owned(), json.as_bytes(), &RoomVersionRules::V11).unwrap()
}

fn context(members: u64) -> PushContext {
    let room = owned_room_id!("!r:x");
    PushContext { room, members, user: owned_user_id!("@me:x"), display_name: "Me".to_owned() }
}

fn default() -> Ruleset {
    Ruleset::server_default(user_id!("@me:x"))
}

#[track_caller]
fn check(pdu: &Pdu, expected: &str) {
    let judgement = judge(&default(), pdu.json(), &context(3), true);
    let got = match (judgement.notify, judgement.highlight) {
        (true, true) => "highlight",
        (true, false) => "notify",
        (false, _) => "nothing",
    };
    assert_eq!(got, expected, "{}", pdu.json());
}

#[test]
fn the_predefined_rules_say_what_the_specification_does() {
    let text = json!({ "msgtype": "m.text", "body": "Me @me:x" });
    check(&event("m.room.message", None, text), "notify");
    check(&event("m.room.message", None, json!({ "msgtype": "m.notice" })), "nothing");
    check(&event("m.room.encrypted", None, json!({})), "notify");
    check(&event("m.call.invite", None, json!({})), "notify");
    check(&event("m.reaction", None, json!({})), "nothing");
    check(&event("m.room.topic", Some(""), json!({})), "nothing");
    check(&event("m.room.tombstone", Some(""), json!({})), "highlight");
    check(&event("m.room.member", Some("@c:x"), json!({ "membership": "join" })), "nothing");
    let edit = json!({ "m.relates_to": { "rel_type": "m.replace", "event_id": "$o" } });
    check(&event("m.room.message", None, edit), "nothing");
    let mention = json!({ "m.mentions": { "user_ids": [ME] } });
    check(&event("m.room.message", None, mention.clone()), "highlight");
    check(&event("org.example", None, mention), "highlight");
    check(&event("m.room.message", None, json!({ "m.mentions": { "room": true } })), "highlight");
}

#[test]
fn the_room_is_notified_by_those_with_the_power_to() {
    let pdu = event("m.room.message", None, json!({ "m.mentions": { "room": true } }));
    let judgement = judge(&default(), pdu.json(), &context(3), false);
    assert_eq!(judgement, Judgement { notify: true, highlight: false });
}

#[test]
fn nobody_is_notified_of_what_they_sent() {
    let mine = event("m.room.message", None, json!({})).json().get().replace("@bob:x", ME);
    let mine: Box<RawValue> = serde_json::from_str(&mine).unwrap();
    assert_eq!(judge(&default(), &mine, &context(3), true), Judgement::default());
}

#[test]
fn a_highlight_without_a_notification_is_none() {
    let mut rules = default();
    let actions = vec![Action::SetTweak(Tweak::Highlight(HighlightTweakValue::Yes))];
    let rule = NewConditionalPushRule::new("all".to_owned(), vec![], actions);
    rules.insert(NewPushRule::Override(rule), None, None).unwrap();
    let pdu = event("m.room.message", None, json!({}));
    assert_eq!(judge(&rules, pdu.json(), &context(3), true), Judgement::default());
}

#[test]
fn an_event_is_seen_in_its_parts_however_malformed_the_others_are() {
    let seen = |content| super::seen(&event("m.room.message", None, content), server_name!("x"));
    let all = seen(json!({
        "msgtype": "M.Notice",
        "m.relates_to": { "rel_type": "m.thread", "event_id": "$t" },
        "m.mentions": { "user_ids": ["@b:x", "@a:x", "@a:x", "@c:y", 1, "no"], "room": true },
    }));
    let users = vec![owned_user_id!("@a:x"), owned_user_id!("@b:x")];
    assert_eq!(all.mentions, Mentions { users, many: false, room: true });
    assert_eq!(all.relation.unwrap().rel_type, "m.thread");
    assert_eq!(all.class.number(), 1 | NOTICE);
    let broken = seen(json!({
        "msgtype": 1, "m.relates_to": { "rel_type": 1 }, "m.mentions": { "room": "true" },
    }));
    let class = EventClass::from_number(1);
    assert_eq!(broken, Seen { class, mentions: Mentions::default(), relation: None });
}

#[test]
fn who_mentions_crowds_is_asked_again() {
    let crowd = |count| (0..count).map(|n| format!("@u{n}:x")).collect::<Vec<_>>();
    for (count, many) in [(MOST_MENTIONED, false), (MOST_MENTIONED + 1, true)] {
        let content = json!({ "m.mentions": { "user_ids": crowd(count) } });
        let mentions = seen(&event("m", None, content), server_name!("x")).mentions;
        assert_eq!(mentions.many, many);
        assert_eq!(mentions.users.len(), if many { 0 } else { count });
        assert!(!mentions.is_empty());
    }
}

#[test]
fn a_class_is_stored_for_ever() {
    let number =
        |kind, key, content| seen(&event(kind, key, content), server_name!("x")).class.number();
    let numbers: Vec<u8> = TYPES.iter().map(|kind| number(kind, None, json!({}))).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(number("m.room.topic", Some(""), json!({})), 0x40);
    assert_eq!(number("m.room.member", Some("@a:x"), json!({})), 0xc4);
    assert_eq!(number("x", None, json!({ "msgtype": "m.notice" })), 0x10);
    assert_eq!(number("x", None, json!({ "m.relates_to": { "rel_type": "m.replace" } })), 0x20);
    assert!(EventClass::from_number(8).is_redaction());
}

fn matches(key: &str, pattern: &str) -> PushCondition {
    EventMatchConditionData::new(key.to_owned(), pattern.to_owned()).into()
}

#[track_caller]
fn check_reads(conditions: Vec<PushCondition>, expected: bool) {
    let mut rules = default();
    assert!(!reads_content(&rules, room_id!("!r:x")));
    let shown = format!("{conditions:?}");
    let rule = NewConditionalPushRule::new("mine".to_owned(), conditions, vec![]);
    rules.insert(NewPushRule::Override(rule), None, None).unwrap();
    assert_eq!(reads_content(&rules, room_id!("!r:x")), expected, "{shown}");
    rules.set_enabled(RuleKind::Override, "mine", false).unwrap();
    assert!(!reads_content(&rules, room_id!("!r:x")), "{shown}");
}

#[test]
fn rules_read_content_if_events_of_one_class_can_differ_by_it() {
    check_reads(vec![], false);
    check_reads(vec![matches("room_id", "!r:x")], false);
    check_reads(vec![matches("room_id", "!r*")], false);
    check_reads(vec![matches("sender", "@b*")], false);
    check_reads(vec![matches("type", "m.room.message")], false);
    check_reads(vec![matches("type", "m.sticker")], true);
    check_reads(vec![matches("type", "m.*")], true);
    check_reads(vec![matches("content.body", "tea")], true);
    check_reads(vec![matches("content.body", "tea"), matches("room_id", "!other:x")], false);
    check_reads(vec![matches("content.body", "tea"), matches("room_id", "!*")], true);
    let two = RoomMemberCountConditionData::new(ruma::uint!(2).into());
    check_reads(vec![two.into()], false);
}

#[test]
fn words_to_look_for_are_looked_for_in_content() {
    let mut rules = default();
    let word = NewPatternedPushRule::new("tea".to_owned(), "tea".to_owned(), vec![]);
    rules.insert(NewPushRule::Content(word), None, None).unwrap();
    assert!(reads_content(&rules, room_id!("!r:x")));
}

#[test]
fn only_some_rules_ask_who_sent() {
    let mut rules = default();
    assert!(!asks_who_sent(&rules) && !asks_for_display_name(&rules));
    let bob = NewSimplePushRule::new(owned_user_id!("@bob:x"), vec![]);
    rules.insert(NewPushRule::Sender(bob), None, None).unwrap();
    assert!(asks_who_sent(&rules));
    let mut rules = default();
    let name = json!([{ "kind": "contains_display_name" }, { "kind": "event_match",
        "key": "sender", "pattern": "@b*" }]);
    let conditions = serde_json::from_value(name).unwrap();
    let rule = NewConditionalPushRule::new("old".to_owned(), conditions, vec![]);
    rules.insert(NewPushRule::Underride(rule), None, None).unwrap();
    assert!(asks_who_sent(&rules) && asks_for_display_name(&rules));
}

/// Events that the predefined rules treat differently, and some that they do not.
fn any_event() -> impl Strategy<Value = Pdu> {
    let kinds = TYPES.into_iter().chain(["m.sticker", "M.Room.Message", "m.room.topic"]);
    let msgtypes = [None, Some("m.text"), Some("m.notice"), Some("M.NOTICE")];
    let rel_types = [None, Some("m.replace"), Some("m.thread")];
    let mentions = [
        json!(null),
        json!({ "user_ids": [ME] }),
        json!({ "room": true }),
        json!({ "user_ids": ["@c:x", ME], "room": true }),
        json!({ "room": 1 }),
    ];
    let keys = [None, Some(""), Some("@c:x")];
    (
        select(kinds.collect::<Vec<_>>()),
        select(keys.to_vec()),
        select(msgtypes.to_vec()),
        select(rel_types.to_vec()),
        select(mentions.to_vec()),
    )
        .prop_map(|(kind, key, msgtype, rel_type, mentions)| {
            let mut content = json!({ "body": "tea" });
            if let Some(msgtype) = msgtype {
                content["msgtype"] = msgtype.into();
            }
            if let Some(kind) = rel_type {
                content["m.relates_to"] = json!({ "rel_type": kind, "event_id": "$o" });
            }
            if !mentions.is_null() {
                content["m.mentions"] = mentions;
            }
            event(kind, key, content)
        })
}

fn kind(rule: &AnyPushRule) -> RuleKind {
    match rule {
        AnyPushRule::Override(_) => RuleKind::Override,
        AnyPushRule::Underride(_) => RuleKind::Underride,
        other => panic!("{other:?} is not predefined"),
    }
}

/// The predefined rules, some of them switched or told to do something else, and some of a user's.
fn any_rules() -> impl Strategy<Value = Ruleset> {
    let own = [
        json!([]),
        json!([{ "kind": "event_match", "key": "room_id", "pattern": "!r:x" }]),
        json!([{ "kind": "event_match", "key": "type", "pattern": "m.reaction" }]),
        json!([{ "kind": "event_match", "key": "sender", "pattern": "@bob:*" }]),
        json!([{ "kind": "sender_notification_permission", "key": "room" }]),
        json!([{ "kind": "room_member_count", "is": "2" }]),
    ];
    let own = select(own.to_vec()).prop_map(|json| serde_json::from_value(json).unwrap());
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), 0..4_u8), 0..4);
    (proptest::option::of((own, any::<bool>())), changes).prop_map(|(own, changes)| {
        let mut rules = default();
        for (index, change) in changes {
            let all: Vec<_> = rules.iter().map(ruma::push::AnyPushRuleRef::to_owned).collect();
            let rule = index.get(&all);
            let (kind, id) = (kind(rule), rule.rule_id());
            match change {
                0 => rules.set_enabled(kind, id, !rule.enabled()),
                1 => rules.set_actions(kind, id, vec![]),
                _ => rules.set_actions(kind, id, vec![Action::Notify]),
            }
            .unwrap();
        }
        if let Some((conditions, notify)) = own {
            let actions = if notify { vec![Action::Notify] } else { vec![] };
            let rule = NewConditionalPushRule::new("mine".to_owned(), conditions, actions);
            rules.insert(NewPushRule::Override(rule), None, None).unwrap();
        }
        rules
    })
}

proptest! {
    #[test]
    fn an_example_is_judged_as_what_it_stands_for(
        pdu in any_event(), rules in any_rules(), members in 2..4_u64, power in any::<bool>(),
    ) {
        prop_assert!(!reads_content(&rules, room_id!("!r:x")));
        let context = context(members);
        let Seen { class, mentions, .. } = seen(&pdu, server_name!("x"));
        let me = mentions.users.contains(&context.user).then_some(&*context.user);
        let example = example(class, pdu.sender(), &context.room, me, mentions.room);
        let expected = judge(&rules, pdu.json(), &context, power);
        prop_assert_eq!(judge(&rules, &example, &context, power), expected);
        if !asks_who_sent(&rules) && !mentions.room {
            prop_assert_eq!(judge(&rules, &example, &context, !power), expected);
        }
    }
}
