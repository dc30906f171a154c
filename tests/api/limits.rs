//! How often one may do something.

use std::time::Duration;

use serde_json::json;
use tertulia_http::{Rate, RateLimits};
use tertulia_testkit::{Call, Client, TestServer};

/// A server where everything may be done once.
async fn once() -> TestServer {
    let rate = Some(Rate::new(1, 0.001));
    let mut limits = RateLimits::off();
    limits.message = rate;
    limits.join = rate;
    limits.room_creation = rate;
    limits.search = rate;
    TestServer::builder().options(|options| options.rate_limits = limits).start().await
}

async fn check(name: &str, call: impl Fn(&Client) -> Call, client: &Client) {
    assert_ne!(call(client).await.status, 429, "{name}: the first");
    let answer = call(client).await;
    let wait = answer.refused(429, "M_LIMIT_EXCEEDED")["retry_after_ms"].as_u64().unwrap();
    let header: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(Duration::from_secs(header) >= Duration::from_millis(wait), "{name}");
}

#[tokio::test]
async fn each_action_has_its_limit() {
    let server = once().await;
    let alice = server.user("alice").await;
    let room = "!r:example.org";
    check("creation", |c| c.post(["createRoom"]).json(json!({})), &alice).await;
    check("messages", |c| c.put(["rooms", room, "send", "m.x", "t"]).json(json!({})), &alice).await;
    check("joins", |c| c.post(["join", room]), &alice).await;
    check("searches", |c| c.post(["publicRooms"]).json(json!({})), &alice).await;
}

#[tokio::test]
async fn actions_of_one_kind_share_a_limit() {
    let server = once().await;
    let alice = server.user("alice").await;
    let room = "!r:example.org";
    alice.post(["rooms", room, "join"]).await.refused(404, "M_NOT_FOUND");
    alice.post(["join", room]).await.refused(429, "M_LIMIT_EXCEEDED");
    alice.put(["rooms", room, "send", "m.x", "t"]).json(json!({})).await;
    let state = alice.put(["rooms", room, "state", "m.x", ""]).json(json!({})).await;
    state.refused(429, "M_LIMIT_EXCEEDED");
    let path = ["user_directory", "search"];
    alice.post(path).json(json!({ "search_term": "a" })).await.ok();
    let space = alice.get(format!("/_matrix/client/v1/rooms/{room}/hierarchy")).await;
    space.refused(429, "M_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn one_user_does_not_use_up_what_is_anothers() {
    let server = once().await;
    for name in ["alice", "bob"] {
        let user = server.user(name).await;
        assert_eq!(user.post(["createRoom"]).json(json!({})).await.status, 200);
        assert_eq!(user.post(["createRoom"]).json(json!({})).await.status, 429);
    }
}

#[tokio::test]
async fn reading_is_not_limited() {
    let server = once().await;
    let alice = server.user("alice").await;
    for _ in 0..50 {
        alice.get(["joined_rooms"]).await.ok();
    }
}
