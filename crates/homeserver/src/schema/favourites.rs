//! What the store keeps of favourites, beside the bookmarks in the account data.

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use tertulia_protocol::{BookmarkNames, MessageKind};
use tertulia_storage::{Field, KeyError, KeyPart, Reader, ValueError, Writer, record};

/// One of a user's bookmarks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BookmarkKey {
    /// Under which names its item is kept.
    pub names: BookmarkNames,
    /// Its ID.
    pub id: String,
}

impl KeyPart for BookmarkKey {
    fn write(&self, out: &mut Writer) {
        KeyPart::write(&(self.names as u8), out);
        KeyPart::write(&self.id, out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        Ok(Self { names: names(input)?, id: KeyPart::read(input)? })
    }
}

fn names(input: &mut Reader<'_>) -> Result<BookmarkNames, KeyError> {
    let tag: u8 = KeyPart::read(input)?;
    BookmarkNames::ALL.get(usize::from(tag)).copied().ok_or(KeyError::Invalid)
}

/// A list that favourites stand in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FavouriteList {
    /// All bookmarks under these names: what their index lists.
    Index(BookmarkNames),
    /// All messages; one with several bookmarks stands here for one of them, as in all that follow.
    All,
    /// The messages of a kind.
    Kind(MessageKind),
    /// The messages of a room.
    Room(OwnedRoomId),
    /// The messages in which a word occurs.
    Word(String),
}

impl KeyPart for FavouriteList {
    fn write(&self, out: &mut Writer) {
        let tag = |tag: u8, out: &mut Writer| KeyPart::write(&tag, out);
        match self {
            Self::Index(names) => {
                tag(0, out);
                KeyPart::write(&(*names as u8), out);
            }
            Self::All => tag(1, out),
            Self::Kind(kind) => {
                tag(2, out);
                KeyPart::write(&(*kind as u8), out);
            }
            Self::Room(room) => {
                tag(3, out);
                KeyPart::write(room, out);
            }
            Self::Word(word) => {
                tag(4, out);
                KeyPart::write(word, out);
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        Ok(match <u8 as KeyPart>::read(input)? {
            0 => Self::Index(names(input)?),
            1 => Self::All,
            2 => {
                let tag: u8 = KeyPart::read(input)?;
                let kind = MessageKind::ALL.get(usize::from(tag)).copied();
                Self::Kind(kind.ok_or(KeyError::Invalid)?)
            }
            3 => Self::Room(KeyPart::read(input)?),
            4 => Self::Word(KeyPart::read(input)?),
            _ => return Err(KeyError::Invalid),
        })
    }
}

/// A bookmark that counts: what it is about, and where it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FavouriteRow {
    /// When it was made, as its item says, in milliseconds since 1970.
    pub at: u64,
    /// The room of the message.
    pub room: OwnedRoomId,
    /// The message.
    pub event: OwnedEventId,
    /// The edit of the message that the user saw, if it had been edited.
    pub edit: Option<OwnedEventId>,
    /// The kind of the message, by its number in [`MessageKind::ALL`].
    pub kind: u8,
    /// The words by which it is found, sorted.
    pub words: Vec<String>,
    /// Whether it stands for its message: of several bookmarks of one message one does.
    pub listed: bool,
}
record!(FavouriteRow = 1 { at, room, event, edit, kind, words, listed });

impl FavouriteRow {
    /// The kind of the message.
    pub fn kind(&self) -> MessageKind {
        MessageKind::ALL.get(usize::from(self.kind)).copied().unwrap_or(MessageKind::Other)
    }

    /// The lists in which it stands.
    pub fn lists(&self, names: BookmarkNames) -> Vec<FavouriteList> {
        let mut lists = vec![FavouriteList::Index(names)];
        if self.listed {
            lists.extend([FavouriteList::All, FavouriteList::Kind(self.kind())]);
            lists.push(FavouriteList::Room(self.room.clone()));
            lists.extend(self.words.iter().cloned().map(FavouriteList::Word));
        }
        lists
    }
}

/// A message as its keeper saw it when keeping it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Its room.
    pub room: OwnedRoomId,
    /// Its event.
    pub event: OwnedEventId,
    /// Its type.
    pub event_type: String,
    /// Who sent it.
    pub sender: OwnedUserId,
    /// Its `msgtype`.
    pub msgtype: Option<String>,
    /// The edit that was seen of it.
    pub edit: Option<OwnedEventId>,
    /// Its content as JSON; none if it was redacted since.
    pub content: Option<String>,
}
record!(SnapshotRow = 1 { room, event, event_type, sender, msgtype, edit, content });

/// How a bookmark knows an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is of the event.
    Message,
    /// It is of a message of which the event is the edit that was seen.
    Edit,
}

impl Field for Kept {
    fn write(&self, out: &mut Writer) {
        out.byte(*self as u8);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        match input.byte()? {
            0 => Ok(Self::Message),
            1 => Ok(Self::Edit),
            tag => Err(super::unknown("way in which an event is kept", tag)),
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::{owned_event_id, owned_room_id, owned_user_id};
    use tertulia_storage::Descending;

    use super::*;
    use crate::schema::golden::{check, check_key};

    fn row() -> FavouriteRow {
        FavouriteRow {
            at: 300,
            room: owned_room_id!("!r:x"),
            event: owned_event_id!("$e"),
            edit: None,
            kind: 1,
            words: vec!["a".to_owned()],
            listed: true,
        }
    }

    #[test]
    fn rows_are_stored_as_they_were_first_released() {
        check(&row(), b"\x01\xac\x02\x04!r:x\x02$e\x00\x01\x01\x01a\x01");
        let snapshot = SnapshotRow {
            room: owned_room_id!("!r:x"),
            event: owned_event_id!("$e"),
            event_type: "t".to_owned(),
            sender: owned_user_id!("@a:x"),
            msgtype: None,
            edit: Some(owned_event_id!("$f")),
            content: Some("{}".to_owned()),
        };
        check(&snapshot, b"\x01\x04!r:x\x02$e\x01t\x04@a:x\x00\x01\x02$f\x01\x02{}");
        check(&(Kept::Message,), b"\x01\x00");
        check(&(Kept::Edit,), b"\x01\x01");
        assert!(<Kept as Field>::read(&mut Reader::new(&[2])).is_err());
    }

    #[test]
    fn lists_and_bookmarks_are_found_by_these_keys() {
        let key = BookmarkKey { names: BookmarkNames::Stable, id: "b".to_owned() };
        check_key(&(key.clone(), 1_u8), b"\x01b\x00\x01\x01");
        let in_list = |list| (list, Descending(1_u64), key.clone());
        let rest = b"\xff\xff\xff\xff\xff\xff\xff\xfe\x01b\x00\x01";
        for (list, golden) in [
            (FavouriteList::Index(BookmarkNames::Unstable), &b"\x00\x00"[..]),
            (FavouriteList::All, b"\x01"),
            (FavouriteList::Kind(MessageKind::Other), b"\x02\x05"),
            (FavouriteList::Room(owned_room_id!("!r:x")), b"\x03!r:x\x00\x01"),
            (FavouriteList::Word("w".to_owned()), b"\x04w\x00\x01"),
        ] {
            check_key(&in_list(list), [golden, rest].concat());
        }
        for unknown in [&[5][..], &[0, 2], &[2, 6]] {
            assert!(<FavouriteList as KeyPart>::read(&mut Reader::new(unknown)).is_err());
        }
        assert!(<BookmarkKey as KeyPart>::read(&mut Reader::new(&[2, b'a', 0, 1])).is_err());
    }

    #[test]
    fn only_one_bookmark_of_a_message_stands_in_the_lists_of_messages() {
        let index = FavouriteList::Index(BookmarkNames::Unstable);
        let hidden = FavouriteRow { listed: false, ..row() };
        assert_eq!(hidden.lists(BookmarkNames::Unstable), std::slice::from_ref(&index));
        let lists = [
            index,
            FavouriteList::All,
            FavouriteList::Kind(MessageKind::Image),
            FavouriteList::Room(owned_room_id!("!r:x")),
            FavouriteList::Word("a".to_owned()),
        ];
        assert_eq!(row().lists(BookmarkNames::Unstable), lists);
        assert_eq!(FavouriteRow { kind: 99, ..row() }.kind(), MessageKind::Other);
    }
}
