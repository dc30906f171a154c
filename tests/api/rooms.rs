//! Making rooms.

use serde_json::{Value, json};
use tertulia_testkit::{Client, TestServer};

/// The content of a slot of a room's state, or null.
async fn content(client: &Client, room: &str, kind: &str, key: &str) -> Value {
    let answer = client.get(["rooms", room, "state", kind, key]).await;
    if answer.status == 404 { Value::Null } else { answer.ok() }
}

async fn alice() -> Client {
    TestServer::start().await.user("alice").await
}

#[tokio::test]
async fn a_preset_says_who_may_join_and_read() {
    let alice = alice().await;
    for (wish, join_rule, guests) in [
        (json!({}), "invite", "can_join"),
        (json!({ "preset": "private_chat" }), "invite", "can_join"),
        (json!({ "preset": "trusted_private_chat" }), "invite", "can_join"),
        (json!({ "preset": "public_chat" }), "public", "forbidden"),
        (json!({ "visibility": "public" }), "public", "forbidden"),
        (json!({ "visibility": "private" }), "invite", "can_join"),
        (json!({ "visibility": "public", "preset": "private_chat" }), "invite", "can_join"),
    ] {
        let room = alice.create_room(wish.clone()).await;
        let told = async |kind| content(&alice, &room, kind, "").await;
        assert_eq!(told("m.room.join_rules").await["join_rule"], join_rule, "{wish}");
        assert_eq!(told("m.room.history_visibility").await["history_visibility"], "shared");
        assert_eq!(told("m.room.guest_access").await["guest_access"], guests, "{wish}");
    }
}

#[tokio::test]
async fn a_room_can_have_any_version_that_is_known() {
    let alice = alice().await;
    for version in 1..=12 {
        let version = version.to_string();
        let room = alice.create_room(json!({ "room_version": version, "name": "n" })).await;
        let create = content(&alice, &room, "m.room.create", "").await;
        // Rooms of version 1 need not say so.
        assert_eq!(create["room_version"].as_str().unwrap_or("1"), version);
        assert_eq!(content(&alice, &room, "m.room.name", "").await, json!({ "name": "n" }));
        alice.send(&room, "hello").await;
    }
}

#[tokio::test]
async fn wishes_become_state() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let wishes = json!({
        "name": "The room",
        "topic": "All about it",
        "invite": [bob.id()],
        "is_direct": true,
        "creation_content": { "type": "m.space", "org.example": 1 },
        "initial_state": [
            { "type": "m.room.history_visibility", "content": { "history_visibility": "joined" } },
            { "type": "org.example", "state_key": "key", "content": { "a": [1, null] } },
        ],
        "power_level_content_override": { "events_default": 7 },
    });
    let room = alice.create_room(wishes).await;
    let told = async |kind, key| content(&alice, &room, kind, key).await;
    assert_eq!(told("m.room.name", "").await, json!({ "name": "The room" }));
    assert_eq!(told("m.room.topic", "").await["topic"], "All about it");
    assert_eq!(told("m.room.create", "").await["type"], "m.space");
    assert_eq!(told("m.room.create", "").await["org.example"], 1);
    assert_eq!(told("m.room.history_visibility", "").await["history_visibility"], "joined");
    assert_eq!(told("org.example", "key").await, json!({ "a": [1, null] }));
    assert_eq!(told("m.room.power_levels", "").await["events_default"], 7);
    let invited = told("m.room.member", bob.id()).await;
    assert_eq!((&invited["membership"], &invited["is_direct"]), (&json!("invite"), &json!(true)));
}

#[tokio::test]
async fn the_creator_is_in_the_room_and_rules_it() {
    let alice = alice().await;
    let room = alice.create_room(json!({ "room_version": "11" })).await;
    assert_eq!(content(&alice, &room, "m.room.member", alice.id()).await["membership"], "join");
    assert_eq!(content(&alice, &room, "m.room.power_levels", "").await["users"][alice.id()], 100);
    let room = alice.create_room(json!({ "room_version": "12" })).await;
    let levels = content(&alice, &room, "m.room.power_levels", "").await;
    assert!(levels["users"].get(alice.id()).is_none(), "creators rule without a level: {levels}");
    assert!(!room.contains(':'), "the ID of the create event: {room}");
}

#[tokio::test]
async fn joined_rooms_are_those_one_is_in() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    assert_eq!(alice.get(["joined_rooms"]).await.ok(), json!({ "joined_rooms": [] }));
    let room = alice.create_public_room().await;
    let other = alice.create_room(json!({ "invite": [bob.id()] })).await;
    bob.join(&room).await;
    assert_eq!(bob.get(["joined_rooms"]).await.ok(), json!({ "joined_rooms": [room] }));
    alice.leave(&room).await;
    assert_eq!(alice.get(["joined_rooms"]).await.ok(), json!({ "joined_rooms": [other] }));
}

#[tokio::test]
async fn wishes_that_cannot_be_are_refused() {
    let alice = alice().await;
    for (wish, code) in [
        (json!({ "room_version": "13" }), "M_UNSUPPORTED_ROOM_VERSION"),
        (json!({ "room_version": "org.example" }), "M_UNSUPPORTED_ROOM_VERSION"),
        (json!({ "room_version": 11 }), "M_BAD_JSON"),
        (json!({ "invite": "@bob:example.org" }), "M_BAD_JSON"),
        (json!({ "invite": ["bob"] }), "M_BAD_JSON"),
        (json!({ "name": ["n"] }), "M_BAD_JSON"),
        (json!({ "initial_state": [{ "type": "m.x" }] }), "M_BAD_JSON"),
        (json!({ "initial_state": [{ "type": "", "content": {} }] }), "M_BAD_JSON"),
        (json!({ "power_level_content_override": [] }), "M_BAD_JSON"),
        (json!({ "creation_content": "m.space" }), "M_BAD_JSON"),
        (
            json!({ "room_version": "11", "name": "n",
                    "power_level_content_override": { "users": { "@alice:example.org": 1 } } }),
            "M_INVALID_ROOM_STATE",
        ),
    ] {
        let answer = alice.post(["createRoom"]).json(wish.clone()).await;
        assert_eq!(answer.outcome(), (400, Some(code.to_owned())), "{wish}");
    }
    alice.post(["createRoom"]).body("{").await.refused(400, "M_NOT_JSON");
}

#[tokio::test]
async fn nobody_is_invited_by_mail() {
    let alice = alice().await;
    let guest =
        json!({ "id_server": "x", "id_access_token": "x", "medium": "email", "address": "b@x" });
    let wish = json!({ "invite_3pid": [guest] });
    alice.post(["createRoom"]).json(wish).await.refused(403, "M_THREEPID_DENIED");
    let room = alice.create_room(json!({})).await;
    alice.post(["rooms", &room, "invite"]).json(guest).await.refused(403, "M_THREEPID_DENIED");
}

#[tokio::test]
async fn a_wish_that_nobody_knows_is_refused() {
    let alice = TestServer::start().await.user("alice").await;
    for wish in [json!({ "preset": "fortress" }), json!({ "visibility": "invisible" })] {
        alice.post(["createRoom"]).json(wish).await.refused(400, "M_BAD_JSON");
    }
}

#[tokio::test]
async fn a_room_begins_with_so_many_guests_and_so_much_state() {
    let alice = alice().await;
    let guests = |count| (0..count).map(|n| json!(format!("@u{n}:example.org"))).collect();
    let event = |n| json!({ "type": "m.test", "state_key": format!("{n}"), "content": {} });
    let state = |count| (0..count).map(event).collect();
    let wish = |guests: Vec<Value>, state: Vec<Value>| {
        alice.post(["createRoom"]).json(json!({ "invite": guests, "initial_state": state }))
    };
    wish(guests(100), state(200)).await.ok();
    wish(guests(101), vec![]).await.refused(400, "M_INVALID_PARAM");
    wish(vec![], state(201)).await.refused(400, "M_INVALID_PARAM");
}
