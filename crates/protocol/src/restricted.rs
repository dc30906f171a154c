//! Who comes into a room without an invitation, because of another room they are in (server-server API, "Restricted rooms").

use std::collections::BTreeMap;

use ruma::{
    OwnedRoomId, OwnedUserId,
    events::{
        StateEventType, TimelineEventType,
        room::member::MembershipState::{self, Ban, Invite, Join},
    },
    room_version_rules::{AuthorizationRules, RoomVersionRules},
};
use serde::Deserialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use crate::{AuthState, Draft, Pdu, visibility::membership_in};

const AUTHORISER: &str = "join_authorised_via_users_server";

/// What a restricted room asks of one who was not invited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// Who wants to join has to be in one of these rooms.
    pub rooms: Vec<OwnedRoomId>,
}

/// Whether `draft` is a join that somebody has to answer for, given the state that [`auth_slots`](crate::auth_slots) names
/// for it. Those who were invited or are in the room already come in by themselves, and those who are banned not at all.
pub fn restriction(
    rules: &RoomVersionRules,
    draft: &Draft,
    state: &AuthState,
) -> Option<Restriction> {
    if !is_own_join(draft) {
        return None;
    }
    let member = state.get(&StateEventType::RoomMember, draft.sender.as_str());
    if member.is_some_and(|member| [Join, Invite, Ban].contains(&membership_in(member))) {
        return None;
    }
    let join_rules = state.get(&StateEventType::RoomJoinRules, "")?;
    Some(Restriction { rooms: allowed_rooms(&rules.authorization, join_rules)? })
}

fn is_own_join(draft: &Draft) -> bool {
    #[derive(Deserialize)]
    struct Content {
        membership: MembershipState,
    }
    let joins = || {
        let content = serde_json::from_str::<Content>(draft.content.get());
        content.is_ok_and(|content| content.membership == Join)
    };
    is_member(draft) && draft.state_key.as_deref() == Some(draft.sender.as_str()) && joins()
}

fn is_member(draft: &Draft) -> bool {
    draft.kind == TimelineEventType::RoomMember
}

/// The rooms whose members may come in; none if the room is not restricted. Conditions that cannot be read let nobody in.
pub fn allowed_rooms(rules: &AuthorizationRules, join_rules: &Pdu) -> Option<Vec<OwnedRoomId>> {
    #[derive(Deserialize)]
    struct Content {
        join_rule: String,
        #[serde(default)]
        allow: Value,
    }
    let content: Content = join_rules.content_as()?;
    let restricted = match content.join_rule.as_str() {
        "restricted" => rules.restricted_join_rule,
        "knock_restricted" => rules.knock_restricted_join_rule,
        _ => false,
    };
    let conditions = content.allow.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rooms: Vec<_> = conditions.iter().filter_map(room_of).collect();
    rooms.sort();
    rooms.dedup();
    restricted.then_some(rooms)
}

fn room_of(condition: &Value) -> Option<OwnedRoomId> {
    let membership = condition.get("type")?.as_str()? == "m.room_membership";
    OwnedRoomId::try_from(condition.get("room_id")?.as_str().filter(|_| membership)?).ok()
}

/// The draft without a word on who answers for it: that is for the server to say.
pub fn without_authoriser(rules: &RoomVersionRules, draft: Draft) -> Draft {
    let says = rules.authorization.restricted_join_rule
        && is_member(&draft)
        && draft.content.get().contains(AUTHORISER);
    if says { with_content(draft, |content| content.remove(AUTHORISER)) } else { draft }
}

/// The draft of a join for which `authoriser` answers.
pub fn with_authoriser(draft: Draft, authoriser: &OwnedUserId) -> Draft {
    let authoriser = to_raw_value(authoriser).expect("an ID is text");
    with_content(draft, |content| content.insert(AUTHORISER.to_owned(), authoriser))
}

/// What is no object stays as it is, to be refused as such.
fn with_content<T>(
    draft: Draft,
    change: impl FnOnce(&mut BTreeMap<String, Box<RawValue>>) -> T,
) -> Draft {
    let Ok(mut content) = serde_json::from_str(draft.content.get()) else { return draft };
    change(&mut content);
    let content: Box<RawValue> = to_raw_value(&content).expect("an object is JSON");
    Draft { content, ..draft }
}

#[cfg(test)]
#[path = "restricted_tests.rs"]
mod tests;
