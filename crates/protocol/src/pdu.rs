//! Events as they are stored and as they travel between servers.

use std::{collections::BTreeMap, sync::Arc};

use ruma::{
    CanonicalJsonObject, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId,
    RoomId, UserId,
    events::{StateEventType, TimelineEventType},
    room_version_rules::{EventsReferenceFormatVersion, RoomVersionRules},
    state_res::Event,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    canonical::{self, canonical_object},
    format::{self, Malformed, bad},
    hash,
};

/// A place in the state of a room: event type and state key.
pub type Slot = (StateEventType, String);

/// A room's state, as event IDs by slot.
pub type StateIds = BTreeMap<Slot, OwnedEventId>;

/// An event of a room, parsed once and then only read. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Pdu {
    event: Arc<Parsed>,
    rejected: bool,
}

#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) id: OwnedEventId,
    pub(crate) room: OwnedRoomId,
    /// Whether the JSON names the room; the create event of a room whose ID is a hash does not.
    pub(crate) names_room: bool,
    pub(crate) sender: OwnedUserId,
    pub(crate) kind: TimelineEventType,
    pub(crate) slot: Option<Slot>,
    pub(crate) content: Box<RawValue>,
    pub(crate) prev_events: Vec<OwnedEventId>,
    pub(crate) auth_events: Vec<OwnedEventId>,
    pub(crate) redacts: Option<OwnedEventId>,
    pub(crate) origin_server_ts: MilliSecondsSinceUnixEpoch,
    pub(crate) depth: u64,
    pub(crate) json: Box<RawValue>,
}

impl Pdu {
    /// Reads an event that came from outside: checks its format and size, drops `unsigned`, brings it into canonical form
    /// and computes its ID. Hashes and signatures are [`Verified`](crate::Verified)'s matter.
    pub fn parse(json: &str, rules: &RoomVersionRules) -> Result<Self, Malformed> {
        let object = canonical_object(json)?;
        Self::from_object(object, rules)
    }

    pub(crate) fn from_object(
        mut object: CanonicalJsonObject,
        rules: &RoomVersionRules,
    ) -> Result<Self, Malformed> {
        format::check(&object, rules)?;
        object.remove("unsigned");
        let id = hash::event_id(&object, &hash::signable(&object, rules)?, rules)?;
        Self::with_id(id, &object, rules)
    }

    pub(crate) fn with_id(
        id: OwnedEventId,
        object: &CanonicalJsonObject,
        rules: &RoomVersionRules,
    ) -> Result<Self, Malformed> {
        Self::from_raw(id, event_json(object)?, rules)
    }

    /// Reads an event from the canonical JSON that [`Pdu::json`] gave earlier, trusting its ID and form.
    pub fn load(
        id: OwnedEventId,
        json: &[u8],
        rules: &RoomVersionRules,
    ) -> Result<Self, Malformed> {
        let json: Box<RawValue> =
            serde_json::from_slice(json).map_err(|error| Malformed::Json(error.to_string()))?;
        Self::from_raw(id, json, rules)
    }

    fn from_raw(
        id: OwnedEventId,
        json: Box<RawValue>,
        rules: &RoomVersionRules,
    ) -> Result<Self, Malformed> {
        let fields: Fields<'_> =
            serde_json::from_str(json.get()).map_err(|error| Malformed::Json(error.to_string()))?;
        let redacts = fields.redacts(rules);
        let names_room = fields.room_id.is_some();
        let room = match fields.room_id {
            Some(room) => room,
            None => room_of(&id)?,
        };
        let content = fields.content.to_owned();
        let (prev_events, auth_events) = (
            cited("prev_events", fields.prev_events, rules)?,
            cited("auth_events", fields.auth_events, rules)?,
        );
        let slot = fields.state_key.map(|key| (StateEventType::from(fields.kind.to_string()), key));
        Ok(Self::new(Parsed {
            id,
            room,
            names_room,
            sender: fields.sender,
            kind: fields.kind,
            slot,
            content,
            prev_events,
            auth_events,
            redacts,
            origin_server_ts: fields.origin_server_ts,
            depth: fields.depth,
            json,
        }))
    }

    pub(crate) fn new(event: Parsed) -> Self {
        Self { event: Arc::new(event), rejected: false }
    }

    /// The same event, known to have been rejected or not when it arrived.
    #[must_use]
    pub fn with_rejected(mut self, rejected: bool) -> Self {
        self.rejected = rejected;
        self
    }

    /// The event's ID.
    pub fn event_id(&self) -> &OwnedEventId {
        &self.event.id
    }

    /// The room the event belongs to, also where only the event's ID tells it.
    pub fn room_id(&self) -> &RoomId {
        &self.event.room
    }

    /// Who sent the event.
    pub fn sender(&self) -> &UserId {
        &self.event.sender
    }

    /// The event's type.
    pub fn kind(&self) -> &TimelineEventType {
        &self.event.kind
    }

    /// The state key, if this is a state event.
    pub fn state_key(&self) -> Option<&str> {
        self.event.slot.as_ref().map(|(_, key)| key.as_str())
    }

    /// The place in the room's state that this event fills, if it is a state event.
    pub fn slot(&self) -> Option<&Slot> {
        self.event.slot.as_ref()
    }

    /// Whether this event fills the given place in the room's state.
    pub fn is_at(&self, kind: &StateEventType, key: &str) -> bool {
        matches!(&self.event.slot, Some((own, own_key)) if own == kind && own_key == key)
    }

    /// The content, as canonical JSON.
    pub fn content(&self) -> &RawValue {
        &self.event.content
    }

    /// The fields of the content that `T` has, or nothing if they are not of its types.
    pub fn content_as<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_str(self.event.content.get()).ok()
    }

    /// The events this one follows.
    pub fn prev_events(&self) -> &[OwnedEventId] {
        &self.event.prev_events
    }

    /// The events that allow this one, as it says itself.
    pub fn auth_events(&self) -> &[OwnedEventId] {
        &self.event.auth_events
    }

    /// The event that this redaction removes the content of, wherever the room version keeps its ID.
    pub fn redacts(&self) -> Option<&OwnedEventId> {
        self.event.redacts.as_ref()
    }

    /// The length of the longest path to the room's creation, as its sender claims.
    pub fn depth(&self) -> u64 {
        self.event.depth
    }

    /// When the event was sent, as its sender claims.
    pub fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.event.origin_server_ts
    }

    /// Whether the event was rejected when it arrived.
    pub fn rejected(&self) -> bool {
        self.rejected
    }

    /// The whole event as canonical JSON with hashes and signatures, without `unsigned`: what is stored and sent to servers.
    pub fn json(&self) -> &RawValue {
        &self.event.json
    }

    /// The whole event as an object.
    ///
    /// # Errors
    ///
    /// [`Malformed::Json`] if it is nested too deeply to be read.
    pub fn to_object(&self) -> Result<CanonicalJsonObject, Malformed> {
        canonical::read_object(self.event.json.get())
    }

    /// The event as an object, without what of its content is nested too deeply to be read. For what a redaction leaves,
    /// that makes no difference.
    pub(crate) fn to_readable_object(&self) -> CanonicalJsonObject {
        canonical::readable_object(self.event.json.get())
    }
}

/// Two events are the same if their IDs are.
impl PartialEq for Pdu {
    fn eq(&self, other: &Self) -> bool {
        self.event.id == other.event.id
    }
}

impl Eq for Pdu {}

/// Canonical JSON as text.
pub(crate) fn raw(json: &impl Serialize) -> Result<Box<RawValue>, Malformed> {
    to_raw_value(json).map_err(|error| Malformed::Json(error.to_string()))
}

/// The text of a whole event, which must not be too large.
pub(crate) fn event_json(object: &CanonicalJsonObject) -> Result<Box<RawValue>, Malformed> {
    let json = raw(object)?;
    match json.get().len() {
        size if size > format::MAX_EVENT => Err(Malformed::TooLarge(size)),
        _ => Ok(json),
    }
}

pub(crate) fn room_of(create: &OwnedEventId) -> Result<OwnedRoomId, Malformed> {
    let hash = create.as_str().trim_start_matches('$');
    RoomId::parse(format!("!{hash}")).map_err(|_| bad("room_id", "is missing"))
}

#[derive(Deserialize)]
struct Fields<'a> {
    room_id: Option<OwnedRoomId>,
    sender: OwnedUserId,
    origin_server_ts: MilliSecondsSinceUnixEpoch,
    #[serde(rename = "type")]
    kind: TimelineEventType,
    state_key: Option<String>,
    #[serde(borrow)]
    content: &'a RawValue,
    prev_events: Vec<Cited>,
    auth_events: Vec<Cited>,
    #[serde(borrow)]
    redacts: Option<&'a RawValue>,
    depth: u64,
}

impl Fields<'_> {
    /// What is no valid event ID redacts nothing; it does not spoil the event.
    fn redacts(&self, rules: &RoomVersionRules) -> Option<OwnedEventId> {
        #[derive(Deserialize)]
        struct Content {
            redacts: OwnedEventId,
        }
        if self.kind != TimelineEventType::RoomRedaction {
            return None;
        }
        if rules.redaction.content_field_redacts {
            let content: Option<Content> = serde_json::from_str(self.content.get()).ok();
            content.map(|content| content.redacts)
        } else {
            serde_json::from_str(self.redacts?.get()).ok()
        }
    }
}

/// A reference to another event: its ID, and in the oldest room versions a hash that nobody relies on.
#[derive(Deserialize)]
#[serde(untagged)]
enum Cited {
    Id(OwnedEventId),
    Hashed(OwnedEventId, IgnoredAny),
}

fn cited(
    field: &'static str,
    entries: Vec<Cited>,
    rules: &RoomVersionRules,
) -> Result<Vec<OwnedEventId>, Malformed> {
    let hashed = rules.events_reference_format == EventsReferenceFormatVersion::V1;
    let id = |entry| match entry {
        Cited::Id(id) if !hashed => Ok(id),
        Cited::Hashed(id, _) if hashed => Ok(id),
        _ => Err(bad(field, "has references of another room version")),
    };
    entries.into_iter().map(id).collect()
}

impl Event for Pdu {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        &self.event.id
    }

    fn room_id(&self) -> Option<&RoomId> {
        self.event.names_room.then_some(&*self.event.room)
    }

    fn sender(&self) -> &UserId {
        &self.event.sender
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.event.origin_server_ts
    }

    fn event_type(&self) -> &TimelineEventType {
        &self.event.kind
    }

    fn content(&self) -> &RawValue {
        &self.event.content
    }

    fn state_key(&self) -> Option<&str> {
        self.state_key()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.event.prev_events.iter())
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.event.auth_events.iter())
    }

    fn redacts(&self) -> Option<&OwnedEventId> {
        self.event.redacts.as_ref()
    }

    fn rejected(&self) -> bool {
        self.rejected
    }
}

#[cfg(test)]
#[path = "pdu_tests.rs"]
mod tests;
