//! A clock that somebody sets, by a day either way: no order changes, nothing is doubled, and nothing
//! expires early.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tertulia::Registration;
use tertulia_testkit::{DrivenClock, Leap, TestServer};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

/// A day forward and a day back, each by itself and one after the other.
const LEAPS: [&[Leap]; 4] = [
    &[Leap::Forward(DAY)],
    &[Leap::Back(DAY)],
    &[Leap::Forward(DAY), Leap::Back(DAY)],
    &[Leap::Back(DAY), Leap::Forward(DAY)],
];

fn leap(clock: &DrivenClock, leaps: &[Leap]) {
    leaps.iter().for_each(|leap| clock.set(*leap));
}

/// The bodies of the messages in a list of events.
fn bodies(events: &Value) -> Vec<&str> {
    let bodies =
        events.as_array().unwrap().iter().filter_map(|event| event["content"]["body"].as_str());
    bodies.collect()
}

#[tokio::test]
async fn events_keep_their_order() {
    for leaps in LEAPS {
        let server = TestServer::start().await;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let room = alice.create_public_room().await;
        bob.join(&room).await;
        let since = bob.sync(None).await["next_batch"].as_str().unwrap().to_owned();
        let mut said = vec!["first".to_owned()];
        alice.send(&room, "first").await;
        for (n, leap) in leaps.iter().enumerate() {
            server.clock().set(*leap);
            said.push(format!("after {n}"));
            alice.send(&room, &said[n + 1]).await;
        }
        let news = bob.sync(Some(&since)).await;
        assert_eq!(bodies(&news["rooms"]["join"][&room]["timeline"]["events"]), said);
        let page = bob.get(["rooms", &room, "messages"]).query("dir", "b").await.ok();
        let backwards: Vec<_> = said.iter().rev().collect();
        assert_eq!(bodies(&page["chunk"]), backwards);
        let next = news["next_batch"].as_str().unwrap();
        let after = bob.sync(Some(next)).await;
        assert!(after["rooms"]["join"][&room].is_null(), "nothing is told twice: {after}");
    }
}

#[tokio::test]
async fn a_repeated_transaction_tells_the_first_event() {
    for leaps in LEAPS {
        let server = TestServer::start().await;
        let alice = server.user("alice").await;
        let room = alice.create_public_room().await;
        let send = || alice.put(["rooms", &room, "send", "m.test", "t"]).json(json!({}));
        let first = send().await.ok();
        for leap in leaps {
            server.clock().set(*leap);
            server.homeserver().keep_house().await.unwrap();
            assert_eq!(send().await.ok(), first);
        }
    }
}

#[tokio::test]
async fn sessions_and_proofs_do_not_expire_early() {
    for leaps in LEAPS {
        let open = |settings: &mut tertulia::Settings| settings.registration = Registration::Open;
        let server = TestServer::builder().settings(open).start().await;
        let alice = server.user("alice").await;
        let register = |auth: Option<Value>| {
            let mut body =
                json!({ "username": "bob", "password": "a good one", "refresh_token": true });
            body["auth"] = auth.unwrap_or_default();
            server.call(Method::POST, ["register"]).json(body)
        };
        let session = register(None).await.json()["session"].clone();
        server.clock().advance(MINUTE);
        leap(server.clock(), leaps);
        alice.get(["account", "whoami"]).await.ok();
        let proof = json!({ "type": "m.login.dummy", "session": session });
        let bob = register(Some(proof)).await.ok();
        let token = bob["access_token"].as_str().unwrap();
        let who = || server.call(Method::GET, ["account", "whoami"]).token(token);
        leap(server.clock(), leaps);
        who().await.ok();
        server.clock().advance(MINUTE * 60);
        who().await.refused(401, "M_UNKNOWN_TOKEN");
    }
}

#[tokio::test]
async fn proofs_expire_when_their_time_is_over_whatever_the_clock_says() {
    let open = |settings: &mut tertulia::Settings| settings.registration = Registration::Open;
    let server = TestServer::builder().settings(open).start().await;
    let body = |auth: Value| json!({ "username": "bob", "password": "a good one", "auth": auth });
    let ask = |auth: Value| server.call(Method::POST, ["register"]).json(body(auth));
    let session = ask(Value::Null).await.json()["session"].clone();
    server.clock().set(Leap::Back(DAY));
    server.clock().advance(MINUTE * 16);
    let answer = ask(json!({ "type": "m.login.dummy", "session": session })).await;
    assert_ne!(answer.status, 200);
}

/// Who types in the room, as an answer to a sync tells it.
fn typists(told: &Value, room: &str) -> Option<Value> {
    let events = told["rooms"]["join"][room]["ephemeral"]["events"].as_array()?;
    let typing = events.iter().find(|event| event["type"] == "m.typing")?;
    Some(typing["content"]["user_ids"].clone())
}

#[tokio::test]
async fn who_types_does_so_for_as_long_as_was_said() {
    for leaps in LEAPS {
        let server = TestServer::start().await;
        let alice = server.user("alice").await;
        let room = alice.create_public_room().await;
        let typing = json!({ "typing": true, "timeout": 20_000 });
        alice.put(["rooms", &room, "typing", alice.id()]).json(typing).await.ok();
        server.clock().sleepers(1).await;
        leap(server.clock(), leaps);
        let told = alice.sync(None).await;
        assert_eq!(typists(&told, &room), Some(json!([alice.id()])));
        server.clock().advance(Duration::from_secs(20));
        let since = told["next_batch"].as_str().unwrap();
        let poll = alice.get(["sync"]).query("since", since).query("timeout", "30000");
        assert_eq!(typists(&poll.await.ok(), &room), Some(json!([])));
    }
}

#[tokio::test]
async fn a_poll_lasts_as_long_as_was_asked() {
    for leaps in LEAPS {
        let server = TestServer::start().await;
        let alice = server.user("alice").await;
        let since = alice.sync(None).await["next_batch"].as_str().unwrap().to_owned();
        let poll = alice.get(["sync"]).query("since", &since).query("timeout", "30000");
        let poll = tokio::spawn(poll.into_future());
        server.clock().sleepers(1).await;
        leap(server.clock(), leaps);
        server.clock().advance(Duration::from_secs(29));
        assert!(!poll.is_finished());
        server.clock().advance(Duration::from_secs(1));
        poll.await.unwrap().ok();
    }
}

#[tokio::test]
async fn the_server_keeps_house_by_the_time_that_it_lives() {
    let keeps_house = |settings: &mut tertulia::Settings| settings.housekeeping = true;
    let server = TestServer::builder().settings(keeps_house).start().await;
    let alice = server.user("alice").await;
    let room = alice.create_public_room().await;
    let send = || alice.put(["rooms", &room, "send", "m.test", "t"]).json(json!({}));
    let first = send().await.ok();
    server.clock().sleepers(1).await;
    server.clock().set(Leap::Forward(DAY * 3));
    assert_eq!(send().await.ok(), first);
    for _ in 0..24 {
        server.clock().advance(MINUTE * 60);
        server.clock().sleepers(1).await;
    }
    assert_eq!(send().await.ok(), first);
    server.clock().advance(MINUTE * 60);
    server.clock().sleepers(1).await;
    assert_ne!(send().await.ok(), first);
    server.homeserver().shutdown().await;
}
