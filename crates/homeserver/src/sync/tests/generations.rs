//! A room whose state began anew from another base.

use ruma::OwnedEventId;

use super::*;
use crate::{Extent, testing::field};

async fn state_of(room: &Room) -> Vec<OwnedEventId> {
    let state = room.state().await.unwrap();
    state.iter().map(|event| event.id().to_owned()).collect()
}

/// Lets the state of a room be `told`.
async fn renew(client: &Client, room: &Room, told: &[OwnedEventId]) {
    let next = client.server().next_generation(room.id()).await.unwrap();
    assert!(next.write(told).await.unwrap().is_empty());
    next.renew(Extent::Whole).await.unwrap();
}

async fn set_topic(room: &Room, topic: &str) {
    room.set_state("m.room.topic".into(), "", field("topic", topic)).await.unwrap();
}

fn topic(update: &Value, room: &Room, part: &str) -> Vec<String> {
    let events = section(update, "join", room.id())[part]["events"].as_array().unwrap();
    let topics = events.iter().filter(|event| event["type"] == "m.room.topic");
    topics.map(|event| event["content"]["topic"].as_str().unwrap().to_owned()).collect()
}

/// Alice, a room whose topic was `old` and is `new`, and its state with the old one.
async fn room_with_topics() -> (Client, Room, Vec<OwnedEventId>) {
    let (alice, _, room) = alice_bob_room().await;
    set_topic(&room, "old").await;
    let told = state_of(&room).await;
    set_topic(&room, "new").await;
    (alice, room, told)
}

#[tokio::test]
async fn a_change_of_generation_is_told_in_full_and_once() {
    let (mut alice, room, told) = room_with_topics().await;
    let mut modern = alice.modern();
    for client in [&mut alice, &mut modern] {
        client.sync().await;
    }
    room.send_text("before").await.unwrap();
    renew(&alice, &room, &told).await;
    room.send_text("after").await.unwrap();
    for (client, part) in [(&mut alice, "state"), (&mut modern, "state_after")] {
        let update = client.sync().await;
        assert_eq!(timeline(&update, &room), ["before", "after"], "the timeline goes on");
        assert_eq!(topic(&update, &room, part), ["old"]);
        let told = section(&update, "join", room.id())[part]["events"].as_array().unwrap().len();
        assert!(told >= 7, "all of the state, not {told} events");
        assert_eq!(client.sync().await["rooms"]["join"], json!({}), "told once");
    }
    set_topic(&room, "newest").await;
    let update = alice.sync().await;
    assert!(short(&section(&update, "join", room.id())["state"]).len() <= 1);
    assert_eq!(timeline(&update, &room), ["m.room.topic"], "as ever");
}

#[tokio::test]
async fn what_a_timeline_says_of_the_old_state_misleads_nobody() {
    let (alice, room, told) = room_with_topics().await;
    room.send_text("before").await.unwrap();
    renew(&alice, &room, &told).await;
    let update = alice.filtered(json!({})).sync().await;
    assert_eq!(timeline(&update, &room), ["before"]);
    assert_eq!(section(&update, "join", room.id())["timeline"]["limited"], true);
    assert_eq!(topic(&update, &room, "state"), ["old"]);
    let update = alice.modern().sync().await;
    assert_eq!(topic(&update, &room, "state_after"), ["old"]);
    assert_eq!(topic(&update, &room, "timeline"), ["old", "new"]);
}

#[tokio::test]
async fn a_lazy_client_is_told_of_the_members_it_may_know_wrongly() {
    let (mut alice, bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    let told = state_of(&room).await;
    let face = json!({ "membership": "join", "displayname": "Bob" });
    let (kind, content) = ("m.room.member".into(), crate::testing::raw(&face));
    bob.room(&room).set_state(kind, bob.id(), content).await.unwrap();
    bob.room(&room).send_text("it is me").await.unwrap();
    let mut lazy = alice.filtered(json!({ "room": { "state": { "lazy_load_members": true } } }));
    lazy.sync().await;
    alice.sync().await;
    renew(&alice, &room, &told).await;
    let update = lazy.sync().await;
    let state = short(&section(&update, "join", room.id())["state"]);
    assert!(state.contains(&format!("m.room.member {}", bob.id())), "{state:?}");
}

#[tokio::test]
async fn who_is_out_by_the_new_state_is_told_so_and_sees_no_more() {
    let (alice, mut bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    bob.room(&room).leave(None).await.unwrap();
    let told = state_of(&room).await;
    bob.room(&room).join(None).await.unwrap();
    room.send_text("hello").await.unwrap();
    bob.sync().await;
    renew(&alice, &room, &told).await;
    room.send_text("he is out").await.unwrap();
    let update = bob.sync().await;
    let left = section(&update, "leave", room.id());
    assert_eq!(short(&left["timeline"]), [""; 0]);
    assert!(short(&left["state"]).contains(&format!("m.room.member {}", bob.id())));
    assert_eq!(bob.sync().await["rooms"]["leave"], json!({}));
    assert!(bob.room(&room).send_text("still here").await.is_err());
}

#[tokio::test]
async fn what_one_saw_under_the_old_state_one_sees_still() {
    let (alice, bob, room) = alice_bob_room().await;
    let joined = field("history_visibility", "joined");
    room.set_state("m.room.history_visibility".into(), "", joined).await.unwrap();
    let told = state_of(&room).await;
    bob.room(&room).join(None).await.unwrap();
    let seen = room.send_text("for bob").await.unwrap();
    renew(&alice, &room, &told).await;
    let hidden = room.send_text("not for bob").await.unwrap();
    bob.room(&room).join(None).await.unwrap();
    let again = room.send_text("for bob again").await.unwrap();
    for (event, expected) in [(seen, true), (hidden, false), (again, true)] {
        assert_eq!(bob.room(&room).event(&event).await.is_ok(), expected, "{event}");
    }
}

#[tokio::test]
async fn an_invite_goes_on_to_show_what_the_room_was_like_then() {
    let (alice, room, mut told) = room_with_topics().await;
    let mut carol = Client::new(&alice.server(), "carol").await;
    room.invite(carol.session.id(), None, false).await.unwrap();
    let invite = room.state_event(&"m.room.member".into(), carol.id()).await.unwrap();
    told.push(invite.id().to_owned());
    let invite_state = |update: Value| section(&update, "invite", room.id()).clone();
    let first = invite_state(carol.sync().await);
    assert!(first.to_string().contains("new"), "{first}");
    renew(&alice, &room, &told).await;
    assert_eq!(invite_state(carol.filtered(json!({})).sync().await), first);
}
