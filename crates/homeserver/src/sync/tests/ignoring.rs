//! Whom a user ignores is not heard, but what they change is seen.

use super::*;
use crate::{ReadMarks, testing::raw};

/// Makes `client` ignore `others`, and nobody else.
async fn ignore(client: &Client, others: &[&Client]) {
    let users: serde_json::Map<_, _> =
        others.iter().map(|other| (other.id().to_owned(), json!({}))).collect();
    let content = raw(&json!({ "ignored_users": users }));
    client.session.set_account_data(None, "m.ignored_user_list", content).await.unwrap();
}

/// Alice and Bob in a room of Alice's; Alice has synced and ignores Bob.
async fn alice_ignores_bob() -> (Client, Client, Room) {
    let (mut alice, bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    ignore(&alice, &[&bob]).await;
    alice.sync().await;
    (alice, bob, room)
}

async fn say(client: &Client, room: &Room, body: &str) {
    client.room(room).send_text(body).await.unwrap();
}

#[tokio::test]
async fn what_the_ignored_say_is_not_told() {
    let (mut alice, bob, room) = alice_ignores_bob().await;
    say(&bob, &room, "noise").await;
    say(&alice, &room, "peace").await;
    let mut modern = alice.modern();
    modern.request.since = alice.request.since;
    for client in [&mut alice, &mut modern] {
        let update = client.sync().await;
        assert_eq!(timeline(&update, &room), ["peace"]);
        assert_eq!(section(&update, "join", room.id())["timeline"]["limited"], false);
    }
    let all =
        short(&section(&alice.filtered(json!({})).sync().await, "join", room.id())["timeline"]);
    assert!(all.contains(&"peace".to_owned()) && !all.contains(&"noise".to_owned()), "{all:?}");
}

#[tokio::test]
async fn what_they_alone_say_is_no_news() {
    let (mut alice, bob, room) = alice_ignores_bob().await;
    say(&bob, &room, "noise").await;
    assert_eq!(section(&alice.sync().await, "join", room.id()), &Value::Null);
}

/// What an update says of who types in a room, or has read it; null if nothing.
fn ephemeral<'a>(update: &'a Value, room: &Room, kind: &str) -> &'a Value {
    let events = &section(update, "join", room.id())["ephemeral"]["events"];
    let mut events = events.as_array().into_iter().flatten();
    events.find(|event| event["type"] == kind).map_or(&Value::Null, |event| &event["content"])
}

async fn start_typing(client: &Client, room: &Room) {
    let time = std::time::Duration::from_secs(30);
    client.session.start_typing(room.id(), time).await.unwrap();
}

#[tokio::test]
async fn what_they_have_read_is_not_told() {
    let (mut alice, bob, room) = alice_ignores_bob().await;
    let event = room.send_text("peace").await.unwrap();
    alice.sync().await;
    let read = || ReadMarks { read: Some(event.clone()), ..ReadMarks::default() };
    bob.session.mark_read(room.id(), read()).await.unwrap();
    assert_eq!(section(&alice.sync().await, "join", room.id()), &Value::Null);
    alice.session.mark_read(room.id(), read()).await.unwrap();
    for client in [&mut alice.filtered(json!({})), &mut alice] {
        let update = client.sync().await;
        let readers = &ephemeral(&update, &room, "m.receipt")[event.as_str()]["m.read"];
        assert_eq!(readers.as_object().unwrap().keys().collect::<Vec<_>>(), [client.id()]);
    }
}

#[tokio::test]
async fn that_they_type_is_not_told() {
    let (mut alice, bob, room) = alice_ignores_bob().await;
    start_typing(&bob, &room).await;
    assert_eq!(section(&alice.sync().await, "join", room.id()), &Value::Null);
    start_typing(&alice, &room).await;
    for client in [&mut alice.filtered(json!({})), &mut alice] {
        let update = client.sync().await;
        assert_eq!(ephemeral(&update, &room, "m.typing"), &json!({ "user_ids": [client.id()] }));
    }
    bob.session.stop_typing(room.id()).await.unwrap();
    assert_eq!(section(&alice.sync().await, "join", room.id()), &Value::Null);
}

#[tokio::test]
async fn who_is_ignored_while_typing_is_not_typing_any_more() {
    let (mut alice, bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    for stops in [false, true] {
        start_typing(&bob, &room).await;
        let update = alice.sync().await;
        assert_eq!(ephemeral(&update, &room, "m.typing"), &json!({ "user_ids": [bob.id()] }));
        ignore(&alice, &[&bob]).await;
        if stops {
            bob.session.stop_typing(room.id()).await.unwrap();
        }
        let update = alice.sync().await;
        assert_eq!(ephemeral(&update, &room, "m.typing"), &json!({ "user_ids": [] }));
        assert_eq!(section(&alice.sync().await, "join", room.id()), &Value::Null);
        ignore(&alice, &[]).await;
    }
}

#[tokio::test]
async fn what_they_change_is_told() {
    let (mut alice, bob, room) = alice_ignores_bob().await;
    bob.room(&room).leave(None).await.unwrap();
    assert_eq!(timeline(&alice.sync().await, &room), ["m.room.member @bob:x"]);
}

#[tokio::test]
async fn what_was_said_before_much_noise_is_found() {
    let (mut alice, bob, room) = alice_ignores_bob().await;
    say(&alice, &room, "peace").await;
    for _ in 0..30 {
        say(&bob, &room, "noise").await;
    }
    assert_eq!(timeline(&alice.sync().await, &room), ["peace"]);
}

#[tokio::test]
async fn their_invites_are_not_told_while_those_of_others_are() {
    let (_, bob, _) = alice_ignores_bob().await;
    let mut carol = Client::new(&bob.server(), "carol").await;
    let dave = Client::new(&bob.server(), "dave").await;
    ignore(&carol, &[&bob]).await;
    carol.sync().await;
    let (noisy, quiet) =
        (bob.create_room(Preset::PrivateChat).await, dave.create_room(Preset::PrivateChat).await);
    for room in [&noisy, &quiet] {
        room.invite(carol.session.id(), None, false).await.unwrap();
    }
    let mut fresh = carol.filtered(json!({}));
    for client in [&mut carol, &mut fresh] {
        let update = client.sync().await;
        assert_eq!(section(&update, "invite", noisy.id()), &Value::Null);
        assert_ne!(section(&update, "invite", quiet.id()), &Value::Null);
    }
}

#[tokio::test]
async fn a_room_does_not_stay_what_it_was_before_an_invite_that_is_not_heard() {
    let (mut alice, bob, room) = alice_ignores_bob().await;
    let mut carol = Client::new(&bob.server(), "carol").await;
    ignore(&carol, &[&bob]).await;
    alice.room(&room).invite(carol.session.id(), None, false).await.unwrap();
    assert_ne!(section(&carol.sync().await, "invite", room.id()), &Value::Null);
    let levels = json!({ "users": { alice.id(): 50, bob.id(): 100 } });
    room.set_state("m.room.power_levels".into(), "", raw(&levels)).await.unwrap();
    let theirs = bob.room(&room);
    for client in [&carol, &alice] {
        theirs.kick(client.session.id(), None).await.unwrap();
        theirs.invite(client.session.id(), None, false).await.unwrap();
    }
    let update = carol.sync().await;
    assert_eq!(section(&update, "invite", room.id()), &Value::Null);
    assert_eq!(short(&section(&update, "leave", room.id())["timeline"]), [""; 0]);
    let update = alice.sync().await;
    let told = short(&section(&update, "leave", room.id())["timeline"]);
    assert_eq!(told.last().unwrap(), "m.room.member @alice:x", "the kick: {told:?}");
    assert_eq!(told.iter().filter(|event| event.ends_with("@alice:x")).count(), 1);
    for client in [alice, carol] {
        let update = client.filtered(json!({ "room": { "include_leave": true } })).sync().await;
        assert_eq!(section(&update, "invite", room.id()), &Value::Null);
    }
}

#[tokio::test]
async fn what_they_redact_of_others_is_told() {
    let (mut alice, bob, room) = alice_ignores_bob().await;
    let levels = json!({ "users": { alice.id(): 100, bob.id(): 100 } });
    room.set_state("m.room.power_levels".into(), "", raw(&levels)).await.unwrap();
    let of_alice = room.send_text("oops").await.unwrap();
    let of_bob = bob.room(&room).send_text("noise").await.unwrap();
    alice.sync().await;
    for event in [&of_bob, &of_alice] {
        bob.room(&room).redact(event, None, None).await.unwrap();
    }
    let update = alice.sync().await;
    let events = &section(&update, "join", room.id())["timeline"]["events"];
    let told: Vec<_> = events.as_array().unwrap().iter().map(|event| &event["redacts"]).collect();
    assert_eq!(told, [of_alice.as_str()]);
}

#[tokio::test]
async fn who_is_heard_again_is_told_from_then_on() {
    let (mut alice, bob, room) = alice_ignores_bob().await;
    say(&bob, &room, "noise").await;
    alice.sync().await;
    ignore(&alice, &[]).await;
    say(&bob, &room, "sorry").await;
    assert_eq!(timeline(&alice.sync().await, &room), ["sorry"]);
    let all =
        short(&section(&alice.filtered(json!({})).sync().await, "join", room.id())["timeline"]);
    assert!(all.contains(&"noise".to_owned()), "a new client is told all of it: {all:?}");
}

#[tokio::test]
async fn nobody_ignores_themselves() {
    let (mut alice, _, room) = alice_bob_room().await;
    alice.sync().await;
    ignore(&alice, &[&alice]).await;
    say(&alice, &room, "still here").await;
    assert_eq!(timeline(&alice.sync().await, &room), ["still here"]);
}
