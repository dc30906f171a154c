//! Replacing rooms by newer ones.

use serde_json::{Value, json};
use tertulia_testkit::{Client, TestServer};

async fn upgrade(who: &Client, room: &str, body: Value) -> String {
    let answer = who.post(["rooms", room, "upgrade"]).json(body).await.ok();
    answer["replacement_room"].as_str().unwrap().to_owned()
}

async fn state(who: &Client, room: &str, kind: &str) -> Value {
    who.get(["rooms", room, "state", kind, ""]).await.json()
}

#[tokio::test]
async fn a_room_is_replaced_and_both_rooms_say_so() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let old = alice
        .create_room(json!({
            "preset": "public_chat", "room_version": "10", "name": "Pub", "topic": "Beer",
            "room_alias_name": "pub", "creation_content": { "type": "m.space" },
            "initial_state": [{ "type": "m.space.child", "state_key": "!c:x", "content": { "via": ["x"] } }],
        }))
        .await;
    bob.join(&old).await;
    let last = alice.send(&old, "last orders").await;
    let new = upgrade(&alice, &old, json!({ "new_version": "11" })).await;
    let create = state(&alice, &new, "m.room.create").await;
    assert_eq!(create["predecessor"], json!({ "room_id": old, "event_id": last }));
    assert_eq!((&create["type"], &create["room_version"]), (&json!("m.space"), &json!("11")));
    let tombstone = state(&bob, &old, "m.room.tombstone").await;
    assert_eq!(tombstone["replacement_room"], new.as_str());
    assert_eq!(state(&alice, &new, "m.room.name").await, json!({ "name": "Pub" }));
    let child = alice.get(["rooms", &new, "state", "m.space.child", "!c:x"]).await.ok();
    assert_eq!(child, json!({ "via": ["x"] }));
    // Nobody speaks in the old room any more, and its name leads to the new one.
    let message = json!({ "msgtype": "m.text", "body": "more" });
    let path = ["rooms", &old, "send", "m.room.message", "t"];
    bob.put(path).json(message).await.refused(403, "M_FORBIDDEN");
    let alias = alice.get(["directory", "room", "#pub:example.org"]).await.ok();
    assert_eq!(alias["room_id"], new.as_str());
    bob.post(["join", "#pub:example.org"]).await.ok();
    assert_eq!(state(&bob, &new, "m.room.topic").await["topic"], "Beer");
}

#[tokio::test]
async fn creators_are_named_and_stand_above_the_levels() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let old = alice.create_room(json!({ "room_version": "11" })).await;
    let body = json!({ "new_version": "12", "additional_creators": [bob.id(), alice.id()] });
    let new = upgrade(&alice, &old, body).await;
    let create = state(&alice, &new, "m.room.create").await;
    assert_eq!(create["additional_creators"], json!([bob.id()]));
    assert_eq!(create["predecessor"], json!({ "room_id": old }));
    assert_eq!(state(&alice, &new, "m.room.power_levels").await["users"], json!({}));
}

#[tokio::test]
async fn what_one_decided_about_a_room_holds_for_the_next() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let old = alice.create_room_with(&[&bob]).await;
    let rule = json!({ "actions": [] });
    for who in [&alice, &bob] {
        who.put(["pushrules", "global", "room", &old]).json(rule.clone()).await.ok();
        let tag = ["user", who.id(), "rooms", &old, "tags", "m.favourite"];
        who.put(tag).json(json!({ "order": 0.5 })).await.ok();
        let other = if who.id() == alice.id() { bob.id() } else { alice.id() };
        let direct = ["user", who.id(), "account_data", "m.direct"];
        who.put(direct).json(json!({ other: [old] })).await.ok();
    }
    let new = upgrade(&alice, &old, json!({ "new_version": "12" })).await;
    alice.invite(&new, &bob).await;
    bob.join(&new).await;
    for who in [&alice, &bob] {
        who.get(["pushrules", "global", "room", &new]).await.ok();
        let tags = who.get(["user", who.id(), "rooms", &new, "tags"]).await.ok();
        assert_eq!(tags["tags"]["m.favourite"]["order"], 0.5);
        let direct = who.get(["user", who.id(), "account_data", "m.direct"]).await.ok();
        let rooms = direct.as_object().unwrap().values().next().unwrap();
        assert_eq!(*rooms, json!([old, new]));
    }
}

#[tokio::test]
async fn what_cannot_be_upgraded_is_refused() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let old = alice.create_public_room().await;
    bob.join(&old).await;
    let path = ["rooms", &old, "upgrade"];
    let to = |version: &str| json!({ "new_version": version });
    bob.post(path).json(to("12")).await.refused(403, "M_FORBIDDEN");
    alice.post(path).json(to("org.example.1")).await.refused(400, "M_UNSUPPORTED_ROOM_VERSION");
    alice.post(path).json(json!({})).await.refused(400, "M_BAD_JSON");
    let nowhere = ["rooms", "!none:example.org", "upgrade"];
    alice.post(nowhere).json(to("12")).await.refused(404, "M_NOT_FOUND");
    let new = upgrade(&alice, &old, to("12")).await;
    // A client that did not hear of it asks again.
    assert_eq!(upgrade(&alice, &old, to("12")).await, new);
    alice.post(path).json(to("11")).await.refused(403, "M_FORBIDDEN");
}
