//! What the tests of several modules share.

use std::time::Duration;

use futures_util::future::BoxFuture;
use ruma::{MilliSecondsSinceUnixEpoch, OwnedUserId, RoomVersionId, UInt, UserId};
use serde_json::{Value, json, value::RawValue};
use tertulia_protocol::{NewRoom, Preset};
use tertulia_storage::MemoryEngine;
use tokio::sync::watch;

use crate::{Clock, Homeserver, PasswordCost, Registration, Room, Settings, core::User};

/// A server called `x` with nothing in it.
pub(crate) async fn server() -> Homeserver {
    Homeserver::start("x", MemoryEngine::default()).await.unwrap()
}

/// A server called `x` whose clock a test moves.
pub(crate) async fn server_at(clock: &DrivenClock) -> Homeserver {
    let server = Homeserver::builder("x").unwrap().clock(clock.clone());
    server.start(MemoryEngine::default()).await.unwrap()
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

/// Waits until the lists of direct rooms say what happened so far, and what they made happen.
pub(crate) async fn listed(server: &Homeserver) {
    let store = &server.core.store;
    store.wake(crate::log::direct_topic());
    while store.view().await.unwrap().cursor("direct").await.unwrap() < Some(store.settled()) {
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

/// A clock that moves when a test moves it. Clones are the same clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct DrivenClock {
    /// What has passed, in milliseconds.
    passed: watch::Sender<u64>,
    /// By how much it was set forward, in milliseconds.
    set: watch::Sender<u64>,
}

impl DrivenClock {
    /// Lets time pass.
    pub(crate) fn advance(&self, milliseconds: u64) {
        self.passed.send_modify(|passed| *passed += milliseconds);
    }

    /// Sets it to so much more than has passed; that is not time that passes.
    pub(crate) fn set_ahead(&self, milliseconds: u64) {
        self.set.send_replace(milliseconds);
    }
}

impl Clock for DrivenClock {
    fn now(&self) -> MilliSecondsSinceUnixEpoch {
        let now = *self.passed.borrow() + *self.set.borrow();
        MilliSecondsSinceUnixEpoch(UInt::new(now).unwrap())
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(*self.passed.borrow())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut passed = self.passed.subscribe();
        let end = *passed.borrow() + duration.as_millis() as u64;
        Box::pin(async move { drop(passed.wait_for(|passed| *passed >= end).await) })
    }
}
