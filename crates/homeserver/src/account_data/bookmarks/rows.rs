//! The rows of favourites: a pure function of the items and the snapshots beside them.

use std::cmp::Reverse;

use ruma::{EventId, RoomId, UserId};
use tertulia_protocol::{Bookmark, media_uris};
use tertulia_storage::{Descending, Direction, Tx, View};

use super::{super::raw, snapshot::Seen, text_of};
use crate::{
    Result,
    schema::{
        BOOKMARK_ORDERS, BookmarkKey, FAVOURITE_COUNTS, FAVOURITE_LISTS, FAVOURITE_MEDIA,
        FAVOURITES, FavouriteRow, KEPT_EVENTS, Kept, SNAPSHOTS, SnapshotRow,
    },
    words::words_of_message,
};

/// By how many of its words a message is found: those at its beginning.
const WORDS: usize = 32;
/// How many bookmarks of one message are looked at. There is one, unless clients made some at once.
const OF_MESSAGE: usize = 32;
/// How many bookmarks one step deletes: each has up to 45 rows, and a commit bears 500.
const STEP: usize = 8;

/// What is stored for a bookmark that counts.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) row: FavouriteRow,
    pub(super) snapshot: Option<SnapshotRow>,
}

impl Stored {
    /// What is stored now. The commit fails if that changes.
    pub(super) async fn load(tx: &Tx, user: &UserId, key: &BookmarkKey) -> Result<Option<Self>> {
        let row_key = (user.to_owned(), key.clone());
        let Some(row) = tx.get_guarded(&FAVOURITES, &row_key).await? else { return Ok(None) };
        Ok(Some(Self { row, snapshot: tx.get_guarded(&SNAPSHOTS, &row_key).await? }))
    }

    /// What is to be stored for a bookmark. A snapshot stays as long as the message is the same one.
    pub(super) async fn of(
        tx: &Tx,
        user: &UserId,
        key: &BookmarkKey,
        bookmark: &Bookmark,
        old: Option<&Self>,
        seen: Option<&Seen>,
    ) -> Result<Self> {
        let kept = match old {
            Some(old) => old.snapshot.clone(),
            None => tx.get_guarded(&SNAPSHOTS, &(user.to_owned(), key.clone())).await?,
        };
        let is_same =
            |kept: &SnapshotRow| kept.room == bookmark.room_id && kept.event == bookmark.event_id;
        let snapshot = match (kept.filter(is_same), seen.filter(|seen| seen.is_of(bookmark))) {
            (Some(kept), _) => Some(kept),
            (None, Some(seen)) => seen.row(tx).await?,
            (None, None) => None,
        };
        Ok(Self::with(bookmark, snapshot))
    }

    /// The same without what the message said.
    pub(super) fn blanked(&self, bookmark: &Bookmark) -> Self {
        let blank = |row: SnapshotRow| SnapshotRow { content: None, ..row };
        Self::with(bookmark, self.snapshot.clone().map(blank))
    }

    /// What is to be stored for a bookmark beside this snapshot.
    pub(super) fn with(bookmark: &Bookmark, snapshot: Option<SnapshotRow>) -> Self {
        let event = snapshot.as_ref().map(|row| (row.event_type.as_str(), row.msgtype.as_deref()));
        let said = snapshot.as_ref().and_then(|row| text_of(row.content.as_deref()?));
        let text = said.as_deref().or(bookmark.body_preview.as_deref()).unwrap_or_default();
        let row = FavouriteRow {
            at: bookmark.bookmarked_ts,
            room: bookmark.room_id.clone(),
            event: bookmark.event_id.clone(),
            edit: snapshot.as_ref().and_then(|row| row.edit.clone()),
            kind: bookmark.kind(event) as u8,
            words: words_of_message(text, WORDS).into_iter().collect(),
            listed: false,
        };
        Self { row, snapshot }
    }

    fn write(&self, tx: &mut Tx, user: &UserId, key: &BookmarkKey) {
        let row_key = (user.to_owned(), key.clone());
        tx.put(&FAVOURITES, &row_key, &self.row);
        self.row.list(tx, user, key);
        for (event, kept) in self.row.events() {
            let kept_key = (self.row.room.clone(), event.to_owned(), user.to_owned(), key.clone());
            tx.put(&KEPT_EVENTS, &kept_key, &(kept,));
        }
        if let Some(snapshot) = &self.snapshot {
            tx.put(&SNAPSHOTS, &row_key, snapshot);
        }
        for (server, id) in self.files() {
            tx.put(&FAVOURITE_MEDIA, &(server, id, user.to_owned(), key.clone()), &());
        }
    }

    /// Deletes what [`write`](Self::write) writes.
    fn erase(&self, tx: &mut Tx, user: &UserId, key: &BookmarkKey) {
        let row_key = (user.to_owned(), key.clone());
        tx.delete(&FAVOURITES, &row_key);
        self.row.unlist(tx, user, key);
        for (event, _) in self.row.events() {
            let kept_key = (self.row.room.clone(), event.to_owned(), user.to_owned(), key.clone());
            tx.delete(&KEPT_EVENTS, &kept_key);
        }
        tx.delete(&SNAPSHOTS, &row_key);
        for (server, id) in self.files() {
            tx.delete(&FAVOURITE_MEDIA, &(server, id, user.to_owned(), key.clone()));
        }
    }

    /// The files that the snapshot shows.
    fn files(&self) -> Vec<(ruma::OwnedServerName, String)> {
        let content = self.snapshot.as_ref().and_then(|row| row.content.clone());
        let uris = content.map(|content| media_uris(&raw(content))).unwrap_or_default();
        let parts = uris.iter().filter_map(|uri| uri.parts().ok());
        parts.map(|(server, id)| (server.to_owned(), id.to_owned())).collect()
    }
}

impl FavouriteRow {
    /// The events of which something is kept.
    fn events(&self) -> impl Iterator<Item = (&EventId, Kept)> {
        let edit = self.edit.as_deref().filter(|edit| *edit != self.event);
        let edit = edit.map(|edit| (edit, Kept::Edit));
        std::iter::once((&*self.event, Kept::Message)).chain(edit)
    }

    fn list(&self, tx: &mut Tx, user: &UserId, key: &BookmarkKey) {
        for list in self.lists(key.names) {
            let place = (user.to_owned(), list, Descending(self.at), key.clone());
            tx.put(&FAVOURITE_LISTS, &place, &());
        }
    }

    fn unlist(&self, tx: &mut Tx, user: &UserId, key: &BookmarkKey) {
        for list in self.lists(key.names) {
            let place = (user.to_owned(), list, Descending(self.at), key.clone());
            tx.delete(&FAVOURITE_LISTS, &place);
        }
    }
}

/// Puts what is stored for a bookmark in the place of what was.
pub(super) async fn replace(
    tx: &mut Tx,
    user: &UserId,
    key: &BookmarkKey,
    old: Option<Stored>,
    new: Option<Stored>,
) -> Result<()> {
    if let Some(old) = &old {
        old.erase(tx, user, key);
    }
    if let Some(new) = &new {
        new.write(tx, user, key);
    }
    let (old, new) = (old.map(|old| old.row), new.map(|new| new.row));
    if let Some(new) = &new {
        choose(tx, user, &new.room, &new.event).await?;
    }
    if let Some(old) = old
        && new.is_none_or(|new| new.room != old.room || new.event != old.event)
    {
        choose(tx, user, &old.room, &old.event).await?;
    }
    Ok(())
}

/// A user's bookmarks of a message that count.
pub(crate) async fn of_message(
    view: &View,
    user: &UserId,
    room: &RoomId,
    event: &EventId,
) -> Result<Vec<(BookmarkKey, FavouriteRow)>> {
    let prefix = (room.to_owned(), event.to_owned(), user.to_owned());
    let rows = view.scan(&KEPT_EVENTS, &prefix, Direction::Forward, OF_MESSAGE).await?;
    let keys = rows.into_iter().filter(|(_, (kept,))| *kept == Kept::Message);
    let keys: Vec<_> = keys.map(|((_, _, user, key), _)| (user, key)).collect();
    let rows = view.get_many(&FAVOURITES, &keys).await?;
    let rows = keys.into_iter().zip(rows);
    Ok(rows.filter_map(|((_, key), row)| Some((key, row?))).collect())
}

/// Sees to it that one bookmark of a message, the newest, stands for it in the lists.
async fn choose(tx: &mut Tx, user: &UserId, room: &RoomId, event: &EventId) -> Result<()> {
    let bookmarks = of_message(tx, user, room, event).await?;
    let newest = bookmarks.iter().max_by_key(|(key, row)| (row.at, Reverse(key)));
    let chosen = newest.map(|(key, _)| key.clone());
    for (key, mut row) in bookmarks {
        let listed = Some(&key) == chosen.as_ref();
        if row.listed != listed {
            row.unlist(tx, user, &key);
            row.listed = listed;
            row.list(tx, user, &key);
            tx.put(&FAVOURITES, &(user.to_owned(), key), &row);
        }
    }
    Ok(())
}

/// Deletes a step of a user's rows of favourites; tells whether it was the last.
pub(crate) async fn delete_page(tx: &mut Tx, user: &UserId) -> Result<bool> {
    let own = (user.to_owned(),);
    let rows = tx.scan(&FAVOURITES, &own, Direction::Forward, STEP).await?;
    let is_last = rows.len() < STEP;
    let keys: Vec<_> = rows.iter().map(|(key, _)| key.clone()).collect();
    let snapshots = tx.get_many(&SNAPSHOTS, &keys).await?;
    for (((_, key), row), snapshot) in rows.into_iter().zip(snapshots) {
        Stored { row, snapshot }.erase(tx, user, &key);
    }
    if is_last {
        tx.delete(&FAVOURITE_COUNTS, &own);
        tx.delete_all(&BOOKMARK_ORDERS, &own, STEP).await?;
    }
    Ok(is_last)
}
