//! What presence promises, through the library.

use super::*;
use crate::testing::{public_room, server, user};

#[tokio::test]
async fn a_message_costs_presence_nothing_while_its_sender_is_active() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let _poll = Poll::begin(&server.core, alice.id(), &PresenceState::Online).await.unwrap();
    let before = version(&server.core);
    for n in 0..10 {
        room.send_text(&n.to_string()).await.unwrap();
    }
    assert_eq!(version(&server.core), before);
}

#[tokio::test]
async fn who_waits_unseen_is_not_there_and_sends_unseen() {
    let server = server().await;
    let alice = user(&server, "alice");
    let room = public_room(&alice, "12").await;
    let poll = Poll::begin(&server.core, alice.id(), &PresenceState::Offline).await.unwrap();
    room.send_text("boo").await.unwrap();
    drop(poll);
    assert!(news(&server.core, None).users.is_empty());
}

#[tokio::test]
async fn one_answer_tells_only_so_many() {
    let server = server().await;
    for n in 0..MOST_TOLD + 10 {
        let user = user(&server, &format!("u{n}"));
        user.set_presence(PresenceState::Online, None).await.unwrap();
    }
    let first = news(&server.core, Some(0));
    assert_eq!(first.users.len(), MOST_TOLD);
    let rest = news(&server.core, Some(first.up_to));
    assert_eq!((rest.users.len(), rest.up_to), (10, version(&server.core)));
}
