//! Parsed events in memory. An event never changes, so nothing here is ever taken back.

use quick_cache::{Weighter, sync::Cache};
use ruma::{EventId, OwnedEventId, room_version_rules::RoomVersionRules};
use tertulia_protocol::Pdu;
use tertulia_storage::View;

use crate::{Error, Result, schema::EVENTS};

/// How much memory the events may take, in bytes.
const CAPACITY: u64 = 48 << 20;

/// What an event takes beside its text: its identifiers, its fields, and its place in the cache.
const OVERHEAD: u64 = 600;

/// How large an event is thought to be, to make room for as many from the beginning.
const USUAL: u64 = 2_000;

/// The events that were read or written last.
pub(crate) struct EventCache {
    events: Cache<OwnedEventId, Pdu, Weight>,
}

/// Weighs events by the memory they take: their text, and their content once more.
#[derive(Clone, Copy, Debug)]
struct Weight;

impl Weighter<OwnedEventId, Pdu> for Weight {
    fn weight(&self, _: &OwnedEventId, pdu: &Pdu) -> u64 {
        (pdu.json().get().len() + pdu.content().get().len()) as u64 + OVERHEAD
    }
}

impl Default for EventCache {
    fn default() -> Self {
        let usually = usize::try_from(CAPACITY / USUAL).unwrap_or(usize::MAX);
        Self { events: Cache::with_weighter(usually, CAPACITY, Weight) }
    }
}

impl EventCache {
    /// Keeps an event that is committed.
    pub(crate) fn keep(&self, pdu: &Pdu) {
        self.events.insert(pdu.event_id().clone(), pdu.clone());
    }

    /// The event `id`, which some row cites.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the store has no such event.
    pub(crate) async fn load(
        &self,
        view: &View,
        rules: &RoomVersionRules,
        id: &EventId,
    ) -> Result<Pdu> {
        let mut events = self.load_many(view, rules, std::slice::from_ref(&id.to_owned())).await?;
        events.pop().flatten().ok_or(Error::NotFound("event"))
    }

    /// The events `ids`, in their order; none for one that the store does not have.
    pub(crate) async fn load_many(
        &self,
        view: &View,
        rules: &RoomVersionRules,
        ids: &[OwnedEventId],
    ) -> Result<Vec<Option<Pdu>>> {
        let mut found: Vec<Option<Pdu>> = ids.iter().map(|id| self.events.get(id)).collect();
        let missing: Vec<usize> = (0..ids.len()).filter(|&at| found[at].is_none()).collect();
        if missing.is_empty() {
            return Ok(found);
        }
        let keys: Vec<_> = missing.iter().map(|&at| (ids[at].clone(),)).collect();
        for (at, json) in missing.into_iter().zip(view.get_many(&EVENTS, &keys).await?) {
            let Some(json) = json else { continue };
            let pdu = Pdu::load(ids[at].clone(), &json, rules)
                .map_err(|_| Error::CorruptEvent(ids[at].to_string()))?;
            self.events.insert(ids[at].clone(), pdu.clone());
            found[at] = Some(pdu);
        }
        Ok(found)
    }
}
