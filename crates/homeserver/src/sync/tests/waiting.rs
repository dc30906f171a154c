//! Polls that wait.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::task::JoinHandle;

use super::*;
use crate::{Error, NewAccount, Restriction, Result};

const LONG: Duration = Duration::from_secs(600);

impl Client {
    /// A poll that waits in a task of its own.
    fn poll(&self) -> JoinHandle<Result<Update>> {
        let (session, request) = (self.session.clone(), self.request.clone());
        let request = SyncRequest { timeout: LONG, ..request };
        tokio::spawn(async move { session.sync(request).await })
    }
}

/// Lets everyone else go on for a while.
async fn let_others_go_on() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_poll_ends_when_something_happens() {
    let (mut alice, mut bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    alice.sync().await;
    bob.sync().await;
    let (poll, other) = (alice.poll(), bob.poll());
    let_others_go_on().await;
    assert!(!poll.is_finished() && !other.is_finished());
    room.send_text("wake up").await.unwrap();
    for poll in [poll, other] {
        assert_eq!(timeline(&read(&poll.await.unwrap().unwrap()), &room), ["wake up"]);
    }
}

#[tokio::test]
async fn a_poll_ends_when_one_is_invited_or_comes_in_elsewhere() {
    let (alice, mut bob, room) = alice_bob_room().await;
    bob.sync().await;
    let poll = bob.poll();
    let_others_go_on().await;
    bob.room(&room).join(None).await.unwrap();
    let update = poll.await.unwrap().unwrap();
    assert_ne!(section(&read(&update), "join", room.id()), &Value::Null);
    bob.request.since = Some(update.next_batch);
    let poll = bob.poll();
    let private = alice.create_room(Preset::PrivateChat).await;
    private.invite(bob.session.id(), None, false).await.unwrap();
    let update = read(&poll.await.unwrap().unwrap());
    assert_ne!(section(&update, "invite", private.id()), &Value::Null);
}

#[tokio::test]
async fn a_poll_in_a_room_that_was_joined_a_poll_ago_hears_its_events() {
    let (_, mut bob, room) = alice_bob_room().await;
    bob.sync().await;
    let poll = bob.poll();
    let_others_go_on().await;
    bob.room(&room).join(None).await.unwrap();
    bob.request.since = Some(poll.await.unwrap().unwrap().next_batch);
    let poll = bob.poll();
    let_others_go_on().await;
    room.send_text("heard").await.unwrap();
    assert_eq!(timeline(&read(&poll.await.unwrap().unwrap()), &room), ["heard"]);
}

#[tokio::test]
async fn account_data_receipts_and_typing_end_a_poll() {
    let (mut alice, _, room) = alice_bob_room().await;
    let event = room.send_text("hi").await.unwrap();
    alice.sync().await;
    let data = || crate::testing::raw(&json!({}));
    let poll = alice.poll();
    alice.session.set_account_data(None, "org.x", data()).await.unwrap();
    let update = poll.await.unwrap().unwrap();
    assert_eq!(short(&read(&update)["account_data"]), ["org.x"]);
    alice.request.since = Some(update.next_batch);
    let poll = alice.poll();
    let_others_go_on().await;
    alice.session.start_typing(room.id(), LONG).await.unwrap();
    let update = poll.await.unwrap().unwrap();
    assert_eq!(short(&section(&read(&update), "join", room.id())["ephemeral"]), ["m.typing"]);
    alice.request.since = Some(update.next_batch);
    let poll = alice.poll();
    let_others_go_on().await;
    let marks = crate::ReadMarks { read_private: Some(event), ..crate::ReadMarks::default() };
    alice.session.mark_read(room.id(), marks).await.unwrap();
    let update = poll.await.unwrap().unwrap();
    assert_eq!(short(&section(&read(&update), "join", room.id())["ephemeral"]), ["m.receipt"]);
}

#[tokio::test]
async fn what_does_not_concern_the_user_does_not_end_a_poll() {
    let (alice, mut bob, room) = alice_bob_room().await;
    bob.sync().await;
    let poll = bob.poll();
    let_others_go_on().await;
    room.send_text("not for bob").await.unwrap();
    alice.session.set_account_data(None, "org.x", crate::testing::raw(&json!({}))).await.unwrap();
    let_others_go_on().await;
    assert!(!poll.is_finished());
    poll.abort();
}

#[tokio::test]
async fn what_the_filter_holds_back_does_not_end_a_poll() {
    let (alice, _, room) = alice_bob_room().await;
    let mut quiet = alice.filtered(json!({ "room": { "timeline": { "types": ["org.x"] } } }));
    quiet.sync().await;
    let poll = quiet.poll();
    let_others_go_on().await;
    room.send_text("shh").await.unwrap();
    let_others_go_on().await;
    assert!(!poll.is_finished());
    room.send("org.x".into(), crate::testing::raw(&json!({ "body": "x" })), None).await.unwrap();
    assert_eq!(timeline(&read(&poll.await.unwrap().unwrap()), &room), ["x"]);
}

#[tokio::test]
async fn a_poll_without_patience_ends_at_once() {
    let (mut alice, _, _) = alice_bob_room().await;
    alice.sync().await;
    let before = alice.request.since;
    let update = alice.session.sync(alice.request.clone()).await.unwrap();
    assert!(update.is_empty());
    assert_eq!(update.next_batch, before.unwrap());
    alice.request.timeout = Duration::from_millis(1);
    assert!(alice.session.sync(alice.request.clone()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_first_sync_does_not_wait() {
    let server = crate::testing::server().await;
    let lonely = Client::new(&server, "lonely").await;
    let update = lonely.poll().await.unwrap().unwrap();
    assert_eq!(read(&update)["rooms"]["join"], json!({}));
}

#[tokio::test]
async fn a_session_that_ends_ends_its_polls() {
    let (mut alice, _, _) = alice_bob_room().await;
    alice.sync().await;
    let poll = alice.poll();
    let_others_go_on().await;
    alice.session.logout().await.unwrap();
    assert!(matches!(poll.await.unwrap(), Err(Error::UnknownToken)));
}

#[tokio::test]
async fn who_is_locked_hears_nothing_more() {
    let (mut alice, _, room) = alice_bob_room().await;
    alice.sync().await;
    let poll = alice.poll();
    let_others_go_on().await;
    let server = Homeserver { core: alice.session.core.clone() };
    let admin = NewAccount { admin: true, ..NewAccount::from("admin") };
    let admin = server.create_user(admin).await.unwrap();
    admin.restrict(alice.session.id(), Restriction::Lock, true).await.unwrap();
    room.send_text("psst").await.unwrap();
    assert!(matches!(poll.await.unwrap(), Err(Error::Locked)));
}

#[tokio::test]
async fn a_server_that_stops_answers_polls_with_what_they_have() {
    let server = crate::testing::server().await;
    let mut alice = Client::new(&server, "alice").await;
    alice.sync().await;
    let poll = alice.poll();
    let_others_go_on().await;
    server.shutdown().await;
    assert!(poll.await.unwrap().unwrap().is_empty());
}

#[tokio::test]
async fn a_token_from_before_a_backup_was_restored_begins_anew() {
    let (mut alice, _, room) = alice_bob_room().await;
    alice.sync().await;
    alice.request.since = Some("s1_0.999_0_1.1".parse().unwrap());
    let update = alice.poll().await.unwrap().unwrap();
    assert!(timeline(&read(&update), &room).contains(&"m.room.create".to_owned()));
}

#[tokio::test]
async fn a_stream_tells_everything_in_order_until_the_server_stops() {
    let server = crate::testing::server().await;
    let alice = Client::new(&server, "alice").await;
    let room = alice.create_room(Preset::PublicChat).await;
    let mut updates = Box::pin(alice.session.updates(SyncRequest::default()));
    let first = read(&updates.next().await.unwrap().unwrap());
    assert!(timeline(&first, &room).contains(&"m.room.create".to_owned()));
    for body in ["one", "two"] {
        room.send_text(body).await.unwrap();
        let update = updates.next().await.unwrap().unwrap();
        assert_eq!(timeline(&read(&update), &room), [body]);
    }
    server.core.stop.cancel();
    assert!(updates.next().await.is_none());
}

#[tokio::test]
async fn who_begins_at_the_present_is_told_what_happens_later_and_nothing_else() {
    let (alice, bob, room) = alice_bob_room().await;
    bob.room(&room).join(None).await.unwrap();
    room.send_text("before").await.unwrap();
    alice.session.start_typing(room.id(), LONG).await.unwrap();
    let since = Some(bob.session.present().await.unwrap());
    let mut updates = Box::pin(bob.session.updates(SyncRequest { since, ..unseen() }));
    room.send_text("after").await.unwrap();
    let update = updates.next().await.unwrap().unwrap();
    let events = update.events().map(|event| (event.room().to_owned(), event.body().unwrap()));
    assert_eq!(events.collect::<Vec<_>>(), [(room.id().to_owned(), "after".to_owned())]);
    let told = read(&update);
    assert_eq!(told["account_data"]["events"], json!([]));
    assert_eq!(section(&told, "join", room.id())["ephemeral"]["events"], json!([]));
}

#[tokio::test]
async fn an_update_tells_its_events_and_invitations_across_rooms() {
    let (alice, bob, one) = alice_bob_room().await;
    let (two, three) =
        (alice.create_room(Preset::PublicChat).await, alice.create_room(Preset::PrivateChat).await);
    for room in [&one, &two] {
        bob.room(room).join(None).await.unwrap();
    }
    let since = Some(bob.session.present().await.unwrap());
    for (room, body) in [(&one, "a"), (&two, "b"), (&one, "c")] {
        room.send_text(body).await.unwrap();
    }
    three.invite(bob.session.id(), None, false).await.unwrap();
    let update = bob.session.sync(SyncRequest { since, ..unseen() }).await.unwrap();
    let said = |room: &Room| -> String {
        let events = update.events().filter(|event| event.room() == room.id());
        events.map(|event| event.body().unwrap()).collect()
    };
    assert_eq!((said(&one), said(&two), said(&three)), ("ac".into(), "b".into(), String::new()));
    assert_eq!(update.invitations().collect::<Vec<_>>(), [three.id()]);
    let since = Some(update.next_batch);
    let update = bob.session.sync(SyncRequest { since, ..unseen() }).await.unwrap();
    assert_eq!((update.events().count(), update.invitations().count()), (0, 0));
}

#[tokio::test]
async fn updates_end_with_their_session_even_where_nobody_looked_meanwhile() {
    let (alice, _, room) = alice_bob_room().await;
    let since = Some(alice.session.present().await.unwrap());
    let updates = || Box::pin(alice.session.updates(SyncRequest { since, ..unseen() }));
    let (mut unasked, mut asked) = (updates(), updates());
    room.send_text("news").await.unwrap();
    asked.next().await.unwrap().unwrap();
    alice.session.logout().await.unwrap();
    room.send_text("not for those who are gone").await.unwrap();
    for stream in [&mut unasked, &mut asked] {
        let ended = stream.next().await.unwrap();
        assert!(matches!(ended, Err(Error::UnknownToken)), "{ended:?}");
        assert!(stream.next().await.is_none());
    }
    let mut quiet = alice;
    quiet.request.since = Some(quiet.session.present().await.unwrap());
    assert!(matches!(quiet.poll().await.unwrap(), Err(Error::UnknownToken)));
}
