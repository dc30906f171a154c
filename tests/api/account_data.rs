//! Account data, global and per room, and tags.

use serde_json::{Value, json};
use tertulia_testkit::{Client, TestServer};

const KIND: &str = "org.example.kind";

async fn two() -> (Client, Client) {
    let server = TestServer::start().await;
    (server.user("alice").await, server.user("bob").await)
}

/// The paths of one type of account data, global and of a room.
fn paths(user: &str, room: &str, kind: &str) -> [String; 2] {
    let user = format!("/_matrix/client/v3/user/{user}");
    [format!("{user}/account_data/{kind}"), format!("{user}/rooms/{room}/account_data/{kind}")]
}

#[tokio::test]
async fn account_data_is_read_as_it_was_set() {
    let (alice, _) = two().await;
    for (n, path) in paths(alice.id(), "!a:example.org", KIND).into_iter().enumerate() {
        alice.get(path.as_str()).await.refused(404, "M_NOT_FOUND");
        for content in [json!({ "n": n, "nested": { "a": [1.5, null] } }), json!({})] {
            assert_eq!(alice.put(path.as_str()).json(content.clone()).await.ok(), json!({}));
            assert_eq!(alice.get(path.as_str()).await.ok(), content);
            let old = path.replace("/v3/", "/r0/");
            assert_eq!(alice.get(old).await.ok(), content);
        }
    }
}

#[tokio::test]
async fn account_data_of_another_user_is_out_of_reach() {
    let (alice, bob) = two().await;
    for path in paths(alice.id(), "!a:example.org", KIND) {
        alice.put(path.as_str()).json(json!({})).await.ok();
        bob.get(path.as_str()).await.refused(403, "M_FORBIDDEN");
        bob.put(path.as_str()).json(json!({})).await.refused(403, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn content_is_a_json_object_of_a_bounded_size() {
    let (alice, _) = two().await;
    for path in paths(alice.id(), "!a:example.org", KIND) {
        let put = |body: &str| alice.put(path.as_str()).body(body.to_owned());
        put("[]").await.refused(400, "M_BAD_JSON");
        put("7").await.refused(400, "M_BAD_JSON");
        put("{").await.refused(400, "M_NOT_JSON");
        put("").await.refused(400, "M_NOT_JSON");
        for size in [600_000, 2_000_000] {
            let large = json!({ "a": "a".repeat(size) });
            put(&large.to_string()).await.refused(413, "M_TOO_LARGE");
        }
        alice.get(path.as_str()).await.refused(404, "M_NOT_FOUND");
    }
    let path = format!("/_matrix/client/v3/user/{}/rooms/nonsense/account_data/a", alice.id());
    alice.put(path.as_str()).json(json!({})).await.refused(400, "M_INVALID_PARAM");
    alice.get(path).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn what_the_server_sets_is_read_but_not_set() {
    let (alice, _) = two().await;
    for kind in ["m.fully_read", "m.push_rules"] {
        for path in paths(alice.id(), "!a:example.org", kind) {
            alice.put(path).json(json!({})).await.refused(405, "M_BAD_JSON");
        }
    }
    let [global, _] = paths(alice.id(), "", "m.push_rules");
    let rules = alice.get(["pushrules", ""]).await.ok();
    assert_eq!(alice.get(global).await.ok(), rules);
}

#[tokio::test]
async fn account_data_needs_a_session() {
    let server = TestServer::start().await;
    for path in paths("@alice:example.org", "!a:example.org", KIND) {
        for method in [http::Method::GET, http::Method::PUT] {
            server.call(method, path.as_str()).await.refused(401, "M_MISSING_TOKEN");
        }
    }
}

#[tokio::test]
async fn tags_come_and_go() {
    let (alice, bob) = two().await;
    let room = "!a:example.org";
    let tags = ["user", alice.id(), "rooms", room, "tags"];
    let tag = |name| ["user", alice.id(), "rooms", room, "tags", name];
    assert_eq!(alice.get(tags).await.ok(), json!({ "tags": {} }));
    alice.put(tag("m.favourite")).json(json!({ "order": 0.25 })).await.ok();
    alice.put(tag("u.wörk")).json(json!({})).await.ok();
    let both = json!({ "m.favourite": { "order": 0.25 }, "u.wörk": {} });
    assert_eq!(alice.get(tags).await.ok(), json!({ "tags": both }));
    let [_, data] = paths(alice.id(), room, "m.tag");
    assert_eq!(alice.get(data).await.ok(), json!({ "tags": both }));
    for _ in 0..2 {
        assert_eq!(alice.delete(tag("m.favourite")).await.ok(), json!({}));
    }
    assert_eq!(alice.get(tags).await.ok(), json!({ "tags": { "u.wörk": {} } }));

    bob.get(tags).await.refused(403, "M_FORBIDDEN");
    bob.put(tag("u.a")).json(json!({})).await.refused(403, "M_FORBIDDEN");
    bob.delete(tag("u.wörk")).await.refused(403, "M_FORBIDDEN");
    alice.put(tag("u.a")).json(json!({ "order": "first" })).await.refused(400, "M_BAD_JSON");
    alice.put(tag(&"a".repeat(256))).json(json!({})).await.refused(400, "M_INVALID_PARAM");
    let read: Value = bob.get(["user", bob.id(), "rooms", room, "tags"]).await.ok();
    assert_eq!(read, json!({ "tags": {} }));
}
