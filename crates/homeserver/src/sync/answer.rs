//! What a sync answers: own structs over events that are shared, written as JSON once.
//!
//! Every section is written even when it is empty, since some clients insist on reading it.

use std::collections::BTreeMap;

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, RoomId};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::SyncToken;
use crate::{events::ClientEvent, unread::UnreadCounts};

/// What is new for a session, and where to go on. It serialises as the answer of `GET /v3/sync`.
#[derive(Debug, Serialize)]
pub struct Update {
    /// Where to go on.
    pub next_batch: SyncToken,
    /// What is new in rooms.
    pub rooms: Rooms,
    /// The user's data that is about no room.
    pub account_data: Events<Box<RawValue>>,
    /// How present those are with whom the user shares a room.
    pub presence: Events<Box<RawValue>>,
    /// Messages from device to device; always empty, as encryption is not there yet.
    pub to_device: Events<Box<RawValue>>,
    /// Whose devices changed; always empty, as encryption is not there yet.
    pub device_lists: DeviceLists,
    /// One-time keys left by algorithm; there are none.
    pub device_one_time_keys_count: BTreeMap<String, u64>,
}

impl Update {
    pub(crate) fn empty(next_batch: SyncToken) -> Self {
        Self {
            next_batch,
            rooms: Rooms::default(),
            account_data: Events::default(),
            presence: Events::default(),
            to_device: Events::default(),
            device_lists: DeviceLists::default(),
            device_one_time_keys_count: BTreeMap::new(),
        }
    }

    /// What happened in the rooms that the user is in: the events of their timelines, oldest first in
    /// each.
    pub fn events(&self) -> impl Iterator<Item = &ClientEvent> {
        let timelines = self.rooms.join.values().flat_map(|room| &room.timeline.events);
        timelines.filter_map(|event| match event {
            Shown::Client(event) => Some(event),
            Shown::Chosen(_) => None,
        })
    }

    /// The rooms to which the user is invited, as far as that is news.
    pub fn invitations(&self) -> impl Iterator<Item = &RoomId> {
        self.rooms.invite.keys().map(|room| &**room)
    }

    /// Whether there is nothing to tell but where to go on.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
            && self.account_data.events.is_empty()
            && self.presence.events.is_empty()
    }
}

/// What is new in rooms, by what the user is to them.
#[derive(Debug, Default, Serialize)]
pub struct Rooms {
    /// The user is in them.
    pub join: BTreeMap<OwnedRoomId, JoinedRoom>,
    /// The user is asked to come.
    pub invite: BTreeMap<OwnedRoomId, InvitedRoom>,
    /// The user asked to be let in.
    pub knock: BTreeMap<OwnedRoomId, KnockedRoom>,
    /// The user has left or was banned.
    pub leave: BTreeMap<OwnedRoomId, LeftRoom>,
}

impl Rooms {
    fn is_empty(&self) -> bool {
        self.join.is_empty()
            && self.invite.is_empty()
            && self.knock.is_empty()
            && self.leave.is_empty()
    }
}

/// What is new in a room the user is in.
#[derive(Debug, Serialize)]
pub struct JoinedRoom {
    /// What the room's name is made of where it has none; absent if unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// What happened.
    pub timeline: Timeline,
    /// What else changed in the state.
    #[serde(flatten)]
    pub state: State,
    /// The user's data about the room.
    pub account_data: Events<Box<RawValue>>,
    /// What is not kept: who is typing, who has read what.
    pub ephemeral: Events<Box<RawValue>>,
    /// How many events the user has not read: of the main timeline, if the threads are told, too.
    pub unread_notifications: UnreadCounts,
    /// How many events of each thread the user has not read, if the client asks for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread_thread_notifications: Option<BTreeMap<OwnedEventId, UnreadCounts>>,
}

/// What a client makes the room's name of where it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Some of the others; absent where the room has a name or an alias.
    #[serde(rename = "m.heroes", skip_serializing_if = "Option::is_none")]
    pub heroes: Option<Vec<OwnedUserId>>,
    /// How many are in the room.
    #[serde(rename = "m.joined_member_count")]
    pub joined: u64,
    /// How many are invited.
    #[serde(rename = "m.invited_member_count")]
    pub invited: u64,
}

/// What a room looks like to those outside who are asked in.
#[derive(Debug, Serialize)]
pub struct InvitedRoom {
    /// Stripped state.
    pub invite_state: Events<Box<RawValue>>,
}

/// What a room looks like to those outside who asked to be let in.
#[derive(Debug, Serialize)]
pub struct KnockedRoom {
    /// Stripped state.
    pub knock_state: Events<Box<RawValue>>,
}

/// What was new in a room up to the user's leaving.
#[derive(Debug, Serialize)]
pub struct LeftRoom {
    /// What happened.
    pub timeline: Timeline,
    /// What else changed in the state.
    #[serde(flatten)]
    pub state: State,
    /// The user's data about the room.
    pub account_data: Events<Box<RawValue>>,
}

/// A part of a room's timeline.
#[derive(Debug, Default, Serialize)]
pub struct Timeline {
    /// The events, oldest first.
    pub events: Vec<Shown>,
    /// Whether there are events before these that the client was not told of.
    pub limited: bool,
    /// Where to look for the events before these.
    pub prev_batch: String,
}

/// Changes of a room's state, for the two kinds of client.
#[derive(Debug, Serialize)]
pub enum State {
    /// For clients that apply it before the timeline: up to the timeline's start.
    #[serde(rename = "state")]
    Before(Events<Shown>),
    /// For clients that do not look into the timeline for state: up to the timeline's end.
    #[serde(rename = "state_after")]
    After(Events<Shown>),
}

impl State {
    /// The events, whichever they are for.
    pub fn events(&self) -> &[Shown] {
        let (Self::Before(events) | Self::After(events)) = self;
        &events.events
    }
}

/// A list of events, as sections have it.
#[derive(Debug, Serialize)]
pub struct Events<T> {
    /// The events.
    pub events: Vec<T>,
}

impl<T> Default for Events<T> {
    fn default() -> Self {
        Self { events: Vec::new() }
    }
}

/// Whose devices changed.
#[derive(Debug, Default, Serialize)]
pub struct DeviceLists {
    /// Users whose devices are to be asked for again.
    pub changed: Vec<OwnedUserId>,
    /// Users with whom no room is shared any more.
    pub left: Vec<OwnedUserId>,
}

/// An event in the form the client's filter asks for.
#[derive(Debug)]
pub enum Shown {
    /// As clients usually get it.
    Client(ClientEvent),
    /// As servers know it, or with some of its fields only.
    Chosen(Box<RawValue>),
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Client(event) => event.serialize(serializer),
            Self::Chosen(json) => json.serialize(serializer),
        }
    }
}
