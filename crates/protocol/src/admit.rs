//! What becomes of an event from elsewhere.

use ruma::{
    OwnedServerName, ServerName,
    events::{StateEventType, room::server_acl::RoomServerAclEventContent},
    room_version_rules::RoomVersionRules,
};
use serde_json::{Map, Value};

use crate::{
    At, AuthState, Dropped, Known, Needs, Pdu, Rejection, Slot, Verified,
    auth::{auth_slots_of, authorize_by_state, authorize_citations, create_of},
};

/// For what an event came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To continue the room; `sent_by` is the server whose transaction brought it.
    Timeline {
        /// The server that sent the transaction.
        sent_by: OwnedServerName,
    },
    /// To fill a gap in the room's past; nobody's access is asked, and the present has no say.
    Past,
    /// Because another event cites it. It is judged by what it cites itself.
    Cited,
}

/// A verified event and what it came for.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The event.
    pub event: Verified,
    /// What it came for.
    pub purpose: Purpose,
}

/// What becomes of an event from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is ignored.
    Drop(Dropped),
    /// It is kept, but has no effect, and nothing new follows it.
    Reject(Rejection),
    /// It takes part in the room's state, but is not shown, and nothing new follows it.
    SoftFail(Rejection),
    /// It is part of the room.
    Accept,
}

/// Judges an event from elsewhere: by the events it cites, by the state before it, by the state now.
///
/// Rejected events must carry that flag in `known`. The cited events are themselves admitted first, oldest first.
pub fn admit(
    rules: &RoomVersionRules,
    incoming: &Incoming,
    known: &Known,
) -> Result<Verdict, Needs> {
    let event = incoming.event.pdu();
    if let Purpose::Timeline { sent_by } = &incoming.purpose
        && !may_send(event, sent_by, known)?
    {
        return Ok(Verdict::Drop(Dropped::Denied(sent_by.clone())));
    }
    if let Err(rejection) = authorize_citations(rules, event, known)? {
        return Ok(Verdict::Reject(rejection));
    }
    if let Err(rejection) = authorize_by_state(rules, event, &cited_state(rules, event, known)) {
        return Ok(Verdict::Reject(rejection));
    }
    let slots = match auth_slots_of(rules, event) {
        Ok(slots) => slots,
        Err(rejection) => return Ok(Verdict::Reject(rejection)),
    };
    match incoming.purpose {
        Purpose::Cited => Ok(Verdict::Accept),
        Purpose::Past => by_state_before(rules, event, &slots, known),
        Purpose::Timeline { .. } => by_both_states(rules, event, &slots, known),
    }
}

fn by_state_before(
    rules: &RoomVersionRules,
    event: &Pdu,
    slots: &[Slot],
    known: &Known,
) -> Result<Verdict, Needs> {
    let before = known.state(&At::Before(event.event_id().clone()), slots)?;
    Ok(match authorize_by_state(rules, event, &before) {
        Ok(()) => Verdict::Accept,
        Err(rejection) => Verdict::Reject(rejection),
    })
}

fn by_both_states(
    rules: &RoomVersionRules,
    event: &Pdu,
    slots: &[Slot],
    known: &Known,
) -> Result<Verdict, Needs> {
    let now = known.state(&At::Now(event.room_id().to_owned()), slots);
    let before = match (by_state_before(rules, event, slots, known), &now) {
        (Err(mut needs), Err(more)) => {
            needs.merge(more.clone());
            return Err(needs);
        }
        (before, _) => before?,
    };
    if before != Verdict::Accept {
        return Ok(before);
    }
    Ok(match authorize_by_state(rules, event, &now?) {
        Ok(()) => Verdict::Accept,
        Err(rejection) => Verdict::SoftFail(rejection),
    })
}

/// The state that the event claims to be allowed by.
fn cited_state(rules: &RoomVersionRules, event: &Pdu, known: &Known) -> AuthState {
    let cited =
        event.auth_events().iter().chain(&create_of(rules, event)).cloned().collect::<Vec<_>>();
    cited.iter().filter_map(|id| known.get(id).cloned()).collect()
}

/// Whether the room's access list lets the server take part, as far as the room is known here.
fn may_send(event: &Pdu, server: &ServerName, known: &Known) -> Result<bool, Needs> {
    let slot = (StateEventType::RoomServerAcl, String::new());
    let at = At::Now(event.room_id().to_owned());
    let state = known.state(&at, std::slice::from_ref(&slot))?;
    Ok(acl_allows(state.get(&slot.0, &slot.1), server))
}

/// Whether a room's `m.room.server_acl`, if it has one, lets a server take part in the room.
///
/// Entries that are no strings are passed over, and what is not `false` allows IP literals.
pub fn acl_allows(acl: Option<&Pdu>, server: &ServerName) -> bool {
    let Some(acl) = acl else {
        return true;
    };
    let content: Map<String, Value> = acl.content_as().unwrap_or_default();
    let list = |key: &str| -> Vec<String> {
        let entries = content.get(key).and_then(Value::as_array);
        let entries = entries.into_iter().flatten().filter_map(Value::as_str);
        entries.map(ToOwned::to_owned).collect()
    };
    let ip_literals = content.get("allow_ip_literals") != Some(&Value::Bool(false));
    RoomServerAclEventContent::new(ip_literals, list("allow"), list("deny")).is_allowed(server)
}

#[cfg(test)]
#[path = "admit_tests.rs"]
mod tests;
