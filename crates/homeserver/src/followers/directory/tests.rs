use ruma::events::StateEventType;
use tertulia_storage::{Memory, MemoryEngine};

use super::*;
use crate::{
    Homeserver, PublicRoomsQuery, Room, Visibility,
    testing::{field, public_room, server, user},
};

async fn listed(server: &Homeserver) -> Vec<(OwnedRoomId, u64)> {
    let page = server.public_rooms(&PublicRoomsQuery::default()).await.unwrap();
    page.chunk.into_iter().map(|room| (room.room_id, room.num_joined_members)).collect()
}

async fn published(server: &Homeserver) -> Room {
    let room = public_room(&user(server, "alice"), "12").await;
    room.set_visibility(Visibility::Public).await.unwrap();
    room
}

#[tokio::test]
async fn what_a_stopped_server_owed_is_made_up_for() {
    let memory = Memory::default();
    let server = Homeserver::start("x", MemoryEngine::over(memory.clone())).await.unwrap();
    let room = published(&server).await.id().to_owned();
    user(&server, "bob").room(&room).join(None).await.unwrap();
    server.shutdown().await;
    let server = Homeserver::start("x", MemoryEngine::over(memory)).await.unwrap();
    assert_eq!(listed(&server).await, [(room, 2)]);
}

#[tokio::test]
async fn a_page_that_is_gone_through_again_changes_nothing() {
    let server = server().await;
    let room = published(&server).await.id().to_owned();
    let before = listed(&server).await;
    let directories = Directories { core: server.core.clone() };
    let event = ruma::owned_event_id!("$e");
    let again = Entry::Event { room: room.clone(), event, member: None };
    let view = server.core.store.view().await.unwrap();
    directories.handle(&view, vec![(Position::new(1), again)]).await.unwrap();
    assert_eq!(listed(&server).await, before);
}

#[tokio::test]
async fn a_crash_before_members_were_listed_anew_is_made_up_for() {
    let server = server().await;
    let (alice, bob) =
        (server.create_user("alice").await.unwrap(), server.create_user("bob").await.unwrap());
    let room = public_room(&alice, "12").await;
    let found = async || bob.find_users("alice", None).await.unwrap().results.len();
    let rule = async |rule: &str| {
        let kind = StateEventType::RoomJoinRules;
        room.set_state(kind, "", field("join_rule", rule)).await.unwrap();
    };
    rule("invite").await;
    assert_eq!(found().await, 0);
    rule("public").await;
    // Of the page, only the first half takes place.
    directory::relist(&server.core, &room.id().to_owned()).await.unwrap();
    assert_eq!(found().await, 1);
    let view = server.core.store.view().await.unwrap();
    let left = view.scan(&REOPENED_ROOMS, &(), Direction::Forward, 1).await.unwrap();
    assert_eq!(left, []);
}

#[tokio::test]
async fn messages_in_rooms_that_are_not_listed_concern_nobody() {
    let server = server().await;
    let (quiet, shown) =
        (public_room(&user(&server, "alice"), "12").await, published(&server).await);
    let before = server.core.store.settled();
    for room in [&quiet, &shown] {
        room.send_text("hello").await.unwrap();
    }
    let view = server.core.store.view().await.unwrap();
    let events = |at: u64| [&quiet, &shown].map(|room| (room.id().to_owned(), Position::new(at)));
    let mut users = BTreeSet::new();
    let after = events(before.get() + 1);
    assert_eq!(concerned(&view, &after, &mut users).await.unwrap(), [shown.id().to_owned()]);
    assert_eq!(users, BTreeSet::new());
    assert_eq!(concerned(&view, &events(1), &mut users).await.unwrap().len(), 2);
}

#[tokio::test]
async fn whoever_came_or_went_by_a_change_of_state_is_listed_anew() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let room = public_room(&alice, "12").await;
    let before = server.core.store.settled();
    bob.room(room.id()).join(None).await.unwrap();
    let view = server.core.store.view().await.unwrap();
    let events: Vec<_> = (before.get()..=view.settled().get())
        .map(|at| (room.id().to_owned(), Position::new(at)))
        .collect();
    let mut users = BTreeSet::new();
    concerned(&view, &events[1..], &mut users).await.unwrap();
    assert_eq!(users, BTreeSet::from([bob.id().to_owned()]));
}

#[tokio::test]
async fn much_that_happens_is_followed_without_anybody_asking() {
    let server = server().await;
    let room = published(&server).await;
    for _ in 0..FAR_BEHIND {
        room.send_text("hello").await.unwrap();
    }
    let store = &server.core.store;
    let start = Some(Position::new(FAR_BEHIND / 2));
    while store.view().await.unwrap().cursor(Directories::NAME).await.unwrap() < start {
        tokio::task::yield_now().await;
    }
}
