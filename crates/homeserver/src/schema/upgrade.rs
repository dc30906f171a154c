//! What the store keeps of rooms that are being replaced.

use ruma::OwnedUserId;
use tertulia_storage::record;

/// The replacement of a room, from the decision until everything is in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradeRow {
    /// Who replaces the room.
    pub by: OwnedUserId,
    /// The version of the new room.
    pub version: String,
    /// The create event of the new room, which fixes its ID.
    pub create: String,
    /// Whether the old room says that it was replaced.
    pub told: bool,
}
record!(UpgradeRow = 1 { by, version, create, told });

#[cfg(test)]
mod tests {
    use ruma::owned_user_id;

    use super::*;
    use crate::schema::golden::check;

    #[test]
    fn rows_are_stored_as_they_were_first_released() {
        let row = UpgradeRow {
            by: owned_user_id!("@a:x"),
            version: "12".to_owned(),
            create: "{}".to_owned(),
            told: true,
        };
        check(&row, b"\x01\x04@a:x\x0212\x02{}\x01");
    }
}
