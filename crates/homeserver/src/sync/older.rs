//! Sync as older clients know it: all at once with `/initialSync`, then what happens with `/events`
//! (client-server API, the deprecated parts of "Syncing", and "Room Previews").

use std::{collections::BTreeMap, time::Duration};

use ruma::{
    EventId, OwnedRoomId, RoomId, UInt,
    api::{Direction, client::filter::FilterDefinition},
};
use serde::{Deserialize, Serialize};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use tertulia_storage::Direction as Order;

use super::{SyncFilter, SyncRequest, SyncToken, answer::Shown};
use crate::{
    Error, Result,
    account_data::{self, Datum},
    core::Homeserver,
    devices::Session,
    directory::Visibility,
    events::{ClientEvent, EventFilter, TimelineToken},
    presence,
    rooms::MessagesQuery,
    schema::{EVENTS, MEMBERSHIPS, Membership, MembershipKind},
    typing,
};

/// How many events of each room are told where the client does not say.
const USUAL: usize = 20;

/// How many events of each room one answer of the event stream tells at most.
const STREAM: u32 = 100;

/// Most rooms that are told of at first.
const ROOMS: usize = 10_000;

/// Everything, for a client that knows nothing. It serialises as the answer of `GET /initialSync`.
#[derive(Debug, Serialize)]
pub struct InitialSync {
    /// Where to go on.
    pub end: SyncToken,
    /// The user's rooms.
    pub rooms: Vec<RoomSnapshot>,
    /// The user's data that is about no room.
    pub account_data: Vec<Box<RawValue>>,
    /// How present others are; always empty, as clients learn it by and by.
    pub presence: Vec<Box<RawValue>>,
}

/// A room as it is now. It serialises as the answer of `GET /rooms/{roomId}/initialSync`.
#[derive(Debug, Serialize)]
pub struct RoomSnapshot {
    /// The room.
    pub room_id: OwnedRoomId,
    /// What the user is to it; none for one who only looks in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<&'static str>,
    /// The newest events, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Messages>,
    /// The state.
    pub state: Vec<ClientEvent>,
    /// The user's data about the room.
    pub account_data: Vec<Box<RawValue>>,
    /// Whether the public room directory shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<&'static str>,
}

/// The newest events of a room.
#[derive(Debug, Serialize)]
pub struct Messages {
    /// Where to look for what came before.
    pub start: String,
    /// Where to go on.
    pub end: String,
    /// The events, oldest first.
    pub chunk: Vec<ClientEvent>,
}

/// What happened. It serialises as the answer of `GET /events`.
#[derive(Debug, Serialize)]
pub struct EventStream {
    /// From where on.
    pub start: SyncToken,
    /// Where to go on.
    pub end: SyncToken,
    /// The events: those of the rooms, then what is fleeting in them, then who is present.
    pub chunk: Vec<Streamed>,
}

/// Something that happened. It serialises as the event.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Streamed {
    /// An event of a room's history, which names the room.
    Event(Box<ClientEvent>),
    /// Who types in a room, or who has read what in it.
    Fleeting(Fleeting),
    /// How present somebody is.
    Presence(Box<RawValue>),
}

/// What is fleeting in a room. Unlike in the answer of `/sync`, it names the room.
#[derive(Debug, Serialize)]
pub struct Fleeting {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The rest of the event.
    #[serde(flatten)]
    pub event: BTreeMap<String, Value>,
}

impl Fleeting {
    fn all(room: &RoomId, events: Vec<Box<RawValue>>) -> impl Iterator<Item = Streamed> {
        let read = |event: Box<RawValue>| serde_json::from_str(event.get()).ok();
        let events: Vec<_> = events.into_iter().filter_map(read).collect();
        let room_id = room.to_owned();
        let event = move |event| Streamed::Fleeting(Self { room_id: room_id.clone(), event });
        events.into_iter().map(event)
    }
}

impl Session {
    /// Everything about the user's rooms, with the newest `limit` events of each; those that the
    /// user has left only if `archived` are asked for, too.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if it cannot be read.
    pub async fn initial_sync(&self, limit: Option<usize>, archived: bool) -> Result<InitialSync> {
        let end = self.now().await?;
        let view = self.core.store.view().await?;
        let data = account_data::all(&view, self.id()).await?;
        let prefix = (self.id().to_owned(),);
        let rows = view.scan(&MEMBERSHIPS, &prefix, Order::Forward, ROOMS).await?;
        let mut rooms = Vec::new();
        for ((_, room), row) in rows {
            if is_told(&row, archived) {
                rooms.push(self.snapshot(room, Some(&row), limit, &data).await?);
            }
        }
        let global = data.iter().filter(|datum| datum.scope.room().is_none());
        let account_data = global.map(Datum::event).collect();
        Ok(InitialSync { end, rooms, account_data, presence: Vec::new() })
    }

    /// A room as it is now, or as it was when the user left it. In a room that is open to the
    /// world, one need not be in it.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] for one who may not look into the room.
    pub async fn room_snapshot(&self, room: &RoomId) -> Result<RoomSnapshot> {
        let view = self.core.store.view().await?;
        let key = (self.id().to_owned(), room.to_owned());
        let row = view.get(&MEMBERSHIPS, &key).await?.filter(|row| !row.forgotten);
        let data = account_data::all(&view, self.id()).await?;
        self.look_into(key.1, row.as_ref(), None, &data).await
    }

    async fn snapshot(
        &self,
        room: OwnedRoomId,
        row: Option<&Membership>,
        limit: Option<usize>,
        data: &[Datum],
    ) -> Result<RoomSnapshot> {
        match self.look_into(room.clone(), row, limit, data).await {
            // One who is only invited, or was only invited, sees nothing of the room.
            Err(Error::Forbidden(_)) => Ok(RoomSnapshot {
                room_id: room,
                membership: row.map(|row| row.kind.name()),
                messages: None,
                state: Vec::new(),
                account_data: Vec::new(),
                visibility: None,
            }),
            told => told,
        }
    }

    async fn look_into(
        &self,
        room_id: OwnedRoomId,
        row: Option<&Membership>,
        limit: Option<usize>,
        data: &[Datum],
    ) -> Result<RoomSnapshot> {
        let room = self.room(&room_id);
        let state = room.state().await?;
        let query = MessagesQuery {
            from: None,
            to: None,
            towards: Direction::Backward,
            limit: limit.unwrap_or(USUAL).max(1),
            filter: EventFilter::default(),
        };
        let page = room.messages(&query).await?;
        let start = page.end.unwrap_or(TimelineToken::at_the_beginning(page.start.stretch));
        let end = page.start.to_string();
        let chunk = page.events.into_iter().rev().collect();
        let server = Homeserver { core: self.core.clone() };
        let visibility = match server.visibility(&room_id).await? {
            Visibility::Public => "public",
            Visibility::Private => "private",
        };
        let own = data.iter().filter(|datum| datum.scope.room() == Some(&*room_id));
        let account_data = own.map(Datum::event).collect();
        Ok(RoomSnapshot {
            membership: row.map(|row| row.kind.name()),
            messages: Some(Messages { start: start.to_string(), end, chunk }),
            state,
            account_data,
            visibility: Some(visibility),
            room_id,
        })
    }

    /// What happens in the user's rooms after `from`, or from now on. Waits for it, but no longer
    /// than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Session::sync`].
    pub async fn event_stream(
        &self,
        from: Option<SyncToken>,
        timeout: Duration,
    ) -> Result<EventStream> {
        let start = match from {
            Some(from) => from,
            None => self.now().await?,
        };
        let mut filter = FilterDefinition::default();
        filter.room.timeline.limit = Some(UInt::from(STREAM));
        let filter = SyncFilter::Given(Box::new(filter));
        let request = SyncRequest { since: Some(start), filter, timeout, ..SyncRequest::default() };
        let update = self.sync(request).await?;
        let (mut chunk, mut fleeting) = (Vec::new(), Vec::new());
        for (room, part) in update.rooms.join {
            chunk.extend(streamed(part.timeline.events));
            fleeting.extend(Fleeting::all(&room, part.ephemeral.events));
        }
        for part in update.rooms.leave.into_values() {
            chunk.extend(streamed(part.timeline.events));
        }
        chunk.extend(fleeting);
        let presence = update.presence.events.into_iter().map(|event| with_user_id(&event));
        chunk.extend(presence.map(Streamed::Presence));
        Ok(EventStream { start, end: update.next_batch, chunk })
    }

    /// Up to where everything is told now.
    async fn now(&self) -> Result<SyncToken> {
        // What is in memory is read after the token says how far it was told: told twice is harmless.
        let (fleeting, presence) = (typing::version(&self.core), presence::version(&self.core));
        let at = self.core.store.view().await?.settled();
        Ok(SyncToken { at, ends: at, to_device: 0, fleeting, presence })
    }
}

/// Events of a timeline as the event stream has them.
fn streamed(events: Vec<Shown>) -> impl Iterator<Item = Streamed> {
    events.into_iter().filter_map(|event| match event {
        Shown::Client(event) => Some(Streamed::Event(Box::new(event.with_room_id()))),
        Shown::Chosen(_) => None,
    })
}

/// How present somebody is, as the event stream has it: older clients look for the user in the content.
fn with_user_id(event: &RawValue) -> Box<RawValue> {
    let mut event: Value = serde_json::from_str(event.get()).expect("presence is JSON");
    event["content"]["user_id"] = event["sender"].clone();
    to_raw_value(&event).expect("JSON serialises")
}

/// Whether a room is among those that a client is told of at first.
fn is_told(row: &Membership, archived: bool) -> bool {
    match row.kind {
        MembershipKind::Join => true,
        MembershipKind::Invite => !row.unwelcome,
        // The answer has no word for it.
        MembershipKind::Knock => false,
        MembershipKind::Leave | MembershipKind::Ban => archived && !row.forgotten && !row.unwelcome,
    }
}

impl Homeserver {
    /// The room in which an event happened.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the server does not know the event.
    pub async fn room_of(&self, event: &EventId) -> Result<OwnedRoomId> {
        #[derive(Deserialize)]
        struct Event {
            room_id: Option<OwnedRoomId>,
        }
        let missing = || Error::NotFound("event");
        let view = self.core.store.view().await?;
        let json = view.get(&EVENTS, &(event.to_owned(),)).await?.ok_or_else(missing)?;
        let read: Event = serde_json::from_slice(&json).map_err(|_| missing())?;
        // Where the ID of a room is the hash of its first event, that one does not name it.
        let first = || RoomId::parse(event.as_str().replacen('$', "!", 1)).ok();
        read.room_id.or_else(first).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_fleeting_names_its_room() {
        let typing = json!({"type": "m.typing", "content": {"user_ids": ["@bob:x"]}});
        let raw = serde_json::value::to_raw_value(&typing).unwrap();
        let room = ruma::room_id!("!r:x");
        let told: Vec<_> = Fleeting::all(room, vec![raw]).collect();
        let mut expected = typing;
        expected["room_id"] = "!r:x".into();
        assert_eq!(json!(told), json!([expected]));
        assert_eq!(Fleeting::all(room, Vec::new()).count(), 0);
    }
}
