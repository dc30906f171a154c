//! Receipts and read markers: up to where users have read a room.
//!
//! A receipt may move backwards: the specification lets a client say what it likes.

use std::{collections::BTreeMap, ops::Bound};

use ruma::{
    EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId, events::receipt::ReceiptThread,
};
use serde::Serialize;
use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};
use tertulia_storage::{Command, Direction, Partition, Position, Tx, View};

use crate::{
    Error, Result, User,
    events::{Ignored, thread_root},
    log,
    schema::{
        EVENT_META, Entry, MEMBERSHIPS, MembershipKind, RECEIPT_CHANGES, RECEIPTS, ReceiptKind,
        ReceiptRow,
    },
};

/// How many of a user's own receipts of a room, one a thread, are told however old they are.
const MOST_OWN: usize = 1_000;

/// Up to where a user has read a room; what is absent stays as it was.
#[derive(Clone, Debug, Default)]
pub struct ReadMarks {
    /// The last event that the user has certainly read: `m.fully_read`.
    pub fully_read: Option<OwnedEventId>,
    /// The receipt that the room is shown: `m.read`.
    pub read: Option<OwnedEventId>,
    /// The receipt that only the user is shown: `m.read.private`.
    pub read_private: Option<OwnedEventId>,
    /// What the receipts are about; the fully-read marker knows no threads.
    pub thread: ReceiptThread,
}

impl ReadMarks {
    fn receipts(&self) -> Vec<(ReceiptKind, OwnedEventId)> {
        let read = self.read.clone().map(|event| (ReceiptKind::Read, event));
        let private = self.read_private.clone().map(|event| (ReceiptKind::ReadPrivate, event));
        read.into_iter().chain(private).collect()
    }
}

impl User {
    /// Notes up to where the user has read `room`.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] if the user is not in the room, [`Error::NotFound`] if an event is not
    /// there, [`Error::Invalid`] if it is not in the thread.
    pub async fn mark_read(&self, room: &RoomId, marks: ReadMarks) -> Result<()> {
        check(&self.core.store.view().await?, &self.id, room, &marks).await?;
        let receipts = marks.receipts();
        if !receipts.is_empty() {
            let command = GiveReceipts {
                room: room.to_owned(),
                user: self.id.clone(),
                thread: marks.thread.as_str().unwrap_or_default().to_owned(),
                receipts,
                ts: self.core.now().get().into(),
            };
            self.core.store.write(command).await?;
        }
        if let Some(event) = marks.fully_read {
            self.set_fully_read(room, &event).await?;
        }
        Ok(())
    }
}

/// Whether a user may set these marks.
async fn check(view: &View, user: &UserId, room: &RoomId, marks: &ReadMarks) -> Result<()> {
    let membership = view.get(&MEMBERSHIPS, &(user.to_owned(), room.to_owned())).await?;
    if membership.is_none_or(|membership| membership.kind != MembershipKind::Join) {
        return Err(Error::Forbidden("you are not in this room".to_owned()));
    }
    if marks.fully_read.is_some() && marks.thread != ReceiptThread::Unthreaded {
        return Err(Error::Invalid("a thread_id for m.fully_read"));
    }
    for event in [&marks.fully_read, &marks.read, &marks.read_private].into_iter().flatten() {
        if view.get(&EVENT_META, &(room.to_owned(), event.clone())).await?.is_none() {
            return Err(Error::NotFound("event in this room"));
        }
        if !lies_in(view, event, &marks.thread).await? {
            return Err(Error::Invalid("a thread_id that the event has nothing to do with"));
        }
    }
    Ok(())
}

/// Whether `event` is one that a receipt for `thread` may name.
async fn lies_in(view: &View, event: &EventId, thread: &ReceiptThread) -> Result<bool> {
    Ok(match thread {
        ReceiptThread::Unthreaded => true,
        ReceiptThread::Main => thread_root(view, event).await?.is_none(),
        // A root is in the main timeline, but clients also begin a thread's receipts with it.
        ReceiptThread::Thread(root) => {
            event == root || thread_root(view, event).await?.as_ref() == Some(root)
        }
        _ => false,
    })
}

struct GiveReceipts {
    room: OwnedRoomId,
    user: OwnedUserId,
    thread: String,
    receipts: Vec<(ReceiptKind, OwnedEventId)>,
    ts: u64,
}

impl Command for GiveReceipts {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        for (kind, event) in &self.receipts {
            self.give(tx, *kind, event).await?;
        }
        Ok(())
    }
}

impl GiveReceipts {
    async fn give(&self, tx: &mut Tx, kind: ReceiptKind, event: &EventId) -> Result<()> {
        let key = (self.room.clone(), self.user.clone(), kind, self.thread.clone());
        if let Some(old) = tx.get_guarded(&RECEIPTS, &key).await? {
            if old.event == event {
                return Ok(());
            }
            tx.delete(&RECEIPT_CHANGES, &(self.room.clone(), old.at));
        }
        let entry = Entry::Receipt {
            room: self.room.clone(),
            user: self.user.clone(),
            private: kind == ReceiptKind::ReadPrivate,
        };
        let at = log::record(tx, &entry);
        tx.put(&RECEIPTS, &key, &ReceiptRow { at, event: event.to_owned(), ts: self.ts });
        let (room, user, kind, thread) = key;
        tx.put(&RECEIPT_CHANGES, &(room, at), &(user, kind, thread));
        Ok(())
    }
}

/// Deletes up to `limit` receipts of a user in a room; tells how many there were.
pub(crate) async fn delete_page(
    tx: &mut Tx,
    room: &RoomId,
    user: &UserId,
    limit: usize,
) -> Result<usize> {
    let prefix = (room.to_owned(), user.to_owned());
    let page = tx.scan(&RECEIPTS, &prefix, Direction::Forward, limit).await?;
    for (key, row) in &page {
        tx.delete(&RECEIPTS, key);
        tx.delete(&RECEIPT_CHANGES, &(room.to_owned(), row.at));
    }
    Ok(page.len())
}

/// Up to where a user has read a room, or one thread of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) user: OwnedUserId,
    pub(crate) kind: ReceiptKind,
    /// `main`, a thread's root, or empty for a receipt that knows no threads.
    pub(crate) thread: String,
    pub(crate) event: OwnedEventId,
    pub(crate) ts: u64,
    pub(crate) at: Position,
}

type Key = (OwnedRoomId, OwnedUserId, ReceiptKind, String);

/// The receipts of a room that were given after a position and that `reader`, who ignores
/// `ignored`, may be told of: the newest `limit` of them and all of the reader's own, oldest first.
pub(crate) async fn changed(
    view: &View,
    room: &RoomId,
    (reader, ignored): (&UserId, &Ignored),
    after: Position,
    limit: usize,
) -> Result<Vec<Receipt>> {
    let changes = newest_changes(view, room, after, limit).await?;
    let cut_off = (changes.len() == limit).then(|| changes.first()).flatten();
    let older = match cut_off.map(|((_, at), _)| *at) {
        Some(before) => own_between(view, room, reader, after, before).await?,
        None => Vec::new(),
    };
    let is_shown = |user: &UserId, kind| match kind {
        ReceiptKind::Read => !ignored.contains(user),
        ReceiptKind::ReadPrivate => user == reader,
    };
    let shown = changes.into_iter().filter(|(_, (user, kind, _))| is_shown(user, *kind));
    let keys: Vec<Key> =
        shown.map(|((room, _), (user, kind, thread))| (room, user, kind, thread)).collect();
    let rows = view.get_many(&RECEIPTS, &keys).await?;
    let newer = keys.into_iter().zip(rows).filter_map(|(key, row)| Some(receipt(key, row?)));
    Ok(older.into_iter().chain(newer).collect())
}

type Change = ((OwnedRoomId, Position), (OwnedUserId, ReceiptKind, String));

/// The newest `limit` changes of a room's receipts after a position, oldest first.
async fn newest_changes(
    view: &View,
    room: &RoomId,
    after: Position,
    limit: usize,
) -> Result<Vec<Change>> {
    let [start, end] = [after, view.settled()].map(|position| (room.to_owned(), position));
    let (start, end) = (Bound::Excluded(&start), Bound::Included(&end));
    // To read backwards costs more, and is seldom needed.
    let changes = view.range(&RECEIPT_CHANGES, start, end, Direction::Forward, limit).await?;
    if changes.len() < limit {
        return Ok(changes);
    }
    let mut newest = view.range(&RECEIPT_CHANGES, start, end, Direction::Backward, limit).await?;
    newest.reverse();
    Ok(newest)
}

/// A user's own receipts of a room from between two positions.
async fn own_between(
    view: &View,
    room: &RoomId,
    user: &UserId,
    after: Position,
    before: Position,
) -> Result<Vec<Receipt>> {
    let prefix = (room.to_owned(), user.to_owned());
    let rows = view.scan(&RECEIPTS, &prefix, Direction::Forward, MOST_OWN).await?;
    let mut own: Vec<_> = rows
        .into_iter()
        .filter(|(_, row)| row.at > after && row.at < before)
        .map(|(key, row)| receipt(key, row))
        .collect();
    own.sort_by_key(|receipt| receipt.at);
    Ok(own)
}

fn receipt((_, user, kind, thread): Key, row: ReceiptRow) -> Receipt {
    let ReceiptRow { at, event, ts } = row;
    Receipt { user, kind, thread, event, ts, at }
}

/// The `m.receipt` events that tell a client of `receipts`: one for each thread, as an event has
/// one place for what a user has read.
pub(crate) fn events(receipts: &[Receipt]) -> Vec<Box<RawValue>> {
    let mut threads: BTreeMap<&str, Vec<&Receipt>> = BTreeMap::new();
    for receipt in receipts {
        threads.entry(&receipt.thread).or_default().push(receipt);
    }
    threads.into_values().map(event).collect()
}

/// The event that tells of the receipts of one thread.
fn event(receipts: Vec<&Receipt>) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Told<'a> {
        ts: u64,
        #[serde(skip_serializing_if = "str::is_empty")]
        thread_id: &'a str,
    }
    type Users<'a> = BTreeMap<&'a UserId, Told<'a>>;
    let mut content: BTreeMap<&EventId, BTreeMap<&str, Users<'_>>> = BTreeMap::new();
    for Receipt { user, kind, thread, event, ts, .. } in receipts {
        let kind = match kind {
            ReceiptKind::Read => "m.read",
            ReceiptKind::ReadPrivate => "m.read.private",
        };
        let users = content.entry(event).or_default().entry(kind).or_default();
        users.insert(user, Told { ts: *ts, thread_id: thread });
    }
    to_raw_value(&json!({ "type": "m.receipt", "content": content })).expect("JSON serialises")
}

#[cfg(test)]
mod tests;
