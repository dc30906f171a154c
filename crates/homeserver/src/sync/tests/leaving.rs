//! What is told of a room that one has left.

use super::*;

/// Alice's room, which Bob has left, as all of Bob's clients know.
async fn bob_left() -> (Client, Client, Room) {
    let (alice, mut bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    bob.sync().await;
    bob.room(&room).leave(None).await.unwrap();
    room.send_text("not for bob").await.unwrap();
    bob.sync().await;
    (alice, bob, room)
}

/// Checks that the next update tells nothing of the room but one new membership of Bob.
async fn check(bob: &mut Client, room: &Room, membership: &str) {
    let update = bob.sync().await;
    let left = section(&update, "leave", room.id());
    assert_eq!(short(&left["timeline"]), ["m.room.member @bob:x"], "{membership}");
    assert_eq!(left["timeline"]["events"][0]["content"]["membership"], membership);
    assert_eq!(left["timeline"]["limited"], false, "{membership}");
    assert_eq!(bob.sync().await["rooms"]["leave"], json!({}));
}

fn state(update: &Value, room: &Room) -> Vec<String> {
    short(&section(update, "leave", room.id())["state"])
}

/// Bob, who was in the room, was sent a message, left, and has not been told since he came in.
async fn left_unseen() -> (Client, Room) {
    let (_, mut bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    bob.sync().await;
    room.send_text("for bob").await.unwrap();
    bob.room(&room).leave(None).await.unwrap();
    room.send_text("not for bob").await.unwrap();
    (bob, room)
}

#[tokio::test]
async fn what_becomes_of_one_who_left_is_told_without_what_was_told_before() {
    let (_, mut bob, room) = bob_left().await;
    room.ban(bob.session.id(), None).await.unwrap();
    check(&mut bob, &room, "ban").await;
    room.unban(bob.session.id(), None).await.unwrap();
    check(&mut bob, &room, "leave").await;
    room.invite(bob.session.id(), None, false).await.unwrap();
    bob.sync().await;
    room.kick(bob.session.id(), None).await.unwrap();
    check(&mut bob, &room, "leave").await;
    room.invite(bob.session.id(), None, false).await.unwrap();
    bob.sync().await;
    bob.room(&room).leave(None).await.unwrap();
    check(&mut bob, &room, "leave").await;
}

#[tokio::test]
async fn so_it_is_for_clients_that_read_the_state_after() {
    let (_, bob, room) = bob_left().await;
    let mut modern = bob.modern();
    modern.request.since = bob.request.since;
    room.ban(bob.session.id(), None).await.unwrap();
    let update = modern.sync().await;
    let left = section(&update, "leave", room.id());
    assert_eq!(short(&left["timeline"]), ["m.room.member @bob:x"]);
    assert_eq!(short(&left["state_after"]), ["m.room.member @bob:x"]);
    assert_eq!(left["timeline"]["limited"], false);
}

#[tokio::test]
async fn who_was_away_while_leaving_and_being_banned_is_told_both() {
    let (mut bob, room) = left_unseen().await;
    room.ban(bob.session.id(), None).await.unwrap();
    let update = bob.sync().await;
    let told = &section(&update, "leave", room.id())["timeline"];
    let me = "m.room.member @bob:x";
    assert_eq!(short(told), ["for bob", me, me]);
    assert_eq!(told["limited"], false);
    assert_eq!(bob.sync().await["rooms"]["leave"], json!({}));
}

#[tokio::test]
async fn the_end_of_a_stay_that_an_invite_hid_is_told_once_it_is_declined() {
    let (mut bob, room) = left_unseen().await;
    room.invite(bob.session.id(), None, false).await.unwrap();
    let update = bob.sync().await;
    assert_ne!(section(&update, "invite", room.id()), &Value::Null);
    bob.sync().await;
    bob.room(&room).leave(None).await.unwrap();
    let update = bob.sync().await;
    let told = &section(&update, "leave", room.id())["timeline"];
    let me = "m.room.member @bob:x";
    assert_eq!(short(told), ["for bob", me, me]);
    assert_eq!(told["limited"], false);
    room.ban(bob.session.id(), None).await.unwrap();
    check(&mut bob, &room, "ban").await;
}

#[tokio::test]
async fn a_client_from_before_one_ever_came_in_is_told_the_whole_stay() {
    let (_, mut bob, room) = alice_bob_room().await;
    bob.sync().await;
    bob.room(&room).join(None).await.unwrap();
    bob.room(&room).leave(None).await.unwrap();
    room.ban(bob.session.id(), None).await.unwrap();
    let update = bob.sync().await;
    let told = short(&section(&update, "leave", room.id())["timeline"]);
    assert!(told.contains(&"m.room.create".to_owned()), "{told:?}");
    assert!(told.ends_with(&["m.room.member @bob:x".into(), "m.room.member @bob:x".into()]));
}

#[tokio::test]
async fn an_archive_that_begins_during_an_invite_is_told_the_stay_before_it() {
    let (_, bob, room) = bob_left().await;
    room.invite(bob.session.id(), None, false).await.unwrap();
    let mut archive = bob.filtered(json!({ "room": { "include_leave": true } }));
    archive.sync().await;
    archive.sync().await;
    bob.room(&room).leave(None).await.unwrap();
    let update = archive.sync().await;
    let left = section(&update, "leave", room.id());
    let told = [short(&left["timeline"]), short(&left["state"])].concat();
    assert!(told.contains(&"m.room.create".to_owned()), "{told:?}");
    assert!(!told.contains(&"not for bob".to_owned()), "{told:?}");
}

#[tokio::test]
async fn what_happened_between_two_stays_outside_is_told_to_nobody() {
    let (_, mut bob, room) = alice_bob_room().await;
    let joined = crate::testing::field("history_visibility", "joined");
    room.set_state("m.room.history_visibility".into(), "", joined).await.unwrap();
    bob.room(&room).join(None).await.unwrap();
    bob.sync().await;
    bob.room(&room).leave(None).await.unwrap();
    room.send_text("among us").await.unwrap();
    room.invite(bob.session.id(), None, false).await.unwrap();
    room.send_text("still among us").await.unwrap();
    bob.room(&room).leave(None).await.unwrap();
    let update = bob.sync().await;
    let me = "m.room.member @bob:x";
    assert_eq!(short(&section(&update, "leave", room.id())["timeline"]), [me, me]);
}

#[tokio::test]
async fn a_client_that_loads_members_lazily_is_told_who_did_it() {
    let (_, bob, room) = bob_left().await;
    let mut lazy = bob.filtered(json!({ "room": { "state": { "lazy_load_members": true } } }));
    lazy.request.since = bob.request.since;
    room.ban(bob.session.id(), None).await.unwrap();
    assert_eq!(state(&lazy.sync().await, &room), ["m.room.member @alice:x"]);
}

#[tokio::test]
async fn a_forgotten_stay_does_not_come_back_with_an_invite() {
    let (_, mut bob, room) = bob_left().await;
    bob.room(&room).forget().await.unwrap();
    room.invite(bob.session.id(), None, false).await.unwrap();
    bob.sync().await;
    bob.room(&room).leave(None).await.unwrap();
    check(&mut bob, &room, "leave").await;
    let mut archive = bob.filtered(json!({ "room": { "include_leave": true } }));
    assert_eq!(archive.sync().await["rooms"]["leave"], json!({}));
}
