//! Who may read which part of a room's history.

use ruma::{
    UserId,
    events::{
        StateEventType,
        room::{history_visibility::HistoryVisibility, member::MembershipState},
    },
};
use serde::Deserialize;

use crate::Pdu;

/// What the room's state says at one place about one reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Who may read.
    pub visibility: HistoryVisibility,
    /// The reader's membership.
    pub membership: MembershipState,
}

impl Moment {
    /// Reads the two state events, either of which may be absent.
    pub fn new(visibility: Option<&Pdu>, member: Option<&Pdu>) -> Self {
        Self {
            visibility: visibility.map_or(HistoryVisibility::Shared, visibility_in),
            membership: member.map_or(MembershipState::Leave, membership_in),
        }
    }

    /// The moment after `event`, which matters if the event changes one of the two.
    fn after(&self, event: &Pdu, reader: &UserId) -> Self {
        let mut after = self.clone();
        if event.is_at(&StateEventType::RoomHistoryVisibility, "") {
            after.visibility = visibility_in(event);
        } else if event.is_at(&StateEventType::RoomMember, reader.as_str()) {
            after.membership = membership_in(event);
        }
        after
    }

    /// Whether the reader may see what happens at this moment; `joins_later` is whether the reader joins at any time after.
    pub fn allows(&self, joins_later: bool) -> bool {
        match (&self.visibility, &self.membership) {
            (HistoryVisibility::WorldReadable, _) | (_, MembershipState::Join) => true,
            (HistoryVisibility::Invited, MembershipState::Invite) => true,
            (HistoryVisibility::Invited | HistoryVisibility::Joined, _) => false,
            _ => joins_later,
        }
    }
}

/// The membership in an `m.room.member` event. What cannot be read means that the user is not in the room.
pub fn membership_in(member: &Pdu) -> MembershipState {
    #[derive(Deserialize)]
    struct Content {
        membership: MembershipState,
    }
    member.content_as().map_or(MembershipState::Leave, |content: Content| content.membership)
}

/// The setting in an `m.room.history_visibility` event. What is not understood means `shared`.
pub fn visibility_in(event: &Pdu) -> HistoryVisibility {
    #[derive(Deserialize)]
    struct Content {
        history_visibility: HistoryVisibility,
    }
    let content: Option<Content> = event.content_as();
    match content.map(|content| content.history_visibility) {
        Some(HistoryVisibility::_Custom(_)) | None => HistoryVisibility::Shared,
        Some(known) => known,
    }
}

/// Whether `reader` may see `event`, given the state before it and whether the reader joins the room at any time after it.
///
/// Events that change the visibility or the reader's own membership are seen if the state before or after them allows it.
pub fn can_see(event: &Pdu, reader: &UserId, before: &Moment, joins_later: bool) -> bool {
    before.allows(joins_later) || before.after(event, reader).allows(joins_later)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Room, draft, member, text, user};

    const MEMBERSHIPS: [MembershipState; 5] = [
        MembershipState::Join,
        MembershipState::Invite,
        MembershipState::Knock,
        MembershipState::Leave,
        MembershipState::Ban,
    ];

    /// The memberships that see a message, without and with joining later.
    #[track_caller]
    fn check(visibility: &HistoryVisibility, expected: &str, expected_joining_later: &str) {
        let message = Room::new("11", "public").say(text("@a:x", "hi"));
        for (later, expected) in [(false, expected), (true, expected_joining_later)] {
            let seeing = MEMBERSHIPS.iter().filter(|membership| {
                let visibility = visibility.clone();
                let membership = (*membership).clone();
                let before = Moment { visibility, membership };
                can_see(&message, &user("@b:x"), &before, later)
            });
            let seeing: Vec<_> = seeing.map(ToString::to_string).collect();
            assert_eq!(seeing.join(" "), expected, "{visibility} {later}");
        }
    }

    #[test]
    fn world_readable_history_is_for_all() {
        let all = "join invite knock leave ban";
        check(&HistoryVisibility::WorldReadable, all, all);
    }

    #[test]
    fn shared_history_is_for_those_who_join_later() {
        check(&HistoryVisibility::Shared, "join", "join invite knock leave ban");
        check(&"nonsense".into(), "join", "join invite knock leave ban");
    }

    #[test]
    fn invited_history_begins_with_the_invitation() {
        check(&HistoryVisibility::Invited, "join invite", "join invite");
    }

    #[test]
    fn joined_history_begins_with_the_join() {
        check(&HistoryVisibility::Joined, "join", "join");
    }

    #[test]
    fn without_a_setting_history_is_shared() {
        let moment = Moment::new(None, None);
        assert_eq!(moment.visibility, HistoryVisibility::Shared);
        assert_eq!(moment.membership, MembershipState::Leave);
    }

    /// @b reads the last of `events`, all before it being the state, in a room of `visibility`.
    #[track_caller]
    fn check_last(visibility: &str, events: &[crate::Draft], expected: bool) {
        let mut room = Room::new("11", "public");
        let content = json!({ "history_visibility": visibility });
        room.say(draft("@a:x", "m.room.history_visibility", Some(""), content));
        let (last, first) = events.split_last().unwrap();
        for event in first {
            room.say(event.clone());
        }
        let slot = |kind: &str, key: &str| room.state.get(&(kind.into(), key.to_owned()));
        let own = slot("m.room.member", "@b:x");
        let before = Moment::new(slot("m.room.history_visibility", ""), own);
        let last = room.clone().say(last.clone());
        assert_eq!(can_see(&last, &user("@b:x"), &before, false), expected);
    }

    #[test]
    fn one_sees_ones_own_coming_and_going() {
        let join = member("@b:x", "@b:x", "join");
        check_last("joined", std::slice::from_ref(&join), true);
        check_last("joined", &[join.clone(), member("@b:x", "@b:x", "leave")], true);
        check_last("joined", &[join, member("@a:x", "@b:x", "ban")], true);
        check_last("joined", &[member("@a:x", "@b:x", "invite")], false);
        check_last("invited", &[member("@a:x", "@b:x", "invite")], true);
        check_last("joined", &[member("@c:x", "@c:x", "join")], false);
    }

    #[test]
    fn a_change_of_the_visibility_is_seen_from_both_sides() {
        let set = |visibility: &str| {
            let content = json!({ "history_visibility": visibility });
            draft("@a:x", "m.room.history_visibility", Some(""), content)
        };
        check_last("world_readable", &[set("joined")], true);
        check_last("joined", &[set("world_readable")], true);
        check_last("joined", &[set("shared")], false);
    }
}
