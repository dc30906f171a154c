//! How present users are.

use std::time::Duration;

use serde_json::{Value, json};
use tertulia_storage::{Memory, MemoryEngine};
use tertulia_testkit::{Client, TestServer};

fn told<'a>(update: &'a Value, who: &Client) -> Option<&'a Value> {
    let events = update["presence"]["events"].as_array().unwrap();
    events.iter().find(|event| event["sender"] == who.id()).map(|event| &event["content"])
}

fn token(update: &Value) -> &str {
    update["next_batch"].as_str().unwrap()
}

async fn say(who: &Client, body: Value) {
    who.put(["presence", who.id(), "status"]).json(body).await.ok();
}

#[tokio::test]
async fn those_who_share_a_room_are_told_and_others_are_not() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let carol = server.user("carol").await;
    alice.create_room_with(&[&bob]).await;
    let (bobs, carols) = (bob.sync(None).await, carol.sync(None).await);
    say(&alice, json!({ "presence": "unavailable", "status_msg": "in a meeting" })).await;
    let bobs = bob.sync(Some(token(&bobs))).await;
    let content = told(&bobs, &alice).unwrap();
    assert_eq!(content["presence"], "unavailable");
    assert_eq!(content["status_msg"], "in a meeting");
    let carols = carol.sync(Some(token(&carols))).await;
    assert_eq!(told(&carols, &alice), None);
    assert_eq!(told(&bob.sync(Some(token(&bobs))).await, &alice), None, "once is enough");
    assert!(told(&bob.sync(None).await, &alice).is_some());
    let path = ["presence", alice.id(), "status"];
    assert_eq!(bob.get(path).await.ok()["presence"], "unavailable");
    carol.get(path).await.refused(403, "M_FORBIDDEN");
    carol.get(["presence", "@none:example.org", "status"]).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn who_waits_is_woken_when_another_comes() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    alice.create_room_with(&[&bob]).await;
    let since = bob.sync(None).await;
    let poll = bob.get(["sync"]).query("timeout", "30000").query("since", token(&since));
    let come = async {
        server.clock().sleepers(1).await;
        alice.sync(None).await
    };
    let (told_bob, _) = tokio::join!(poll, come);
    let content = told(&told_bob.ok(), &alice).cloned().unwrap();
    assert_eq!(
        (&content["presence"], &content["currently_active"]),
        (&json!("online"), &json!(true))
    );
}

#[tokio::test]
async fn who_does_nothing_is_idle_and_who_is_not_heard_of_is_gone() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = alice.create_room_with(&[&bob]).await;
    let (mut alices, mut bobs) = (alice.sync(None).await, bob.sync(None).await);
    let mut words = Vec::new();
    for _ in 0..20 {
        server.clock().advance(Duration::from_secs(20));
        alices = alice.sync(Some(token(&alices))).await;
        bobs = bob.sync(Some(token(&bobs))).await;
        words.extend(told(&bobs, &alice).cloned());
    }
    let words: Vec<_> = words.iter().map(|word| word["presence"].as_str().unwrap()).collect();
    // Online twice: at first active, then not.
    assert_eq!(words, ["online", "unavailable"]);
    alice.send(&room, "I am back").await;
    bobs = bob.sync(Some(token(&bobs))).await;
    assert_eq!(told(&bobs, &alice).unwrap()["presence"], "online");
    server.clock().advance(Duration::from_secs(31));
    bobs = bob.sync(Some(token(&bobs))).await;
    let gone = told(&bobs, &alice).unwrap();
    assert_eq!((&gone["presence"], &gone["last_active_ago"]), (&json!("offline"), &json!(31_000)));
}

#[tokio::test]
async fn a_client_says_with_its_sync_how_present_it_is() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let path = ["presence", alice.id(), "status"];
    for (wish, expected) in
        [("offline", "offline"), ("unavailable", "unavailable"), ("online", "online")]
    {
        alice.get(["sync"]).query("set_presence", wish).await.ok();
        assert_eq!(alice.get(path).await.ok()["presence"], expected);
    }
}

#[tokio::test]
async fn who_comes_into_a_room_learns_who_is_there_and_they_of_them() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let room = alice.create_public_room().await;
    let (alices, bobs) = (alice.sync(None).await, bob.sync(None).await);
    assert_eq!(told(&bobs, &alice), None);
    bob.join(&room).await;
    assert!(told(&bob.sync(Some(token(&bobs))).await, &alice).is_some());
    assert!(told(&alice.sync(Some(token(&alices))).await, &bob).is_some());
}

#[tokio::test]
async fn what_somebody_said_is_told_after_a_restart() {
    let memory = Memory::default();
    let start = async |seed| {
        let engine = MemoryEngine::over(memory.clone());
        TestServer::builder().seed(seed).start_on(engine).await
    };
    let server = start(1).await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    alice.create_room_with(&[&bob]).await;
    say(&alice, json!({ "presence": "online", "status_msg": "in the garden" })).await;
    let since = bob.sync(None).await;
    assert_eq!(told(&since, &alice).unwrap()["presence"], "online");
    server.homeserver().shutdown().await;
    let server = start(2).await;
    let again = |old: &Client| {
        let user = old.id().try_into().unwrap();
        Client::new(server.router(), user, old.device().into(), old.token())
    };
    let (alice, bob) = (again(&alice), again(&bob));
    let expected = json!({ "presence": "offline", "status_msg": "in the garden" });
    for since in [Some(token(&since)), None] {
        assert_eq!(told(&bob.sync(since).await, &alice), Some(&expected));
    }
    alice.sync(None).await;
    let content = bob.get(["presence", alice.id(), "status"]).await.ok();
    assert_eq!(content["presence"], "online");
    assert_eq!(content["status_msg"], "in the garden");
}

#[tokio::test]
async fn a_filter_spares_clients_presence() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let filter = json!({ "presence": { "types": [] } }).to_string();
    let update = alice.get(["sync"]).query("filter", &filter).await.ok();
    assert_eq!(told(&update, &alice), None);
    assert!(told(&alice.sync(None).await, &alice).is_some());
}

#[tokio::test]
async fn a_server_without_presence_tells_nobody() {
    let server = TestServer::builder().settings(|settings| settings.presence = false).start().await;
    let alice = server.user("alice").await;
    say(&alice, json!({ "presence": "online" })).await;
    assert_eq!(told(&alice.sync(None).await, &alice), None);
    let presence = alice.get(["presence", alice.id(), "status"]).await.ok();
    assert_eq!(presence["presence"], "offline");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let path = ["presence", alice.id(), "status"];
    bob.put(path).json(json!({ "presence": "online" })).await.refused(403, "M_FORBIDDEN");
    alice.put(path).json(json!({ "presence": "asleep" })).await.refused(400, "M_BAD_JSON");
    let asleep = alice.get(["sync"]).query("set_presence", "asleep");
    asleep.await.refused(400, "M_INVALID_PARAM");
    alice.put(path).json(json!({})).await.refused(400, "M_BAD_JSON");
    let long = json!({ "presence": "online", "status_msg": "a".repeat(1_025) });
    alice.put(path).json(long).await.refused(400, "M_INVALID_PARAM");
    say(&alice, json!({ "presence": "online", "status_msg": null })).await;
}
