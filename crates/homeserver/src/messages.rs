//! What people do in rooms, each in one call: writing, answering, showing pictures, reading on. All of
//! it is sent and read by the calls that clients use, and judged as theirs is.

mod files;
mod history;
mod members;

use std::time::Duration;

use ruma::{
    EventId, OwnedEventId,
    events::{StateEventType, TimelineEventType},
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tertulia_protocol::{JsonObject, message};

use crate::{ClientEvent, Error, ReadMarks, Result, Room};

pub use history::History;
pub use members::RoomMember;

/// How long one who types does so, unless they say it again.
const TYPING: Duration = Duration::from_secs(30);

impl Room {
    /// Sends a plain text.
    ///
    /// # Errors
    ///
    /// As [`Room::send`].
    pub async fn send_text(&self, body: &str) -> Result<OwnedEventId> {
        self.send_message(message::text(body)).await
    }

    /// Sends a plain text that no bot is to answer: how bots speak.
    ///
    /// # Errors
    ///
    /// As [`Room::send`].
    pub async fn send_notice(&self, body: &str) -> Result<OwnedEventId> {
        self.send_message(message::notice(body)).await
    }

    /// Sends any event that leaves the state as it is: `content` is what is written as a JSON object,
    /// such as the contents of ruma or a type of one's own.
    ///
    /// # Errors
    ///
    /// As [`Room::send`]; [`Error::Invalid`] if the content cannot be written as JSON.
    pub async fn send_event(
        &self,
        kind: impl Into<TimelineEventType>,
        content: &(impl Serialize + ?Sized),
    ) -> Result<OwnedEventId> {
        self.send(kind.into(), written(content)?, None).await
    }

    /// Puts an event into the slot `key` of the room's state; most types have but one, the empty key.
    ///
    /// # Errors
    ///
    /// As [`Room::set_state`]; [`Error::Invalid`] if the content cannot be written as JSON.
    pub async fn send_state_event(
        &self,
        kind: impl Into<StateEventType>,
        key: &str,
        content: &(impl Serialize + ?Sized),
    ) -> Result<OwnedEventId> {
        self.set_state(kind.into(), key, written(content)?).await
    }

    /// Answers an event of the room with a text; who sent that one is told.
    ///
    /// # Errors
    ///
    /// As [`Room::send`]; [`Error::NotFound`] if there is no such event, or the user may not see it.
    pub async fn reply(&self, target: &EventId, body: &str) -> Result<OwnedEventId> {
        let answered = self.event(target).await?;
        let author = Some(answered.sender()).filter(|author| *author != self.user().id());
        self.send_message(message::reply(message::text(body), target, author)).await
    }

    /// Writes a text into the thread that begins, or is to begin, at `root`.
    ///
    /// # Errors
    ///
    /// As [`Room::reply`]; [`Error::NoThreadRoot`] if no thread can begin there.
    pub async fn reply_in_thread(&self, root: &EventId, body: &str) -> Result<OwnedEventId> {
        let first = self.event(root).await?;
        let bundle = first.unsigned().relations.as_ref();
        let thread = bundle.and_then(|bundle| bundle.thread.as_ref());
        let latest = thread.map_or(root, |thread| thread.latest_event.id());
        self.send_message(message::in_thread(message::text(body), root, latest)).await
    }

    /// Makes a message that the user has sent say `body` from now on. Of a picture or a file, that is
    /// the caption.
    ///
    /// # Errors
    ///
    /// As [`Room::reply`]; [`Error::Forbidden`] if it is another's, [`Error::Invalid`] if it is no
    /// message.
    pub async fn edit(&self, target: &EventId, body: &str) -> Result<OwnedEventId> {
        let original = self.event(target).await?;
        if original.sender() != self.user().id() {
            return Err(Error::Forbidden("you may edit only what you sent yourself".to_owned()));
        }
        let content = original.content_as::<JsonObject>().unwrap_or_default();
        let is_message = *original.kind() == TimelineEventType::RoomMessage
            && original.state_key().is_none()
            && content.contains_key("msgtype");
        if !is_message {
            return Err(Error::Invalid("an edit of what is no message"));
        }
        let target = edited(&original, &content).unwrap_or_else(|| target.to_owned());
        self.send_message(message::edit(&content, &target, body)).await
    }

    /// Says `key`, usually an emoji, of an event.
    ///
    /// # Errors
    ///
    /// As [`Room::send`]; [`Error::DuplicateAnnotation`] if the user has said so already.
    pub async fn react(&self, target: &EventId, key: &str) -> Result<OwnedEventId> {
        self.send_event(TimelineEventType::Reaction, &message::reaction(target, key)).await
    }

    /// Notes that the user has read everything up to `event`, and lets the others know.
    ///
    /// # Errors
    ///
    /// Those of [`User::mark_read`](crate::User::mark_read).
    pub async fn mark_read(&self, event: &EventId) -> Result<()> {
        let event = Some(event.to_owned());
        let marks = ReadMarks { fully_read: event.clone(), read: event, ..ReadMarks::default() };
        self.user().mark_read(self.id(), marks).await
    }

    /// Tells the others that the user types, for half a minute, or has stopped. Whoever goes on
    /// typing says so again.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] if the user is not in the room.
    pub async fn typing(&self, types: bool) -> Result<()> {
        match types {
            true => self.user().start_typing(self.id(), TYPING).await,
            false => self.user().stop_typing(self.id()).await,
        }
    }

    async fn send_message(&self, content: JsonObject) -> Result<OwnedEventId> {
        self.send_event(TimelineEventType::RoomMessage, &content).await
    }
}

/// What an event edits: whoever edits an edit means the message.
fn edited(event: &ClientEvent, content: &JsonObject) -> Option<OwnedEventId> {
    let relation = content.get("m.relates_to")?;
    let is_edit = relation.get("rel_type")? == "m.replace";
    let target = relation.get("event_id")?.as_str().filter(|_| is_edit)?;
    let target = EventId::parse(target).ok()?;
    (target != event.id()).then_some(target)
}

fn written(content: &(impl Serialize + ?Sized)) -> Result<Box<RawValue>> {
    to_raw_value(content).map_err(|_| Error::Invalid("the content of the event"))
}

#[cfg(test)]
mod tests;
