//! What a pure function was told, and what it still asks for.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
};

use ruma::{EventId, OwnedEventId, OwnedServerName};

use crate::Pdu;

/// Events that were looked up: found, or known to be absent.
///
/// Only what was never looked up is a need, so that "load and call again" comes to an end.
#[derive(Clone, Debug, Default)]
pub struct Known {
    events: HashMap<OwnedEventId, Option<Pdu>>,
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
}

impl FromIterator<Pdu> for Known {
    fn from_iter<T: IntoIterator<Item = Pdu>>(events: T) -> Self {
        let mut known = Self::default();
        events.into_iter().for_each(|event| known.found(event));
        known
    }
}

impl Extend<Pdu> for Known {
    fn extend<T: IntoIterator<Item = Pdu>>(&mut self, events: T) {
        events.into_iter().for_each(|event| self.found(event));
    }
}

/// What must be loaded before the function can answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{} events and the keys of {} servers must be loaded first", events.len(), keys.len())]
pub struct Needs {
    /// Events that were never looked up.
    pub events: BTreeSet<OwnedEventId>,
    /// Signing keys, by server and key ID.
    pub keys: BTreeSet<(OwnedServerName, String)>,
}

impl Needs {
    /// Whether nothing is needed.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.keys.is_empty()
    }

    /// `answer`, unless something was needed for it.
    pub(crate) fn unless_any<T>(self, answer: T) -> Result<T, Self> {
        if self.is_empty() {
            Ok(answer)
        } else {
            Err(self)
        }
    }
}

/// Looks events up on behalf of ruma, and notes those that nobody has looked for yet.
pub(crate) struct Lookup<'a> {
    known: &'a Known,
    needs: RefCell<Needs>,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(known: &'a Known) -> Self {
        Self {
            known,
            needs: RefCell::default(),
        }
    }

    pub(crate) fn event(&self, id: &EventId) -> Option<&'a Pdu> {
        if !self.known.was_asked(id) {
            self.needs.borrow_mut().events.insert(id.to_owned());
        }
        self.known.get(id)
    }

    pub(crate) fn into_needs(self) -> Needs {
        self.needs.into_inner()
    }
}
