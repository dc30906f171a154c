//! The power levels of a room that replaces another, and those that the other one keeps.

use ruma::{
    RoomVersionId, UserId, events::StateEventType, room_version_rules::RoomVersionRules,
    state_res::events::RoomCreateEvent,
};
use serde_json::{Map, Value, json};

use super::Carried;
use crate::{JsonObject, NewRoom, Pdu, default_power_levels};

/// The power that those who may do everything usually have.
const ADMIN: i64 = 100;
/// The power that speaking and inviting takes in a room that was replaced.
const MODERATOR: i64 = 50;

/// The power levels that the new room ends with: those of the old one, as the new version has them.
pub(super) fn carried_levels(carried: &Carried<'_>) -> JsonObject {
    let by = carried.create.sender();
    let privileges =
        |rules: &RoomVersionRules| rules.authorization.explicitly_privilege_room_creators;
    let mut levels = match carried.old(&StateEventType::RoomPowerLevels) {
        Some(old) => old.content_as().unwrap_or_default(),
        None => {
            default_power_levels(&NewRoom::new(by.to_owned(), RoomVersionId::V11), carried.rules)
        }
    };
    make_integers(&mut levels);
    if privileges(carried.rules) {
        for creator in creators(carried.rules, carried.create) {
            remove_user(&mut levels, &creator);
        }
        protect_tombstone(&mut levels);
    } else if privileges(carried.old_rules) {
        // Those who stood above all levels get the highest of them.
        let highest = levels_in(&levels, "users").max().unwrap_or_default();
        let most = most_needed(&levels).max(highest).max(ADMIN);
        for creator in creators(carried.old_rules, carried.old_create) {
            put_user(&mut levels, &creator, most);
        }
    }
    levels
}

fn creators(rules: &RoomVersionRules, create: &Pdu) -> impl IntoIterator<Item = ruma::OwnedUserId> {
    RoomCreateEvent::new(create).creators(&rules.authorization).unwrap_or_default()
}

/// The power levels to begin with, where whoever upgrades has too little power by `levels` to put everything in place.
pub(super) fn levels_for_now(carried: &Carried<'_>, levels: &JsonObject) -> Option<JsonObject> {
    let (by, needed) = (carried.create.sender(), most_needed(levels));
    let privileged = carried.rules.authorization.explicitly_privilege_room_creators;
    if privileged || level_of(levels, by) >= needed {
        return None;
    }
    let mut first = levels.clone();
    put_user(&mut first, by, needed);
    Some(first)
}

/// Power levels under which only moderators speak and invite; none where it takes as much already.
pub(super) fn quiet_levels(levels: Option<&Pdu>) -> Option<JsonObject> {
    let mut levels: JsonObject = levels?.content_as()?;
    make_integers(&mut levels);
    let restricted = int(&levels, "users_default").unwrap_or_default().saturating_add(1);
    let restricted = restricted.max(MODERATOR);
    let mut changes = false;
    for key in ["events_default", "invite"] {
        if int(&levels, key).unwrap_or_default() < restricted {
            levels.insert(key.to_owned(), restricted.into());
            changes = true;
        }
    }
    changes.then_some(levels)
}

/// Where creators stand above the power levels, they alone replace the room, unless the room has decided otherwise.
fn protect_tombstone(levels: &mut JsonObject) {
    let default = int(levels, "state_default").unwrap_or(MODERATOR);
    let events = levels.entry("events").or_insert(json!({}));
    let Some(events) = events.as_object_mut() else { return };
    if events.get("m.room.tombstone").and_then(Value::as_i64).is_none_or(|level| level == ADMIN) {
        let above = default.saturating_add(1).max(150);
        events.insert("m.room.tombstone".to_owned(), above.into());
    }
}

fn int(levels: &JsonObject, key: &str) -> Option<i64> {
    levels.get(key).and_then(Value::as_i64)
}

fn levels_in<'a>(levels: &'a JsonObject, key: &str) -> impl Iterator<Item = i64> + 'a {
    let inner = levels.get(key).and_then(Value::as_object);
    inner.into_iter().flat_map(Map::values).filter_map(Value::as_i64)
}

/// The power that everything takes that happens to a new room.
fn most_needed(levels: &JsonObject) -> i64 {
    let state = int(levels, "state_default").unwrap_or(MODERATOR);
    let ban = int(levels, "ban").unwrap_or(MODERATOR);
    levels_in(levels, "events").chain([state, ban]).max().unwrap_or(ADMIN)
}

fn level_of(levels: &JsonObject, user: &UserId) -> i64 {
    let named = levels.get("users").and_then(|users| users.get(user.as_str()));
    let named = named.and_then(Value::as_i64);
    named.or_else(|| int(levels, "users_default")).unwrap_or_default()
}

fn put_user(levels: &mut JsonObject, user: &UserId, level: i64) {
    let users = levels.entry("users").or_insert(json!({}));
    if let Some(users) = users.as_object_mut() {
        users.insert(user.to_string(), level.into());
    }
}

fn remove_user(levels: &mut JsonObject, user: &UserId) {
    if let Some(Value::Object(users)) = levels.get_mut("users") {
        users.remove(user.as_str());
    }
}

/// Old rooms have levels that are written as strings; what reads as no number is left out.
fn make_integers(levels: &mut JsonObject) {
    levels.retain(|_, value| match value {
        Value::Object(inner) => {
            make_integers(inner);
            true
        }
        Value::String(text) => match text.trim().parse::<i64>() {
            Ok(number) => {
                *value = number.into();
                true
            }
            Err(_) => false,
        },
        Value::Number(number) => number.is_i64(),
        _ => false,
    });
}
