//! The forms in which events are told, and what is said beside them.

use std::time::Duration;

use super::*;
use crate::{Transaction, testing::raw};

fn events(update: &Value, room: &Room) -> Vec<Value> {
    section(update, "join", room.id())["timeline"]["events"].as_array().unwrap().clone()
}

#[tokio::test]
async fn only_the_sending_session_is_told_its_transaction() {
    let server = crate::testing::server().await;
    let mut alice = Client::new(&server, "alice").await;
    let mut bob = Client::new(&server, "bob").await;
    let room = alice.create_room(Preset::PublicChat).await;
    bob.room(&room).join(None).await.unwrap();
    alice.sync().await;
    bob.sync().await;
    let transaction = Transaction { device: alice.session.device().to_owned(), id: "t1".into() };
    let content = raw(&json!({ "body": "hi" }));
    room.send("m.room.message".into(), content, Some(transaction)).await.unwrap();
    let (mine, others) = (alice.sync().await, bob.sync().await);
    assert_eq!(events(&mine, &room)[0]["unsigned"]["transaction_id"], "t1");
    assert_eq!(events(&others, &room)[0]["unsigned"]["transaction_id"], Value::Null);
}

#[tokio::test]
async fn events_say_how_old_they_are_what_they_replaced_and_what_the_reader_was() {
    let (mut alice, _, room) = alice_bob_room().await;
    let name = |name| raw(&json!({ "name": name }));
    room.set_state("m.room.name".into(), "", name("one")).await.unwrap();
    alice.sync().await;
    room.set_state("m.room.name".into(), "", name("two")).await.unwrap();
    let event = &events(&alice.sync().await, &room)[0];
    assert_eq!(event["content"]["name"], "two");
    assert_eq!(event["unsigned"]["prev_content"], json!({ "name": "one" }));
    assert_eq!(event["unsigned"]["membership"], "join");
    assert!(event["unsigned"]["age"].is_i64());
    assert_eq!(event["room_id"], Value::Null);
}

#[tokio::test]
async fn what_happened_before_the_reader_came_says_so() {
    let (_, mut bob, room) = alice_bob_room().await;
    room.send_text("early").await.unwrap();
    bob.room(&room).join(None).await.unwrap();
    let told = events(&bob.sync().await, &room);
    let memberships: Vec<_> =
        told.iter().rev().take(2).map(|event| &event["unsigned"]["membership"]).collect();
    assert_eq!(memberships, ["join", "leave"]);
}

#[tokio::test]
async fn a_redacted_event_is_told_without_its_content() {
    let (mut alice, _, room) = alice_bob_room().await;
    let event = room.send_text("bad").await.unwrap();
    room.redact(&event, None, None).await.unwrap();
    let told = events(&alice.sync().await, &room);
    let redacted = told.iter().find(|other| other["event_id"] == event.as_str()).unwrap();
    assert_eq!(redacted["content"], json!({}));
    let because = &redacted["unsigned"]["redacted_because"];
    assert_eq!(because["content"]["redacts"], event.as_str());
}

#[tokio::test]
async fn an_event_that_was_told_before_is_told_as_it_is_now() {
    let (alice, _, room) = alice_bob_room().await;
    let event = room.send_text("bad").await.unwrap();
    let newest = async |count: u64| {
        let told = events(&alice.filtered(limit(count)).sync().await, &room);
        let contents: Vec<_> = told.iter().map(|event| event["content"]["body"].clone()).collect();
        contents
    };
    assert_eq!(newest(1).await, ["bad"]);
    assert_eq!(newest(2).await, [Value::Null, json!("bad")]);
    let begin = newest(30).await.len();
    room.redact(&event, None, None).await.unwrap();
    assert_eq!(newest(2).await, [Value::Null, Value::Null]);
    assert_eq!(newest(30).await.len(), begin + 1);
    room.send_text("good").await.unwrap();
    assert_eq!(newest(1).await, ["good"]);
}

#[tokio::test]
async fn clients_choose_fields() {
    let (alice, _, room) = alice_bob_room().await;
    room.send_text("short").await.unwrap();
    let filter = json!({
        "event_fields": ["content.body"],
        "room": { "timeline": { "types": ["m.room.message"] } },
    });
    let update = alice.filtered(filter);
    let update = update.session.sync(update.request).await.unwrap();
    let update = serde_json::to_value(update).unwrap();
    assert_eq!(events(&update, &room), [json!({ "content": { "body": "short" } })]);
}

#[tokio::test]
async fn clients_can_have_events_as_servers_know_them() {
    let (alice, _, room) = alice_bob_room().await;
    room.send_text("hi").await.unwrap();
    let client = alice.filtered(json!({ "event_format": "federation" }));
    let update = serde_json::to_value(client.session.sync(client.request).await.unwrap()).unwrap();
    let last = events(&update, &room).pop().unwrap();
    assert_eq!(last["content"]["body"], "hi");
    assert!(last["hashes"].is_object() && last["signatures"].is_object());
    assert!(last["unsigned"]["age"].is_i64());
}

#[tokio::test]
async fn a_stored_filter_is_used_by_its_name() {
    let (alice, _, room) = alice_bob_room().await;
    let definition = ruma::serde::Raw::new(&limit(1)).unwrap().cast_unchecked();
    let id = alice.session.create_filter(&definition).await.unwrap();
    let request = SyncRequest { filter: SyncFilter::Stored(id), ..SyncRequest::default() };
    let update = read(&alice.session.sync(request).await.unwrap());
    assert_eq!(events(&update, &room).len(), 1);
    let unknown = SyncFilter::Stored("unknown".to_owned());
    let request = SyncRequest { filter: unknown, ..SyncRequest::default() };
    alice.session.sync(request).await.unwrap_err();
}

#[tokio::test]
async fn prev_batch_leads_to_what_was_left_out() {
    let (alice, _, room) = alice_bob_room().await;
    for n in 0..5 {
        room.send_text(&n.to_string()).await.unwrap();
    }
    for (count, expected) in [(2, "2"), (0, "4")] {
        let update = alice.filtered(limit(count)).sync().await;
        let told = &section(&update, "join", room.id())["timeline"];
        assert_eq!(told["limited"], true);
        let from = told["prev_batch"].as_str().unwrap().parse().unwrap();
        let query = crate::MessagesQuery {
            from: Some(from),
            to: None,
            towards: ruma::api::Direction::Backward,
            limit: 10,
            filter: crate::EventFilter::default(),
        };
        let page = room.messages(&query).await.unwrap();
        assert_eq!(crate::testing::bodies(&page.events)[0], expected);
    }
}

#[tokio::test]
async fn time_passes_while_events_age() {
    let (mut alice, _, room) = alice_bob_room().await;
    room.send_text("old").await.unwrap();
    let age = |update: &Value| events(update, &room).pop().unwrap()["unsigned"]["age"].as_i64();
    let age = age(&alice.sync().await).unwrap();
    assert!((0..i64::try_from(Duration::from_secs(600).as_millis()).unwrap()).contains(&age));
}
