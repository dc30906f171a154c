//! What a user was notified of, and how much is unread.

use serde_json::{Value, json};
use tertulia_testkit::{Client, TestServer};

async fn scene() -> (Client, Client, String) {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    (alice, bob, room)
}

async fn list(client: &Client, query: &[(&str, &str)]) -> Value {
    let mut call = client.get(["notifications"]);
    for (name, value) in query {
        call = call.query(name, value);
    }
    call.await.ok()
}

#[tokio::test]
async fn notifications_are_listed_with_where_and_why() {
    let (alice, bob, room) = scene().await;
    assert_eq!(list(&alice, &[]).await, json!({ "notifications": [] }));
    let event = bob.send(&room, "one").await;
    bob.send(&room, "two").await;
    let all = list(&alice, &[("limit", "1")]).await;
    assert_eq!(all["notifications"][0]["event"]["content"]["body"], "two");
    let next = all["next_token"].as_str().unwrap();
    let rest = list(&alice, &[("from", next), ("only", "anything")]).await;
    let one = &rest["notifications"][0];
    assert_eq!(one["event"]["event_id"], event.as_str());
    assert_eq!(one["event"]["room_id"], Value::Null);
    assert_eq!((&one["room_id"], &one["read"]), (&json!(room), &json!(false)));
    assert_eq!(one["actions"], json!(["notify", { "set_tweak": "sound", "value": "default" }]));
    assert_eq!(one["ts"], one["event"]["origin_server_ts"]);
    assert!(rest.get("next_token").is_none());
    assert_eq!(list(&alice, &[("only", "highlight")]).await["notifications"], json!([]));
}

#[tokio::test]
async fn a_place_to_go_on_is_one_that_was_told() {
    let (alice, ..) = scene().await;
    for from in ["x", "-1", ""] {
        let call = alice.get(["notifications"]).query("from", from);
        call.await.refused(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn every_room_that_is_told_says_how_much_of_it_is_unread() {
    let (alice, bob, room) = scene().await;
    let event = bob.send(&room, "one").await;
    let update = alice.get(["sync"]).await.ok();
    let since = update["next_batch"].as_str().unwrap().to_owned();
    let counts = |highlights: u64, all: u64| json!({ "highlight_count": highlights, "notification_count": all });
    let joined = &update["rooms"]["join"][&room];
    assert_eq!(joined["unread_notifications"], counts(0, 1));
    assert!(joined.get("unread_thread_notifications").is_none());
    alice.post(["rooms", &room, "receipt", "m.read.private", &event]).json(json!({})).await.ok();
    let filter = json!({ "room": { "timeline": { "unread_thread_notifications": true } } });
    let call = alice.get(["sync"]).query("since", &since).query("filter", &filter.to_string());
    let joined = &call.await.ok()["rooms"]["join"][&room];
    assert_eq!(joined["unread_notifications"], counts(0, 0));
    assert_eq!(joined["unread_thread_notifications"], json!({}));
}
