//! Events as clients get them.

use std::sync::Arc;

use super::Bundle;
use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedTransactionId, RoomId, UserId,
    events::{TimelineEventType, room::member::MembershipState},
    room_version_rules::RoomVersionRules,
};
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};
use serde_json::value::RawValue;
use tertulia_protocol::{Pdu, Rendered, RoomIdShown, content_for_clients, push};

/// An event as a client gets it: the event all readers share, and what is this reader's own.
///
/// It serialises as the specification's `ClientEvent`.
#[derive(Clone, Debug)]
pub struct ClientEvent {
    pdu: Pdu,
    room_id: RoomIdShown,
    /// The content to show instead of the event's own.
    content: Option<Arc<RawValue>>,
    unsigned: Unsigned,
}

/// What is said of an event beside what was signed: it differs from reader to reader.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Unsigned {
    /// Milliseconds since the event was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<i64>,
    /// What the reading session called the event when it sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<OwnedTransactionId>,
    /// The event that a state event replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces_state: Option<OwnedEventId>,
    /// The content that a state event replaced, if the reader may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_content: Option<Box<RawValue>>,
    /// The event that redacted this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted_because: Option<Box<ClientEvent>>,
    /// What the reader was to the room when the event happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<MembershipState>,
    /// What relates to the event.
    #[serde(rename = "m.relations", skip_serializing_if = "Option::is_none")]
    pub relations: Option<Box<Bundle>>,
}

impl Unsigned {
    fn is_empty(&self) -> bool {
        self.age.is_none()
            && self.transaction_id.is_none()
            && self.replaces_state.is_none()
            && self.prev_content.is_none()
            && self.redacted_because.is_none()
            && self.membership.is_none()
            && self.relations.is_none()
    }
}

impl ClientEvent {
    /// The event as it was sent.
    pub(crate) fn new(pdu: Pdu, room_id: RoomIdShown) -> Self {
        let content = content_for_clients(&pdu).map(Arc::from);
        Self { pdu, room_id, content, unsigned: Unsigned::default() }
    }

    /// What its redaction left of an event.
    pub(crate) fn redacted(
        pdu: &Pdu,
        rules: &RoomVersionRules,
        because: Self,
        room_id: RoomIdShown,
    ) -> Self {
        let mut event = Self::new(tertulia_protocol::redact(rules, pdu), room_id);
        event.unsigned.redacted_because = Some(Box::new(because));
        event
    }

    /// Says how old the event is.
    #[must_use]
    pub(crate) fn aged(mut self, now: MilliSecondsSinceUnixEpoch) -> Self {
        let sent = self.pdu.origin_server_ts();
        self.unsigned.age = Some(i64::from(now.0) - i64::from(sent.0));
        self
    }

    /// The event with the ID of its room, for a place where that is not told otherwise.
    #[must_use]
    pub(crate) fn with_room_id(self) -> Self {
        Self { room_id: RoomIdShown::Yes, ..self }
    }

    /// What is this reader's own, to add to.
    pub(crate) fn unsigned_mut(&mut self) -> &mut Unsigned {
        &mut self.unsigned
    }

    /// What is this reader's own.
    pub fn unsigned(&self) -> &Unsigned {
        &self.unsigned
    }

    /// The event's ID.
    pub fn id(&self) -> &EventId {
        self.pdu.event_id()
    }

    /// The room it happened in.
    pub fn room(&self) -> &RoomId {
        self.pdu.room_id()
    }

    /// Who sent it.
    pub fn sender(&self) -> &UserId {
        self.pdu.sender()
    }

    /// Its type.
    pub fn kind(&self) -> &TimelineEventType {
        self.pdu.kind()
    }

    /// Its state key, if it is a state event.
    pub fn state_key(&self) -> Option<&str> {
        self.pdu.state_key()
    }

    /// Its content, or what a redaction left of it.
    pub fn content(&self) -> &RawValue {
        self.content.as_deref().unwrap_or_else(|| self.pdu.content())
    }

    /// Its content, read as a type of ruma or one's own.
    ///
    /// # Errors
    ///
    /// If the content is of another form, as that of a redacted event is.
    pub fn content_as<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.content().get())
    }

    /// What a message says; none if this is no message, or none any more.
    pub fn body(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Spoken {
            body: String,
        }
        let is_message =
            *self.kind() == TimelineEventType::RoomMessage && self.state_key().is_none();
        is_message.then(|| self.content_as::<Spoken>().ok()).flatten().map(|spoken| spoken.body)
    }

    /// Whether it says that it is for the attention of `user`, as an answer to what they said does, or
    /// one in which somebody picked their name.
    pub fn mentions(&self, user: &UserId) -> bool {
        push::mentions(&self.pdu, user)
    }

    /// The event as servers know it.
    pub(crate) fn pdu(&self) -> &Pdu {
        &self.pdu
    }
}

impl Serialize for ClientEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let unsigned = Some(&self.unsigned).filter(|unsigned| !unsigned.is_empty());
        Rendered::new(&self.pdu, self.content.as_deref(), self.room_id, unsigned)
            .serialize(serializer)
    }
}
