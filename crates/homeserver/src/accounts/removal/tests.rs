use std::time::Duration;

use ruma::presence::PresenceState;
use serde_json::json;
use tertulia_storage::{
    LocalEngine, Memory, MemoryEngine, View,
    testing::{FailingEngine, Fault},
};

use super::*;
use crate::{
    NewAccount, NewDevice, PasswordCost, ProfileField, ReadMarks, Room, Secret, Session, Settings,
    Told, Transaction,
    schema::{
        BOOKMARK_ORDERS, FAVOURITE_COUNTS, FAVOURITE_LISTS, FAVOURITE_MEDIA, FAVOURITES,
        KEPT_EVENTS, MEDIA_USE, RECEIPT_CHANGES, RECEIPTS, SNAPSHOTS,
    },
    testing::{listed, public_room, raw},
};

async fn start(memory: &Memory) -> Homeserver {
    start_on(LocalEngine::start(memory.clone()).unwrap()).await.unwrap()
}

async fn start_on(engine: impl tertulia_storage::Engine) -> Result<Homeserver> {
    let settings = Settings { password_cost: PasswordCost::LEAST, ..Settings::default() };
    Homeserver::builder("x").unwrap().settings(settings).start(engine).await
}

async fn register(server: &Homeserver, name: &str) -> Session {
    let account = NewAccount { password: Some(Secret::new("bananas")), ..name.into() };
    server.register(account).await.unwrap().0
}

/// Lets a user leave something in every table.
async fn live(server: &Homeserver, user: &Session, rooms: &[Room], much: usize) {
    let name = ProfileField::DISPLAY_NAME;
    user.set_profile_field(name, json!("me")).await.unwrap();
    user.seen_from([192, 0, 2, 1].into());
    user.login_token().await.unwrap();
    user.openid_token().await.unwrap();
    user.reserve_media().await.unwrap();
    user.set_presence(PresenceState::Online, Some("here".to_owned())).await.unwrap();
    for n in 0..much {
        let id = Some(format!("D{n}").into());
        let device = NewDevice { id, renewable: n % 2 == 0, ..NewDevice::default() };
        server.login(user.id().localpart(), "bananas", device).await.unwrap();
        let kind = format!("org.example.n{n}");
        user.set_account_data(None, &kind, raw(&json!({}))).await.unwrap();
        let filter = json!({ "event_fields": [n.to_string()] });
        user.create_filter(&serde_json::from_value(filter).unwrap()).await.unwrap();
    }
    let friend =
        server.create_user(&*format!("friend.of.{}", user.id().localpart())).await.unwrap();
    user.friends().request(friend.id(), None).await.unwrap();
    listed(server).await;
    for room in rooms {
        let room = user.room(room.id());
        room.join(None).await.unwrap();
        user.set_account_data(Some(room.id()), "org.example.room", raw(&json!({}))).await.unwrap();
        let mut last = None;
        for n in 0..much {
            let transaction =
                Transaction { device: user.device().to_owned(), id: n.to_string().into() };
            let content = raw(&json!({ "body": "said", "url": "mxc://x/said" }));
            let sent = room.send("m.room.message".into(), content, Some(transaction)).await;
            last = Some(sent.unwrap());
        }
        let favourite = last.as_ref().unwrap();
        user.favourites().keep(room.id(), favourite, Told::default()).await.unwrap();
        let order = raw(&json!({ "bookmark_ids": ["a"] }));
        user.set_account_data(None, "m.bookmarks.index", order).await.unwrap();
        let marks = ReadMarks {
            read: last.clone(),
            read_private: last.clone(),
            fully_read: last,
            ..ReadMarks::default()
        };
        user.mark_read(room.id(), marks).await.unwrap();
        user.start_typing(room.id(), Duration::from_secs(10)).await.unwrap();
    }
}

/// How many rows of a table are the user's.
async fn count<K: tertulia_storage::Key, V: tertulia_storage::Value>(
    view: &View,
    table: &tertulia_storage::Table<K, V>,
    is_mine: impl Fn(&K) -> bool,
) -> usize {
    let rows = view.scan(table, &(), Direction::Forward, usize::MAX).await.unwrap();
    rows.iter().filter(|(key, _)| is_mine(key)).count()
}

/// How many rows there are of a user's own.
async fn rows_of(server: &Homeserver, user: &UserId) -> Vec<(&'static str, usize)> {
    let view = server.core.store.view().await.unwrap();
    let mut rows = rows_of_favourites(&view, user).await;
    let changes = view.scan(&RECEIPT_CHANGES, &(), Direction::Forward, usize::MAX).await.unwrap();
    rows.extend([
        ("profiles", count(&view, &PROFILES, |key| key.0 == user).await),
        ("account data", count(&view, &ACCOUNT_DATA, |key| key.0 == user).await),
        ("its changes", count(&view, &ACCOUNT_DATA_CHANGES, |key| key.0 == user).await),
        ("filters", count(&view, &FILTERS, |key| key.0 == user).await),
        ("filter counts", count(&view, &FILTER_COUNTS, |key| key.0 == user).await),
        ("devices", count(&view, &DEVICES, |key| key.0 == user).await),
        ("tokens", count(&view, &TOKENS, |key| key.0 == user).await),
        ("expiring tokens", count(&view, &EXPIRING_TOKENS, |key| key.0 == user).await),
        ("refresh tokens", count(&view, &REFRESH_TOKENS, |key| key.0 == user).await),
        ("login tokens", count(&view, &LOGIN_TOKENS, |key| key.0 == user).await),
        ("OpenID tokens", count(&view, &OPENID_TOKENS, |key| key.0 == user).await),
        ("statuses", count(&view, &STATUSES, |key| key.0 == user).await),
        ("direct rooms", count(&view, &DIRECT, |key| key.0 == user).await),
        ("with whom", count(&view, &DIRECT_WITH, |key| key.0 == user).await),
        ("those listed by the server", count(&view, &DIRECT_LISTED, |key| key.0 == user).await),
        ("last seen", count(&view, &LAST_SEEN, |key| key.0 == user).await),
        ("media", count(&view, &MEDIA_USE, |key| key.0 == user).await),
        ("memberships", count(&view, &MEMBERSHIPS, |key| key.0 == user).await),
        ("receipts", count(&view, &RECEIPTS, |key| key.1 == user).await),
        ("their changes", changes.iter().filter(|(_, value)| value.0 == user).count()),
        ("transactions", count(&view, &TRANSACTIONS, |key| key.1 == user).await),
    ]);
    rows
}

async fn rows_of_favourites(view: &View, user: &UserId) -> Vec<(&'static str, usize)> {
    vec![
        ("favourites", count(view, &FAVOURITES, |key| key.0 == user).await),
        ("their lists", count(view, &FAVOURITE_LISTS, |key| key.0 == user).await),
        ("their number", count(view, &FAVOURITE_COUNTS, |key| key.0 == user).await),
        ("kept events", count(view, &KEPT_EVENTS, |key| key.2 == user).await),
        ("kept media", count(view, &FAVOURITE_MEDIA, |key| key.2 == user).await),
        ("snapshots", count(view, &SNAPSHOTS, |key| key.0 == user).await),
        ("orders", count(view, &BOOKMARK_ORDERS, |key| key.0 == user).await),
    ]
}

fn nothing(rows: &[(&'static str, usize)]) -> bool {
    rows.iter().all(|(_, count)| *count == 0)
}

#[tokio::test]
async fn nothing_is_left_of_a_removed_user_but_the_closed_account() {
    let server = start(&Memory::default()).await;
    let (alice, bob) = (register(&server, "alice").await, register(&server, "bob").await);
    let rooms = [public_room(&alice, "12").await, public_room(&alice, "1").await];
    for user in [&alice, &bob] {
        live(&server, user, &rooms, 130).await;
    }
    rooms[1].kick(bob.id(), None).await.unwrap();
    server.core.store.view().await.unwrap();
    let (hers, his) = (rows_of(&server, alice.id()).await, rows_of(&server, bob.id()).await);
    assert!(his.iter().all(|(_, count)| *count > 0), "{his:?}");

    server.remove_user(bob.id()).await.unwrap();
    let his = rows_of(&server, bob.id()).await;
    assert!(nothing(&his), "{his:?}");
    assert_eq!(rows_of(&server, alice.id()).await, hers, "nobody else loses anything");
    let members = rooms[0].joined_members().await.unwrap();
    assert_eq!(members.len(), 1);
    let view = server.core.store.view().await.unwrap();
    let note = view.get(&REMOVED_USERS, &(bob.id().to_owned(),)).await.unwrap();
    assert!(note.is_some_and(|note| note.finished));
    server.remove_user(bob.id()).await.unwrap();
}

#[tokio::test]
async fn the_name_of_a_removed_user_is_never_given_out_again() {
    let server = start(&Memory::default()).await;
    let bob = register(&server, "bob").await;
    server.remove_user(bob.id()).await.unwrap();
    assert!(matches!(server.register("bob").await, Err(Error::UserNameTaken)));
    assert!(matches!(server.available("bob").await, Err(Error::UserNameTaken)));
    assert!(matches!(server.user("bob").await, Err(Error::Deactivated)));
    let login = server.login("bob", "bananas", NewDevice::default()).await;
    assert!(matches!(login, Err(Error::Deactivated)));
    assert!(!bob.is_valid().await.unwrap());
}

#[tokio::test]
async fn what_was_on_its_way_is_not_written_any_more() {
    let server = start(&Memory::default()).await;
    let bob = register(&server, "bob").await;
    server.remove_user(bob.id()).await.unwrap();
    let set = bob.set_account_data(None, "org.example.late", raw(&json!({}))).await;
    assert!(matches!(set, Err(Error::Deactivated)));
    let filter = serde_json::from_value(json!({})).unwrap();
    assert!(matches!(bob.create_filter(&filter).await, Err(Error::Deactivated)));
    let named = bob.set_profile_field(ProfileField::DISPLAY_NAME, json!("late")).await;
    assert!(matches!(named, Err(Error::Deactivated)));
    assert!(nothing(&rows_of(&server, bob.id()).await));
}

#[tokio::test]
async fn who_had_closed_the_account_can_still_be_removed_and_who_never_was_cannot() {
    let server = start(&Memory::default()).await;
    let bob = register(&server, "bob").await;
    bob.set_account_data(None, "org.example.kept", raw(&json!({}))).await.unwrap();
    bob.deactivate(crate::Remains::Keep).await.unwrap();
    server.remove_user(bob.id()).await.unwrap();
    assert!(nothing(&rows_of(&server, bob.id()).await));
    for nobody in ["@nobody:x", "@bob:elsewhere"] {
        let removed = server.remove_user(<&UserId>::try_from(nobody).unwrap()).await;
        assert!(matches!(removed, Err(Error::NotFound(_))), "{nobody}");
    }
}

/// Removes a user from a store that stops after the n-th write, then from what is left of it.
/// Tells how many writes there were.
async fn interrupted(before: &Memory, stop: Option<usize>) -> usize {
    let memory = before.reopen();
    let bob = <&UserId>::try_from("@bob:x").unwrap();
    let fault = stop.map_or(Fault::Never, Fault::StopAfter);
    let failing = FailingEngine::new(memory.clone(), fault);
    let counts = failing.counts();
    if let Ok(server) = start_on(LocalEngine::start(failing).unwrap()).await {
        let removed = server.remove_user(bob).await;
        assert_eq!(removed.is_ok(), stop.is_none_or(|stop| stop >= counts.writes()));
    }
    let writes = counts.writes();
    let server = start_on(MemoryEngine::over(memory.crash())).await.unwrap();
    server.go_on_removing_users().await.unwrap();
    let view = server.core.store.view().await.unwrap();
    if view.get(&REMOVED_USERS, &(bob.to_owned(),)).await.unwrap().is_none() {
        assert!(server.user("bob").await.is_ok(), "either begun or not");
        server.remove_user(bob).await.unwrap();
    }
    let rows = rows_of(&server, bob).await;
    assert!(nothing(&rows), "stopped after {stop:?}: {rows:?}");
    writes
}

#[tokio::test]
async fn a_removal_that_was_interrupted_goes_on() {
    let memory = Memory::default();
    let server = start(&memory).await;
    let (alice, bob) = (register(&server, "alice").await, register(&server, "bob").await);
    live(&server, &bob, &[public_room(&alice, "12").await], 60).await;
    server.shutdown().await;
    let writes = interrupted(&memory, None).await;
    assert!(writes > 6, "only {writes} writes");
    for stop in 1..writes {
        interrupted(&memory, Some(stop)).await;
    }
}
