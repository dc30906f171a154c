//! Typing notifications.

use serde_json::json;
use tertulia_testkit::{Client, TestServer};

async fn scene() -> (Client, Client, String) {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = alice.create_public_room().await;
    (alice, bob, room)
}

#[tokio::test]
async fn members_begin_and_stop_typing() {
    let (alice, _, room) = scene().await;
    let path = ["rooms", &room, "typing", alice.id()];
    for body in [
        json!({ "typing": true, "timeout": 30_000 }),
        json!({ "typing": true, "timeout": 30_000 }),
        json!({ "typing": false }),
        json!({ "typing": false, "timeout": 30_000 }),
        json!({ "typing": true }),
        json!({ "typing": true, "timeout": null }),
        json!({ "typing": true, "timeout": 9_007_199_254_740_991_u64 }),
    ] {
        assert_eq!(alice.put(path).json(body).await.ok(), json!({}));
    }
}

#[tokio::test]
async fn nobody_types_for_another_or_where_they_are_not() {
    let (alice, bob, room) = scene().await;
    let typing = json!({ "typing": true, "timeout": 30_000 });
    let path = ["rooms", &room, "typing", bob.id()];
    bob.put(path).json(typing.clone()).await.refused(403, "M_FORBIDDEN");
    bob.put(path).json(json!({ "typing": false })).await.refused(403, "M_FORBIDDEN");
    bob.join(&room).await;
    alice.put(path).json(typing.clone()).await.refused(403, "M_FORBIDDEN");
    bob.put(path).json(typing).await.ok();
    bob.put(path).json(json!({ "typing": "yes" })).await.refused(400, "M_BAD_JSON");
    bob.put(path).json(json!({})).await.refused(400, "M_BAD_JSON");
    for none in [json!(-1), json!(9_007_199_254_740_992_u64)] {
        let never = json!({ "typing": true, "timeout": none });
        bob.put(path).json(never).await.refused(400, "M_BAD_JSON");
    }
    let path = ["rooms", "no-room", "typing", bob.id()];
    bob.put(path).json(json!({ "typing": true })).await.refused(400, "M_INVALID_PARAM");
    let path = ["rooms", &room, "typing", "nobody"];
    bob.put(path).json(json!({ "typing": true })).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn who_does_not_say_how_long_types_for_half_a_minute() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let room = alice.create_public_room().await;
    let path = ["rooms", &room, "typing", alice.id()];
    alice.put(path).json(json!({ "typing": true })).await.ok();
    let first = alice.sync(None).await;
    let typists = |update: &serde_json::Value| {
        let ephemeral = &update["rooms"]["join"][&room]["ephemeral"]["events"];
        let typing = ephemeral.as_array()?.iter().find(|event| event["type"] == "m.typing")?;
        Some(typing["content"]["user_ids"].clone())
    };
    assert_eq!(typists(&first), Some(json!([alice.id()])));
    server.clock().sleepers(1).await;
    server.clock().advance(std::time::Duration::from_secs(30));
    let since = first["next_batch"].as_str().unwrap();
    let next = alice.get(["sync"]).query("since", since).query("timeout", "90000").await.ok();
    assert_eq!(typists(&next), Some(json!([])));
}
