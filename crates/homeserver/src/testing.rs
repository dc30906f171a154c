//! What the tests of several modules share.

use ruma::{OwnedUserId, RoomVersionId, UserId};
use serde_json::{Value, json, value::RawValue};
use tertulia_protocol::{NewRoom, Preset};
use tertulia_storage::MemoryEngine;

use crate::{Homeserver, PasswordCost, Registration, Room, Settings, core::User};

/// A server called `x` with nothing in it.
pub(crate) async fn server() -> Homeserver {
    Homeserver::start("x", MemoryEngine::default()).await.unwrap()
}

/// A server called `example.org` where people register so, and passwords cost nothing.
pub(crate) async fn server_where(registration: Registration) -> Homeserver {
    let settings =
        Settings { registration, password_cost: PasswordCost::LEAST, ..Settings::default() };
    let server = Homeserver::builder("example.org").unwrap().settings(settings);
    server.start(MemoryEngine::default()).await.unwrap()
}

/// The user `@name:x` of `server`, as one who acts.
pub(crate) fn user(server: &Homeserver, name: &str) -> User {
    let id: OwnedUserId = UserId::parse(format!("@{name}:x")).unwrap().to_owned();
    User::new(server.core.clone(), id)
}

/// Waits until everything that users did outside of rooms so far was carried into the rooms.
pub(crate) async fn carried(server: &Homeserver) {
    let store = &server.core.store;
    let now = store.settled();
    while store.view().await.unwrap().cursor("people").await.unwrap() < Some(now) {
        assert!(!server.core.tasks.is_empty(), "the follower has given up");
        tokio::task::yield_now().await;
    }
}

/// JSON as it comes from a client.
pub(crate) fn raw(content: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(content).unwrap()
}

/// A room of `version` that `creator` made and everyone may join.
pub(crate) async fn public_room(creator: &User, version: &str) -> Room {
    let version = RoomVersionId::try_from(version).unwrap();
    let mut room = NewRoom::new(creator.id().to_owned(), version);
    room.preset = Preset::PublicChat;
    creator.create_room(room).await.unwrap()
}

/// The bodies of some events; other content shows as JSON.
pub(crate) fn bodies(events: &[crate::ClientEvent]) -> Vec<String> {
    let body = |event: &crate::ClientEvent| {
        let content: Value = serde_json::from_str(event.content().get()).unwrap();
        content["body"].as_str().map_or_else(|| content.to_string(), str::to_owned)
    };
    events.iter().map(body).collect()
}

/// A state event's content with one field.
pub(crate) fn field(key: &str, value: &str) -> Box<RawValue> {
    raw(&json!({ key: value }))
}
