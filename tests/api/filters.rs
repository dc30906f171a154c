//! Filters.

use serde_json::json;
use tertulia_testkit::TestServer;

#[tokio::test]
async fn a_filter_is_stored_once_and_read_by_its_id() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let filters = ["user", alice.id(), "filter"];
    let filter = json!({
        "event_fields": ["type", "content"],
        "room": {
            "timeline": { "limit": 10, "types": ["m.room.*"], "lazy_load_members": true },
            "rooms": ["!a:example.org"],
        },
    });
    let stored = alice.post(filters).json(filter.clone()).await.ok();
    assert_eq!(alice.post(filters).json(filter.clone()).await.ok(), stored);
    assert_ne!(alice.post(filters).json(json!({})).await.ok(), stored);
    let id = stored["filter_id"].as_str().unwrap();
    assert!(!id.starts_with('{'));
    assert_eq!(alice.get(["user", alice.id(), "filter", id]).await.ok(), filter);
}

#[tokio::test]
async fn what_is_no_filter_is_refused() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    for wrong in [
        json!({ "presence": "not_an_object" }),
        json!({ "room": { "timeline": "not_an_object" } }),
        json!({ "room": { "timeline": { "types": "not_a_list" } } }),
        json!({ "room": { "rooms": ["not_a_room_id"] } }),
        json!({ "room": { "timeline": { "senders": ["not_a_sender_id"] } } }),
        json!({ "event_format": 7 }),
        json!({ "event_format": "abc" }),
        json!({ "event_format": "" }),
        json!({ "event_format": "Client" }),
    ] {
        let given = alice.get(["sync"]).query("filter", &wrong.to_string());
        given.await.refused(400, "M_BAD_JSON");
        let refused = alice.post(["user", alice.id(), "filter"]).json(wrong).await;
        refused.refused(400, "M_BAD_JSON");
    }
    let large = json!({ "event_fields": ["a".repeat(70_000)] });
    let refused = alice.post(["user", alice.id(), "filter"]).json(large).await;
    refused.refused(413, "M_TOO_LARGE");
}

#[tokio::test]
async fn filters_are_their_owners_alone() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let stored = alice.post(["user", alice.id(), "filter"]).json(json!({})).await.ok();
    let id = stored["filter_id"].as_str().unwrap();
    bob.get(["user", alice.id(), "filter", id]).await.refused(403, "M_FORBIDDEN");
    bob.post(["user", alice.id(), "filter"]).json(json!({})).await.refused(403, "M_FORBIDDEN");
    bob.get(["user", bob.id(), "filter", id]).await.refused(404, "M_NOT_FOUND");
    alice.get(["user", alice.id(), "filter", "none"]).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn a_filter_is_given_back_as_it_was_stored() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    for filter in [
        json!({}),
        json!({ "event_format": "client" }),
        json!({ "event_format": "federation", "org.example": { "a": [1, null] } }),
        json!({ "room": { "timeline": { "limit": 5, "org.example": true }, "state": {} } }),
        json!({ "presence": { "not_types": [] }, "room": { "include_leave": false } }),
    ] {
        let stored = alice.post(["user", alice.id(), "filter"]).json(filter.clone()).await.ok();
        let id = stored["filter_id"].as_str().unwrap();
        assert_eq!(alice.get(["user", alice.id(), "filter", id]).await.ok(), filter);
        alice.get(["sync"]).query("filter", id).await.ok();
        alice.get(["sync"]).query("filter", &filter.to_string()).await.ok();
    }
}

#[tokio::test]
async fn how_a_filter_is_written_makes_no_other_of_it() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let store = async |body: &'static str| {
        alice.post(["user", alice.id(), "filter"]).body(body).await.ok()["filter_id"].clone()
    };
    let id = store(r#"{"event_fields":["type"],"room":{"timeline":{"limit":1}}}"#).await;
    assert_eq!(
        store(r#"{ "room": {"timeline": {"limit":1}}, "event_fields": ["type"] }"#).await,
        id
    );
    assert_ne!(store(r#"{"event_fields":["type"],"room":{"timeline":{"limit":2}}}"#).await, id);
}
