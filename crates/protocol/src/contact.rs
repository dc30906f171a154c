//! Who may write to a user: the account data `org.tertulia.contact_policy`, which goes beside
//! `m.ignored_user_list` and the configuration of invites that the specification knows.

use serde::Deserialize;

/// Who may invite a user, be it to a direct room or another. The others' invites are placed as usual
/// and not shown, so that whoever sent one cannot tell it from one that waits for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContactPolicy {
    /// Everybody.
    #[default]
    Anyone,
    /// The user's friends, and theirs.
    FriendsOfFriends,
    /// The user's friends.
    Friends,
}

impl ContactPolicy {
    /// The type of the account data.
    pub const KIND: &'static str = "org.tertulia.contact_policy";

    /// Reads the account data. What cannot be read keeps nobody out.
    pub fn read(content: &str) -> Self {
        #[derive(Deserialize)]
        struct Content {
            who: String,
        }
        let content = serde_json::from_str::<Content>(content);
        content.ok().and_then(|content| Self::named(&content.who)).unwrap_or_default()
    }

    /// The policy of this name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "anyone" => Self::Anyone,
            "friends_of_friends" => Self::FriendsOfFriends,
            "friends" => Self::Friends,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::FriendsOfFriends => "friends_of_friends",
            Self::Friends => "friends",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ContactPolicy::*, *};

    #[track_caller]
    fn check(content: &str, expected: ContactPolicy) {
        assert_eq!(ContactPolicy::read(content), expected, "{content}");
    }

    #[test]
    fn a_policy_is_read_by_its_name() {
        for policy in [Anyone, FriendsOfFriends, Friends] {
            check(&format!(r#"{{"who":"{}","more":7}}"#, policy.name()), policy);
        }
    }

    #[test]
    fn what_cannot_be_read_keeps_nobody_out() {
        for odd in ["{}", "[]", "", r#"{"who":7}"#, r#"{"who":"nobody"}"#, r#"{"who":["friends"]}"#]
        {
            check(odd, Anyone);
        }
        assert_eq!(ContactPolicy::named("Friends"), None);
    }
}
