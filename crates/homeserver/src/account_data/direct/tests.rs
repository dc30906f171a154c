use ruma::{RoomVersionId, room_id};
use serde_json::{Value, json};
use tertulia_protocol::NewRoom;

use super::told::ON_ITS_WAY;
use crate::{
    Error, Homeserver, Room, Session, SyncRequest, User,
    schema::{ACCOUNT_DATA, DIRECT, DirectBy},
    testing::{DrivenClock, listed, public_room, raw, server, server_at},
};

async fn session(server: &Homeserver, name: &str) -> Session {
    server.register(name).await.unwrap().0
}

async fn direct(user: &User) -> Value {
    match user.account_data(None, super::DIRECT).await {
        Err(Error::NotFound(_)) => Value::Null,
        content => serde_json::from_str(content.unwrap().get()).unwrap(),
    }
}

async fn write(session: &Session, content: Value) {
    session.set_account_data(None, super::DIRECT, raw(&content)).await.unwrap();
}

/// A room that is direct by its invite.
async fn direct_room(by: &User, other: &User) -> Room {
    let mut room = NewRoom::new(by.id().to_owned(), RoomVersionId::V12);
    room.invite = vec![other.id().to_owned()];
    room.is_direct = true;
    by.create_room(room).await.unwrap()
}

/// Lets the device of a session be told of everything.
async fn sync(session: &Session) {
    let first = session.sync(SyncRequest::default()).await.unwrap();
    let request = SyncRequest { since: Some(first.next_batch), ..SyncRequest::default() };
    session.sync(request).await.unwrap();
}

/// The rooms that the index knows by the user's list.
async fn indexed(server: &Homeserver, user: &User) -> Vec<(String, String)> {
    listed(server).await;
    let view = server.core.store.view().await.unwrap();
    let (prefix, forward) = ((user.id().to_owned(),), tertulia_storage::Direction::Forward);
    let rows = view.scan(&DIRECT, &prefix, forward, 20_000).await.unwrap();
    let rows = rows.into_iter().filter(|((.., by), ())| *by == DirectBy::List);
    rows.map(|((_, other, room, _), ())| (other.to_string(), room.to_string())).collect()
}

#[tokio::test]
async fn nobodys_list_is_written_before_they_act() {
    let server = server().await;
    let (alice, bob) = (session(&server, "alice").await, session(&server, "bob").await);
    let room = direct_room(&alice, &bob).await;
    listed(&server).await;
    assert_eq!(direct(&alice).await, json!({ "@bob:x": [room.id()] }));
    assert_eq!(direct(&bob).await, Value::Null);
    bob.room(room.id()).join(None).await.unwrap();
    listed(&server).await;
    assert_eq!(direct(&bob).await, json!({ "@alice:x": [room.id()] }));
    assert_eq!(indexed(&server, &bob).await, [("@alice:x".to_owned(), room.id().to_string())]);
    bob.room(room.id()).leave(None).await.unwrap();
    listed(&server).await;
    assert_eq!(direct(&bob).await, json!({}));
    assert_eq!(direct(&alice).await, json!({ "@bob:x": [room.id()] }), "she is in it still");
    assert!(indexed(&server, &bob).await.is_empty());
    bob.room(room.id()).forget().await.unwrap();
    room.leave(None).await.unwrap();
    listed(&server).await;
    assert_eq!(direct(&alice).await, json!({}));
}

#[tokio::test]
async fn what_a_client_lists_is_left_alone() {
    let clock = DrivenClock::default();
    let server = server_at(&clock).await;
    let (alice, bob) = (session(&server, "alice").await, session(&server, "bob").await);
    let room = public_room(&alice, "12").await;
    let content = json!({ "@carol:y": [room.id(), "!unknown:z"], "odd": 7, "@dave:x": [] });
    write(&alice, content.clone()).await;
    let written = async || {
        let view = server.core.store.view().await.unwrap();
        view.get(&ACCOUNT_DATA, &super::key(alice.id())).await.unwrap().unwrap().at
    };
    let before = written().await;
    listed(&server).await;
    assert_eq!(written().await, before, "nothing is written");
    assert_eq!(direct(&alice).await, content);
    // It is listed already, with whomever.
    room.invite(bob.id(), None, true).await.unwrap();
    listed(&server).await;
    assert_eq!(direct(&alice).await, content);
    // What a client has taken out stays out, whatever happens in the room.
    sync(&alice).await;
    clock.advance(ON_ITS_WAY);
    write(&alice, json!({ "odd": 7 })).await;
    room.invite(bob.id(), Some("again".to_owned()), false).await.unwrap();
    bob.room(room.id()).join(None).await.unwrap();
    let name = crate::ProfileField::DISPLAY_NAME;
    alice.set_profile_field(name, json!("Alice")).await.unwrap();
    listed(&server).await;
    assert_eq!(direct(&alice).await, json!({ "odd": 7 }));
}

#[tokio::test]
async fn clients_that_list_the_room_themselves_list_it_once() {
    let server = server().await;
    let (alice, bob) = (session(&server, "alice").await, session(&server, "bob").await);
    let room = direct_room(&alice, &bob).await;
    // Before the server, and after it.
    let content = json!({ "@bob:x": [room.id()] });
    write(&alice, content.clone()).await;
    listed(&server).await;
    assert_eq!(direct(&alice).await, content);
    write(&alice, content.clone()).await;
    assert_eq!(direct(&alice).await, content);
}

#[tokio::test]
async fn a_write_does_not_undo_what_its_writer_was_not_told() {
    let clock = DrivenClock::default();
    let server = server_at(&clock).await;
    let (alice, bob) = (session(&server, "alice").await, session(&server, "bob").await);
    let old = public_room(&alice, "12").await;
    write(&alice, json!({ "@carol:y": [old.id()] })).await;
    sync(&alice).await;
    clock.advance(ON_ITS_WAY);
    let room = direct_room(&alice, &bob).await;
    listed(&server).await;
    let both = json!({ "@carol:y": [old.id()], "@bob:x": [room.id()] });
    assert_eq!(direct_of(&alice).await, both);
    // A device that has not synced meanwhile writes all of it.
    write(&alice, json!({ "@dave:y": [old.id()] })).await;
    let merged = json!({ "@dave:y": [old.id()], "@bob:x": [room.id()] });
    assert_eq!(direct_of(&alice).await, merged);
    // Nor does one whose sync has overtaken its write.
    sync(&alice).await;
    clock.advance(ON_ITS_WAY - 1);
    write(&alice, json!({ "@erin:y": [old.id()] })).await;
    assert_eq!(direct_of(&alice).await, json!({ "@erin:y": [old.id()], "@bob:x": [room.id()] }));
    // One that knows has its will, and so has one who asked what there is.
    clock.advance(1);
    write(&alice, json!({ "@dave:y": [old.id()] })).await;
    assert_eq!(direct_of(&alice).await, json!({ "@dave:y": [old.id()] }));
    listed(&server).await;
    assert_eq!(direct_of(&alice).await, json!({ "@dave:y": [old.id()] }));
    let room = direct_room(&alice, &bob).await;
    listed(&server).await;
    assert_eq!(direct(&alice).await["@bob:x"], json!([room.id()]));
    alice.account_data(None, super::DIRECT).await.unwrap();
    clock.advance(ON_ITS_WAY);
    write(&alice, json!({})).await;
    assert_eq!(direct_of(&alice).await, json!({}));
}

/// As [`direct`], without the device hearing of it.
async fn direct_of(session: &Session) -> Value {
    direct(&User::new(session.core.clone(), session.id().to_owned())).await
}

#[tokio::test]
async fn a_write_does_not_bring_back_rooms_that_were_left() {
    let server = server().await;
    let (alice, bob) = (session(&server, "alice").await, session(&server, "bob").await);
    let room = direct_room(&alice, &bob).await;
    listed(&server).await;
    sync(&alice).await;
    let content = direct(&alice).await;
    room.leave(None).await.unwrap();
    listed(&server).await;
    write(&alice, content).await;
    assert_eq!(direct_of(&alice).await, json!({}));
    write(&alice, json!({ "@bob:x": ["!unknown:z", room.id()], "odd": 1 })).await;
    assert_eq!(direct_of(&alice).await, json!({ "@bob:x": ["!unknown:z"], "odd": 1 }));
}

#[tokio::test]
async fn a_list_of_thousands_is_indexed_and_follows_each_change() {
    let server = server().await;
    let alice = session(&server, "alice").await;
    let all = |from: usize, to: usize| -> Value {
        let entries = (from..to).map(|n| (format!("@u{n}:y"), json!([format!("!r{n}:y")])));
        Value::Object(entries.collect())
    };
    write(&alice, all(0, 5_000)).await;
    assert_eq!(indexed(&server, &alice).await.len(), 5_000);
    write(&alice, all(10, 5_001)).await;
    let rows = indexed(&server, &alice).await;
    assert_eq!(rows.len(), 4_991);
    assert!(rows.contains(&("@u5000:y".to_owned(), "!r5000:y".to_owned())));
    write(&alice, json!({})).await;
    assert!(indexed(&server, &alice).await.is_empty());
}

#[tokio::test]
async fn a_list_that_cannot_be_read_lists_nothing() {
    let server = server().await;
    let alice = session(&server, "alice").await;
    for odd in [json!({ "@b:x": "!r:x" }), json!({ "b": ["!r:x"] }), json!({ "@b:x": [7, null] })] {
        write(&alice, odd).await;
        assert!(indexed(&server, &alice).await.is_empty());
    }
    write(&alice, json!({ "@b:x": ["!r:x"], "@c:x": ["!r:x"] })).await;
    assert_eq!(indexed(&server, &alice).await.len(), 2);
    let with = alice.friends().in_rooms(&[room_id!("!r:x").to_owned()]).await.unwrap();
    assert_eq!(with[0].len(), 2);
}
