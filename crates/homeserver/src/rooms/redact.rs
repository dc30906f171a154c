//! Redacting: removing what an event said.

use std::collections::BTreeMap;

use ruma::{
    EventId, OwnedEventId,
    events::{StateEventType, TimelineEventType},
};
use serde_json::value::{RawValue, to_raw_value};
use tertulia_protocol::Draft;

use super::{Room, Transaction};
use crate::{
    Error, Result,
    events::{EventCache, current_power, load_head},
    schema::{EVENT_META, EVENTS},
};

/// What a redaction says, as its sender wrote it.
type Content = BTreeMap<String, Box<RawValue>>;

impl Room {
    /// Removes what the event `target` said. Its sender may, and whoever has the power.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such event in the room, [`Error::Forbidden`] if the
    /// user may not redact it, and as [`Room::send`]. One who is suspended takes back what they said
    /// themself.
    pub async fn redact(
        &self,
        target: &EventId,
        reason: Option<String>,
        transaction: Option<Transaction>,
    ) -> Result<OwnedEventId> {
        if self.user.is_suspended() && self.event(target).await?.sender() != self.me() {
            return Err(Error::Suspended);
        }
        self.check_may_redact(target).await?;
        let raw = |reason| to_raw_value(&reason).expect("text is JSON");
        let content = reason.map(|reason: String| ("reason".to_owned(), raw(reason)));
        let content = content.into_iter().collect();
        self.append(self.redaction(target, &content), transaction).await
    }

    /// Sends a redaction as any event is sent: its content says what it redacts, whatever the room
    /// version (client-server API, `PUT /rooms/{roomId}/send`).
    pub(super) async fn send_redaction(
        &self,
        content: &RawValue,
        transaction: Option<Transaction>,
    ) -> Result<OwnedEventId> {
        let content: Result<Content, _> = serde_json::from_str(content.get());
        let mut content = content.map_err(|_| Error::NotAnObject("content"))?;
        let target = content.remove("redacts");
        let target = target.map(|target| serde_json::from_str::<OwnedEventId>(target.get()));
        let Some(Ok(target)) = target else {
            return Err(Error::Invalid("`redacts` in the content of a redaction"));
        };
        self.check_may_redact(&target).await?;
        self.append(self.redaction(&target, &content), transaction).await
    }

    fn redaction(&self, target: &EventId, content: &Content) -> Draft {
        let content = to_raw_value(content).expect("an object is JSON");
        let kind = TimelineEventType::RoomRedaction;
        let mut draft = Draft::message(self.me().to_owned(), kind, content);
        draft.redacts = Some(target.to_owned());
        draft
    }

    /// Room versions from 3 on let every server redact its own users' events; which of its users
    /// may is for the server to say.
    async fn check_may_redact(&self, target: &EventId) -> Result<()> {
        let view = self.core().store.view().await?;
        let head = load_head(&view, &self.id).await?;
        let key = (self.id.clone(), target.to_owned());
        if view.get(&EVENT_META, &key).await?.is_none() {
            let is_elsewhere = view.get(&EVENTS, &(target.to_owned(),)).await?.is_some();
            let another = Error::Invalid("an event of another room");
            return Err(if is_elsewhere { another } else { Error::NotFound("event") });
        }
        let cache = self.core().local::<EventCache>();
        let event = cache.load(&view, &head.rules, target).await?;
        let power = current_power(&view, self.core(), &head).await?;
        if event.sender() == self.me() || power.may_redact_others(self.me()) {
            return Ok(());
        }
        Err(Error::Forbidden("you may redact only what you sent yourself".to_owned()))
    }
}

/// Refuses to put a redaction into the state, where it would redact without having been checked.
pub(super) fn refuse_as_state(kind: &StateEventType) -> Result<()> {
    if kind.to_string() == TimelineEventType::RoomRedaction.to_string() {
        return Err(Error::Forbidden("a redaction is no state".to_owned()));
    }
    Ok(())
}
