//! What a room takes along when another replaces it (client-server API, "Room upgrades").

mod levels;

use std::collections::BTreeSet;

use ruma::{
    OwnedEventId, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, UserId,
    events::StateEventType, room_version_rules::RoomVersionRules,
};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use self::levels::{carried_levels, levels_for_now, quiet_levels};
use crate::{Draft, JsonObject, NewRoom, Pdu, UnknownVersion, create};

/// Types of state that the new room takes from the slot without a state key.
const PLAIN: [StateEventType; 9] = [
    StateEventType::RoomServerAcl,
    StateEventType::RoomEncryption,
    StateEventType::RoomName,
    StateEventType::RoomAvatar,
    StateEventType::RoomTopic,
    StateEventType::RoomGuestAccess,
    StateEventType::RoomHistoryVisibility,
    StateEventType::RoomJoinRules,
    StateEventType::RoomPowerLevels,
];

/// Types of state of which the new room takes every slot: who belongs to a space, and what a policy room says.
const KEYED: [StateEventType; 5] = [
    StateEventType::SpaceChild,
    StateEventType::SpaceParent,
    StateEventType::PolicyRuleRoom,
    StateEventType::PolicyRuleServer,
    StateEventType::PolicyRuleUser,
];

/// The types of state, other than members and aliases, that a new room takes along: those with one slot, and those with many.
pub fn carried_types() -> (&'static [StateEventType], &'static [StateEventType]) {
    (&PLAIN, &KEYED)
}

/// The replacement of one room by another.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// The room to be replaced.
    pub old: OwnedRoomId,
    /// The newest event there, which the new room names where its version wants it.
    pub last: Option<OwnedEventId>,
    /// Who replaces it.
    pub by: OwnedUserId,
    /// The version of the new room.
    pub version: RoomVersionId,
    /// Who counts as a creator of the new room beside `by`, where its version knows such.
    pub additional_creators: Vec<OwnedUserId>,
}

/// The create event of the new room.
///
/// # Errors
///
/// [`UnknownVersion`], if the server does not know the version that is asked for.
pub fn replacement_create(upgrade: &Upgrade, old_create: &Pdu) -> Result<Draft, UnknownVersion> {
    let unknown = || UnknownVersion(upgrade.version.clone());
    let rules = upgrade.version.rules().ok_or_else(unknown)?.authorization;
    let mut predecessor = json!({ "room_id": upgrade.old });
    // A version in which the create event names the room leaves the event out.
    if let Some(last) = upgrade.last.as_ref().filter(|_| !rules.room_create_event_id_as_room_id) {
        predecessor["event_id"] = last.as_str().into();
    }
    let mut content = JsonObject::new();
    let old: JsonObject = old_create.content_as().unwrap_or_default();
    let kept = ["type", "m.federate"].into_iter();
    content.extend(kept.filter_map(|key| Some((key.to_owned(), old.get(key)?.clone()))));
    content.insert("predecessor".to_owned(), predecessor);
    let others: BTreeSet<_> =
        upgrade.additional_creators.iter().filter(|user| **user != upgrade.by).collect();
    if rules.additional_room_creators && !others.is_empty() {
        content.insert("additional_creators".to_owned(), json!(others));
    }
    let mut room = NewRoom::new(upgrade.by.clone(), upgrade.version.clone());
    room.creation_content = content;
    Ok(create(&room)?.swap_remove(0))
}

/// How a new room begins that replaces another.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// Its first events, without the create event.
    pub drafts: Vec<Draft>,
    /// The power levels to end with, where they are not those of the first events: whoever upgrades has more power until
    /// everything is in place.
    pub power_levels: Option<Draft>,
}

/// What the new room begins with.
#[derive(Clone, Debug)]
pub struct Carried<'a> {
    /// The rules of the old room.
    pub old_rules: &'a RoomVersionRules,
    /// The create event of the old room.
    pub old_create: &'a Pdu,
    /// The state of the old room, as far as [`carried_types`] names it.
    pub state: &'a [Pdu],
    /// The create event of the new room.
    pub create: &'a Pdu,
    /// The rules of the new room.
    pub rules: &'a RoomVersionRules,
    /// What the membership of whoever upgrades says beside `membership`.
    pub profile: JsonObject,
}

impl Carried<'_> {
    /// The events of the new room behind the create event, in their order.
    pub fn replacement(self) -> Replacement {
        let by = self.create.sender();
        let last = carried_levels(&self);
        let first = levels_for_now(&self, &last);
        let levels = |content: JsonObject| state(by, StateEventType::RoomPowerLevels, "", &content);
        let mut joining = self.profile.clone();
        joining.insert("membership".to_owned(), "join".into());
        let mut drafts = vec![
            state(by, StateEventType::RoomMember, by.as_str(), &joining),
            levels(first.clone().unwrap_or_else(|| last.clone())),
        ];
        drafts.extend(self.rest());
        Replacement { drafts, power_levels: first.map(|_| levels(last)) }
    }

    /// What is carried as it is. What the old room does not say is said as it was meant there.
    fn rest(&self) -> impl Iterator<Item = Draft> {
        let by = self.create.sender();
        let silent = [
            (StateEventType::RoomJoinRules, json!({ "join_rule": "invite" })),
            (StateEventType::RoomHistoryVisibility, json!({ "history_visibility": "shared" })),
            (StateEventType::RoomGuestAccess, json!({ "guest_access": "forbidden" })),
        ];
        let silent = silent.into_iter().filter(|(kind, _)| self.old(kind).is_none());
        let silent = silent.map(move |(kind, content)| state(by, kind, "", &content));
        let told = self.state.iter().filter_map(move |event| {
            let (kind, key) = event.slot()?;
            let content = match kind {
                StateEventType::RoomJoinRules => self.join_rules(event)?,
                StateEventType::RoomPowerLevels => return None,
                _ => event.content().to_owned(),
            };
            is_carried(event).then(|| Draft::state(by.to_owned(), kind.clone(), key, content))
        });
        told.chain(silent)
    }

    fn old(&self, kind: &StateEventType) -> Option<&Pdu> {
        self.state.iter().find(|event| event.is_at(kind, ""))
    }

    /// Join rules that the new version does not know would let nobody in, whom they let in before by asking or by invitation.
    fn join_rules(&self, event: &Pdu) -> Option<Box<RawValue>> {
        let mut content: JsonObject = event.content_as()?;
        let known = &self.rules.authorization;
        let fallback = match content.get("join_rule")?.as_str()? {
            "knock_restricted" if known.knock_restricted_join_rule => None,
            "restricted" if known.restricted_join_rule => None,
            "knock" if known.knocking => None,
            "knock_restricted" if known.restricted_join_rule => Some("restricted"),
            "knock_restricted" if known.knocking => Some("knock"),
            "knock_restricted" | "restricted" | "knock" => Some("invite"),
            _ => None,
        };
        if let Some(rule) = fallback {
            content.insert("join_rule".to_owned(), rule.into());
        }
        Some(raw(&content))
    }
}

/// Whether the new room is told this.
fn is_carried(event: &Pdu) -> bool {
    let Some((kind, key)) = event.slot() else { return false };
    let content: JsonObject = event.content_as().unwrap_or_default();
    match kind {
        // A key like this belongs to one user, and an empty content means that there is nothing.
        kind if KEYED.contains(kind) => !key.starts_with('@') && !content.is_empty(),
        kind => PLAIN.contains(kind) && key.is_empty(),
    }
}

/// How an old room ends: the tombstone, and what may follow it where whoever replaces the room has the power for it.
pub fn ending(by: &UserId, replacement: &RoomId, levels: Option<&Pdu>) -> Vec<Draft> {
    let content = json!({ "body": "This room has been replaced", "replacement_room": replacement });
    let tombstone = state(by, StateEventType::RoomTombstone, "", &content);
    let quiet = quiet_levels(levels);
    let quiet = quiet.map(|content| state(by, StateEventType::RoomPowerLevels, "", &content));
    std::iter::once(tombstone).chain(quiet).collect()
}

/// The content of an `m.room.canonical_alias` that keeps what `keeps` says; none where nothing is left of it.
pub fn canonical_alias_of(
    content: &RawValue,
    keeps: impl Fn(&OwnedRoomAliasId) -> bool,
) -> Option<Box<RawValue>> {
    let content: JsonObject = serde_json::from_str(content.get()).ok()?;
    let kept = |value: &Value| {
        let alias = value.as_str().and_then(|alias| ruma::RoomAliasId::parse(alias).ok());
        alias.is_some_and(|alias| keeps(&alias.to_owned()))
    };
    let mut left = JsonObject::new();
    if let Some(alias) = content.get("alias").filter(|alias| kept(alias)) {
        left.insert("alias".to_owned(), alias.clone());
    }
    let others = content.get("alt_aliases").and_then(Value::as_array);
    let others: Vec<_> = others.into_iter().flatten().filter(|alias| kept(alias)).collect();
    if !others.is_empty() {
        left.insert("alt_aliases".to_owned(), json!(others));
    }
    (!left.is_empty()).then(|| raw(&left))
}

/// The room that a room says it was replaced by.
pub fn replaced_by(tombstone: &Pdu) -> Option<OwnedRoomId> {
    let content: JsonObject = tombstone.content_as()?;
    let room = content.get("replacement_room")?.as_str()?;
    Some(RoomId::parse(room).ok()?.to_owned())
}

/// The room that a room says it replaces.
pub fn predecessor(create: &Pdu) -> Option<OwnedRoomId> {
    let content: JsonObject = create.content_as()?;
    let room = content.get("predecessor")?.get("room_id")?.as_str()?;
    Some(RoomId::parse(room).ok()?.to_owned())
}

fn state(by: &UserId, kind: StateEventType, key: &str, content: &impl serde::Serialize) -> Draft {
    Draft::state(by.to_owned(), kind, key, raw(content))
}

fn raw(content: &impl serde::Serialize) -> Box<RawValue> {
    to_raw_value(content).expect("JSON serialises")
}

#[cfg(test)]
#[path = "upgrade_tests.rs"]
mod tests;
