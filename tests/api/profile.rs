//! What users tell everyone about themselves.

use serde_json::{Value, json};
use tertulia_testkit::{Answered, Client, TestServer};

use crate::people::get;

/// What nobody may be called: control characters, what turns the direction of text, and what nobody sees.
pub(crate) const UNFIT_NAMES: [&str; 5] =
    ["\u{202e}ecila", "\u{2066}alice", "\u{200b}\u{200d}", "a\r\nBcc: b@example.org", " \u{2800}"];

async fn set(client: &Client, field: &str, value: Value) -> Answered {
    client.put(["profile", client.id(), field]).json(json!({ field: value })).await
}

async fn whole(server: &TestServer, client: &Client) -> Value {
    get(server, &format!("profile/{}", client.id())).await.ok()
}

#[tokio::test]
async fn everyone_may_read_a_profile() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    assert_eq!(whole(&server, &alice).await, json!({}));
    for (field, value) in [
        ("displayname", json!("Alice 🐚")),
        ("avatar_url", json!("mxc://example.org/abc")),
        ("m.tz", json!("Europe/Madrid")),
        ("org.example.pronouns", json!([{ "language": "en", "summary": "she" }])),
    ] {
        assert_eq!(set(&alice, field, value.clone()).await.ok(), json!({}));
        let path = format!("profile/{}/{field}", alice.id());
        assert_eq!(get(&server, &path).await.ok(), json!({ field: value }));
    }
    let expected = json!({
        "displayname": "Alice 🐚",
        "avatar_url": "mxc://example.org/abc",
        "m.tz": "Europe/Madrid",
        "org.example.pronouns": [{ "language": "en", "summary": "she" }],
    });
    assert_eq!(whole(&server, &alice).await, expected);
}

#[tokio::test]
async fn a_field_may_be_taken_back() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    for field in ["displayname", "avatar_url", "m.tz", "org.example.a"] {
        set(&alice, field, json!("something")).await.ok();
        let path = ["profile", alice.id(), field];
        assert_eq!(alice.delete(path).await.ok(), json!({}));
        alice.delete(path).await.ok();
        let path = format!("profile/{}/{field}", alice.id());
        get(&server, &path).await.refused(404, "M_NOT_FOUND");
    }
    assert_eq!(whole(&server, &alice).await, json!({}));
}

#[tokio::test]
async fn an_empty_name_is_none() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    for field in ["displayname", "avatar_url"] {
        set(&alice, field, json!("something")).await.ok();
        set(&alice, field, json!("")).await.ok();
    }
    assert_eq!(whole(&server, &alice).await, json!({}));
}

#[tokio::test]
async fn users_write_about_themselves_only() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let path = ["profile", alice.id(), "displayname"];
    bob.put(path).json(json!({ "displayname": "Eve" })).await.refused(403, "M_FORBIDDEN");
    bob.delete(path).await.refused(403, "M_FORBIDDEN");
    let unknown = format!("/_matrix/client/v3/profile/{}/displayname", alice.id());
    let call = server.call(http::Method::PUT, unknown).json(json!({ "displayname": "Eve" }));
    call.await.refused(401, "M_MISSING_TOKEN");
    assert_eq!(whole(&server, &alice).await, json!({}));
}

#[tokio::test]
async fn what_breaks_the_rules_is_refused() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let long = format!("org.{}", "a".repeat(252));
    for (field, body, code) in [
        ("displayname", json!({ "displayname": 7 }), "M_INVALID_PARAM"),
        ("displayname", json!({ "displayname": "x".repeat(257) }), "M_INVALID_PARAM"),
        ("avatar_url", json!({ "avatar_url": ["mxc://a/b"] }), "M_INVALID_PARAM"),
        ("m.tz", json!({ "m.tz": {} }), "M_INVALID_PARAM"),
        ("displayname", json!({}), "M_MISSING_PARAM"),
        ("displayname", json!({ "avatar_url": "mxc://a/b" }), "M_MISSING_PARAM"),
        ("displayname", json!([]), "M_BAD_JSON"),
        ("Display", json!({ "Display": "x" }), "M_INVALID_PARAM"),
        ("custom", json!({ "custom": "x" }), "M_INVALID_PARAM"),
        (long.as_str(), json!({ long.as_str(): "x" }), "M_KEY_TOO_LARGE"),
        ("org.example.a", json!({ "org.example.a": "x".repeat(65_536) }), "M_PROFILE_TOO_LARGE"),
    ] {
        let answer = alice.put(["profile", alice.id(), field]).json(body).await;
        answer.refused(400, code);
    }
    for field in ["Display", "custom"] {
        alice.delete(["profile", alice.id(), field]).await.refused(400, "M_INVALID_PARAM");
        alice.get(["profile", alice.id(), field]).await.refused(400, "M_INVALID_PARAM");
    }
    alice
        .put(["profile", "alice", "displayname"])
        .json(json!({}))
        .await
        .refused(400, "M_INVALID_PARAM");
    assert_eq!(whole(&server, &alice).await, json!({}));
}

#[tokio::test]
async fn nobody_has_an_unfit_name_by_whatever_way() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = alice.create_public_room().await;
    let (me, kind) = (alice.id(), "m.room.member");
    for name in UNFIT_NAMES {
        set(&alice, "displayname", json!(name)).await.refused(400, "M_INVALID_PARAM");
        let old = format!("/_matrix/client/r0/profile/{me}/displayname");
        let old = alice.put(old).json(json!({ "displayname": name }));
        old.await.refused(400, "M_INVALID_PARAM");
        // A name for one room, of oneself and of somebody who is invited.
        for (whose, membership) in [(me, "join"), (bob.id(), "invite")] {
            let content = json!({ "membership": membership, "displayname": name });
            let state = alice.put(["rooms", &room, "state", kind, whose]).json(content.clone());
            state.await.refused(400, "M_INVALID_PARAM");
            let first = json!([{ "type": kind, "state_key": whose, "content": content }]);
            let create = alice.post(["createRoom"]).json(json!({ "initial_state": first }));
            create.await.refused(400, "M_INVALID_PARAM");
        }
    }
    assert_eq!(whole(&server, &alice).await, json!({}));
    for name in ["Alice in here", ""] {
        let content = json!({ "membership": "join", "displayname": name });
        alice.put(["rooms", &room, "state", kind, me]).json(content).await.ok();
    }
}

#[tokio::test]
async fn who_does_not_exist_has_no_profile() {
    let server = TestServer::start().await;
    for user in ["@nobody:example.org", "@alice:example.com"] {
        get(&server, &format!("profile/{user}")).await.refused(404, "M_NOT_FOUND");
        get(&server, &format!("profile/{user}/displayname")).await.refused(404, "M_NOT_FOUND");
    }
    get(&server, "profile/nobody").await.refused(400, "M_INVALID_PARAM");
}
