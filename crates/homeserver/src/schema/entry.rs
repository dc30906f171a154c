//! The entries of the log.

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use tertulia_storage::{Field, Reader, Value, ValueError, Writer};

use super::unknown;

/// Something that happened, and that a client can be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An event took its place in a room's timeline, or changed the state from outside it.
    Event {
        /// The room.
        room: OwnedRoomId,
        /// The event.
        event: OwnedEventId,
        /// The user whose membership the event sets, if it is a member event.
        member: Option<OwnedUserId>,
    },
    /// A user marked a room's events as read.
    Receipt {
        /// The room.
        room: OwnedRoomId,
        /// Who has read.
        user: OwnedUserId,
        /// Whether only the reader may be told.
        private: bool,
    },
    /// A user's account data changed.
    AccountData {
        /// Whose.
        user: OwnedUserId,
        /// The room it is about; none for global data.
        room: Option<OwnedRoomId>,
        /// The type of the data.
        kind: String,
    },
    /// A user's profile changed.
    Profile {
        /// Whose.
        user: OwnedUserId,
    },
    /// An account was closed; its user leaves all rooms.
    Deactivated {
        /// Whose.
        user: OwnedUserId,
    },
    /// A user forgot a room: it disappears from the user's lists.
    Forgotten {
        /// Who.
        user: OwnedUserId,
        /// Which.
        room: OwnedRoomId,
    },
    /// A room's state began anew from another base.
    Generation {
        /// The room.
        room: OwnedRoomId,
        /// The user of this server whose membership is another by it; none for the room itself.
        member: Option<OwnedUserId>,
    },
    /// An account was locked, suspended, or given back to its user.
    Restricted {
        /// Whose.
        user: OwnedUserId,
    },
    /// What a user's own list says of some rooms, whether they are direct and with whom, was taken over.
    Relisted {
        /// Whose.
        user: OwnedUserId,
        /// Which.
        rooms: Vec<OwnedRoomId>,
    },
}

impl Value for Entry {
    fn write(&self, out: &mut Writer) {
        Field::write(&1_u8, out);
        let mut parts = Parts(out);
        match self {
            Self::Event { room, event, member } => parts.tag(0).add(room).add(event).add(member),
            Self::Receipt { room, user, private } => parts.tag(1).add(room).add(user).add(private),
            Self::AccountData { user, room, kind } => parts.tag(2).add(user).add(room).add(kind),
            Self::Profile { user } => parts.tag(3).add(user),
            Self::Deactivated { user } => parts.tag(4).add(user),
            Self::Forgotten { user, room } => parts.tag(5).add(user).add(room),
            Self::Generation { room, member } => parts.tag(6).add(room).add(member),
            Self::Restricted { user } => parts.tag(7).add(user),
            Self::Relisted { user, rooms } => parts.tag(8).add(user).add(rooms),
        };
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        let version: u8 = Field::read(input)?;
        if version != 1 {
            return Err(unknown("version of a log entry", version));
        }
        Ok(match <u8 as Field>::read(input)? {
            0 => Self::Event {
                room: Field::read(input)?,
                event: Field::read(input)?,
                member: Field::read(input)?,
            },
            1 => Self::Receipt {
                room: Field::read(input)?,
                user: Field::read(input)?,
                private: Field::read(input)?,
            },
            2 => Self::AccountData {
                user: Field::read(input)?,
                room: Field::read(input)?,
                kind: Field::read(input)?,
            },
            3 => Self::Profile { user: Field::read(input)? },
            4 => Self::Deactivated { user: Field::read(input)? },
            5 => Self::Forgotten { user: Field::read(input)?, room: Field::read(input)? },
            6 => Self::Generation { room: Field::read(input)?, member: Field::read(input)? },
            7 => Self::Restricted { user: Field::read(input)? },
            8 => Self::Relisted { user: Field::read(input)?, rooms: Field::read(input)? },
            tag => return Err(unknown("kind of log entry", tag)),
        })
    }
}

/// Writes one part after the other.
struct Parts<'a>(&'a mut Writer);

impl Parts<'_> {
    fn tag(&mut self, tag: u8) -> &mut Self {
        self.add(&tag)
    }

    fn add<T: Field>(&mut self, part: &T) -> &mut Self {
        part.write(self.0);
        self
    }
}

#[cfg(test)]
mod tests {
    use ruma::{event_id, room_id, user_id};

    use super::*;
    use crate::schema::golden::check;

    #[test]
    fn entries_are_stored_as_these_bytes_for_ever() {
        let (room, user) = (room_id!("!r:x").to_owned(), user_id!("@u:x").to_owned());
        let event = event_id!("$e").to_owned();
        let member = Some(user.clone());
        check(
            &Entry::Event { room: room.clone(), event, member },
            b"\x01\x00\x04!r:x\x02$e\x01\x04@u:x",
        );
        let receipt = Entry::Receipt { room: room.clone(), user: user.clone(), private: true };
        check(&receipt, b"\x01\x01\x04!r:x\x04@u:x\x01");
        let data = Entry::AccountData { user: user.clone(), room: None, kind: "k".to_owned() };
        check(&data, b"\x01\x02\x04@u:x\x00\x01k");
        check(&Entry::Profile { user: user.clone() }, b"\x01\x03\x04@u:x");
        check(&Entry::Deactivated { user: user.clone() }, b"\x01\x04\x04@u:x");
        let forgotten = Entry::Forgotten { user: user.clone(), room: room.clone() };
        check(&forgotten, b"\x01\x05\x04@u:x\x04!r:x");
        let renewed = Entry::Generation { room: room.clone(), member: None };
        check(&renewed, b"\x01\x06\x04!r:x\x00");
        let of_user = Entry::Generation { room: room.clone(), member: Some(user.clone()) };
        check(&of_user, b"\x01\x06\x04!r:x\x01\x04@u:x");
        check(&Entry::Restricted { user: user.clone() }, b"\x01\x07\x04@u:x");
        let relisted = Entry::Relisted { user, rooms: vec![room] };
        check(&relisted, b"\x01\x08\x04@u:x\x01\x04!r:x");
    }

    #[test]
    fn what_a_newer_server_wrote_is_refused() {
        for bytes in [&b"\x02\x00"[..], b"\x01\x63", b""] {
            assert!(Entry::read(&mut Reader::new(bytes)).is_err(), "{bytes:?}");
        }
    }
}
