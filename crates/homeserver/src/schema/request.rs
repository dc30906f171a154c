//! What the store keeps of requests.

use ruma::{OwnedRoomId, OwnedUserId};
use tertulia_protocol::{RequestKind, RequestState};
use tertulia_storage::{Field, KeyError, KeyPart, Position, Reader, ValueError, Writer, record};

use super::unknown;

/// On which page of a user a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestBox {
    /// On that of what others ask the user.
    Received,
    /// On that of what the user asks.
    Sent,
}

impl KeyPart for RequestBox {
    fn write(&self, out: &mut Writer) {
        KeyPart::write(&(*self as u8), out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        match <u8 as KeyPart>::read(input)? {
            0 => Ok(Self::Received),
            1 => Ok(Self::Sent),
            _ => Err(KeyError::Invalid),
        }
    }
}

impl Field for RequestBox {
    fn write(&self, out: &mut Writer) {
        Field::write(&(*self as u8), out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        match <u8 as Field>::read(input)? {
            0 => Ok(Self::Received),
            1 => Ok(Self::Sent),
            tag => Err(unknown("page of requests", tag)),
        }
    }
}

/// A request, as it stands on one page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRow {
    /// What is asked, by its place in [`RequestKind::ALL`].
    pub kind: u8,
    /// Into which room.
    pub room: OwnedRoomId,
    /// The one it is about: who is invited, or knocks.
    pub subject: OwnedUserId,
    /// Who asks.
    pub asker: OwnedUserId,
    /// Why.
    pub reason: Option<String>,
    /// When, by the asker's word, in milliseconds since 1970.
    pub asked: u64,
    /// What has become of it, by its place in [`RequestState::ALL`].
    pub state: u8,
    /// When that was, as `asked`; none while it waits.
    pub ended: Option<u64>,
    /// How the room was called when it was asked.
    pub room_name: Option<String>,
    /// Its picture then.
    pub room_avatar: Option<String>,
}
record!(RequestRow = 2 { kind, room, subject, asker, reason, asked, state, ended }
    since 2 { room_name = None, room_avatar = None });

impl RequestRow {
    /// What is asked.
    pub fn kind(&self) -> RequestKind {
        kind(self.kind)
    }

    /// What has become of it.
    pub fn state(&self) -> RequestState {
        RequestState::ALL.get(usize::from(self.state)).copied().unwrap_or(RequestState::Void)
    }
}

/// A request that waits, and on whose pages it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    /// What is asked, by its place in [`RequestKind::ALL`].
    pub kind: u8,
    /// Under which position it stands there.
    pub at: Position,
    /// On whose pages, and on which.
    pub pages: Vec<RequestPage>,
    /// Whether whoever is asked does not want to hear of it, so that it is on none of theirs.
    pub hidden: bool,
}
record!(OpenRequest = 2 { kind, at, pages } since 2 { hidden = false });

impl OpenRequest {
    /// What is asked.
    pub fn kind(&self) -> RequestKind {
        kind(self.kind)
    }
}

fn kind(number: u8) -> RequestKind {
    RequestKind::ALL.get(usize::from(number)).copied().unwrap_or(RequestKind::Group)
}

/// One page of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPage {
    /// Whose.
    pub user: OwnedUserId,
    /// Which.
    pub page: RequestBox,
}
record!(RequestPage = 1 { user, page });

#[cfg(test)]
mod tests {
    use ruma::{owned_room_id, owned_user_id};

    use super::*;
    use crate::schema::golden::{check, check_old};

    #[test]
    fn rows_are_stored_as_they_were_first_released() {
        let row = RequestRow {
            kind: 1,
            room: owned_room_id!("!r:x"),
            subject: owned_user_id!("@b:x"),
            asker: owned_user_id!("@a:x"),
            reason: Some("why".to_owned()),
            asked: 300,
            state: 2,
            ended: None,
            room_name: None,
            room_avatar: None,
        };
        let golden = b"\x01\x01\x04!r:x\x04@b:x\x04@a:x\x01\x03why\xac\x02\x02\x00";
        check_old(&row, golden);
        check(&row, b"\x02\x01\x04!r:x\x04@b:x\x04@a:x\x01\x03why\xac\x02\x02\x00\x00\x00");
        assert_eq!((row.kind(), row.state()), (RequestKind::Group, RequestState::Refused));
        let pages = vec![RequestPage { user: owned_user_id!("@a:x"), page: RequestBox::Sent }];
        let open = OpenRequest { kind: 2, at: Position::new(9), pages, hidden: false };
        let golden = b"\x01\x02\x00\x00\x00\x00\x00\x00\x00\x09\x01\x01\x04@a:x\x01";
        check_old(&open, golden);
        check(&open, b"\x02\x02\x00\x00\x00\x00\x00\x00\x00\x09\x01\x01\x04@a:x\x01\x00");
    }

    #[test]
    fn numbers_of_later_programs_count_as_something_that_has_ended() {
        let row = RequestRow {
            kind: 9,
            room: owned_room_id!("!r:x"),
            subject: owned_user_id!("@b:x"),
            asker: owned_user_id!("@a:x"),
            reason: None,
            asked: 0,
            state: 9,
            ended: Some(1),
            room_name: None,
            room_avatar: None,
        };
        assert_eq!((row.kind(), row.state()), (RequestKind::Group, RequestState::Void));
    }
}
