//! The first events of a new room.

use std::collections::BTreeMap;

use ruma::{
    OwnedRoomAliasId, OwnedUserId, RoomVersionId, events::StateEventType,
    room_version_rules::RoomVersionRules,
};
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};

use crate::Draft;

/// A JSON object as clients send it.
pub type JsonObject = Map<String, Value>;

/// What a new room is for; it decides who may join, who may read, and whether guests may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Preset {
    /// By invitation.
    #[default]
    PrivateChat,
    /// By invitation, and those invited have the power of the creator.
    TrustedPrivateChat,
    /// Open to everyone except guests.
    PublicChat,
}

/// A state event that a client wants in its new room.
#[derive(Clone, Debug)]
pub struct InitialState {
    /// The type.
    pub kind: StateEventType,
    /// The state key.
    pub state_key: String,
    /// The content.
    pub content: Box<RawValue>,
}

/// What a user wants of a new room.
#[derive(Clone, Debug)]
pub struct NewRoom {
    /// Who creates it.
    pub creator: OwnedUserId,
    /// What the creator's membership says beside `membership`, such as the display name.
    pub creator_profile: JsonObject,
    /// The room's version.
    pub version: RoomVersionId,
    /// What the room is for.
    pub preset: Preset,
    /// More content of the create event.
    pub creation_content: JsonObject,
    /// State to begin with; it goes before what the preset says.
    pub initial_state: Vec<InitialState>,
    /// What replaces parts of the default power levels.
    pub power_levels: JsonObject,
    /// The main alias.
    pub alias: Option<OwnedRoomAliasId>,
    /// The name.
    pub name: Option<String>,
    /// The topic.
    pub topic: Option<String>,
    /// Whom to invite.
    pub invite: Vec<OwnedUserId>,
    /// What the invitations say of those whom they invite, such as the display name.
    pub guest_profiles: BTreeMap<OwnedUserId, JsonObject>,
    /// Whether it is a direct chat, as the invitations will say.
    pub is_direct: bool,
}

impl NewRoom {
    /// A private room of which nothing else is said.
    pub fn new(creator: OwnedUserId, version: RoomVersionId) -> Self {
        Self {
            creator,
            creator_profile: JsonObject::new(),
            version,
            preset: Preset::default(),
            creation_content: JsonObject::new(),
            initial_state: vec![],
            power_levels: JsonObject::new(),
            alias: None,
            name: None,
            topic: None,
            invite: vec![],
            guest_profiles: BTreeMap::new(),
            is_direct: false,
        }
    }
}

/// This server does not know the room version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("room version {0} is not known")]
pub struct UnknownVersion(pub RoomVersionId);

/// The events of a new room in the order in which they have to be appended, the create event first.
///
/// A draft that the room then refuses means that the wishes contradict each other.
pub fn create(room: &NewRoom) -> Result<Vec<Draft>, UnknownVersion> {
    let unknown = || UnknownVersion(room.version.clone());
    let rules = room.version.rules().ok_or_else(unknown)?;
    let state = |kind: StateEventType, content: Value| on_behalf(room, kind, "", &content);
    let mut drafts = vec![
        state(StateEventType::RoomCreate, create_content(room, &rules)),
        creator_joins(room),
        power_levels(room, &rules),
    ];
    if let Some(alias) = &room.alias {
        drafts.push(state(StateEventType::RoomCanonicalAlias, json!({ "alias": alias })));
    }
    let preset = preset_state(room.preset).into_iter();
    let wanted = preset.filter(|(kind, _)| initial(room, kind).is_none());
    drafts.extend(wanted.map(|(kind, content)| state(kind, content)));
    drafts.extend(initial_state(room));
    if let Some(name) = &room.name {
        drafts.push(state(StateEventType::RoomName, json!({ "name": name })));
    }
    if let Some(topic) = &room.topic {
        drafts.push(state(StateEventType::RoomTopic, topic_content(topic)));
    }
    drafts.extend(room.invite.iter().map(|user| invitation(room, user)));
    Ok(drafts)
}

fn on_behalf(room: &NewRoom, kind: StateEventType, key: &str, content: &Value) -> Draft {
    let content = to_raw_value(content).expect("a JSON value serialises");
    Draft::state(room.creator.clone(), kind, key, content)
}

fn create_content(room: &NewRoom, rules: &RoomVersionRules) -> Value {
    let mut content = room.creation_content.clone();
    content.insert("room_version".to_owned(), room.version.as_str().into());
    if rules.authorization.use_room_create_sender {
        content.remove("creator");
    } else {
        content.insert("creator".to_owned(), room.creator.as_str().into());
    }
    let trusted = room.preset == Preset::TrustedPrivateChat;
    if rules.authorization.additional_room_creators && trusted && !room.invite.is_empty() {
        add_creators(&mut content, room);
    }
    content.into()
}

/// Adds those invited to the `additional_creators` that the content names. What is no list is left for the rules to refuse.
fn add_creators(content: &mut JsonObject, room: &NewRoom) {
    let creators = content.entry("additional_creators").or_insert(json!([]));
    let Some(creators) = creators.as_array_mut() else {
        return;
    };
    for user in &room.invite {
        let user = Value::from(user.as_str());
        if user != room.creator.as_str() && !creators.contains(&user) {
            creators.push(user);
        }
    }
}

fn creator_joins(room: &NewRoom) -> Draft {
    let mut content = room.creator_profile.clone();
    content.insert("membership".to_owned(), "join".into());
    let key = room.creator.as_str();
    on_behalf(room, StateEventType::RoomMember, key, &content.into())
}

fn invitation(room: &NewRoom, user: &OwnedUserId) -> Draft {
    let mut content = room.guest_profiles.get(user).cloned().unwrap_or_default();
    content.insert("membership".to_owned(), "invite".into());
    if room.is_direct {
        content.insert("is_direct".to_owned(), true.into());
    }
    on_behalf(room, StateEventType::RoomMember, user.as_str(), &content.into())
}

fn preset_state(preset: Preset) -> [(StateEventType, Value); 3] {
    let (join_rule, guest_access) = match preset {
        Preset::PrivateChat | Preset::TrustedPrivateChat => ("invite", "can_join"),
        Preset::PublicChat => ("public", "forbidden"),
    };
    [
        (StateEventType::RoomJoinRules, json!({ "join_rule": join_rule })),
        (StateEventType::RoomHistoryVisibility, json!({ "history_visibility": "shared" })),
        (StateEventType::RoomGuestAccess, json!({ "guest_access": guest_access })),
    ]
}

/// What the client wants in the slot of `kind` without a state key.
fn initial<'a>(room: &'a NewRoom, kind: &StateEventType) -> Option<&'a InitialState> {
    let mut wanted = room.initial_state.iter().rev();
    wanted.find(|state| state.kind == *kind && state.state_key.is_empty())
}

/// The initial state without the power levels, which come earlier.
fn initial_state(room: &NewRoom) -> impl Iterator<Item = Draft> {
    let levels = |state: &&InitialState| {
        state.kind != StateEventType::RoomPowerLevels || !state.state_key.is_empty()
    };
    room.initial_state.iter().filter(levels).map(|state| {
        let (kind, key) = (state.kind.clone(), state.state_key.clone());
        Draft::state(room.creator.clone(), kind, key, state.content.clone())
    })
}

fn topic_content(topic: &str) -> Value {
    let text = json!({"body": topic, "mimetype": "text/plain"});
    json!({"topic": topic, "m.topic": {"m.text": [text]}})
}

fn power_levels(room: &NewRoom, rules: &RoomVersionRules) -> Draft {
    if let Some(wanted) = initial(room, &StateEventType::RoomPowerLevels) {
        let content = wanted.content.clone();
        return Draft::state(room.creator.clone(), wanted.kind.clone(), "", content);
    }
    let mut levels = default_power_levels(room, rules);
    levels.extend(room.power_levels.clone());
    if rules.authorization.explicitly_privilege_room_creators {
        protect_tombstone(&mut levels, room);
    }
    on_behalf(room, StateEventType::RoomPowerLevels, "", &levels.into())
}

/// The power levels of a new room of which nothing else is said.
pub fn default_power_levels(room: &NewRoom, rules: &RoomVersionRules) -> JsonObject {
    let mut users = JsonObject::new();
    if !rules.authorization.explicitly_privilege_room_creators {
        users.insert(room.creator.to_string(), 100.into());
        let trusted = room.preset == Preset::TrustedPrivateChat;
        for user in room.invite.iter().filter(|_| trusted) {
            users.insert(user.to_string(), 100.into());
        }
    }
    let invite = match room.preset {
        Preset::PublicChat => 50,
        Preset::PrivateChat | Preset::TrustedPrivateChat => 0,
    };
    let levels = json!({
        "ban": 50,
        "events": {
            "m.room.avatar": 50,
            "m.room.canonical_alias": 50,
            "m.room.encryption": 100,
            "m.room.history_visibility": 100,
            "m.room.name": 50,
            "m.room.power_levels": 100,
            "m.room.server_acl": 100,
            "m.room.tombstone": 100,
        },
        "events_default": 0,
        "invite": invite,
        "kick": 50,
        "redact": 50,
        "state_default": 50,
        "users": users,
        "users_default": 0,
    });
    match levels {
        Value::Object(levels) => levels,
        _ => JsonObject::new(),
    }
}

/// Where creators stand above the power levels, only they replace the room, unless they wish otherwise: no level that
/// can be given reaches it.
fn protect_tombstone(levels: &mut JsonObject, room: &NewRoom) {
    const TOMBSTONE: &str = "m.room.tombstone";
    if room.power_levels.get("events").is_some_and(|events| events.get(TOMBSTONE).is_some()) {
        return;
    }
    let state_default = levels.get("state_default").and_then(Value::as_i64);
    let above = state_default.unwrap_or(50).saturating_add(1).max(150);
    let Some(events) = levels.entry("events").or_insert(json!({})).as_object_mut() else {
        return;
    };
    events.insert(TOMBSTONE.to_owned(), above.into());
}

#[cfg(test)]
#[path = "create_tests.rs"]
mod tests;
