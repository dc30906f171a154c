//! What the store keeps of account data, receipts and aliases.

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, RoomId};
use tertulia_storage::{Field, KeyError, KeyPart, Position, Reader, ValueError, Writer, record};

/// What account data is about: the account, or one room. Global data comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The whole account.
    Global,
    /// One room.
    Room(OwnedRoomId),
}

impl Scope {
    /// The room, if it is about one.
    pub fn room(&self) -> Option<&RoomId> {
        match self {
            Self::Global => None,
            Self::Room(room) => Some(room),
        }
    }
}

impl KeyPart for Scope {
    fn write(&self, out: &mut Writer) {
        match self {
            Self::Global => KeyPart::write(&0_u8, out),
            Self::Room(room) => {
                KeyPart::write(&1_u8, out);
                KeyPart::write(room, out);
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        match <u8 as KeyPart>::read(input)? {
            0 => Ok(Self::Global),
            1 => Ok(Self::Room(KeyPart::read(input)?)),
            _ => Err(KeyError::Invalid),
        }
    }
}

impl Field for Scope {
    fn write(&self, out: &mut Writer) {
        KeyPart::write(self, out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        Ok(KeyPart::read(input)?)
    }
}

/// One type of a user's account data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountDatum {
    /// When it was last set.
    pub at: Position,
    /// The content: a JSON object as the client wrote it.
    pub content: String,
}
record!(AccountDatum = 1 { at, content });

/// Whom a receipt is shown to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReceiptKind {
    /// Everyone in the room: `m.read`.
    Read,
    /// The reader alone: `m.read.private`.
    ReadPrivate,
}

impl KeyPart for ReceiptKind {
    fn write(&self, out: &mut Writer) {
        KeyPart::write(&(*self as u8), out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        match <u8 as KeyPart>::read(input)? {
            0 => Ok(Self::Read),
            1 => Ok(Self::ReadPrivate),
            _ => Err(KeyError::Invalid),
        }
    }
}

impl Field for ReceiptKind {
    fn write(&self, out: &mut Writer) {
        KeyPart::write(self, out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        Ok(KeyPart::read(input)?)
    }
}

/// Up to where a user has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptRow {
    /// When the receipt was given, in the order of the log.
    pub at: Position,
    /// The event read up to.
    pub event: OwnedEventId,
    /// When the receipt was given, in milliseconds since 1970.
    pub ts: u64,
}
record!(ReceiptRow = 1 { at, event, ts });

/// What an alias stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasRow {
    /// The room; none while a room is being made that shall have the alias.
    pub room: Option<OwnedRoomId>,
    /// Who made the alias.
    pub creator: OwnedUserId,
    /// When, in milliseconds since 1970.
    pub created: u64,
}
record!(AliasRow = 1 { room, creator, created });

#[cfg(test)]
mod tests {
    use ruma::{owned_event_id, owned_room_id, owned_user_id};

    use super::*;
    use crate::schema::golden::{check, check_key, hex};

    #[test]
    fn rows_are_stored_as_they_were_first_released() {
        let (at, event) = (Position::new(7), owned_event_id!("$e"));
        check(&AccountDatum { at, content: "{}".to_owned() }, hex("010000000000000007027b7d"));
        check(&ReceiptRow { at, event, ts: 300 }, hex("010000000000000007022465ac02"));
        let room = Some(owned_room_id!("!r:x"));
        check(
            &AliasRow { room, creator: owned_user_id!("@a:x"), created: 9 },
            hex("01010421723a780440613a7809"),
        );
        check(&(Scope::Global, "k".to_owned()), hex("0100016b"));
        check(&(ReceiptKind::ReadPrivate, "main".to_owned()), hex("0101046d61696e"));
    }

    #[test]
    fn global_data_sorts_before_that_of_rooms() {
        check_key(&(Scope::Global, 1_u8), hex("0001"));
        check_key(&(Scope::Room(owned_room_id!("!r:x")), 1_u8), hex("0121723a78000101"));
        check_key(&(ReceiptKind::Read, ReceiptKind::ReadPrivate), hex("0001"));
        assert_eq!(Scope::Room(owned_room_id!("!r:x")).room(), Some(&*owned_room_id!("!r:x")));
        assert_eq!(Scope::Global.room(), None);
        for unknown in [2, 0xff] {
            <Scope as KeyPart>::read(&mut Reader::new(&[unknown])).unwrap_err();
            <ReceiptKind as KeyPart>::read(&mut Reader::new(&[unknown])).unwrap_err();
        }
    }
}
