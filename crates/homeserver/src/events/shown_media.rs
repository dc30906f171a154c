//! Which events show which files: an index beside the events, so that it is known of a file whether
//! anyone can still come upon it.

use ruma::{OwnedEventId, OwnedServerName, RoomId};
use serde_json::value::RawValue;
use tertulia_protocol::{Pdu, media_uris};
use tertulia_storage::Tx;

use crate::schema::MEDIA_EVENTS;

type Key = (OwnedServerName, String, OwnedEventId);

/// The rows of an event with this content.
fn keys(event: &OwnedEventId, content: &RawValue) -> Vec<Key> {
    let uris = media_uris(content);
    let parts = uris.iter().filter_map(|uri| uri.parts().ok());
    parts.map(|(server, id)| (server.to_owned(), id.to_owned(), event.clone())).collect()
}

/// Notes which files `event` shows. An event that shows none costs no row.
pub(super) fn note(tx: &mut Tx, room: &RoomId, event: &Pdu) {
    for key in keys(event.event_id(), event.content()) {
        tx.put(&MEDIA_EVENTS, &key, &(room.to_owned(),));
    }
}

/// Forgets which files an event with this content showed; tells how many.
pub(crate) fn forget_media(tx: &mut Tx, event: &OwnedEventId, content: &RawValue) -> usize {
    let keys = keys(event, content);
    keys.iter().for_each(|key| tx.delete(&MEDIA_EVENTS, key));
    keys.len()
}

/// Forgets the files that a redaction took from `event`: `left` is what it left.
pub(super) fn forget_taken(tx: &mut Tx, event: &Pdu, left: &Pdu) {
    let left = keys(left.event_id(), left.content());
    for key in keys(event.event_id(), event.content()) {
        if !left.contains(&key) {
            tx.delete(&MEDIA_EVENTS, &key);
        }
    }
}

#[cfg(test)]
mod tests;
