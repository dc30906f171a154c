//! Whom one lets invite oneself.

use serde_json::{Value, json};
use tertulia_testkit::{Client, TestServer};

const TYPES: [&str; 3] = [
    "m.invite_permission_config",
    "org.matrix.msc4380.invite_permission_config",
    "org.matrix.msc4155.invite_permission_config",
];

async fn decide(who: &Client, kind: &str, content: Value) {
    who.put(["user", who.id(), "account_data", kind]).json(content).await.ok();
}

#[tokio::test]
async fn who_blocks_invites_is_invited_in_no_way() {
    for kind in TYPES {
        let server = TestServer::start().await;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = alice.create_public_room().await;
        decide(&bob, kind, json!({ "default_action": "block" })).await;
        let blocked = "M_INVITE_BLOCKED";
        let guest = json!({ "user_id": bob.id() });
        alice.post(["rooms", &room, "invite"]).json(guest.clone()).await.refused(403, blocked);
        let state = ["rooms", &room, "state", "m.room.member", bob.id()];
        alice.put(state).json(json!({ "membership": "invite" })).await.refused(403, blocked);
        let new = json!({ "invite": [bob.id()] });
        alice.post(["createRoom"]).json(new).await.refused(403, blocked);
        // What bob does by himself is his.
        bob.join(&room).await;
        bob.leave(&room).await;
        decide(&bob, kind, json!({})).await;
        alice.post(["rooms", &room, "invite"]).json(guest).await.ok();
        let told = bob.sync(None).await;
        assert!(told["rooms"]["invite"][&room].is_object());
    }
}

#[tokio::test]
async fn an_ignored_invite_is_sent_and_not_told() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = alice.create_room(json!({})).await;
    let since = bob.sync(None).await["next_batch"].as_str().unwrap().to_owned();
    decide(&bob, TYPES[0], json!({ "ignored_users": ["@ali?e:*"], "blocked_servers": ["*"] }))
        .await;
    alice.invite(&room, &bob).await;
    let member = alice.get(["rooms", &room, "state", "m.room.member", bob.id()]).await.ok();
    assert_eq!(member["membership"], "invite");
    for since in [None, Some(&*since)] {
        assert_eq!(bob.sync(since).await["rooms"]["invite"], json!({}));
    }
    decide(&bob, TYPES[0], json!({ "allowed_users": [alice.id()] })).await;
    assert!(bob.sync(None).await["rooms"]["invite"][&room].is_object());
}

#[tokio::test]
async fn an_invite_that_came_before_is_told_no_more() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = alice.create_room(json!({ "invite": [bob.id()] })).await;
    assert!(bob.sync(None).await["rooms"]["invite"][&room].is_object());
    decide(&bob, TYPES[0], json!({ "default_action": "block" })).await;
    assert_eq!(bob.sync(None).await["rooms"]["invite"], json!({}));
}

#[tokio::test]
async fn one_who_is_ignored_is_not_told_of_being_blocked() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = alice.create_room(json!({})).await;
    decide(&bob, "m.ignored_user_list", json!({ "ignored_users": { alice.id(): {} } })).await;
    decide(&bob, TYPES[0], json!({ "default_action": "block" })).await;
    alice.invite(&room, &bob).await;
    assert_eq!(bob.sync(None).await["rooms"]["invite"], json!({}));
}
