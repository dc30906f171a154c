//! Syncing.

use std::time::Duration;

use serde_json::{Value, json};
use tertulia_testkit::{Client, TestServer};

async fn alice_and_bob() -> (TestServer, Client, Client) {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    (server, alice, bob)
}

fn token(update: &Value) -> &str {
    update["next_batch"].as_str().expect("every update says where to go on")
}

/// The bodies of the messages in a room's timeline.
fn messages(update: &Value, room: &str) -> Vec<String> {
    let events = update["rooms"]["join"][room]["timeline"]["events"].as_array();
    let bodies = events.into_iter().flatten().filter_map(|event| event["content"]["body"].as_str());
    bodies.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_message_reaches_the_others() {
    let (_, alice, bob) = alice_and_bob().await;
    let room = alice.create_room_with(&[&bob]).await;
    let first = bob.sync(None).await;
    alice.send(&room, "hello").await;
    let next = bob.sync(Some(token(&first))).await;
    assert_eq!(messages(&next, &room), ["hello"]);
    assert_eq!(messages(&bob.sync(Some(token(&next))).await, &room), [""; 0]);
}

#[tokio::test]
async fn every_section_is_there_even_when_it_is_empty() {
    let (_, alice, _) = alice_and_bob().await;
    let update = alice.get(["sync"]).query("set_presence", "offline").await.ok();
    assert_eq!(update["rooms"], json!({ "join": {}, "invite": {}, "knock": {}, "leave": {} }));
    for section in ["presence", "to_device"] {
        assert_eq!(update[section], json!({ "events": [] }), "{section}");
    }
    assert_eq!(update["device_lists"], json!({ "changed": [], "left": [] }));
    assert_eq!(update["device_one_time_keys_count"], json!({}));
}

#[tokio::test]
async fn a_poll_waits_for_as_long_as_it_is_told() {
    let (server, alice, _) = alice_and_bob().await;
    let since = token(&alice.sync(None).await).to_owned();
    let call = alice.get(["sync"]).query("since", &since).query("timeout", "30000");
    let poll = tokio::spawn(async move { call.await.ok() });
    server.clock().sleepers(1).await;
    server.clock().advance(Duration::from_secs(29));
    assert!(!poll.is_finished());
    server.clock().advance(Duration::from_secs(1));
    assert_eq!(poll.await.unwrap()["rooms"]["join"], json!({}));
}

#[tokio::test]
async fn a_poll_ends_with_what_it_waited_for() {
    let (server, alice, bob) = alice_and_bob().await;
    let room = alice.create_room_with(&[&bob]).await;
    let since = token(&bob.sync(None).await).to_owned();
    let call = bob.get(["sync"]).query("since", &since).query("timeout", "30000");
    let poll = tokio::spawn(async move { call.await.ok() });
    server.clock().sleepers(1).await;
    alice.send(&room, "there").await;
    assert_eq!(messages(&poll.await.unwrap(), &room), ["there"]);
}

#[tokio::test]
async fn filters_come_inline_or_by_their_name() {
    let (_, alice, _) = alice_and_bob().await;
    let room = alice.create_room(json!({})).await;
    alice.send(&room, "one").await;
    alice.send(&room, "two").await;
    let filter = json!({ "room": { "timeline": { "limit": 1 } } });
    let stored = alice.post(["user", alice.id(), "filter"]).json(filter.clone()).await.ok();
    let name = stored["filter_id"].as_str().unwrap().to_owned();
    for filter in [filter.to_string(), name] {
        let update = alice.get(["sync"]).query("filter", &filter).await.ok();
        assert_eq!(messages(&update, &room), ["two"]);
        assert_eq!(update["rooms"]["join"][&room]["timeline"]["limited"], true);
    }
}

#[tokio::test]
async fn what_does_not_read_is_refused() {
    let (_, alice, _) = alice_and_bob().await;
    alice.get(["sync"]).query("since", "nonsense").await.refused(400, "M_INVALID_PARAM");
    alice.get(["sync"]).query("filter", "{\"room\":3}").await.refused(400, "M_BAD_JSON");
    alice.get(["sync"]).query("filter", "{").await.refused(400, "M_BAD_JSON");
    alice.get(["sync"]).query("filter", "unknown").await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn clients_choose_where_their_state_comes_from() {
    let (_, alice, _) = alice_and_bob().await;
    let room = alice.create_room(json!({})).await;
    let first = alice.get(["sync"]).query("use_state_after", "true").await.ok();
    let told = &first["rooms"]["join"][&room];
    assert!(told["state_after"]["events"].is_array() && told["state"].is_null());
    let since = token(&first);
    let full = alice.get(["sync"]).query("since", since).query("full_state", "true").await.ok();
    let told = &full["rooms"]["join"][&room];
    assert!(!told["state"]["events"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn how_present_a_client_is_may_be_said() {
    let (_, alice, _) = alice_and_bob().await;
    for presence in ["online", "offline", "unavailable"] {
        alice.get(["sync"]).query("set_presence", presence).await.ok();
    }
}
