use ruma::OwnedEventId;
use serde_json::Value;
use tertulia_storage::{Memory, MemoryEngine};

use super::*;
use crate::{
    Homeserver, ProfileField, Remains, Room,
    testing::{carried, public_room, server},
};

async fn user(server: &Homeserver, name: &str) -> User {
    server.create_user(name).await.unwrap()
}

/// What a room shows of a user: the member event and its content.
async fn member(room: &Room, user: &User) -> (String, Value) {
    let event = room.state_event(&StateEventType::RoomMember, user.id().as_str()).await.unwrap();
    let content = serde_json::from_str(event.content().get()).unwrap();
    (event.id().to_string(), content)
}

async fn set(user: &User, field: ProfileField, value: &str) {
    user.set_profile_field(field, value.into()).await.unwrap();
}

#[tokio::test]
async fn a_new_name_or_picture_shows_in_every_room_of_its_user() {
    let server = server().await;
    let alice = user(&server, "alice").await;
    let rooms = [public_room(&alice, "12").await, public_room(&alice, "1").await];
    for (field, value, shown) in [
        (ProfileField::DISPLAY_NAME, "Alice", json!({ "displayname": "Alice" })),
        (
            ProfileField::AVATAR_URL,
            "mxc://x/a",
            json!({ "displayname": "Alice", "avatar_url": "mxc://x/a" }),
        ),
        (ProfileField::DISPLAY_NAME, "", json!({ "avatar_url": "mxc://x/a" })),
    ] {
        // Whoever set it reads it in the rooms at once.
        set(&alice, field, value).await;
        for room in &rooms {
            let (_, mut content) = member(room, &alice).await;
            let membership = content.as_object_mut().unwrap().remove("membership");
            assert_eq!((membership, content), (Some(json!("join")), shown.clone()));
        }
    }
}

#[tokio::test]
async fn a_name_that_is_shown_already_makes_no_event() {
    let server = server().await;
    let alice = user(&server, "alice").await;
    let room = public_room(&alice, "12").await;
    set(&alice, ProfileField::DISPLAY_NAME, "Alice").await;
    carried(&server).await;
    let (event, _) = member(&room, &alice).await;
    let people = People { core: server.core.clone() };
    let again = vec![(Position::new(1), Entry::Profile { user: alice.id().to_owned() })];
    let view = server.core.store.view().await.unwrap();
    people.handle(&view, again).await.unwrap();
    assert_eq!(member(&room, &alice).await.0, event, "a crash repeats the page");
}

#[tokio::test]
async fn a_name_that_was_redacted_comes_back_when_it_is_set_again() {
    let server = server().await;
    let alice = user(&server, "alice").await;
    let rooms = [public_room(&alice, "12").await, public_room(&alice, "1").await];
    set(&alice, ProfileField::DISPLAY_NAME, "Alice").await;
    carried(&server).await;
    let (event, _) = member(&rooms[0], &alice).await;
    let (other, _) = member(&rooms[1], &alice).await;
    let event = OwnedEventId::try_from(event).unwrap();
    alice.room(rooms[0].id()).redact(&event, None, None).await.unwrap();
    assert_eq!(member(&rooms[0], &alice).await.1, json!({ "membership": "join" }));
    set(&alice, ProfileField::DISPLAY_NAME, "Alice").await;
    carried(&server).await;
    assert_eq!(member(&rooms[0], &alice).await.1["displayname"], "Alice");
    assert_eq!(member(&rooms[1], &alice).await.0, other, "it shows there already");
}

#[tokio::test]
async fn a_new_name_brings_nobody_back_into_a_room() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice").await, user(&server, "bob").await);
    let room = public_room(&alice, "12").await;
    bob.room(room.id()).join(None).await.unwrap();
    bob.room(room.id()).leave(None).await.unwrap();
    set(&bob, ProfileField::DISPLAY_NAME, "Bob").await;
    carried(&server).await;
    assert_eq!(member(&room, &bob).await.1["membership"], "leave");
    let late = ShowFace {
        core: server.core.clone(),
        room: room.id().to_owned(),
        user: bob.id().to_owned(),
        face: bob.face().await.unwrap(),
        now: server.core.now(),
    };
    assert!(server.core.store.write(late).await.unwrap().out.is_none(), "as if it left meanwhile");
}

#[tokio::test]
async fn who_is_only_invited_shows_the_name_on_joining() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice").await, user(&server, "bob").await);
    let room = public_room(&alice, "12").await;
    room.invite(bob.id(), None, false).await.unwrap();
    set(&bob, ProfileField::DISPLAY_NAME, "Bob").await;
    carried(&server).await;
    assert_eq!(member(&room, &bob).await.1["membership"], "invite");
    bob.room(room.id()).join(None).await.unwrap();
    assert_eq!(member(&room, &bob).await.1["displayname"], "Bob");
}

#[tokio::test]
async fn who_closes_the_account_leaves_all_rooms() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice").await, user(&server, "bob").await);
    let (joined, invited) = (public_room(&alice, "12").await, public_room(&alice, "10").await);
    let banned = public_room(&alice, "11").await;
    bob.room(joined.id()).join(None).await.unwrap();
    invited.invite(bob.id(), None, false).await.unwrap();
    banned.ban(bob.id(), None).await.unwrap();
    bob.deactivate(Remains::Keep).await.unwrap();
    carried(&server).await;
    for (room, membership) in [(&joined, "leave"), (&invited, "leave"), (&banned, "ban")] {
        assert_eq!(member(room, &bob).await.1["membership"], membership);
    }
    assert_eq!(member(&joined, &alice).await.1["membership"], "join");
}

#[tokio::test]
async fn what_a_stopped_server_owed_is_made_up_for() {
    let memory = Memory::default();
    let server = Homeserver::start("x", MemoryEngine::over(memory.clone())).await.unwrap();
    let alice = user(&server, "alice").await;
    let room = public_room(&alice, "12").await.id().to_owned();
    // The server stops at once: whether the name was carried already is left to chance.
    set(&alice, ProfileField::DISPLAY_NAME, "Alice").await;
    server.shutdown().await;
    let server = Homeserver::start("x", MemoryEngine::over(memory)).await.unwrap();
    carried(&server).await;
    let alice = server.user("alice").await.unwrap();
    assert_eq!(member(&alice.room(&room), &alice).await.1["displayname"], "Alice");
}
