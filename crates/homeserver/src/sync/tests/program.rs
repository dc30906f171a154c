//! What a program is told of a user, without a session.

use futures_util::{FutureExt as _, TryStreamExt as _};

use super::*;
use crate::{Error, Remains, testing, testing::public_room};

struct Two {
    server: Homeserver,
    alice: User,
    bob: User,
    /// Alice's, in which Bob is.
    room: Room,
}

async fn two() -> Two {
    let server = testing::server().await;
    let alice = server.create_user("alice").await.unwrap();
    let bob = server.create_user("bob").await.unwrap();
    let room = public_room(&alice, "11").await;
    bob.room(room.id()).join(None).await.unwrap();
    Two { server, alice, bob, room }
}

fn said(update: &Update) -> Vec<String> {
    update.events().filter_map(crate::ClientEvent::body).collect()
}

#[tokio::test]
async fn a_program_is_told_what_happens_from_now_on() {
    let Two { alice, bob, room, .. } = two().await;
    room.send_text("before").await.unwrap();
    let mut updates = bob.updates();
    assert!(updates.try_next().now_or_never().is_none(), "nothing has happened");
    room.send_text("one").await.unwrap();
    assert_eq!(said(&updates.try_next().await.unwrap().unwrap()), ["one"]);
    let other = public_room(&alice, "11").await;
    other.invite(bob.id(), None, false).await.unwrap();
    let update = updates.try_next().await.unwrap().unwrap();
    assert_eq!(update.invitations().collect::<Vec<_>>(), [other.id()]);
    let seen = alice.presence_of(bob.id()).await;
    assert!(!seen.is_ok_and(|seen| seen.currently_active), "who is followed is not there for that");
}

#[tokio::test]
async fn a_program_goes_on_where_it_was_and_misses_nothing() {
    let Two { bob, room, .. } = two().await;
    let mut updates = bob.updates();
    room.send_text("heard").await.unwrap();
    let heard = updates.try_next().await.unwrap().unwrap().next_batch;
    drop(updates);
    for number in 0..30 {
        room.send_text(&number.to_string()).await.unwrap();
    }
    let update = bob.updates_since(heard).try_next().await.unwrap().unwrap();
    assert_eq!(said(&update), (0..30).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn those_who_are_mentioned_are_told_so() {
    let Two { alice, bob, room, .. } = two().await;
    let mut updates = bob.updates();
    let mine = bob.room(room.id()).send_text("who knows?").await.unwrap();
    room.reply(&mine, "I do").await.unwrap();
    let mut mentioned = Vec::new();
    while mentioned.len() < 2 {
        let update = updates.try_next().await.unwrap().unwrap();
        mentioned.extend(update.events().map(|event| event.mentions(bob.id())));
        assert!(!update.events().any(|event| event.mentions(alice.id())));
    }
    assert_eq!(mentioned, [false, true]);
}

#[tokio::test]
async fn what_a_program_is_told_ends_with_the_server_and_with_the_account() {
    let Two { server, alice, bob, .. } = two().await;
    let closed = bob.updates();
    bob.deactivate(Remains::Keep).await.unwrap();
    let told: Result<Vec<_>, _> = closed.try_collect().await;
    assert!(matches!(told, Err(Error::UnknownToken)), "{told:?}");
    let stopped = tokio::spawn(alice.updates().try_collect::<Vec<_>>());
    server.shutdown().await;
    stopped.await.unwrap().unwrap();
}
