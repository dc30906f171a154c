//! Paging through a room's timeline.

use serde_json::{Value, json};
use tertulia_testkit::{Client, TestServer};

/// Alice, Bob, and a room where Alice said the numbers from 1 to `count`.
async fn numbers(count: usize) -> (Client, Client, String, Vec<String>) {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = alice.create_room_with(&[&bob]).await;
    let mut events = Vec::new();
    for number in 1..=count {
        events.push(alice.send(&room, &number.to_string()).await);
    }
    (alice, bob, room, events)
}

fn ids(events: &Value) -> Vec<String> {
    let id = |event: &Value| event["event_id"].as_str().unwrap().to_owned();
    events.as_array().unwrap().iter().map(id).collect()
}

/// All events of the room, page after page.
async fn walk(client: &Client, room: &str, direction: &str, limit: &str) -> Vec<String> {
    let (mut from, mut all) = (None::<String>, Vec::new());
    loop {
        let call = client.get(["rooms", room, "messages"]);
        let call = call.query("dir", direction).query("limit", limit);
        let page = match &from {
            Some(from) => call.query("from", from).await.ok(),
            None => call.await.ok(),
        };
        let chunk = ids(&page["chunk"]);
        assert!(chunk.len() <= limit.parse().unwrap());
        all.extend(chunk);
        match page["end"].as_str() {
            Some(end) => from = Some(end.to_owned()),
            None => return all,
        }
    }
}

#[tokio::test]
async fn both_ways_lead_past_every_event_once() {
    let (_, bob, room, sent) = numbers(12).await;
    let mut forward = walk(&bob, &room, "f", "100").await;
    assert_eq!(forward[forward.len() - 12..], sent);
    for limit in ["1", "3", "100"] {
        assert_eq!(walk(&bob, &room, "f", limit).await, forward, "limit {limit}");
    }
    forward.reverse();
    for limit in ["1", "3", "100"] {
        assert_eq!(walk(&bob, &room, "b", limit).await, forward, "limit {limit}");
    }
}

#[tokio::test]
async fn ten_is_the_usual_page() {
    let (_, bob, room, sent) = numbers(12).await;
    let page = bob.get(["rooms", &room, "messages"]).query("dir", "b").await.ok();
    let newest: Vec<_> = sent.iter().rev().take(10).cloned().collect();
    assert_eq!(ids(&page["chunk"]), newest);
}

#[tokio::test]
async fn a_token_is_good_for_both_ways() {
    let (_, bob, room, sent) = numbers(4).await;
    let messages = || bob.get(["rooms", &room, "messages"]);
    let page = messages().query("dir", "b").query("limit", "2").await.ok();
    assert_eq!(ids(&page["chunk"]), [sent[3].clone(), sent[2].clone()]);
    let end = page["end"].as_str().unwrap();
    let forward = messages().query("dir", "f").query("from", end).await.ok();
    assert_eq!(ids(&forward["chunk"]), sent[2..]);
    let back = messages().query("dir", "b").query("from", end).query("limit", "1").await.ok();
    assert_eq!(ids(&back["chunk"]), sent[1..2]);
}

#[tokio::test]
async fn a_page_ends_where_one_says() {
    let (_, bob, room, sent) = numbers(5).await;
    let messages = || bob.get(["rooms", &room, "messages"]).query("dir", "b");
    let page = messages().query("limit", "3").await.ok();
    let stop = page["end"].as_str().unwrap();
    let bounded = messages().query("to", stop).query("limit", "100").await.ok();
    assert_eq!(ids(&bounded["chunk"]), [sent[4].clone(), sent[3].clone(), sent[2].clone()]);
}

#[tokio::test]
async fn a_filter_chooses() {
    let (alice, bob, room, sent) = numbers(2).await;
    let other = alice.send_event(&room, "org.example", json!({ "url": "mxc://x/y" })).await;
    let of_bob = bob.send(&room, "3").await;
    let filtered = async |filter: Value| {
        let call = bob.get(["rooms", &room, "messages"]).query("dir", "f").query("limit", "100");
        ids(&call.query("filter", &filter.to_string()).await.ok()["chunk"])
    };
    assert_eq!(filtered(json!({ "types": ["org.*"] })).await, std::slice::from_ref(&other));
    assert_eq!(
        filtered(json!({ "types": ["m.room.message"], "senders": [bob.id()] })).await,
        std::slice::from_ref(&of_bob)
    );
    assert_eq!(filtered(json!({ "contains_url": true })).await, [other]);
    let others = filtered(json!({ "types": ["m.room.message"], "not_senders": [bob.id()] })).await;
    assert_eq!(others, sent);
}

#[tokio::test]
async fn lazily_loaded_members_are_those_who_speak() {
    let (alice, bob, room, _) = numbers(1).await;
    let call = bob.get(["rooms", &room, "messages"]).query("dir", "b").query("limit", "1");
    let page = call.query("filter", r#"{"lazy_load_members":true}"#).await.ok();
    let members: Vec<_> =
        page["state"].as_array().unwrap().iter().map(|event| &event["state_key"]).collect();
    assert_eq!(members, [alice.id()]);
}

#[tokio::test]
async fn what_is_asked_must_make_sense() {
    let (_, bob, room, _) = numbers(1).await;
    let messages = || bob.get(["rooms", &room, "messages"]);
    messages().await.refused(400, "M_MISSING_PARAM");
    for (name, value) in [
        ("dir", "sideways"),
        ("limit", "-1"),
        ("limit", "many"),
        ("from", "nonsense"),
        ("to", "nonsense"),
        ("filter", "{"),
        ("filter", r#"{"types":1}"#),
    ] {
        let call = if name == "dir" { messages() } else { messages().query("dir", "b") };
        let outcome = call.query(name, value).await.outcome();
        assert_eq!(outcome, (400, Some("M_INVALID_PARAM".to_owned())), "{name}={value}");
    }
}

#[tokio::test]
async fn strangers_read_nothing() {
    let (alice, _, room, sent) = numbers(1).await;
    let server = TestServer::start().await;
    let stranger = server.user("eve").await;
    let call = stranger.get(["rooms", &room, "messages"]).query("dir", "b").await;
    call.refused(403, "M_FORBIDDEN");
    stranger.get(["rooms", &room, "context", &sent[0]]).await.refused(404, "M_NOT_FOUND");
    alice.get(["rooms", "!none:x", "messages"]).query("dir", "b").await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn one_who_left_reads_up_to_then() {
    let (alice, bob, room, sent) = numbers(2).await;
    bob.leave(&room).await;
    let later = alice.send(&room, "later").await;
    let seen = walk(&bob, &room, "b", "100").await;
    assert!(seen.contains(&sent[1]));
    assert!(!seen.contains(&later));
    bob.get(["rooms", &room, "event", &later]).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn history_is_seen_as_its_visibility_says() {
    for (visibility, sees_past) in [("shared", true), ("joined", false), ("invited", false)] {
        let server = TestServer::start().await;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let state = json!({ "type": "m.room.history_visibility",
                            "content": { "history_visibility": visibility } });
        let wish = json!({ "preset": "public_chat", "initial_state": [state] });
        let room = alice.create_room(wish).await;
        let past = alice.send(&room, "past").await;
        bob.join(&room).await;
        let present = alice.send(&room, "present").await;
        let seen = walk(&bob, &room, "b", "100").await;
        assert!(seen.contains(&present), "{visibility}");
        assert_eq!(seen.contains(&past), sees_past, "{visibility}");
    }
}

#[tokio::test]
async fn a_context_is_what_surrounds_an_event() {
    let (_, bob, room, sent) = numbers(7).await;
    let path = ["rooms", &room, "context", &sent[3]];
    let context = bob.get(path).query("limit", "4").await.ok();
    assert_eq!(context["event"]["event_id"], sent[3].as_str());
    assert_eq!(ids(&context["events_before"]), [sent[2].clone(), sent[1].clone()]);
    assert_eq!(ids(&context["events_after"]), sent[4..6]);
    let state = context["state"].as_array().unwrap();
    assert!(state.iter().any(|event| event["type"] == "m.room.create"));
    // One goes on from its ends.
    let page = async |direction: &str, end: &str| {
        let call =
            bob.get(["rooms", &room, "messages"]).query("dir", direction).query("limit", "1");
        ids(&call.query("from", context[end].as_str().unwrap()).await.ok()["chunk"])
    };
    assert_eq!(page("b", "start").await, sent[..1]);
    assert_eq!(page("f", "end").await, sent[6..]);
}

#[tokio::test]
async fn a_context_of_nothing_is_the_event_alone() {
    let (_, bob, room, sent) = numbers(3).await;
    let path = ["rooms", &room, "context", &sent[1]];
    let context = bob.get(path).query("limit", "0").await.ok();
    assert_eq!(context["events_before"], json!([]));
    assert_eq!(context["events_after"], json!([]));
    assert_eq!(context["event"]["content"]["body"], "2");
    bob.get(["rooms", &room, "context", "$none"]).await.refused(404, "M_NOT_FOUND");
    bob.get(path).query("limit", "x").await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn pages_leave_out_what_the_ignored_say_but_not_what_they_change() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = alice.create_room_with(&[&bob]).await;
    alice.send(&room, "hello").await;
    bob.send(&room, "noise").await;
    bob.leave(&room).await;
    let list = json!({ "ignored_users": { bob.id(): {} } });
    let path = ["user", alice.id(), "account_data", "m.ignored_user_list"];
    alice.put(path).json(list).await.ok();
    for (client, expected) in [(&alice, vec!["leave", "hello"]), (&bob, vec!["leave", "noise"])] {
        let limit = expected.len().to_string();
        let page = client.get(["rooms", &room, "messages"]).query("dir", "b");
        let page = page.query("limit", &limit).await.ok();
        let told: Vec<_> = page["chunk"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| &event["content"])
            .map(|content| content["body"].as_str().or(content["membership"].as_str()))
            .collect();
        let expected: Vec<_> = expected.into_iter().map(Some).collect();
        assert_eq!(told, expected, "{}", client.id());
    }
}
