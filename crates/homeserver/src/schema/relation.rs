//! What the store keeps of events that relate to others.

use ruma::{OwnedEventId, OwnedUserId};
use tertulia_storage::record;

use super::Ordinal;

/// What relates to an event, as far as it is told with the event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Related {
    /// The most recent valid edit.
    pub edit: Option<Edit>,
    /// The thread that begins at the event.
    pub thread: Option<Thread>,
    /// How many events refer to it.
    pub references: u32,
}
record!(Related = 1 { edit, thread, references });

/// An edit of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// When it was sent, by its sender's word, in milliseconds since 1970.
    pub sent: u64,
    /// The event.
    pub event: OwnedEventId,
    /// The stretch of the timeline it stands in.
    pub stretch: u32,
    /// Its place there.
    pub place: Ordinal,
}
record!(Edit = 1 { sent, event, stretch, place });

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// How many events are in it, beside its root.
    pub count: u32,
    /// The newest one.
    pub latest: OwnedEventId,
    /// Who sent that.
    pub sender: OwnedUserId,
    /// The stretch of the timeline it stands in.
    pub stretch: u32,
    /// Its place there.
    pub place: Ordinal,
}
record!(Thread = 1 { count, latest, sender, stretch, place });

/// An event that relates to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationRow {
    /// The event.
    pub event: OwnedEventId,
    /// How it relates.
    pub rel_type: String,
    /// Its type.
    pub kind: String,
    /// Who sent it.
    pub sender: OwnedUserId,
    /// When it was sent, by its sender's word, in milliseconds since 1970.
    pub sent: u64,
    /// Whether it counts as what it says it is; false while the other event is not here.
    pub counts: bool,
}
record!(RelationRow = 1 { event, rel_type, kind, sender, sent, counts });

#[cfg(test)]
mod tests {
    use ruma::{owned_event_id, owned_user_id};
    use tertulia_storage::Position;

    use super::*;
    use crate::schema::golden::{check, hex};

    #[test]
    fn relations_keep_their_form() {
        let (event, sender) = (owned_event_id!("$e"), owned_user_id!("@a:x"));
        let (stretch, place) = (2, Ordinal::Live(Position::new(9)));
        let edit = Some(Edit { sent: 300, event: event.clone(), stretch, place });
        let thread = Thread { count: 3, latest: event.clone(), sender, stretch, place };
        let related = Related { edit, thread: Some(thread), references: 4 };
        let edit = "01ac0202246502010000000000000009";
        let thread = "01030224650440613a7802010000000000000009";
        check(&related, hex(&["0101", edit, "01", thread, "04"].concat()));
        let row = RelationRow {
            event,
            rel_type: "m.thread".to_owned(),
            kind: "m".to_owned(),
            sender: owned_user_id!("@a:x"),
            sent: 300,
            counts: true,
        };
        check(&row, hex("01022465086d2e746872656164016d0440613a78ac0201"));
    }
}
