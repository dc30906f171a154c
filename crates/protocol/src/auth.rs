//! Whether the rules of the room allow an event.

use ruma::{
    EventId, OwnedEventId,
    events::{StateEventType, TimelineEventType},
    room_version_rules::RoomVersionRules,
    state_res::{
        auth_types_for_event, check_state_dependent_auth_rules, check_state_independent_auth_rules,
    },
};

use crate::{Draft, Known, Needs, Pdu, Slot};

/// The rules of the room forbid the event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not allowed by the rules of the room: {0}")]
pub struct Rejection(pub String);

/// The few state events that decide whether an event is allowed. A slot that is not in it is empty.
#[derive(Clone, Debug, Default)]
pub struct AuthState(Vec<Pdu>);

impl AuthState {
    /// The event in a slot.
    pub fn get(&self, kind: &StateEventType, key: &str) -> Option<&Pdu> {
        self.0.iter().find(|event| event.is_at(kind, key))
    }

    /// Puts a state event into its slot, in place of what was there. Other events are left out.
    pub fn insert(&mut self, event: Pdu) {
        let Some((kind, key)) = event.slot() else {
            return;
        };
        match self.0.iter_mut().find(|old| old.is_at(kind, key)) {
            Some(old) => *old = event,
            None => self.0.push(event),
        }
    }

    /// All events in it, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Pdu> {
        self.0.iter()
    }
}

impl FromIterator<Pdu> for AuthState {
    fn from_iter<T: IntoIterator<Item = Pdu>>(events: T) -> Self {
        let mut state = Self::default();
        events.into_iter().for_each(|event| state.insert(event));
        state
    }
}

impl Extend<Pdu> for AuthState {
    fn extend<T: IntoIterator<Item = Pdu>>(&mut self, events: T) {
        events.into_iter().for_each(|event| self.insert(event));
    }
}

/// The slots that decide on an event like `draft`: what [`append`](crate::append) needs loaded, and no more.
///
/// The create event is always among them, also where it is not cited. A membership whose content cannot be read is refused.
pub fn auth_slots(rules: &RoomVersionRules, draft: &Draft) -> Result<Vec<Slot>, Rejection> {
    let mut slots = cited_slots(rules, draft)?;
    let create = (StateEventType::RoomCreate, String::new());
    if draft.kind != TimelineEventType::RoomCreate && !slots.contains(&create) {
        slots.push(create);
    }
    Ok(slots)
}

/// The slots that an event like `draft` cites as its `auth_events`.
pub(crate) fn cited_slots(rules: &RoomVersionRules, draft: &Draft) -> Result<Vec<Slot>, Rejection> {
    auth_types_for_event(
        &draft.kind,
        &draft.sender,
        draft.state_key.as_deref(),
        &draft.content,
        &rules.authorization,
    )
    .map_err(Rejection)
}

/// The slots that decide on `event`, with the create event.
pub fn auth_slots_of(rules: &RoomVersionRules, event: &Pdu) -> Result<Vec<Slot>, Rejection> {
    let draft = Draft {
        sender: event.sender().to_owned(),
        kind: event.kind().clone(),
        state_key: event.state_key().map(ToOwned::to_owned),
        content: event.content().to_owned(),
        redacts: None,
    };
    auth_slots(rules, &draft)
}

/// Checks `event` against the rules of its room version, given the state before it.
///
/// The outer error names events that must be loaded into `known`: those the event cites, and the create event.
pub fn authorize(
    rules: &RoomVersionRules,
    event: &Pdu,
    state: &AuthState,
    known: &Known,
) -> Result<Result<(), Rejection>, Needs> {
    let cited = authorize_citations(rules, event, known)?;
    Ok(cited.and_then(|()| authorize_by_state(rules, event, state)))
}

/// The half of [`authorize`] that looks at the event and what it cites, and never changes its answer.
pub fn authorize_citations(
    rules: &RoomVersionRules,
    event: &Pdu,
    known: &Known,
) -> Result<Result<(), Rejection>, Needs> {
    let create = create_of(rules, event);
    known.require(event.auth_events().iter().chain(&create))?;
    let fetch = |id: &EventId| known.get(id);
    let verdict = check_state_independent_auth_rules(&rules.authorization, event, fetch);
    Ok(verdict.map_err(Rejection))
}

/// The create event, where the room's ID tells it.
pub(crate) fn create_of(rules: &RoomVersionRules, event: &Pdu) -> Option<OwnedEventId> {
    if !rules.authorization.room_create_event_id_as_room_id {
        return None;
    }
    let create = format!("${}", event.room_id().strip_sigil());
    let create = OwnedEventId::try_from(create).ok();
    create.filter(|create| create != event.event_id())
}

/// The half of [`authorize`] that depends on the state: asked of several states when an event arrives.
pub fn authorize_by_state(
    rules: &RoomVersionRules,
    event: &Pdu,
    state: &AuthState,
) -> Result<(), Rejection> {
    check_state_dependent_auth_rules(&rules.authorization, event, |kind, key| state.get(kind, key))
        .map_err(Rejection)
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
