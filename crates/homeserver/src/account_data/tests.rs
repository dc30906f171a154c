use ruma::{
    api::client::filter::FilterDefinition,
    events::tag::TagInfo,
    push::{RuleKind, Ruleset},
    room_id,
    serde::Raw,
};
use serde_json::{Value, json};

use super::{push_rules::load_rules, *};
use crate::{
    PushRuleChange,
    testing::{raw, server, user},
};

const KIND: &str = "org.example.kind";

/// What a user's next sync tells, by scope and type.
async fn told(user: &User, after: Position) -> Vec<(Option<String>, String, Value)> {
    let view = user.core.store.view().await.unwrap();
    let changed = changed(&view, user.id(), after).await.unwrap();
    changed.into_iter().map(shown).collect()
}

fn shown(datum: Datum) -> (Option<String>, String, Value) {
    let room = datum.scope.room().map(ToString::to_string);
    let event: Value = serde_json::from_str(datum.event().get()).unwrap();
    assert_eq!(event["type"], datum.kind);
    (room, datum.kind, event["content"].clone())
}

fn now(user: &User) -> Position {
    user.core.store.settled()
}

#[tokio::test]
async fn what_was_set_is_read_again_by_its_owner_alone() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = room_id!("!a:x");
    let exact = RawValue::from_string(r#"{"b":  1.0, "a": "\u00e4"}"#.to_owned()).unwrap();
    alice.set_account_data(None, KIND, exact.clone()).await.unwrap();
    alice.set_account_data(Some(room), KIND, raw(&json!({ "in": "room" }))).await.unwrap();
    assert_eq!(alice.account_data(None, KIND).await.unwrap().get(), exact.get());
    let of_room = alice.account_data(Some(room), KIND).await.unwrap();
    assert_eq!(of_room.get(), r#"{"in":"room"}"#);
    for error in [
        bob.account_data(None, KIND).await.unwrap_err(),
        bob.account_data(Some(room), KIND).await.unwrap_err(),
        alice.account_data(Some(room_id!("!b:x")), KIND).await.unwrap_err(),
        alice.account_data(None, "other").await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::NotFound(_)), "{error}");
    }
}

#[tokio::test]
async fn what_is_the_servers_or_makes_no_sense_is_refused() {
    let server = server().await;
    let alice = user(&server, "alice");
    let check = async |kind: &str, content: Value, is_expected: fn(&Error) -> bool| {
        for room in [None, Some(room_id!("!a:x"))] {
            let refused = alice.set_account_data(room, kind, raw(&content)).await.unwrap_err();
            assert!(is_expected(&refused), "{kind}: {refused}");
        }
    };
    check("m.fully_read", json!({}), |e| matches!(e, Error::SetByServer(_))).await;
    check("m.push_rules", json!({}), |e| matches!(e, Error::SetByServer(_))).await;
    check("", json!({}), |e| matches!(e, Error::Invalid(_))).await;
    check(&"k".repeat(256), json!({}), |e| matches!(e, Error::Invalid(_))).await;
    check(KIND, json!([]), |e| matches!(e, Error::NotAnObject(_))).await;
    check(KIND, json!("text"), |e| matches!(e, Error::NotAnObject(_))).await;
    let large = json!({ "a": "a".repeat(MAX_CONTENT) });
    check(KIND, large, |e| matches!(e, Error::BodyTooLarge(_))).await;
    assert_eq!(now(&alice), Position::ZERO);
}

#[tokio::test]
async fn large_content_is_kept_whole() {
    let server = server().await;
    let alice = user(&server, "alice");
    let large = json!({ "a": "a".repeat(MAX_CONTENT - 20) });
    alice.set_account_data(None, KIND, raw(&large)).await.unwrap();
    let read = alice.account_data(None, KIND).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(read.get()).unwrap(), large);
}

#[tokio::test]
async fn each_change_is_told_once_and_as_it_is_now() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = room_id!("!a:x");
    alice.set_account_data(None, "first", raw(&json!({ "n": 1 }))).await.unwrap();
    bob.set_account_data(None, "others", raw(&json!({}))).await.unwrap();
    let before = now(&alice);
    alice.set_account_data(None, "second", raw(&json!({}))).await.unwrap();
    alice.set_account_data(Some(room), "second", raw(&json!({}))).await.unwrap();
    alice.set_account_data(None, "first", raw(&json!({ "n": 2 }))).await.unwrap();

    let first = (None, "first".to_owned(), json!({ "n": 2 }));
    let second = (None, "second".to_owned(), json!({}));
    let of_room = (Some("!a:x".to_owned()), "second".to_owned(), json!({}));
    let news = vec![second, of_room, first];
    assert_eq!(told(&alice, before).await, news);
    assert_eq!(told(&alice, Position::ZERO).await, news);
    assert_eq!(told(&alice, now(&alice)).await, []);

    let view = alice.core.store.view().await.unwrap();
    let all = all(&view, alice.id()).await.unwrap();
    let mut all: Vec<_> = all.into_iter().map(shown).collect();
    assert_eq!(all.remove(0).1, PUSH_RULES);
    let [second, of_room, first] = <[_; 3]>::try_from(news).unwrap();
    let about = super::of_room(&view, alice.id(), room).await.unwrap();
    assert_eq!(about.into_iter().map(shown).collect::<Vec<_>>(), all[2..]);
    let other = super::of_room(&view, alice.id(), room_id!("!other:x")).await.unwrap();
    assert_eq!(other, []);
    assert_eq!(all, [first, second, of_room]);
}

#[tokio::test]
async fn more_data_than_one_page_is_told_whole() {
    let server = server().await;
    let alice = user(&server, "alice");
    for n in 0..=PAGE {
        alice.set_account_data(None, &format!("k{n}"), raw(&json!({}))).await.unwrap();
    }
    assert_eq!(told(&alice, Position::ZERO).await.len(), PAGE + 1);
    let view = alice.core.store.view().await.unwrap();
    assert_eq!(all(&view, alice.id()).await.unwrap().len(), PAGE + 2);
}

#[tokio::test]
async fn a_change_wakes_its_owner() {
    let server = server().await;
    let alice = user(&server, "alice");
    let mut watch = alice.core.store.watch([log::user_topic(alice.id())]);
    alice.set_account_data(None, KIND, raw(&json!({}))).await.unwrap();
    watch.changed().await;
}

#[tokio::test]
async fn tags_are_room_account_data() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = room_id!("!a:x");
    assert!(alice.tags(room).await.unwrap().is_empty());
    let mut low = TagInfo::new();
    low.order = Some(0.9);
    alice.set_tag(room, "m.favourite", &low).await.unwrap();
    alice.set_tag(room, "u.work", &TagInfo::new()).await.unwrap();
    let content = alice.account_data(Some(room), TAG).await.unwrap();
    let expected = json!({ "tags": { "m.favourite": { "order": 0.9 }, "u.work": {} } });
    assert_eq!(serde_json::from_str::<Value>(content.get()).unwrap(), expected);

    let before = now(&alice);
    alice.remove_tag(room, "u.none").await.unwrap();
    assert_eq!(now(&alice), before);
    alice.remove_tag(room, "u.work").await.unwrap();
    let tags = alice.tags(room).await.unwrap();
    assert_eq!(tags.keys().map(ToString::to_string).collect::<Vec<_>>(), ["m.favourite"]);
    assert_eq!(told(&alice, before).await.len(), 1);
    assert!(alice.tags(room_id!("!b:x")).await.unwrap().is_empty());

    for name in [String::new(), "u.".repeat(128)] {
        let refused = alice.set_tag(room, &name, &TagInfo::new()).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)));
    }
}

#[tokio::test]
async fn a_filter_is_found_by_its_id_and_by_its_owner() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let filter = |limit: u32| -> Raw<FilterDefinition> {
        Raw::new(&json!({ "room": { "timeline": { "limit": limit } } })).unwrap().cast_unchecked()
    };
    let id = alice.create_filter(&filter(1)).await.unwrap();
    assert_eq!(alice.create_filter(&filter(1)).await.unwrap(), id);
    assert_ne!(alice.create_filter(&filter(2)).await.unwrap(), id);
    let read = alice.filter(&id).await.unwrap().deserialize().unwrap();
    assert_eq!(read.room.timeline.limit, Some(1_u32.into()));
    assert!(matches!(bob.filter(&id).await.unwrap_err(), Error::NotFound(_)));
    assert!(matches!(alice.filter("none").await.unwrap_err(), Error::NotFound(_)));

    let large = Raw::new(&json!({ "event_fields": ["a".repeat(70_000)] })).unwrap();
    let refused = alice.create_filter(&large.cast_unchecked()).await.unwrap_err();
    assert!(matches!(refused, Error::BodyTooLarge(_)));
    for n in 3..=1_000_u32 {
        alice.create_filter(&filter(n)).await.unwrap();
    }
    let refused = alice.create_filter(&filter(1_001)).await.unwrap_err();
    assert!(matches!(refused, Error::TooMany(_)));
    alice.create_filter(&filter(7)).await.unwrap();
    bob.create_filter(&filter(1_001)).await.unwrap();
}

#[tokio::test]
async fn everyone_has_push_rules_and_changes_are_told() {
    let server = server().await;
    let alice = user(&server, "alice");
    let default = serde_json::to_value(Ruleset::server_default(alice.id())).unwrap();
    assert_eq!(serde_json::to_value(alice.push_rules().await.unwrap()).unwrap(), default);
    let content = alice.account_data(None, PUSH_RULES).await.unwrap();
    let content: Value = serde_json::from_str(content.get()).unwrap();
    assert_eq!(content, json!({ "global": default }));

    let master = ".m.rule.master".to_owned();
    let on = PushRuleChange::Enable(RuleKind::Override, master.clone(), true);
    alice.change_push_rules(on).await.unwrap();
    let rules = load_rules(&alice.core.store.view().await.unwrap(), alice.id()).await.unwrap();
    assert!(rules.get(RuleKind::Override, &master).unwrap().enabled());
    let told = told(&alice, Position::ZERO).await;
    let expected = json!({ "global": serde_json::to_value(rules).unwrap() });
    assert_eq!(told, [(None, PUSH_RULES.to_owned(), expected)]);

    let before = now(&alice);
    let nonsense = PushRuleChange::Enable(RuleKind::Override, "none".to_owned(), true);
    alice.change_push_rules(nonsense).await.unwrap_err();
    assert_eq!(now(&alice), before);
}
