//! What somebody is in a group, in words instead of power levels.

use ruma::{Int, OwnedUserId, UserId, events::room::power_levels::UserPowerLevel};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::JsonObject;

/// What somebody is in a group. Each may do what the one after it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Has a hand in nothing but the talk.
    Member,
    /// Invites, removes and bans, and says how the group is called.
    Admin,
    /// Makes others owners, and may end the group.
    Owner,
}

impl Role {
    /// The role that a power is: who has at least as much as another role's [level](Self::level) has
    /// that role.
    pub fn of(power: UserPowerLevel) -> Self {
        let is_at_least = |role: &Self| power >= UserPowerLevel::Int(role.level());
        [Self::Owner, Self::Admin].into_iter().find(is_at_least).unwrap_or(Self::Member)
    }

    /// The power level that makes the role.
    pub fn level(self) -> Int {
        match self {
            Self::Owner => Int::from(100),
            Self::Admin => Int::from(50),
            Self::Member => Int::from(0),
        }
    }
}

/// A change of who may do what in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleChange {
    /// Somebody gets another role.
    Give(OwnedUserId, Role),
    /// One owner makes another user one, and is an admin from then on.
    HandOver {
        /// Who was the owner.
        from: OwnedUserId,
        /// Who is.
        to: OwnedUserId,
    },
    /// Whether only admins and owners speak; everyone may still react.
    Announcements(bool),
}

/// The type of reactions, which are not silenced where only some speak.
const REACTION: &str = "m.reaction";

/// The content of a room's power levels after a change, where it was `levels` before.
pub fn changed_levels(mut levels: JsonObject, change: &RoleChange) -> JsonObject {
    match change {
        RoleChange::Give(user, role) => give(&mut levels, user, *role),
        RoleChange::HandOver { from, to } => {
            give(&mut levels, to, Role::Owner);
            give(&mut levels, from, Role::Admin);
        }
        RoleChange::Announcements(only) => announce(&mut levels, *only),
    }
    levels
}

fn give(levels: &mut JsonObject, user: &UserId, role: Role) {
    let is_default = Int::from(level(levels, "users_default")) == role.level();
    let users = object(levels, "users");
    match is_default {
        true => drop(users.remove(user.as_str())),
        false => drop(users.insert(user.to_string(), i64::from(role.level()).into())),
    }
}

fn announce(levels: &mut JsonObject, only: bool) {
    let members = level(levels, "users_default");
    let (speaks, reacts) = match only {
        true => (i64::from(Role::Admin.level()), Some(members)),
        false => (members.into(), None),
    };
    levels.insert("events_default".to_owned(), speaks.into());
    let events = object(levels, "events");
    match reacts {
        Some(level) => drop(events.insert(REACTION.to_owned(), level.into())),
        None => drop(events.remove(REACTION)),
    }
}

/// An object in another; whatever else stands there gives way.
fn object<'a>(levels: &'a mut JsonObject, key: &str) -> &'a mut JsonObject {
    let value = levels.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(JsonObject::new());
    }
    value.as_object_mut().expect("it was made one")
}

/// A level that is zero where nothing is said. Older versions also wrote them as text.
fn level(levels: &JsonObject, key: &str) -> i32 {
    let value = levels.get(key);
    let number =
        value.and_then(|value| value.as_i64().or_else(|| value.as_str()?.trim().parse().ok()));
    number.and_then(|number| i32::try_from(number).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ruma::owned_user_id;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_power_is_the_highest_role_that_it_suffices_for() {
        let check = |power: i32, expected: Role| {
            let role = Role::of(UserPowerLevel::Int(power.into()));
            assert_eq!(role, expected, "{power}");
        };
        check(-1, Role::Member);
        check(0, Role::Member);
        check(49, Role::Member);
        check(50, Role::Admin);
        check(99, Role::Admin);
        check(100, Role::Owner);
        check(i32::MAX, Role::Owner);
        assert_eq!(Role::of(UserPowerLevel::Infinite), Role::Owner, "creators of new versions");
    }

    #[test]
    fn a_role_is_what_its_level_makes() {
        for role in [Role::Member, Role::Admin, Role::Owner] {
            assert_eq!(Role::of(UserPowerLevel::Int(role.level())), role);
        }
        assert!(Role::Owner > Role::Admin && Role::Admin > Role::Member);
    }

    #[track_caller]
    fn check(levels: Value, change: RoleChange, expected: Value) {
        let Value::Object(before) = levels.clone() else { panic!("levels are an object") };
        let after = Value::Object(changed_levels(before, &change));
        assert_eq!(after, expected, "{change:?} of {levels}");
    }

    #[test]
    fn a_role_is_given_by_a_level_and_a_members_needs_none() {
        let give = |role| RoleChange::Give(owned_user_id!("@b:x"), role);
        check(json!({}), give(Role::Admin), json!({ "users": { "@b:x": 50 } }));
        let two = json!({ "users": { "@a:x": 100, "@b:x": 50 }, "ban": 50 });
        check(
            two.clone(),
            give(Role::Owner),
            json!({ "users": { "@a:x": 100, "@b:x": 100 }, "ban": 50 }),
        );
        check(two, give(Role::Member), json!({ "users": { "@a:x": 100 }, "ban": 50 }));
        let high = json!({ "users_default": 50, "users": { "@b:x": 100 } });
        check(
            high.clone(),
            give(Role::Member),
            json!({ "users_default": 50, "users": { "@b:x": 0 } }),
        );
        check(high, give(Role::Admin), json!({ "users_default": 50, "users": {} }));
        check(json!({ "users": 7 }), give(Role::Admin), json!({ "users": { "@b:x": 50 } }));
    }

    #[test]
    fn who_hands_over_stays_an_admin() {
        let change =
            RoleChange::HandOver { from: owned_user_id!("@a:x"), to: owned_user_id!("@b:x") };
        let before = json!({ "users": { "@a:x": 100 } });
        check(before, change, json!({ "users": { "@a:x": 50, "@b:x": 100 } }));
    }

    #[test]
    fn where_only_some_speak_everyone_reacts() {
        let quiet =
            json!({ "events_default": 50, "events": { "m.reaction": 0, "m.room.name": 50 } });
        let open = json!({ "events_default": 0, "events": { "m.room.name": 50 } });
        check(open.clone(), RoleChange::Announcements(true), quiet.clone());
        check(quiet.clone(), RoleChange::Announcements(true), quiet.clone());
        check(quiet, RoleChange::Announcements(false), open);
    }
}
