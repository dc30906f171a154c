//! What the store keeps of rooms that are for two, and of users who ask to be friends.

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use tertulia_storage::{KeyError, KeyPart, Position, Reader, Writer, record};

/// What makes a room direct for a user. Either is written where its source is, and by nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DirectBy {
    /// An invite that said so, which the user sent or got.
    Invite,
    /// The user's own `m.direct`.
    List,
}

impl DirectBy {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Invite, Self::List];
}

impl KeyPart for DirectBy {
    fn write(&self, out: &mut Writer) {
        KeyPart::write(&(*self as u8), out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        match <u8 as KeyPart>::read(input)? {
            0 => Ok(Self::Invite),
            1 => Ok(Self::List),
            _ => Err(KeyError::Invalid),
        }
    }
}

/// With whom a room is direct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectWith {
    /// The others, in no order.
    pub others: Vec<OwnedUserId>,
}
record!(DirectWith = 1 { others });

/// A friend request on its way into the room that is chosen for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairRow {
    /// Who asks.
    pub by: OwnedUserId,
    /// The room.
    pub room: OwnedRoomId,
    /// The version of the room.
    pub version: String,
    /// The create event of a new room, which fixes its ID; none where one is used that is there.
    pub create: Option<String>,
    /// The member event of the other that the invite is to replace; none if they never had anything
    /// to do with the room. Where another one is in force, the invite was placed already.
    pub replaces: Option<OwnedEventId>,
    /// Why the asker asks.
    pub reason: Option<String>,
}
record!(PairRow = 1 { by, room, version, create, replaces, reason });

/// That the server put a room into a user's `m.direct`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectListed {
    /// What happened that made it do so, which makes it do so once.
    pub because: Position,
    /// Where that was written: who was told what happened up to there has been told of it.
    pub at: Position,
}
record!(DirectListed = 1 { because, at });

#[cfg(test)]
mod tests {
    use ruma::{owned_event_id, owned_room_id, owned_user_id};
    use tertulia_storage::Key;

    use super::*;
    use crate::schema::golden::check;

    #[test]
    fn rows_are_stored_as_they_were_first_released() {
        check(&DirectWith { others: vec![owned_user_id!("@b:x")] }, b"\x01\x01\x04@b:x");
        let row = PairRow {
            by: owned_user_id!("@a:x"),
            room: owned_room_id!("!r:x"),
            version: "12".to_owned(),
            create: Some("{}".to_owned()),
            replaces: None,
            reason: Some("hi".to_owned()),
        };
        check(&row, b"\x01\x04@a:x\x04!r:x\x0212\x01\x02{}\x00\x01\x02hi");
        let again = PairRow { create: None, replaces: Some(owned_event_id!("$e")), ..row };
        check(&again, b"\x01\x04@a:x\x04!r:x\x0212\x00\x01\x02$e\x01\x02hi");
        let (because, at) = (Position::new(7), Position::new(9));
        let golden = b"\x01\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x09";
        check(&DirectListed { because, at }, golden);
    }

    #[test]
    fn keys_keep_their_form() {
        let key = (owned_user_id!("@a:x"), owned_room_id!("!r:x"), DirectBy::List);
        let bytes = Key::encode(&key);
        assert_eq!(bytes, b"@a:x\x00\x01!r:x\x00\x01\x01");
        assert_eq!(
            <(OwnedUserId, ruma::OwnedRoomId, DirectBy)>::read(&mut Reader::new(&bytes)).unwrap(),
            key
        );
        assert!(<DirectBy as KeyPart>::read(&mut Reader::new(b"\x02")).is_err());
    }
}
