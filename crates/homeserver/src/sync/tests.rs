//! Syncs over a whole server in memory, as a client reads them.

mod forms;
mod generations;
mod ignoring;
mod leaving;
mod program;
mod rooms;
mod state;
mod waiting;

use ruma::{
    RoomId, api::IncomingResponseExt as _, api::client::sync::sync_events::v3,
    presence::PresenceState,
};
use serde_json::{Value, from_value, json};

use super::{StateFor, SyncFilter, SyncRequest, Update};
use crate::{Homeserver, NewRoom, Preset, Room, Session, User};

/// A client that syncs: it knows nothing but where it was.
struct Client {
    session: Session,
    request: SyncRequest,
}

impl Client {
    async fn new(server: &Homeserver, name: &str) -> Self {
        let (session, _) = server.register(name).await.unwrap();
        Self { session, request: unseen() }
    }

    /// Another client of the same session, with a filter.
    fn filtered(&self, filter: Value) -> Self {
        let filter = SyncFilter::Given(Box::new(from_value(filter).unwrap()));
        let request = SyncRequest { filter, ..unseen() };
        Self { session: self.session.clone(), request }
    }

    /// Another client of the same session, which reads `state_after`.
    fn modern(&self) -> Self {
        let request = SyncRequest { state: StateFor::TimelineEnd, ..unseen() };
        Self { session: self.session.clone(), request }
    }

    /// The next update, which must be one that clients written with ruma understand.
    async fn sync(&mut self) -> Value {
        let update = self.session.sync(self.request.clone()).await.unwrap();
        self.request.since = Some(update.next_batch);
        read(&update)
    }

    fn id(&self) -> &str {
        self.session.id().as_str()
    }

    fn server(&self) -> Homeserver {
        Homeserver { core: self.session.core.clone() }
    }

    fn room(&self, room: &Room) -> Room {
        self.session.room(room.id())
    }

    async fn create_room(&self, preset: Preset) -> Room {
        create_room(&self.session, preset).await
    }
}

/// Those who poll are not told of each other.
fn unseen() -> SyncRequest {
    SyncRequest { set_presence: PresenceState::Offline, ..SyncRequest::default() }
}

async fn create_room(user: &User, preset: Preset) -> Room {
    let mut room = NewRoom::new(user.id().to_owned(), ruma::RoomVersionId::V11);
    room.preset = preset;
    user.create_room(room).await.unwrap()
}

/// Alice, who made a public room, and Bob, who is not in it.
async fn alice_bob_room() -> (Client, Client, Room) {
    let server = crate::testing::server().await;
    let (alice, bob) = (Client::new(&server, "alice").await, Client::new(&server, "bob").await);
    let room = alice.create_room(Preset::PublicChat).await;
    (alice, bob, room)
}

fn read(update: &Update) -> Value {
    let json = serde_json::to_value(update).unwrap();
    let body = serde_json::to_vec(update).unwrap();
    v3::Response::try_from_http_response(http::Response::new(&body)).unwrap();
    json
}

/// What an update says of a room in a section; null if nothing.
fn section<'a>(update: &'a Value, section: &str, room: &RoomId) -> &'a Value {
    &update["rooms"][section][room.as_str()]
}

/// Events in short: the bodies of messages, and the type and state key of others.
fn short(events: &Value) -> Vec<String> {
    let events = events["events"].as_array().expect("a list of events");
    let text =
        |event: &Value| match (event["content"]["body"].as_str(), event["state_key"].as_str()) {
            (Some(body), _) => body.to_owned(),
            (_, Some(key)) => {
                format!("{} {key}", event["type"].as_str().unwrap()).trim().to_owned()
            }
            _ => event["type"].as_str().unwrap().to_owned(),
        };
    events.iter().map(text).collect()
}

/// The bodies of a timeline, when nothing but messages is expected there.
fn timeline(update: &Value, room: &Room) -> Vec<String> {
    short(&section(update, "join", room.id())["timeline"])
}

fn limit(limit: u64) -> Value {
    json!({ "room": { "timeline": { "limit": limit } } })
}
