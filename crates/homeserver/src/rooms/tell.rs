//! Events of the timeline as one reader gets them.

use ruma::{OwnedDeviceId, OwnedTransactionId, UserId};
use tertulia_protocol::RoomIdShown;

use super::{Room, access::Open};
use crate::{
    Result,
    events::{
        Bundles, Bundling, ClientEvent, Ignored, Placed, Sight, has_bundle, load_redacted,
        load_replaced,
    },
};

impl Room {
    /// Events that the user may see, with what was redacted removed and what is the user's own in
    /// `unsigned`.
    pub(super) async fn tell(
        &self,
        open: &Open,
        sight: &Sight,
        events: Vec<Placed>,
    ) -> Result<Vec<ClientEvent>> {
        let Open { view, head, .. } = open;
        let state = events.iter().filter(|event| event.row.is_state);
        let state = state.map(|event| (event.row.event.clone(), event.place)).collect();
        let replaced = load_replaced(view, self.core(), head, self.reader(), state).await?;
        let redacted =
            events.iter().map(|event| (event.pdu.clone(), event.row.redacted_by.clone()));
        let reader = self.reader();
        let shown = load_redacted(view, self.core(), head, reader, redacted.collect()).await?;
        let mut bundles = self.bundles(open, sight, &events).await?;
        let tell = |(shown, Placed { place, row, .. }): (crate::events::Shown, Placed)| {
            let mut event = shown.shown(RoomIdShown::Yes).aged(self.core().now());
            let transaction_id = self.transaction_of(event.sender(), row.sent_by);
            let older = replaced.get(event.id());
            let bundle = bundles.remove(event.id());
            let unsigned = event.unsigned_mut();
            unsigned.relations = bundle.map(Box::new);
            unsigned.membership = Some(sight.membership_at(place));
            unsigned.transaction_id = transaction_id;
            if let Some(older) = older {
                older.tell(unsigned, older.is_seen(sight, place));
            }
            event
        };
        Ok(shown.into_iter().zip(events).map(tell).collect())
    }

    /// What is told with those of the events to which others relate.
    async fn bundles(&self, open: &Open, sight: &Sight, events: &[Placed]) -> Result<Bundles> {
        if !events.iter().any(|event| has_bundle(&event.row)) {
            return Ok(Bundles::new());
        }
        let Open { view, head, .. } = open;
        let bundling = Bundling {
            view,
            core: self.core(),
            head,
            me: self.me(),
            device: self.device.as_deref(),
            ignored: &Ignored::by(view, self.me()).await?,
            sees: &|place| sight.sees(place),
            room_id: RoomIdShown::Yes,
            now: self.core().now(),
        };
        let parents: Vec<_> = events.iter().map(|event| (&event.pdu, &event.row)).collect();
        bundling.of(&parents).await
    }

    /// What the reading session called an event when it sent it.
    fn transaction_of(
        &self,
        sender: &UserId,
        sent_by: Option<(OwnedDeviceId, OwnedTransactionId)>,
    ) -> Option<OwnedTransactionId> {
        let (device, transaction) = sent_by?;
        let is_mine = sender == self.me() && self.device.as_ref() == Some(&device);
        is_mine.then_some(transaction)
    }
}
