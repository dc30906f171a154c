//! The state of a room and its slots.

use serde_json::{Value, json};
use tertulia_testkit::{Client, TestServer};

async fn two() -> (Client, Client) {
    let server = TestServer::start().await;
    (server.user("alice").await, server.user("bob").await)
}

#[tokio::test]
async fn a_slot_holds_what_was_put_there_last() {
    let (alice, _) = two().await;
    let room = alice.create_room(json!({})).await;
    for name in ["first", "second"] {
        alice.set_state(&room, "m.room.name", "", json!({ "name": name })).await;
    }
    let told = alice.get(["rooms", &room, "state", "m.room.name", ""]).await.ok();
    assert_eq!(told, json!({ "name": "second" }));
}

#[tokio::test]
async fn putting_the_same_into_a_slot_twice_is_putting_it_once() {
    let (alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    let set = async |name: &str| {
        alice.set_state(&room, "m.room.name", "", json!({ "name": name, "a": { "b": 1 } })).await
    };
    let first = set("ours").await;
    let path = ["rooms", &room, "state", "m.room.name", ""];
    let reordered = alice.put(path).body(r#"{"a": {"b" : 1}, "name": "ours"}"#).await.ok();
    assert_eq!(reordered["event_id"], first.as_str());
    let second = set("mine").await;
    assert_ne!(second, first);
    let third = set("ours").await;
    assert!(third != first && third != second, "what was there before is put there anew");
    let redact = alice.put(["rooms", &room, "redact", &third, "t"]);
    redact.json(json!({})).await.ok();
    assert_ne!(set("ours").await, third, "a redacted name is none");
}

#[tokio::test]
async fn the_same_from_somebody_else_is_another_event() {
    let (alice, bob) = two().await;
    let levels = json!({ "events": { "m.x": 0 } });
    let room = alice.create_room(json!({
        "preset": "public_chat", "power_level_content_override": levels,
    }));
    let room = room.await;
    bob.join(&room).await;
    let put = async |client: &Client| client.set_state(&room, "m.x", "", json!({ "a": 1 })).await;
    let of_bob = put(&bob).await;
    assert_eq!(put(&bob).await, of_bob);
    bob.leave(&room).await;
    let again = bob.put(["rooms", &room, "state", "m.x", ""]).json(json!({ "a": 1 }));
    again.await.refused(403, "M_FORBIDDEN");
    assert_ne!(put(&alice).await, of_bob);
}

#[tokio::test]
async fn the_same_from_one_who_has_lost_the_power_is_refused() {
    let (alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    let levels = async |bob_has: i64| {
        let levels = json!({ "users": { bob.id(): bob_has } });
        alice.set_state(&room, "m.room.power_levels", "", levels).await
    };
    let rename =
        || bob.put(["rooms", &room, "state", "m.room.name", ""]).json(json!({ "name": "bob's" }));
    levels(50).await;
    let first = rename().await.ok();
    assert_eq!(rename().await.ok(), first);
    levels(0).await;
    rename().await.refused(403, "M_FORBIDDEN");
    levels(50).await;
    assert_eq!(rename().await.ok(), first, "the name is still there");
}

#[tokio::test]
async fn a_path_without_key_means_the_empty_key() {
    let (alice, _) = two().await;
    let room = alice.create_room(json!({})).await;
    for version in ["v3", "r0"] {
        for (write, read) in [("", "/"), ("/", "")] {
            let path = format!("/_matrix/client/{version}/rooms/{room}/state/m.x");
            let content = json!({ "by": format!("{version}{write}") });
            alice.put(format!("{path}{write}")).json(content.clone()).await.ok();
            assert_eq!(alice.get(format!("{path}{read}")).await.ok(), content);
        }
    }
    alice.set_state(&room, "m.x", "key", json!({ "other": "slot" })).await;
    let told = alice.get(["rooms", &room, "state", "m.x"]).await.ok();
    assert_eq!(told, json!({ "by": "r0/" }));
}

#[tokio::test]
async fn a_key_may_hold_any_characters() {
    let (alice, _) = two().await;
    let room = alice.create_room(json!({})).await;
    for key in ["with space", "with/slash", "with%percent", "ünïcödé", "#?&=", "_"] {
        let content = json!({ "key": key });
        alice.set_state(&room, "org.example.keys", key, content.clone()).await;
        let told = alice.get(["rooms", &room, "state", "org.example.keys", key]).await.ok();
        assert_eq!(told, content);
    }
}

#[tokio::test]
async fn the_whole_event_is_told_to_who_asks_for_it() {
    let (alice, _) = two().await;
    let room = alice.create_room(json!({})).await;
    let event = alice.set_state(&room, "m.room.name", "", json!({ "name": "n" })).await;
    let told = alice.get(["rooms", &room, "state", "m.room.name", ""]);
    let mut told = told.query("format", "event").await.ok();
    let age = told["unsigned"].take();
    assert!(age.is_object() || age.is_null());
    told.as_object_mut().unwrap().remove("unsigned");
    assert!(told["origin_server_ts"].take().is_u64());
    let expected = json!({
        "type": "m.room.name",
        "state_key": "",
        "sender": alice.id(),
        "room_id": room,
        "event_id": event,
        "origin_server_ts": null,
        "content": { "name": "n" },
    });
    assert_eq!(told, expected);
    let content = alice.get(["rooms", &room, "state", "m.room.name", ""]);
    assert_eq!(content.query("format", "content").await.ok(), json!({ "name": "n" }));
}

#[tokio::test]
async fn all_state_is_one_event_a_slot() {
    let (alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    alice.set_state(&room, "m.room.topic", "", json!({ "topic": "old" })).await;
    alice.set_state(&room, "m.room.topic", "", json!({ "topic": "new" })).await;
    let state = bob.get(["rooms", &room, "state"]).await.ok();
    let state = state.as_array().unwrap();
    let slot = |event: &Value| (event["type"].to_string(), event["state_key"].to_string());
    let mut slots: Vec<_> = state.iter().map(slot).collect();
    slots.sort();
    slots.dedup();
    assert_eq!(slots.len(), state.len());
    let topic = state.iter().find(|event| event["type"] == "m.room.topic").unwrap();
    assert_eq!(topic["content"]["topic"], "new");
    assert!(state.iter().all(|event| event["room_id"] == room.as_str()));
}

#[tokio::test]
async fn an_empty_slot_is_not_found() {
    let (alice, _) = two().await;
    let room = alice.create_room(json!({})).await;
    alice.get(["rooms", &room, "state", "m.none", ""]).await.refused(404, "M_NOT_FOUND");
    alice.get(["rooms", &room, "state", "m.room.name", "k"]).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn strangers_neither_read_nor_write() {
    let (alice, bob) = two().await;
    let room = alice.create_room(json!({})).await;
    bob.get(["rooms", &room, "state"]).await.refused(403, "M_FORBIDDEN");
    bob.get(["rooms", &room, "state", "m.room.create", ""]).await.refused(403, "M_FORBIDDEN");
    let write = bob.put(["rooms", &room, "state", "m.room.name", ""]).json(json!({ "name": "b" }));
    write.await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_room_that_is_not_there_looks_like_one_that_is_closed() {
    let (alice, _) = two().await;
    let none = "!none:example.org";
    alice.get(["rooms", none, "state"]).await.refused(403, "M_FORBIDDEN");
    alice.get(["rooms", none, "members"]).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn one_who_left_sees_the_state_of_then() {
    let (alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    alice.set_state(&room, "m.room.name", "", json!({ "name": "then" })).await;
    bob.leave(&room).await;
    alice.set_state(&room, "m.room.name", "", json!({ "name": "now" })).await;
    let path = ["rooms", &room, "state", "m.room.name", ""];
    assert_eq!(bob.get(path).await.ok(), json!({ "name": "then" }));
    let state = bob.get(["rooms", &room, "state"]).await.ok();
    let names = state.as_array().unwrap().iter().filter(|event| event["type"] == "m.room.name");
    assert_eq!(names.map(|event| &event["content"]["name"]).collect::<Vec<_>>(), ["then"]);
}

#[tokio::test]
async fn state_takes_power() {
    let (alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    let rename = bob.put(["rooms", &room, "state", "m.room.name", ""]).json(json!({ "name": "b" }));
    rename.await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn content_is_an_object_of_canonical_json() {
    let (alice, _) = two().await;
    let room = alice.create_room(json!({})).await;
    let put = async |body: &'static str| {
        alice.put(["rooms", &room, "state", "m.x", "k"]).body(body).await.outcome()
    };
    for (body, code) in [
        ("", "M_NOT_JSON"),
        ("nonsense", "M_NOT_JSON"),
        (r#"{"a": }"#, "M_NOT_JSON"),
        ("[]", "M_BAD_JSON"),
        (r#""text""#, "M_BAD_JSON"),
        (r#"{"a": 1.5}"#, "M_BAD_JSON"),
        (r#"{"a": 9007199254740993}"#, "M_BAD_JSON"),
    ] {
        assert_eq!(put(body).await, (400, Some(code.to_owned())), "{body}");
    }
}

#[tokio::test]
async fn an_event_has_at_most_64_kib() {
    let (alice, _) = two().await;
    let room = alice.create_room(json!({})).await;
    let content = json!({ "text": "x".repeat(70_000) });
    let state = alice.put(["rooms", &room, "state", "m.x", "k"]).json(content.clone()).await;
    state.refused(413, "M_TOO_LARGE");
    let message = alice.put(["rooms", &room, "send", "m.x", "t"]).json(content).await;
    message.refused(413, "M_TOO_LARGE");
    let huge = "x".repeat(2 << 20);
    let body = alice.put(["rooms", &room, "send", "m.x", "t"]).body(huge).await;
    body.refused(413, "M_TOO_LARGE");
}

#[tokio::test]
async fn a_room_is_created_once() {
    let (alice, _) = two().await;
    for version in ["1", "11", "12"] {
        let room = alice.create_room(json!({ "room_version": version })).await;
        for path in [
            format!("rooms/{room}/state/m.room.create/"),
            format!("rooms/{room}/state/m.room.create/x"),
            format!("rooms/{room}/send/m.room.create/t"),
        ] {
            let again = alice.put(format!("/_matrix/client/v3/{path}")).json(json!({ "a": 1 }));
            again.await.refused(403, "M_FORBIDDEN");
        }
    }
}
