//! A logged-in client of a [`TestServer`](crate::TestServer).

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::Router;
use http::Method;
use ruma::{OwnedDeviceId, OwnedUserId};
use serde_json::{Value, json};

use crate::{Call, Path};

/// A logged-in client. Clones are the same session.
///
/// What has a name of its own panics where the server refuses; what a test expects to be refused
/// is asked for by [`get`](Self::get), [`put`](Self::put), [`post`](Self::post) and
/// [`delete`](Self::delete).
#[derive(Clone, Debug)]
pub struct Client {
    router: Router,
    user: OwnedUserId,
    device: OwnedDeviceId,
    token: String,
    transactions: Arc<AtomicU64>,
}

impl Client {
    /// The client that holds `token`.
    pub fn new(
        router: Router,
        user: OwnedUserId,
        device: OwnedDeviceId,
        token: impl Into<String>,
    ) -> Self {
        let transactions = Arc::default();
        Self { router, user, device, token: token.into(), transactions }
    }

    /// The user's ID.
    pub fn id(&self) -> &str {
        self.user.as_str()
    }

    /// The session's device.
    pub fn device(&self) -> &str {
        self.device.as_str()
    }

    /// The access token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A request of this user.
    pub fn call(&self, method: Method, path: impl Into<Path>) -> Call {
        Call::new(self.router.clone(), method, path).token(&self.token)
    }

    /// A request of this user to Tertulia's own API.
    pub fn own<const N: usize>(&self, method: Method, segments: [&str; N]) -> Call {
        self.call(method, Path::own(segments))
    }

    /// A `GET` of this user.
    pub fn get(&self, path: impl Into<Path>) -> Call {
        self.call(Method::GET, path)
    }

    /// A `PUT` of this user.
    pub fn put(&self, path: impl Into<Path>) -> Call {
        self.call(Method::PUT, path)
    }

    /// A `POST` of this user.
    pub fn post(&self, path: impl Into<Path>) -> Call {
        self.call(Method::POST, path)
    }

    /// A `DELETE` of this user.
    pub fn delete(&self, path: impl Into<Path>) -> Call {
        self.call(Method::DELETE, path)
    }

    /// A transaction ID that this session has not used.
    pub fn transaction(&self) -> String {
        format!("t{}", self.transactions.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes a room and tells its ID.
    pub async fn create_room(&self, body: Value) -> String {
        text(&self.post(["createRoom"]).json(body).await.ok(), "room_id")
    }

    /// Makes a room that anybody may join.
    pub async fn create_public_room(&self) -> String {
        self.create_room(json!({ "preset": "public_chat" })).await
    }

    /// Makes a room in which all of `others` are.
    pub async fn create_room_with(&self, others: &[&Self]) -> String {
        let invited: Vec<_> = others.iter().map(|other| other.id()).collect();
        let room = self.create_room(json!({ "invite": invited })).await;
        for other in others {
            other.join(&room).await;
        }
        room
    }

    /// Joins a room.
    pub async fn join(&self, room: &str) {
        self.post(["rooms", room, "join"]).await.ok();
    }

    /// Leaves a room.
    pub async fn leave(&self, room: &str) {
        self.post(["rooms", room, "leave"]).await.ok();
    }

    /// Invites another into a room.
    pub async fn invite(&self, room: &str, other: &Self) {
        let body = json!({ "user_id": other.id() });
        self.post(["rooms", room, "invite"]).json(body).await.ok();
    }

    /// Sends a text and tells the ID of the event.
    pub async fn send(&self, room: &str, body: &str) -> String {
        let content = json!({ "msgtype": "m.text", "body": body });
        self.send_event(room, "m.room.message", content).await
    }

    /// Sends an event and tells its ID.
    pub async fn send_event(&self, room: &str, kind: &str, content: Value) -> String {
        let transaction = self.transaction();
        let path = ["rooms", room, "send", kind, &transaction];
        text(&self.put(path).json(content).await.ok(), "event_id")
    }

    /// Sets a slot of a room's state and tells the ID of the event.
    pub async fn set_state(&self, room: &str, kind: &str, key: &str, content: Value) -> String {
        let path = ["rooms", room, "state", kind, key];
        text(&self.put(path).json(content).await.ok(), "event_id")
    }

    /// What is new since `since`, at once; everything, without it.
    pub async fn sync(&self, since: Option<&str>) -> Value {
        let call = self.get(["sync"]).query("timeout", "0");
        match since {
            Some(since) => call.query("since", since).await.ok(),
            None => call.await.ok(),
        }
    }
}

/// The text under `key`.
#[track_caller]
fn text(body: &Value, key: &str) -> String {
    match body[key].as_str() {
        Some(text) => text.to_owned(),
        None => panic!("no {key} in {body}"),
    }
}
