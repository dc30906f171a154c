//! Who is whose friend: what the memberships of two users in the rooms that are for the two of them
//! say. Nothing else is asked, so that whatever client joins or leaves such a room has decided it.

/// What somebody is to a room that is for two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In it.
    Joined,
    /// Asked in.
    Invited,
    /// Neither.
    Outside,
}

/// A direct room of one user with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectRoom<R> {
    /// Which.
    pub room: R,
    /// What the one is to it.
    pub mine: Place,
    /// What the other is to it.
    pub theirs: Place,
    /// Since when both are what they are.
    pub since: u64,
}

/// What another is to a user, and the room by which they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Friendship<R> {
    /// No friend, and neither asks.
    #[default]
    Stranger,
    /// The user asks them to be a friend, and waits.
    Asked(R),
    /// They ask the user.
    Asking(R),
    /// Both are in a direct room.
    Friend(R),
}

impl<R> Friendship<R> {
    /// What the direct rooms of two users make of the other. Of several rooms that say the same the
    /// one counts that has said so for the longest, for both users alike.
    pub fn by(rooms: impl IntoIterator<Item = DirectRoom<R>>) -> Self {
        let said = rooms.into_iter().filter_map(|direct| {
            let since = direct.since;
            let said = Self::said_by(direct);
            said.rank().map(|rank| (rank, since, said))
        });
        said.min_by_key(|(rank, since, _)| (*rank, *since))
            .map(|(.., said)| said)
            .unwrap_or_default()
    }

    /// What one room says.
    fn said_by(direct: DirectRoom<R>) -> Self {
        let room = direct.room;
        match (direct.mine, direct.theirs) {
            (Place::Joined, Place::Joined) => Self::Friend(room),
            (Place::Invited, Place::Joined) => Self::Asking(room),
            (Place::Joined, Place::Invited) => Self::Asked(room),
            _ => Self::Stranger,
        }
    }

    /// What goes before what, where rooms say different things; none for what says nothing.
    fn rank(&self) -> Option<u8> {
        match self {
            Self::Friend(_) => Some(0),
            // Whoever has asked can be accepted, which ends the matter.
            Self::Asking(_) => Some(1),
            Self::Asked(_) => Some(2),
            Self::Stranger => None,
        }
    }

    /// The room, if there is one.
    pub fn room(&self) -> Option<&R> {
        match self {
            Self::Stranger => None,
            Self::Asked(room) | Self::Asking(room) | Self::Friend(room) => Some(room),
        }
    }

    /// Whether they are friends.
    pub fn is_friend(&self) -> bool {
        matches!(self, Self::Friend(_))
    }
}

#[cfg(test)]
mod tests {
    use super::{Friendship::*, Place::*, *};

    /// Rooms are named by what each is to them, mine first, and the time: `"ji3"`.
    fn room(name: &'static str) -> DirectRoom<&'static str> {
        let place = |at: usize| match name.as_bytes()[at] {
            b'j' => Joined,
            b'i' => Invited,
            _ => Outside,
        };
        DirectRoom {
            room: name,
            mine: place(0),
            theirs: place(1),
            since: name[2..].parse().unwrap(),
        }
    }

    fn mirrored(friendship: Friendship<&'static str>) -> Friendship<&'static str> {
        match friendship {
            Asked(room) => Asking(room),
            Asking(room) => Asked(room),
            same => same,
        }
    }

    #[track_caller]
    fn check(rooms: &[&'static str], expected: Friendship<&'static str>) {
        let told = |rooms: &mut dyn Iterator<Item = &&'static str>| {
            Friendship::by(rooms.map(|name| room(name)))
        };
        assert_eq!(told(&mut rooms.iter()), expected, "{rooms:?}");
        assert_eq!(told(&mut rooms.iter().rev()), expected, "{rooms:?} backwards");
        if rooms.len() < 2 {
            let swap = |direct: DirectRoom<_>| DirectRoom {
                mine: direct.theirs,
                theirs: direct.mine,
                ..direct
            };
            let other = Friendship::by(rooms.iter().map(|name| swap(room(name))));
            assert_eq!(other, mirrored(expected), "{rooms:?} for the other");
        }
        assert_eq!(
            expected.is_friend(),
            expected.room().is_some_and(|room| room.starts_with("jj"))
        );
    }

    #[test]
    fn one_room_says_what_both_are_to_it() {
        check(&[], Stranger);
        check(&["jj1"], Friend("jj1"));
        check(&["ji1"], Asked("ji1"));
        check(&["ij1"], Asking("ij1"));
        for nothing in ["jo1", "oj1", "oo1", "ii1", "io1", "oi1"] {
            check(&[nothing], Stranger);
        }
    }

    #[test]
    fn a_friend_is_one_whatever_else_was_asked_and_who_asks_goes_before_who_was_asked() {
        check(&["ji1", "ij2", "jj3"], Friend("jj3"));
        check(&["ji1", "ij2"], Asking("ij2"));
        check(&["jo1", "ji2", "oo3"], Asked("ji2"));
    }

    #[test]
    fn of_rooms_that_say_the_same_the_oldest_counts() {
        check(&["jj7", "jj3", "jj5"], Friend("jj3"));
        check(&["ij7", "ij3"], Asking("ij3"));
        check(&["ji4", "ji3", "jo1"], Asked("ji3"));
    }
}
