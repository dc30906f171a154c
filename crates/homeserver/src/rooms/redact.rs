//! Redacting: removing what an event said.

use ruma::{EventId, OwnedEventId, events::TimelineEventType};
use serde_json::{Map, value::to_raw_value};
use tertulia_protocol::Draft;

use super::{Room, Transaction};
use crate::{
    Error, Result,
    events::{EventCache, current_power, load_head},
    schema::EVENT_META,
};

impl Room {
    /// Removes what the event `target` said. Its sender may, and whoever has the power.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such event in the room, [`Error::Forbidden`] if the
    /// user may not redact it, and as [`Room::send`].
    pub async fn redact(
        &self,
        target: &EventId,
        reason: Option<String>,
        transaction: Option<Transaction>,
    ) -> Result<OwnedEventId> {
        self.check_may_redact(target).await?;
        let content: Map<_, _> =
            reason.into_iter().map(|reason| ("reason".to_owned(), reason.into())).collect();
        let content = to_raw_value(&content).expect("an object is JSON");
        let kind = TimelineEventType::RoomRedaction;
        let mut draft = Draft::message(self.me().to_owned(), kind, content);
        draft.redacts = Some(target.to_owned());
        self.append(draft, transaction).await
    }

    /// Room versions from 3 on let every server redact its own users' events; which of its users
    /// may is for the server to say.
    async fn check_may_redact(&self, target: &EventId) -> Result<()> {
        let view = self.core().store.view().await?;
        let head = load_head(&view, &self.id).await?;
        let key = (self.id.clone(), target.to_owned());
        view.get(&EVENT_META, &key).await?.ok_or(Error::NotFound("event"))?;
        let cache = self.core().local::<EventCache>();
        let event = cache.load(&view, &head.rules, target).await?;
        let power = current_power(&view, self.core(), &head).await?;
        if event.sender() == self.me() || power.may_redact_others(self.me()) {
            return Ok(());
        }
        Err(Error::Forbidden("you may redact only what you sent yourself".to_owned()))
    }
}
