//! What friends promise, through the library.

mod costs;
mod finding;
mod hidden;
mod listing;
mod stops;

use futures_util::future::join_all;
use ruma::{RoomVersionId, events::StateEventType, user_id};
use serde_json::{Value, json};
use tertulia_protocol::{Friendship::*, NewRoom, Preset};

use super::*;
use crate::{
    Homeserver, Remains,
    testing::{listed, raw, server},
};

pub(super) async fn people<const N: usize>(server: &Homeserver, names: [&str; N]) -> [User; N] {
    let mut users = Vec::new();
    for name in names {
        users.push(server.create_user(name).await.unwrap());
    }
    users.try_into().unwrap()
}

/// What each of the two is to the other.
#[track_caller]
fn check(one: &Friendship<OwnedRoomId>, other: &Friendship<OwnedRoomId>, expected: &str) {
    let name = |friendship: &Friendship<_>| match friendship {
        Stranger => "stranger",
        Asked(_) => "asked",
        Asking(_) => "asking",
        Friend(_) => "friend",
    };
    assert_eq!(format!("{} {}", name(one), name(other)), expected);
    if *one != Stranger && *other != Stranger && expected != "asking asking" {
        assert_eq!(one.room(), other.room());
    }
}

pub(super) async fn check_both(one: &User, other: &User, expected: &str) {
    let known = one.friends().status(other.id()).await.unwrap();
    check(&known, &other.friends().status(one.id()).await.unwrap(), expected);
}

/// Asks and accepts.
pub(super) async fn befriend(one: &User, other: &User) -> OwnedRoomId {
    one.friends().request(other.id(), None).await.unwrap();
    other.friends().accept(one.id()).await.unwrap().id().to_owned()
}

async fn member(room: &Room, user: &User) -> Value {
    let event = room.state_event(&StateEventType::RoomMember, user.id().as_str()).await.unwrap();
    serde_json::from_str(event.content().get()).unwrap()
}

fn no_request<T: std::fmt::Debug>(done: Result<T>) {
    assert!(matches!(done, Err(Error::NotFound("friend request"))), "{done:?}");
}

#[tokio::test]
async fn a_request_is_an_invite_to_a_room_for_two_and_to_join_accepts_it() {
    let server = server().await;
    let [alice, bob] = people(&server, ["alice", "bob"]).await;
    check_both(&alice, &bob, "stranger stranger").await;
    let asked = alice.friends().request(bob.id(), Some("from work".to_owned())).await.unwrap();
    check_both(&alice, &bob, "asked asking").await;
    let Asked(id) = asked else { panic!("{asked:?}") };
    let room = alice.room(&id);
    let invite = member(&room, &bob).await;
    assert_eq!((&invite["is_direct"], &invite["reason"]), (&json!(true), &json!("from work")));
    assert_eq!(bob.friends().accept(alice.id()).await.unwrap().id(), id);
    check_both(&alice, &bob, "friend friend").await;
    assert_eq!(bob.friends().accept(alice.id()).await.unwrap().id(), id, "once more");
    bob.room(&id).send_text("hello").await.unwrap();
    let again = alice.friends().request(bob.id(), None).await.unwrap();
    assert_eq!(again, Friend(id.clone()), "a friend need not be asked");
    let with = alice.friends().in_rooms(&[id]).await.unwrap();
    assert_eq!(with, [[bob.id().to_owned()]]);
}

#[tokio::test]
async fn asking_twice_is_one_request_and_asking_back_accepts() {
    let server = server().await;
    let [alice, bob] = people(&server, ["alice", "bob"]).await;
    let first = alice.friends().request(bob.id(), None).await.unwrap();
    let second = alice.friends().request(bob.id(), Some("please".to_owned())).await.unwrap();
    assert_eq!(first, second);
    let back = bob.friends().request(alice.id(), None).await.unwrap();
    assert_eq!(back, Friend(first.room().unwrap().clone()));
    check_both(&alice, &bob, "friend friend").await;
}

#[tokio::test]
async fn requests_to_many_in_one_millisecond_are_in_rooms_of_their_own() {
    let server = server().await;
    let [alice, bob, carol] = people(&server, ["alice", "bob", "carol"]).await;
    let (friends, others) = (alice.friends(), [bob.id(), carol.id()]);
    let asked = join_all(others.map(|other| friends.request(other, None))).await;
    let rooms: Vec<_> = asked.into_iter().map(|asked| asked.unwrap().room().cloned()).collect();
    assert_ne!(rooms[0], rooms[1]);
}

#[tokio::test]
async fn both_who_ask_at_once_are_friends_in_one_room() {
    let server = server().await;
    for n in 0..50 {
        let names = [format!("a{n}"), format!("b{n}")];
        let [alice, bob] = people(&server, [&*names[0], &*names[1]]).await;
        let calls = (0..8).map(|n| {
            let (one, other) = if n % 2 == 0 { (&alice, &bob) } else { (&bob, &alice) };
            async move { one.friends().request(other.id(), None).await.unwrap() }
        });
        join_all(calls).await;
        check_both(&alice, &bob, "friend friend").await;
        for user in [&alice, &bob] {
            assert_eq!(user.joined_rooms().await.unwrap().len(), 1);
        }
    }
}

#[tokio::test]
async fn a_refused_request_waits_no_more_and_can_be_made_again_in_the_same_room() {
    let server = server().await;
    let [alice, bob] = people(&server, ["alice", "bob"]).await;
    let first = alice.friends().request(bob.id(), None).await.unwrap();
    bob.friends().refuse(alice.id()).await.unwrap();
    check_both(&alice, &bob, "stranger stranger").await;
    no_request(bob.friends().refuse(alice.id()).await);
    no_request(bob.friends().accept(alice.id()).await);
    let room = alice.room(first.room().unwrap());
    assert_eq!(member(&room, &bob).await, json!({ "membership": "leave" }), "nothing else is told");
    let again = alice.friends().request(bob.id(), Some("please".to_owned())).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(member(&room, &bob).await["reason"], "please");
    check_both(&alice, &bob, "asked asking").await;
    // Whoever refused may also be the one who asks.
    bob.friends().refuse(alice.id()).await.unwrap();
    let other = bob.friends().request(alice.id(), None).await.unwrap();
    assert_ne!(other.room(), first.room(), "nobody joins a room without an invite");
    alice.friends().accept(bob.id()).await.unwrap();
    check_both(&alice, &bob, "friend friend").await;
}

#[tokio::test]
async fn a_request_can_be_taken_back_in_rooms_of_every_version() {
    for version in ["1", "9", "11", "12"] {
        let version = RoomVersionId::try_from(version).unwrap();
        let settings = crate::Settings { default_room_version: version, ..Default::default() };
        let server = Homeserver::builder("x").unwrap().settings(settings);
        let server = server.start(tertulia_storage::MemoryEngine::default()).await.unwrap();
        let [alice, bob] = people(&server, ["alice", "bob"]).await;
        no_request(alice.friends().withdraw(bob.id()).await);
        let first = alice.friends().request(bob.id(), None).await.unwrap();
        no_request(bob.friends().withdraw(alice.id()).await);
        alice.friends().withdraw(bob.id()).await.unwrap();
        check_both(&alice, &bob, "stranger stranger").await;
        no_request(bob.friends().accept(alice.id()).await);
        no_request(alice.friends().withdraw(bob.id()).await);
        let again = alice.friends().request(bob.id(), None).await.unwrap();
        assert_eq!(again, first);
        bob.friends().accept(alice.id()).await.unwrap();
        no_request(alice.friends().withdraw(bob.id()).await);
        check_both(&alice, &bob, "friend friend").await;
    }
}

#[tokio::test]
async fn who_deletes_a_friend_leaves_and_forgets_and_the_other_may_ask_again_there() {
    let server = server().await;
    let [alice, bob] = people(&server, ["alice", "bob"]).await;
    let nobody = alice.friends().delete(bob.id()).await;
    assert!(matches!(nobody, Err(Error::NotFound("friend"))), "{nobody:?}");
    let room = befriend(&alice, &bob).await;
    alice.friends().delete(bob.id()).await.unwrap();
    check_both(&alice, &bob, "stranger stranger").await;
    assert_eq!(member(&bob.room(&room), &alice).await["membership"], "leave");
    let again = bob.friends().request(alice.id(), None).await.unwrap();
    assert_eq!(again, Asked(room.clone()));
    alice.friends().accept(bob.id()).await.unwrap();
    // Now the one who has left asks.
    alice.friends().delete(bob.id()).await.unwrap();
    let other = alice.friends().request(bob.id(), None).await.unwrap();
    assert!(matches!(other, Asked(_)) && other.room() != Some(&room));
    // And who was left alone lets go of them, too, the new request included.
    bob.friends().delete(alice.id()).await.unwrap();
    let gone = bob.room(&room).state().await;
    assert!(matches!(gone, Err(Error::Forbidden(_))), "{gone:?}");
    check_both(&alice, &bob, "stranger stranger").await;
    let nothing = bob.friends().delete(alice.id()).await;
    assert!(matches!(nothing, Err(Error::NotFound("friend"))), "{nothing:?}");
}

/// A direct room as stock clients make it.
async fn stock_request(by: &User, other: &User, preset: Preset) -> Room {
    let mut room = NewRoom::new(by.id().to_owned(), RoomVersionId::V11);
    room.preset = preset;
    room.invite = vec![other.id().to_owned()];
    room.is_direct = true;
    by.create_room(room).await.unwrap()
}

#[tokio::test]
async fn rooms_that_stock_clients_make_join_and_leave_count_as_any() {
    let server = server().await;
    let [alice, bob, carol] = people(&server, ["alice", "bob", "carol"]).await;
    let room = stock_request(&alice, &bob, Preset::TrustedPrivateChat).await;
    check_both(&alice, &bob, "asked asking").await;
    let theirs = bob.room(room.id());
    theirs.leave(None).await.unwrap();
    check_both(&alice, &bob, "stranger stranger").await;
    room.invite(bob.id(), None, true).await.unwrap();
    check_both(&alice, &bob, "asked asking").await;
    theirs.join(None).await.unwrap();
    check_both(&alice, &bob, "friend friend").await;
    room.leave(None).await.unwrap();
    check_both(&alice, &bob, "stranger stranger").await;
    assert_eq!(bob.friends().request(alice.id(), None).await.unwrap(), Asked(room.id().to_owned()));
    // In this room nobody has more power than the other: to take an invite back is to leave.
    let room = stock_request(&alice, &carol, Preset::TrustedPrivateChat).await;
    alice.friends().withdraw(carol.id()).await.unwrap();
    check_both(&alice, &carol, "stranger stranger").await;
    assert!(!alice.joined_rooms().await.unwrap().contains(&room.id().to_owned()));
}

#[tokio::test]
async fn a_room_with_others_in_it_is_not_used_to_ask_again() {
    let server = server().await;
    let [alice, bob, carol] = people(&server, ["alice", "bob", "carol"]).await;
    let room = befriend(&alice, &bob).await;
    alice.room(&room).invite(carol.id(), None, false).await.unwrap();
    carol.room(&room).join(None).await.unwrap();
    check_both(&alice, &carol, "stranger stranger").await;
    bob.friends().delete(alice.id()).await.unwrap();
    let asked = alice.friends().request(bob.id(), None).await.unwrap();
    assert!(matches!(asked, Asked(_)) && asked.room() != Some(&room));
}

#[tokio::test]
async fn whoever_cannot_be_a_friend_is_told_why() {
    let server = server().await;
    let [alice, bob] = people(&server, ["alice", "bob"]).await;
    for (name, expected) in [
        ("bob", "@bob:x"),
        ("BOB", "@bob:x"),
        ("@bob:x", "@bob:x"),
        ("@bob:elsewhere", "@bob:elsewhere"),
    ] {
        assert_eq!(alice.friends().called(name).unwrap(), expected);
    }
    assert!(matches!(alice.friends().called("b b"), Err(Error::NotFound("user"))));
    let ask = async |other: &UserId| alice.friends().request(other, None).await.unwrap_err();
    assert!(matches!(ask(alice.id()).await, Error::Forbidden(_)));
    assert!(matches!(ask(user_id!("@b:elsewhere")).await, Error::Forbidden(_)));
    assert!(matches!(ask(user_id!("@nobody:x")).await, Error::NotFound("user")));
    let block = raw(&json!({ "default_action": "block" }));
    bob.set_account_data(None, "m.invite_permission_config", block).await.unwrap();
    assert!(matches!(ask(bob.id()).await, Error::InviteBlocked(_)));
    bob.deactivate(Remains::Keep).await.unwrap();
    assert!(matches!(ask(bob.id()).await, Error::NotFound("user")));
    assert!(matches!(bob.friends().request(alice.id(), None).await, Err(Error::Deactivated)));
    assert!(alice.joined_rooms().await.unwrap().is_empty(), "no room was made in vain");
    for done in
        [alice.friends().accept(alice.id()).await.map(drop), alice.friends().refuse(bob.id()).await]
    {
        no_request(done);
    }
}

#[tokio::test]
async fn nothing_is_left_of_rooms_that_were_forgotten_or_removed() {
    let server = server().await;
    let [alice, bob] = people(&server, ["alice", "bob"]).await;
    let rows = async |user: &User| {
        listed(&server).await;
        let view = server.core.store.view().await.unwrap();
        let (prefix, forward) = ((user.id().to_owned(),), tertulia_storage::Direction::Forward);
        let direct = view.scan(&crate::schema::DIRECT, &prefix, forward, 9).await.unwrap().len();
        direct + view.scan(&crate::schema::DIRECT_WITH, &prefix, forward, 9).await.unwrap().len()
    };
    let room = befriend(&alice, &bob).await;
    assert_eq!((rows(&alice).await, rows(&bob).await), (4, 4));
    bob.friends().delete(alice.id()).await.unwrap();
    assert_eq!((rows(&alice).await, rows(&bob).await), (4, 0));
    server.remove_room(&room).await.unwrap();
    assert_eq!(rows(&alice).await, 0);
    check_both(&alice, &bob, "stranger stranger").await;
    befriend(&alice, &bob).await;
    check_both(&alice, &bob, "friend friend").await;
}
