//! What the store keeps of what users report.

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use tertulia_storage::record;

/// What a user reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRow {
    /// Who reports.
    pub by: OwnedUserId,
    /// The room, if it is about one or an event in it.
    pub room: Option<OwnedRoomId>,
    /// The event, if it is about one.
    pub event: Option<OwnedEventId>,
    /// The user, if it is about one.
    pub user: Option<OwnedUserId>,
    /// Why.
    pub reason: String,
}
record!(ReportRow = 1 { by, room, event, user, reason });

#[cfg(test)]
mod tests {
    use ruma::{owned_event_id, owned_room_id, owned_user_id};

    use super::*;
    use crate::schema::golden::check;

    #[test]
    fn rows_are_stored_as_they_were_first_released() {
        let row = ReportRow {
            by: owned_user_id!("@a:x"),
            room: Some(owned_room_id!("!r:x")),
            event: Some(owned_event_id!("$e")),
            user: None,
            reason: "why".to_owned(),
        };
        check(&row, b"\x01\x04@a:x\x01\x04!r:x\x01\x02$e\x00\x03why");
    }
}
