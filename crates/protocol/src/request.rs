//! Requests: to be somebody's friend, to come into a group, to be let in. Each is an invite or a knock,
//! and what becomes of it is read from the membership that follows.

use ruma::events::room::member::MembershipState;
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// To be a friend: an invite into a direct room.
    Friend,
    /// To come into a group: any other invite.
    Group,
    /// To be let in: a knock.
    Knock,
}

/// What has become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// It was not answered yet.
    Waiting,
    /// It was granted.
    Accepted,
    /// It was turned down.
    Refused,
    /// Whoever asked has taken it back.
    Withdrawn,
    /// It does not wait any more, for whatever reason.
    Void,
}

impl RequestKind {
    /// Every kind, by its number in the store.
    pub const ALL: [Self; 3] = [Self::Friend, Self::Group, Self::Knock];
}

impl RequestState {
    /// Every state, by its number in the store.
    pub const ALL: [Self; 5] =
        [Self::Waiting, Self::Accepted, Self::Refused, Self::Withdrawn, Self::Void];

    /// What a request of this kind has become once the membership of the one it is about is another;
    /// none is no membership at all. `by_themself` is whether that one made it so.
    pub fn after(
        kind: RequestKind,
        membership: Option<&MembershipState>,
        by_themself: bool,
    ) -> Self {
        use MembershipState::{Ban, Invite, Join, Knock, Leave};
        let is_knock = kind == RequestKind::Knock;
        match membership {
            Some(Join) => Self::Accepted,
            Some(Invite) if is_knock => Self::Accepted,
            Some(Invite) => Self::Waiting,
            Some(Knock) if is_knock => Self::Waiting,
            Some(Leave) if is_knock == by_themself => Self::Withdrawn,
            Some(Leave) => Self::Refused,
            Some(Ban) if is_knock => Self::Refused,
            _ => Self::Void,
        }
    }

    /// The same as whoever asked is told of it: that they were refused is not their business.
    #[must_use]
    pub fn for_asker(self) -> Self {
        if self == Self::Refused { Self::Void } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_membership_that_follows_says_what_became_of_a_request() {
        use MembershipState::{Ban, Invite, Join, Knock, Leave};
        let check = |kind, membership: Option<MembershipState>, by_themself, expected| {
            let state = RequestState::after(kind, membership.as_ref(), by_themself);
            assert_eq!(state, expected, "{kind:?} {membership:?} {by_themself}");
        };
        for invite in [RequestKind::Friend, RequestKind::Group] {
            check(invite, Some(Join), true, RequestState::Accepted);
            check(invite, Some(Leave), true, RequestState::Refused);
            check(invite, Some(Leave), false, RequestState::Withdrawn);
            check(invite, Some(Invite), false, RequestState::Waiting);
            check(invite, Some(Ban), false, RequestState::Void);
            check(invite, Some(Knock), true, RequestState::Void);
            check(invite, None, false, RequestState::Void);
        }
        let knock = RequestKind::Knock;
        check(knock, Some(Invite), false, RequestState::Accepted);
        check(knock, Some(Join), true, RequestState::Accepted);
        check(knock, Some(Leave), true, RequestState::Withdrawn);
        check(knock, Some(Leave), false, RequestState::Refused);
        check(knock, Some(Ban), false, RequestState::Refused);
        check(knock, Some(Knock), true, RequestState::Waiting);
        check(knock, None, false, RequestState::Void);
    }

    #[test]
    fn whoever_asked_is_not_told_that_they_were_refused() {
        for state in RequestState::ALL {
            let told = state.for_asker();
            assert_ne!(told, RequestState::Refused);
            assert_eq!(told == state, state != RequestState::Refused);
        }
    }
}
