//! What the store keeps of the directories of rooms and of users.

use ruma::{OwnedRoomAliasId, OwnedUserId};
use tertulia_storage::record;

/// That a room is to be in the public room directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedRoom {
    /// Who wanted it there.
    pub by: OwnedUserId,
    /// Since when, in milliseconds since 1970.
    pub at: u64,
}
record!(PublishedRoom = 1 { by, at });

/// What the public room directory shows of a room, beside how many are in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicRoom {
    /// Its main alias.
    pub canonical_alias: Option<OwnedRoomAliasId>,
    /// Its name.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// Its picture.
    pub avatar_url: Option<String>,
    /// Who may join.
    pub join_rule: String,
    /// What kind of room it is, if no ordinary one.
    pub room_type: Option<String>,
    /// Whether everyone may read it.
    pub world_readable: bool,
    /// Whether guests may join.
    pub guest_can_join: bool,
}
record!(PublicRoom = 1 {
    canonical_alias, name, topic, avatar_url, join_rule, room_type, world_readable, guest_can_join
});

/// What the user directory shows of a user, and how it finds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedUser {
    /// Whether everyone may find the user: they are in a room that is open to all.
    pub open: bool,
    /// The name of the profile.
    pub displayname: Option<String>,
    /// The picture of the profile.
    pub avatar_url: Option<String>,
    /// The words of the user name and of the name of the profile, sorted.
    pub words: Vec<String>,
}
record!(ListedUser = 1 { open, displayname, avatar_url, words });

#[cfg(test)]
mod tests {
    use ruma::{owned_room_alias_id, owned_user_id};

    use super::*;
    use crate::schema::golden::check;

    #[test]
    fn directories_keep_their_form() {
        let published = PublishedRoom { by: owned_user_id!("@a:x"), at: 1_000 };
        check(&published, b"\x01\x04@a:x\xe8\x07");
        let room = PublicRoom {
            canonical_alias: Some(owned_room_alias_id!("#a:x")),
            name: Some("N".to_owned()),
            topic: None,
            avatar_url: Some("mxc://x/a".to_owned()),
            join_rule: "knock".to_owned(),
            room_type: None,
            world_readable: true,
            guest_can_join: false,
        };
        check(&room, b"\x01\x01\x04#a:x\x01\x01N\x00\x01\x09mxc://x/a\x05knock\x00\x01\x00");
        let user = ListedUser {
            open: true,
            displayname: Some("A B".to_owned()),
            avatar_url: None,
            words: vec!["a".to_owned(), "b".to_owned()],
        };
        check(&user, b"\x01\x01\x01\x03A B\x00\x02\x01a\x01b");
    }
}
