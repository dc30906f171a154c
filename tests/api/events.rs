//! Sending, redacting and reading single events.

use serde_json::json;
use tertulia_testkit::{Call, Client, Path, TestServer};

async fn two() -> (Client, Client) {
    let server = TestServer::start().await;
    (server.user("alice").await, server.user("bob").await)
}

#[tokio::test]
async fn what_is_sent_is_read() {
    let (alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    let content = json!({ "msgtype": "m.text", "body": "¡hola! 👋", "org.example": { "a": [1] } });
    let id = alice.send_event(&room, "m.room.message", content.clone()).await;
    let event = bob.get(["rooms", &room, "event", &id]).await.ok();
    assert_eq!(event["content"], content);
    assert_eq!(event["event_id"], id.as_str());
    assert_eq!(event["room_id"], room.as_str());
    assert_eq!(event["sender"], alice.id());
    assert_eq!(event["type"], "m.room.message");
    assert_eq!(event["unsigned"]["membership"], "join");
    assert!(event.get("state_key").is_none());
    for hidden in ["auth_events", "prev_events", "hashes", "signatures", "depth"] {
        assert!(event.get(hidden).is_none(), "{hidden}");
    }
}

#[tokio::test]
async fn an_event_without_type_is_not_sent() {
    let (alice, _) = two().await;
    let room = alice.create_room(json!({})).await;
    for path in ["send//t", "state//", "state//key"] {
        let put = alice.put(format!("/_matrix/client/v3/rooms/{room}/{path}")).json(json!({}));
        put.await.refused(400, "M_INVALID_PARAM");
    }
    let get = alice.get(format!("/_matrix/client/v3/rooms/{room}/state//"));
    get.await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_retried_send_makes_one_event() {
    let (alice, _) = two().await;
    let room = alice.create_room(json!({})).await;
    let send = async |path: [&str; 5], body: &str| {
        let body = json!({ "msgtype": "m.text", "body": body });
        alice.put(path).json(body).await.ok()["event_id"].clone()
    };
    let first = send(["rooms", &room, "send", "m.room.message", "t"], "once").await;
    let again = send(["rooms", &room, "send", "m.room.message", "t"], "once").await;
    assert_eq!(first, again);
    let other = send(["rooms", &room, "send", "m.room.message", "u"], "once").await;
    assert_ne!(first, other);
    let elsewhere = send(["rooms", &room, "send", "m.other", "t"], "once").await;
    assert_ne!(first, elsewhere, "the ID is the endpoint's, and the type is a part of its path");
}

#[tokio::test]
async fn a_transaction_belongs_to_its_device() {
    let (alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    let path = ["rooms", &room, "send", "m.room.message", "t"];
    let body = json!({ "msgtype": "m.text", "body": "mine" });
    let of_alice = alice.put(path).json(body.clone()).await.ok();
    let of_bob = bob.put(path).json(body).await.ok();
    assert_ne!(of_alice, of_bob);
}

#[tokio::test]
async fn a_retried_redaction_makes_one_event() {
    let (alice, _) = two().await;
    let room = alice.create_room(json!({})).await;
    let event = alice.send(&room, "oops").await;
    let redact = alice.put(["rooms", &room, "redact", &event, "t"]).json(json!({}));
    let first = redact.await.ok();
    let again = alice.put(["rooms", &room, "redact", &event, "t"]).json(json!({})).await.ok();
    assert_eq!(first, again);
}

#[tokio::test]
async fn a_redacted_event_has_lost_its_content_and_says_why() {
    let (alice, bob) = two().await;
    for version in ["1", "10", "11", "12"] {
        let wish = json!({ "room_version": version, "invite": [bob.id()] });
        let room = alice.create_room(wish).await;
        bob.join(&room).await;
        let event = bob.send(&room, "a secret").await;
        let redact = alice.put(["rooms", &room, "redact", &event, "t"]);
        let redaction = redact.json(json!({ "reason": "private" })).await.ok()["event_id"].clone();
        let told = bob.get(["rooms", &room, "event", &event]).await.ok();
        assert_eq!(told["content"], json!({}), "version {version}");
        let because = &told["unsigned"]["redacted_because"];
        assert_eq!(because["event_id"], redaction);
        assert_eq!(because["content"]["reason"], "private");
        // Clients of either age find what was redacted.
        assert_eq!(because["redacts"], event.as_str(), "version {version}");
        assert!(!told.to_string().contains("a secret"));
    }
}

#[tokio::test]
async fn a_redaction_may_be_sent_like_any_event() {
    let (alice, bob) = two().await;
    for version in ["1", "10", "11", "12"] {
        let wish = json!({ "room_version": version, "preset": "public_chat" });
        let room = alice.create_room(wish).await;
        bob.join(&room).await;
        let event = bob.send(&room, "a secret").await;
        let content = json!({ "redacts": event, "reason": "private", "org.example": 1 });
        let redaction = bob.send_event(&room, "m.room.redaction", content.clone()).await;
        let told = alice.get(["rooms", &room, "event", &event]).await.ok();
        assert_eq!(told["content"], json!({}), "version {version}");
        let because = &told["unsigned"]["redacted_because"];
        assert_eq!(because["event_id"], redaction.as_str());
        assert_eq!(because["content"], content, "version {version}");
        assert_eq!(because["redacts"], event.as_str());
    }
}

#[tokio::test]
async fn a_redaction_is_checked_however_it_is_sent() {
    let (alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    let event = alice.send(&room, "mine").await;
    let send = async |content| {
        let transaction = bob.transaction();
        let path = ["rooms", &room, "send", "m.room.redaction", &transaction];
        bob.put(path).json(content).await.outcome()
    };
    let outcome = |status, code: &str| (status, Some(code.to_owned()));
    assert_eq!(send(json!({ "redacts": event })).await, outcome(403, "M_FORBIDDEN"));
    assert_eq!(send(json!({ "redacts": "$none" })).await, outcome(404, "M_NOT_FOUND"));
    for nonsense in [json!({}), json!({ "redacts": 1 }), json!({ "redacts": "no ID" })] {
        assert_eq!(send(nonsense).await, outcome(400, "M_INVALID_PARAM"));
    }
    let levels = json!({ "users": { alice.id(): 100, bob.id(): 50 }, "redact": 100 });
    let old = alice.create_room(json!({ "room_version": "11", "preset": "public_chat" })).await;
    bob.join(&old).await;
    alice.set_state(&old, "m.room.power_levels", "", levels).await;
    let theirs = alice.send(&old, "mine").await;
    let as_state = bob.put(["rooms", &old, "state", "m.room.redaction", ""]);
    as_state.json(json!({ "redacts": theirs })).await.refused(403, "M_FORBIDDEN");
    for (room, event) in [(&room, &event), (&old, &theirs)] {
        let told = alice.get(["rooms", room, "event", event]).await.ok();
        assert_eq!(told["content"]["body"], "mine");
    }
}

#[tokio::test]
async fn one_redacts_ones_own_and_the_powerful_redact_all() {
    let (alice, bob) = two().await;
    let room = alice.create_room_with(&[&bob]).await;
    let (of_alice, of_bob) = (alice.send(&room, "a").await, bob.send(&room, "b").await);
    let redact = async |who: &Client, event: &str| {
        let transaction = who.transaction();
        let path = ["rooms", &room, "redact", event, &transaction];
        who.put(path).json(json!({})).await.outcome()
    };
    assert_eq!(redact(&bob, &of_alice).await, (403, Some("M_FORBIDDEN".to_owned())));
    assert_eq!(redact(&bob, &of_bob).await, (200, None));
    assert_eq!(redact(&alice, &bob.send(&room, "c").await).await, (200, None));
    assert_eq!(redact(&alice, "$none").await, (404, Some("M_NOT_FOUND".to_owned())));
    let elsewhere = alice.send(&alice.create_room(json!({})).await, "d").await;
    assert_eq!(redact(&alice, &elsewhere).await, (400, Some("M_INVALID_PARAM".to_owned())));
}

#[tokio::test]
async fn only_members_speak() {
    let (alice, bob) = two().await;
    let room = alice.create_public_room().await;
    let send = async |transaction: &str| {
        let path = ["rooms", &room, "send", "m.room.message", transaction];
        bob.put(path).json(json!({ "msgtype": "m.text", "body": "hi" })).await.outcome()
    };
    let forbidden = (403, Some("M_FORBIDDEN".to_owned()));
    assert_eq!(send("1").await, forbidden);
    bob.join(&room).await;
    assert_eq!(send("2").await, (200, None));
    bob.leave(&room).await;
    assert_eq!(send("3").await, forbidden);
}

#[tokio::test]
async fn an_event_one_may_not_see_is_not_found() {
    let (alice, bob) = two().await;
    let room = alice.create_room(json!({})).await;
    let event = alice.send(&room, "private").await;
    bob.get(["rooms", &room, "event", &event]).await.refused(404, "M_NOT_FOUND");
    alice.get(["rooms", &room, "event", "$none"]).await.refused(404, "M_NOT_FOUND");
    let other = alice.create_room(json!({})).await;
    alice.get(["rooms", &other, "event", &event]).await.refused(404, "M_NOT_FOUND");
    alice.get(["rooms", "!none:x", "event", &event]).await.refused(404, "M_NOT_FOUND");
    alice.get(["rooms", &room, "event", "no-id"]).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn content_is_an_object() {
    let (alice, _) = two().await;
    let room = alice.create_room(json!({})).await;
    let send = async |body: &'static str| {
        alice.put(["rooms", &room, "send", "m.x", "t"]).body(body).await.outcome()
    };
    for (body, code) in [
        ("", "M_NOT_JSON"),
        ("{", "M_NOT_JSON"),
        ("[]", "M_BAD_JSON"),
        (r#"{"a":1.5}"#, "M_BAD_JSON"),
    ] {
        assert_eq!(send(body).await, (400, Some(code.to_owned())), "{body}");
    }
}

#[tokio::test]
async fn an_access_token_in_the_query_is_as_good() {
    let (alice, _) = two().await;
    let room = alice.create_room(json!({})).await;
    let server = TestServer::start().await;
    let stranger = server.user("alice").await;
    let path = format!("/_matrix/client/v3/rooms/{room}/send/m.x/t?access_token={}", alice.token());
    let anonymous = alice.put(path.as_str()).json(json!({})).await;
    anonymous.ok();
    stranger.get(["rooms", &room, "state"]).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn what_is_nested_too_deeply_is_refused_wherever_it_is_said() {
    let (alice, _) = two().await;
    let room = alice.create_public_room().await;
    let event = alice.send(&room, "here").await;
    let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let refused = async |call: Call, body: String| {
        call.body(body).await.refused(400, "M_BAD_JSON");
    };
    for depth in [101, 127, 128, 20_000] {
        let paths: [Path; 6] = [
            ["rooms", &room, "send", "m.test", "t"].into(),
            ["rooms", &room, "state", "m.test", ""].into(),
            ["rooms", &room, "state", "m.room.member", alice.id()].into(),
            ["rooms", &room, "redact", &event, "t"].into(),
            ["user", alice.id(), "account_data", "m.test"].into(),
            ["profile", alice.id(), "m.test"].into(),
        ];
        for path in paths {
            refused(alice.put(path), nested(depth)).await;
        }
        refused(alice.post(["join", &room]), nested(depth)).await;
        let initial =
            format!(r#"{{"initial_state":[{{"type":"m.test","content":{}}}]}}"#, nested(depth));
        refused(alice.post(["createRoom"]), initial).await;
    }
    let sent = alice.put(["rooms", &room, "send", "m.test", "t"]).body(nested(100)).await.ok();
    let sent = sent["event_id"].as_str().unwrap();
    assert!(alice.get(["rooms", &room, "event", sent]).await.ok()["content"]["a"].is_object());
    alice.put(["rooms", &room, "redact", sent, "u"]).json(json!({})).await.ok();
    let told = alice.get(["rooms", &room, "event", sent]).await.ok();
    assert_eq!(told["content"], json!({}));
    alice.sync(None).await;
}

#[tokio::test]
async fn no_key_makes_json_of_a_text() {
    let (alice, _) = two().await;
    let room = alice.create_room(json!({})).await;
    for key in ["$serde_json::private::RawValue", "$serde_json::private::Number"] {
        let content = json!({ "x": { key: "{\"a\":1}" } });
        let send = alice.put(["rooms", &room, "send", "m.test", "t"]);
        send.json(content.clone()).await.refused(400, "M_BAD_JSON");
        let profile = alice.put(["profile", alice.id(), "m.test"]);
        profile.json(json!({ "m.test": content.clone() })).await.refused(400, "M_BAD_JSON");
        let state = json!({ "type": "m.test", "content": content });
        let create = alice.post(["createRoom"]);
        create.json(json!({ "initial_state": [state] })).await.refused(400, "M_BAD_JSON");
        let text = json!({ "body": key });
        assert!(!alice.send_event(&room, "m.test", text).await.is_empty());
    }
}
