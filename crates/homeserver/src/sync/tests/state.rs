//! Which state is told beside a timeline.

use super::*;
use crate::testing::field;

/// How many of a section's events are of a type.
fn count(events: &Value, kind: &str) -> usize {
    short(events).iter().filter(|event| event.starts_with(kind)).count()
}

#[tokio::test]
async fn state_from_the_gap_is_told_beside_a_limited_timeline() {
    let (alice, _, room) = alice_bob_room().await;
    let mut client = alice.filtered(limit(2));
    client.sync().await;
    room.set_state("m.room.name".into(), "", field("name", "first")).await.unwrap();
    room.set_state("m.room.topic".into(), "", field("topic", "t")).await.unwrap();
    room.send_text("between").await.unwrap();
    room.set_state("m.room.name".into(), "", field("name", "second")).await.unwrap();
    let update = client.sync().await;
    let told = section(&update, "join", room.id());
    assert_eq!(short(&told["timeline"]), ["between", "m.room.name"]);
    assert_eq!(told["timeline"]["limited"], true);
    assert_eq!(short(&told["state"]), ["m.room.name", "m.room.topic"]);
    assert_eq!(told["state"]["events"][0]["content"]["name"], "first");
}

#[tokio::test]
async fn state_that_the_timeline_tells_is_not_told_beside_it() {
    let (mut alice, _, room) = alice_bob_room().await;
    room.set_state("m.room.name".into(), "", field("name", "old")).await.unwrap();
    alice.sync().await;
    room.set_state("m.room.name".into(), "", field("name", "new")).await.unwrap();
    let update = alice.sync().await;
    let told = section(&update, "join", room.id());
    assert_eq!(short(&told["timeline"]), ["m.room.name"]);
    assert_eq!(told["state"]["events"], json!([]), "the old name is known");
}

#[tokio::test]
async fn who_asks_for_the_state_after_is_told_it_there_and_nowhere_else() {
    let (alice, _, room) = alice_bob_room().await;
    let mut client = alice.modern();
    let first = client.sync().await;
    let told = section(&first, "join", room.id());
    assert_eq!(told["state"], Value::Null);
    assert_eq!(count(&told["state_after"], "m.room.create"), 1);
    assert_eq!(count(&told["timeline"], "m.room.create"), 1);
    room.set_state("m.room.name".into(), "", field("name", "new")).await.unwrap();
    room.send_text("hi").await.unwrap();
    let update = client.sync().await;
    let told = section(&update, "join", room.id());
    assert_eq!(short(&told["state_after"]), ["m.room.name"]);
    room.send_text("hi").await.unwrap();
    let update = client.sync().await;
    assert_eq!(section(&update, "join", room.id())["state_after"], json!({ "events": [] }));
}

#[tokio::test]
async fn full_state_tells_all_state_and_only_new_events() {
    let (mut alice, _, room) = alice_bob_room().await;
    alice.sync().await;
    alice.request.full_state = true;
    let update = alice.sync().await;
    let told = section(&update, "join", room.id());
    assert_eq!(told["timeline"]["events"], json!([]));
    assert_eq!(count(&told["state"], "m.room.create"), 1);
    assert_eq!(count(&told["state"], "m.room.member"), 1);
}

#[tokio::test]
async fn lazy_clients_are_told_the_members_they_need() {
    let (alice, bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    for n in 0..3 {
        room.send_text(&n.to_string()).await.unwrap();
    }
    let lazy = json!({ "room": {
        "timeline": { "limit": 2 }, "state": { "lazy_load_members": true }
    } });
    room.set_state("m.room.name".into(), "", field("name", "no heroes")).await.unwrap();
    let mut client = alice.filtered(lazy.clone());
    let first = client.sync().await;
    let told = section(&first, "join", room.id());
    assert_eq!(short(&told["timeline"]), ["2", "m.room.name"]);
    let members = |told: &Value| -> Vec<String> {
        let mut told = short(&told["state"]);
        told.retain(|event| event.starts_with("m.room.member"));
        told
    };
    assert_eq!(members(told), ["m.room.member @alice:x"]);
    assert_eq!(count(&told["state"], "m.room.topic"), 0);
    assert_eq!(count(&told["state"], "m.room.join_rules"), 1);
    assert_eq!(count(&told["state"], "m.room.power_levels"), 1);
    bob.room(&room).send_text("me too").await.unwrap();
    let update = client.sync().await;
    assert_eq!(members(section(&update, "join", room.id())), ["m.room.member @bob:x"]);
    // The reader's own member event belongs to a room that is told in full.
    let first = bob.filtered(lazy).sync().await;
    assert!(
        members(section(&first, "join", room.id())).contains(&"m.room.member @bob:x".to_owned())
    );
}

#[tokio::test]
async fn a_room_without_a_name_tells_its_heroes_with_their_faces() {
    let (alice, bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    for n in 0..3 {
        room.send_text(&n.to_string()).await.unwrap();
    }
    let lazy = json!({ "room": {
        "timeline": { "limit": 1 }, "state": { "lazy_load_members": true }
    } });
    let mut client = alice.filtered(lazy);
    let first = client.sync().await;
    let told = section(&first, "join", room.id());
    assert_eq!(told["summary"]["m.heroes"], json!(["@bob:x"]));
    assert_eq!(told["summary"]["m.joined_member_count"], 2);
    assert_eq!(count(&told["state"], "m.room.member @bob:x"), 1);
    room.send_text("no news of members").await.unwrap();
    assert_eq!(section(&client.sync().await, "join", room.id())["summary"], Value::Null);
    bob.room(&room).leave(None).await.unwrap();
    let update = client.sync().await;
    let summary = &section(&update, "join", room.id())["summary"];
    assert_eq!(summary["m.heroes"], json!(["@bob:x"]), "of those who left, for want of others");
    assert_eq!(summary["m.joined_member_count"], 1);
}

#[tokio::test]
async fn state_that_the_filter_keeps_from_the_timeline_is_told_as_state() {
    let (alice, _, room) = alice_bob_room().await;
    let mut client = alice.filtered(json!({ "room": {
        "timeline": { "types": ["m.room.message"] }
    } }));
    client.sync().await;
    room.set_state("m.room.name".into(), "", field("name", "unseen")).await.unwrap();
    room.send_text("seen").await.unwrap();
    let update = client.sync().await;
    let told = section(&update, "join", room.id());
    assert_eq!(short(&told["timeline"]), ["seen"]);
    assert_eq!(short(&told["state"]), ["m.room.name"]);
}

#[tokio::test]
async fn redacted_state_is_told_without_its_content() {
    let (alice, _, room) = alice_bob_room().await;
    let name = room.set_state("m.room.name".into(), "", field("name", "bad")).await.unwrap();
    room.redact(&name, None, None).await.unwrap();
    for n in 0..12 {
        room.send_text(&n.to_string()).await.unwrap();
    }
    let first = alice.filtered(json!({})).sync().await;
    let state = &section(&first, "join", room.id())["state"]["events"];
    let name = state.as_array().unwrap().iter().find(|event| event["type"] == "m.room.name");
    let name = name.expect("it was not in the timeline");
    assert_eq!(name["content"], json!({}));
    assert_eq!(name["unsigned"]["redacted_because"]["type"], "m.room.redaction");
}
