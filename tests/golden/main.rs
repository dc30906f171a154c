//! A store of the first format, as a server of that time left it. Every later server opens it and
//! tells the same story.
//!
//! `tests/golden/store-1` was written by this test with `TERTULIA_WRITE_GOLDEN` naming the
//! directory. It is never written again: a later format gets a store of its own beside it.

use std::{fs, path::Path};

use ruma::{
    OwnedRoomId, RoomVersionId, api::Direction, events::StateEventType, owned_room_alias_id,
    owned_user_id,
};
use serde_json::{Value, json, value::RawValue};
use tertulia::{
    EventFilter, Homeserver, MessagesQuery, NewAccount, NewDevice, NewRoom, Preset, ProfileField,
    Secret, User,
};
use tertulia_rocksdb::{Options, RocksEngine};

const PASSWORD: &str = "a password of the first format";

fn raw(content: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(content).unwrap()
}

async fn open(path: &Path) -> Homeserver {
    let engine = RocksEngine::open(path, Options::default()).unwrap();
    Homeserver::start("golden.example", engine).await.unwrap()
}

async fn account(server: &Homeserver, name: &str) -> User {
    let password = Some(Secret::new(PASSWORD));
    let account = NewAccount { name: Some(name.to_owned()), password, ..NewAccount::default() };
    server.create_user(account).await.unwrap()
}

/// What happened on the server: accounts, a profile, account data, a room with a past and an alias.
async fn live(server: &Homeserver) {
    let (ana, ben) = (account(server, "ana").await, account(server, "ben").await);
    let name = ProfileField::parse("displayname").unwrap();
    ana.set_profile_field(name, json!("Ana")).await.unwrap();
    let data = raw(&json!({ "kept": true, "long": "x".repeat(100_000) }));
    ana.set_account_data(None, "org.example.kept", data).await.unwrap();
    let mut room = NewRoom::new(ana.id().to_owned(), RoomVersionId::V12);
    room.preset = Preset::PublicChat;
    room.name = Some("Golden".to_owned());
    let alias = owned_room_alias_id!("#golden:golden.example");
    let room = ana.create_room_with_alias(&alias, room).await.unwrap();
    let theirs = ben.room(room.id());
    theirs.join(None).await.unwrap();
    room.send_text("the first words").await.unwrap();
    let slip = theirs.send_text("a slip").await.unwrap();
    theirs.redact(&slip, Some("it slipped".to_owned()), None).await.unwrap();
    let topic = raw(&json!({ "topic": "what lasts" }));
    room.set_state(StateEventType::RoomTopic, "", topic).await.unwrap();
    theirs.leave(None).await.unwrap();
}

/// The room as its messages tell it.
async fn messages(user: &User, room: &OwnedRoomId) -> Vec<Value> {
    let query = MessagesQuery {
        from: None,
        to: None,
        towards: Direction::Forward,
        limit: 100,
        filter: EventFilter::of_types(&["m.room.message"]),
    };
    let page = user.room(room).messages(&query).await.unwrap();
    let content =
        |event: &tertulia::ClientEvent| serde_json::from_str(event.content().get()).unwrap();
    page.events.iter().map(content).collect()
}

/// Checks that the server at `path` knows all that happened, and that life goes on there.
async fn check(path: &Path) {
    let server = open(path).await;
    let (session, _) = server.login("ana", PASSWORD, NewDevice::default()).await.unwrap();
    assert_eq!(session.profile().await.unwrap()["displayname"], "Ana");
    let kept = session.account_data(None, "org.example.kept").await.unwrap();
    let kept: Value = serde_json::from_str(kept.get()).unwrap();
    assert_eq!(kept["long"].as_str().unwrap().len(), 100_000);
    let alias = owned_room_alias_id!("#golden:golden.example");
    let room = session.room_id((&*alias).into()).await.unwrap();
    let first = json!({ "msgtype": "m.text", "body": "the first words" });
    assert_eq!(messages(&session, &room).await, [first, json!({})]);
    let topic = session.room(&room).state_event(&StateEventType::RoomTopic, "").await.unwrap();
    assert_eq!(topic.content().get(), r#"{"topic":"what lasts"}"#);
    let joined = session.room(&room).joined_members().await.unwrap();
    let joined: Vec<_> = joined.into_iter().map(|member| member.user).collect();
    assert_eq!(joined, [owned_user_id!("@ana:golden.example")]);
    session.room(&room).send_text("and it goes on").await.unwrap();
    assert_eq!(messages(&session, &room).await.len(), 3);
    server.shutdown().await;
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_the_first_format_is_opened_and_goes_on() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/store-1");
    let place = tempfile::tempdir().unwrap();
    copy(&golden, place.path());
    check(place.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_today_tells_the_same_story() {
    let place = tempfile::tempdir().unwrap();
    let path = match std::env::var_os("TERTULIA_WRITE_GOLDEN") {
        Some(path) => path.into(),
        None => place.path().to_owned(),
    };
    let server = open(&path).await;
    live(&server).await;
    server.shutdown().await;
    drop(server);
    let again = tempfile::tempdir().unwrap();
    copy(&path, again.path());
    check(again.path()).await;
}
