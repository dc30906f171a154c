//! What is said of events beside what was signed, wherever they are told.

use serde_json::{Value, json};
use tertulia_testkit::{Client, TestServer};

async fn two() -> (TestServer, Client, Client) {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    (server, alice, bob)
}

/// The event `id` among `events`.
#[track_caller]
fn find<'a>(events: &'a Value, id: &str) -> &'a Value {
    let events = events.as_array().expect("a list of events");
    events.iter().find(|event| event["event_id"] == id).expect("the event is told")
}

/// The `unsigned` of an event at every place where `client` is told of it for itself.
async fn unsigned_everywhere(client: &Client, room: &str, id: &str) -> Vec<(&'static str, Value)> {
    let event = client.get(["rooms", room, "event", id]).await.ok();
    let context = client.get(["rooms", room, "context", id]).await.ok();
    let messages = client.get(["rooms", room, "messages"]).query("dir", "b");
    let messages = messages.query("limit", "50").await.ok();
    let filter = json!({ "room": { "timeline": { "limit": 50 } } }).to_string();
    let sync = client.get(["sync"]).query("filter", &filter).await.ok();
    let timeline = &sync["rooms"]["join"][room]["timeline"]["events"];
    vec![
        ("event", event["unsigned"].clone()),
        ("context", context["event"]["unsigned"].clone()),
        ("messages", find(&messages["chunk"], id)["unsigned"].clone()),
        ("sync", find(timeline, id)["unsigned"].clone()),
    ]
}

async fn set_topic(client: &Client, room: &str, topic: &str) -> String {
    client.set_state(room, "m.room.topic", "", json!({ "topic": topic })).await
}

#[tokio::test]
async fn a_state_event_says_what_it_replaced_wherever_it_is_told() {
    let (_, alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    let first = set_topic(&alice, &room, "one").await;
    let second = set_topic(&alice, &room, "two").await;
    for (place, unsigned) in unsigned_everywhere(&bob, &room, &second).await {
        assert_eq!(unsigned["replaces_state"], first.as_str(), "{place}");
        assert_eq!(unsigned["prev_content"], json!({ "topic": "one" }), "{place}");
        assert_eq!(unsigned["membership"], "join", "{place}");
        assert!(unsigned["age"].is_i64(), "{place}");
    }
    for (place, unsigned) in unsigned_everywhere(&bob, &room, &first).await {
        assert!(unsigned.get("replaces_state").is_none(), "{place}");
        assert!(unsigned.get("prev_content").is_none(), "{place}");
    }
}

#[tokio::test]
async fn the_state_says_what_it_replaced() {
    let (_, alice, _) = two().await;
    let room = alice.create_room(json!({})).await;
    let first = set_topic(&alice, &room, "one").await;
    let second = set_topic(&alice, &room, "two").await;
    let state = alice.get(["rooms", &room, "state"]).await.ok();
    let slot = alice.get(["rooms", &room, "state", "m.room.topic", ""]).query("format", "event");
    for event in [find(&state, &second), &slot.await.ok()] {
        assert_eq!(event["unsigned"]["replaces_state"], first.as_str());
        assert_eq!(event["unsigned"]["prev_content"], json!({ "topic": "one" }));
    }
}

#[tokio::test]
async fn a_membership_says_what_it_was_before() {
    let (_, alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    let path = ["rooms", &room, "state", "m.room.member", bob.id()];
    let joined = bob.get(path).query("format", "event").await.ok();
    assert_eq!(joined["unsigned"]["prev_content"]["membership"], "invite");
    bob.leave(&room).await;
    let told = bob.get(path).query("format", "event").await.ok();
    assert_eq!(told["unsigned"]["prev_content"]["membership"], "join");
    assert_eq!(told["unsigned"]["replaces_state"], joined["event_id"]);
}

#[tokio::test]
async fn what_one_may_not_see_is_named_but_not_shown() {
    let (_, alice, bob) = two().await;
    let room = alice.create_public_room().await;
    let visibility = async |visibility: &str| {
        let content = json!({ "history_visibility": visibility });
        alice.set_state(&room, "m.room.history_visibility", "", content).await;
    };
    visibility("joined").await;
    let hidden = set_topic(&alice, &room, "not for bob").await;
    visibility("shared").await;
    let shown = set_topic(&alice, &room, "for all").await;
    bob.join(&room).await;
    for (place, unsigned) in unsigned_everywhere(&bob, &room, &shown).await {
        assert_eq!(unsigned["replaces_state"], hidden.as_str(), "{place}");
        assert!(unsigned.get("prev_content").is_none(), "{place}");
        assert_eq!(unsigned["membership"], "leave", "{place}");
    }
    for (place, unsigned) in unsigned_everywhere(&alice, &room, &shown).await {
        assert_eq!(unsigned["prev_content"], json!({ "topic": "not for bob" }), "{place}");
    }
    let state = bob.get(["rooms", &room, "state"]).await.ok();
    assert!(find(&state, &shown)["unsigned"].get("prev_content").is_none());
}

#[tokio::test]
async fn what_was_redacted_since_is_not_shown_as_previous_content() {
    let (_, alice, _) = two().await;
    let room = alice.create_room(json!({})).await;
    let first = set_topic(&alice, &room, "a secret").await;
    let second = set_topic(&alice, &room, "two").await;
    alice.put(["rooms", &room, "redact", &first, "t"]).json(json!({})).await.ok();
    for (place, unsigned) in unsigned_everywhere(&alice, &room, &second).await {
        assert_eq!(unsigned["prev_content"], json!({}), "{place}");
        assert_eq!(unsigned["replaces_state"], first.as_str(), "{place}");
    }
}

#[tokio::test]
async fn a_session_finds_its_own_transactions_and_nobody_else_does() {
    let (server, alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    let path = ["rooms", &room, "send", "m.room.message", "my-transaction"];
    let sent = alice.put(path).json(json!({ "msgtype": "m.text", "body": "hi" })).await.ok();
    let id = sent["event_id"].as_str().unwrap();
    for (place, unsigned) in unsigned_everywhere(&alice, &room, id).await {
        assert_eq!(unsigned["transaction_id"], "my-transaction", "{place}");
    }
    for (place, unsigned) in unsigned_everywhere(&bob, &room, id).await {
        assert!(unsigned.get("transaction_id").is_none(), "{place}");
    }
    let user = server.homeserver().user(alice.id()).await.unwrap();
    let elsewhere = user.room(room.as_str().try_into().unwrap());
    let event = elsewhere.event(id.try_into().unwrap()).await.unwrap();
    assert_eq!(event.unsigned().transaction_id, None, "another device");
}

#[tokio::test]
async fn a_redacted_event_says_by_what_wherever_it_is_told() {
    let (_, alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    let events = [alice.send(&room, "one").await, alice.send(&room, "two").await];
    for event in &events {
        let transaction = alice.transaction();
        let redact = alice.put(["rooms", &room, "redact", event, &transaction]);
        let by = redact.json(json!({ "reason": "typo" })).await.ok();
        for (place, unsigned) in unsigned_everywhere(&bob, &room, event).await {
            let because = &unsigned["redacted_because"];
            assert_eq!(because["event_id"], by["event_id"], "{place}");
            assert_eq!(because["redacts"], event.as_str(), "{place}");
            assert_eq!(because["content"]["redacts"], event.as_str(), "{place}");
        }
    }
}
