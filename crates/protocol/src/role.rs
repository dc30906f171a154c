//! What somebody is in a group, in words instead of power levels.

use ruma::{Int, events::room::power_levels::UserPowerLevel};
use serde::{Deserialize, Serialize};

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

#[cfg(test)]
mod tests {
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
}
