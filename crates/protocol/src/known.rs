//! What a pure function was told, and what it still asks for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedServerName, ServerName,
};

use crate::{AuthState, Pdu, Slot};

/// Where a room's state is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum At {
    /// Before this event: resolved from what its `prev_events` lead to.
    Before(OwnedEventId),
    /// Now, resolved from all branches.
    Now(OwnedRoomId),
}

/// A server's signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerKey {
    /// The 32 bytes of an ed25519 public key.
    pub key: Vec<u8>,
    /// Until when the server vouches for it.
    pub valid_until: MilliSecondsSinceUnixEpoch,
}

/// What was looked up: found, or known to be absent.
///
/// Only what was never looked up is a need, so that "load and call again" comes to an end.
#[derive(Clone, Debug, Default)]
pub struct Known {
    events: HashMap<OwnedEventId, Option<Pdu>>,
    keys: HashMap<OwnedServerName, HashMap<String, Option<ServerKey>>>,
    state: HashMap<At, BTreeMap<Slot, Option<Pdu>>>,
}

impl Known {
    /// Takes note of an event that was found.
    pub fn found(&mut self, event: Pdu) {
        self.events.insert(event.event_id().clone(), Some(event));
    }

    /// Takes note that an event cannot be had.
    pub fn absent(&mut self, id: OwnedEventId) {
        self.events.entry(id).or_insert(None);
    }

    /// The event, if it was found.
    pub fn get(&self, id: &EventId) -> Option<&Pdu> {
        self.events.get(id)?.as_ref()
    }

    /// Whether the event was looked up, found or not.
    pub fn was_asked(&self, id: &EventId) -> bool {
        self.events.contains_key(id)
    }

    /// Takes note of a server's key, or that it cannot be had.
    pub fn tell_key(&mut self, server: OwnedServerName, id: String, key: Option<ServerKey>) {
        self.keys.entry(server).or_default().insert(id, key);
    }

    /// Takes note of what a slot held somewhere.
    pub fn tell_state(&mut self, at: At, slot: Slot, event: Option<Pdu>) {
        self.state.entry(at).or_default().insert(slot, event);
    }

    /// The key, if it was found; the outer option tells whether it was looked up.
    pub(crate) fn key(&self, server: &ServerName, id: &str) -> Option<Option<&ServerKey>> {
        Some(self.keys.get(server)?.get(id)?.as_ref())
    }

    /// The events in `slots`, all of which must have been looked up.
    pub(crate) fn state(&self, at: &At, slots: &[Slot]) -> Result<AuthState, Needs> {
        let told = self.state.get(at);
        let (mut found, mut missing) = (AuthState::default(), BTreeSet::new());
        for slot in slots {
            match told.and_then(|told| told.get(slot)) {
                Some(Some(event)) => found.insert(event.clone()),
                Some(None) => {}
                None => {
                    missing.insert(slot.clone());
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        Err(Needs { state: [(at.clone(), missing)].into(), ..Needs::default() })
    }

    /// Fails with those of `ids` that were never looked up.
    pub(crate) fn require<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a OwnedEventId>,
    ) -> Result<(), Needs> {
        let missing = ids.into_iter().filter(|id| !self.was_asked(id));
        let needs = Needs { events: missing.cloned().collect(), ..Needs::default() };
        if needs.is_empty() { Ok(()) } else { Err(needs) }
    }
}

impl FromIterator<Pdu> for Known {
    fn from_iter<T: IntoIterator<Item = Pdu>>(events: T) -> Self {
        let mut known = Self::default();
        known.extend(events);
        known
    }
}

impl Extend<Pdu> for Known {
    fn extend<T: IntoIterator<Item = Pdu>>(&mut self, events: T) {
        events.into_iter().for_each(|event| self.found(event));
    }
}

/// What must be loaded and told to [`Known`] before the function can answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} events, {} keys and the state at {} places must be loaded first",
    events.len(), keys.len(), state.len()
)]
pub struct Needs {
    /// Events: for [`Known::found`] or [`Known::absent`].
    pub events: BTreeSet<OwnedEventId>,
    /// Signing keys by server and key ID: for [`Known::tell_key`].
    pub keys: BTreeSet<(OwnedServerName, String)>,
    /// Slots of the state: for [`Known::tell_state`].
    pub state: BTreeMap<At, BTreeSet<Slot>>,
}

impl Needs {
    /// Whether nothing is needed.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.keys.is_empty() && self.state.is_empty()
    }

    /// Puts two lists together.
    pub fn merge(&mut self, other: Self) {
        self.events.extend(other.events);
        self.keys.extend(other.keys);
        for (at, slots) in other.state {
            self.state.entry(at).or_default().extend(slots);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Room, text};

    #[test]
    fn what_was_found_stays_found() {
        let mut room = Room::new("11", "public");
        let event = room.say(text("@a:x", "hi"));
        let mut known = Known::default();
        assert!(!known.was_asked(event.event_id()));
        known.absent(event.event_id().clone());
        assert!(known.was_asked(event.event_id()));
        assert_eq!(known.get(event.event_id()), None);
        known.found(event.clone());
        known.absent(event.event_id().clone());
        assert_eq!(known.get(event.event_id()), Some(&event));
    }

    #[test]
    fn only_what_was_never_told_is_needed() {
        let room = Room::new("11", "public");
        let at = At::Now(room.events[1].room_id().to_owned());
        let slots: Vec<Slot> = room.state.keys().cloned().collect();
        let mut known = Known::default();
        known.tell_state(at.clone(), slots[0].clone(), None);
        known.tell_state(at.clone(), slots[1].clone(), Some(room.state[&slots[1]].clone()));
        let needs = known.state(&at, &slots).unwrap_err();
        assert_eq!(needs.state[&at], [slots[2].clone()].into());
        let state = known.state(&at, &slots[..2]).unwrap();
        assert_eq!(state.iter().count(), 1);
    }

    #[test]
    fn needs_add_up() {
        let at = |id: &str| At::Now(id.try_into().unwrap());
        let slot = |key: &str| ("m.test".into(), key.to_owned());
        let needs = |id: &str, key: &str| Needs {
            state: [(at(id), [slot(key)].into())].into(),
            ..Needs::default()
        };
        let mut sum = Needs::default();
        assert!(sum.is_empty());
        sum.merge(needs("!r:x", "a"));
        sum.merge(needs("!r:x", "b"));
        sum.merge(needs("!s:x", "a"));
        assert_eq!(sum.state[&at("!r:x")], [slot("a"), slot("b")].into());
        assert_eq!(sum.state.len(), 2);
        assert_eq!(
            sum.to_string(),
            "0 events, 0 keys and the state at 2 places must be loaded first"
        );
    }
}
