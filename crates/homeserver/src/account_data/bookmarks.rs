//! Bookmarks of messages (MSC4438): the account data by which clients keep favourites.
//!
//! The items are the truth, under the proposal's names and under those that it will have. Rows of
//! favourites follow them in the commit that sets them, whoever does. The index lists what the items
//! say, and is made when it is read: a client's write of it is remembered as an order, and neither
//! keeps nor drops anything.

mod index;
mod rows;
mod snapshot;

use ruma::{MilliSecondsSinceUnixEpoch, OwnedUserId, UserId};
use serde_json::value::RawValue;
use tertulia_protocol::{Bookmark, BookmarkType, body_preview, item_with_preview};
use tertulia_storage::{Command, Partition, Tx};

use super::{partition, put};
use crate::{
    Error, Result, User,
    schema::{ACCOUNT_DATA, BookmarkKey, FAVOURITE_COUNTS, Scope, SnapshotRow},
};

pub(crate) use index::content as index_content;
pub(crate) use rows::{delete_page, of_message};
pub(crate) use snapshot::{Seen, text_of};

use index::SetIndex;
use rows::Stored;

/// The most bookmarks of one user that count.
pub(crate) const MOST: u32 = 20_000;

/// Sets what may be a bookmark, or the order of bookmarks.
pub(super) async fn set(user: &User, kind: BookmarkType<'_>, content: &RawValue) -> Result<()> {
    let store = &user.core.store;
    let (id, content, now) = (user.id.clone(), content.get().to_owned(), now(user));
    match kind {
        BookmarkType::Index(names) => {
            store.write(SetIndex { user: id, names, content, now }).await?;
        }
        BookmarkType::Item(names, bookmark) => {
            let seen = match Bookmark::read(bookmark, &content) {
                Some(bookmark) => Seen::by(user, &bookmark).await?,
                None => None,
            };
            let key = BookmarkKey { names, id: bookmark.to_owned() };
            store.write(SetItem { user: id, key, content, seen, now }).await?;
        }
    }
    Ok(())
}

/// What time it is for bookmarks.
pub(crate) fn now(user: &User) -> u64 {
    let MilliSecondsSinceUnixEpoch(now) = user.core.now();
    now.into()
}

/// The type of an item.
pub(crate) fn kind_of(key: &BookmarkKey) -> String {
    format!("{}{}", key.names.item_prefix(), key.id)
}

/// A client sets an item.
struct SetItem {
    user: OwnedUserId,
    key: BookmarkKey,
    content: String,
    /// The message, if it is a bookmark of one that its keeper may see.
    seen: Option<Seen>,
    now: u64,
}

impl Command for SetItem {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        set_item(tx, &self.user, &self.key, &self.content, self.seen.as_ref(), self.now).await
    }
}

/// Sets an item, and lets the rows of favourites follow it.
///
/// # Errors
///
/// [`Error::TooMany`] if it were one bookmark more than a user may have.
pub(crate) async fn set_item(
    tx: &mut Tx,
    user: &UserId,
    key: &BookmarkKey,
    content: &str,
    seen: Option<&Seen>,
    now: u64,
) -> Result<()> {
    put(tx, user, &Scope::Global, &kind_of(key), content.to_owned()).await?;
    follow(tx, user, key, content, seen, now).await
}

/// Lets the rows of favourites follow an item.
async fn follow(
    tx: &mut Tx,
    user: &UserId,
    key: &BookmarkKey,
    content: &str,
    seen: Option<&Seen>,
    now: u64,
) -> Result<()> {
    let old = Stored::load(tx, user, key).await?;
    let new = match Bookmark::read(&key.id, content) {
        Some(bookmark) => Some(Stored::of(tx, user, key, &bookmark, old.as_ref(), seen).await?),
        None => None,
    };
    let moves = old.as_ref().map(|old| old.row.at) != new.as_ref().map(|new| new.row.at);
    count(tx, user, old.is_some(), new.is_some()).await?;
    rows::replace(tx, user, key, old, new).await?;
    if moves {
        index::touch(tx, user, key.names, now).await?;
    }
    Ok(())
}

async fn count(tx: &mut Tx, user: &UserId, was_there: bool, is_there: bool) -> Result<()> {
    let row = (user.to_owned(),);
    let (before,) = tx.get_guarded(&FAVOURITE_COUNTS, &row).await?.unwrap_or_default();
    match (was_there, is_there) {
        (false, true) if before >= MOST => return Err(Error::TooMany("favourites")),
        (false, true) => tx.put(&FAVOURITE_COUNTS, &row, &(before + 1,)),
        (true, false) if before <= 1 => tx.delete(&FAVOURITE_COUNTS, &row),
        (true, false) => tx.put(&FAVOURITE_COUNTS, &row, &(before - 1,)),
        _ => {}
    }
    Ok(())
}

/// Takes from a bookmark what its snapshot shows of a message that nobody is to see any more. From the
/// item it takes the preview that is made of the same, or that a keeper told of what is encrypted; what a
/// client says there otherwise is its own.
pub(crate) struct Blank {
    pub(crate) user: OwnedUserId,
    pub(crate) key: BookmarkKey,
    /// The message as its keeper sees it now, if only an edit of it is to be seen no more.
    pub(crate) seen: Option<Seen>,
}

/// What a keeper sees of a message of which an edit was taken back.
pub(crate) async fn seen_now(user: &User, key: &BookmarkKey) -> Result<Option<Seen>> {
    let content = match user.account_data(None, &kind_of(key)).await {
        Ok(content) => content,
        Err(Error::Storage(error)) => return Err(error.into()),
        Err(_) => return Ok(None),
    };
    match Bookmark::read(&key.id, content.get()) {
        Some(bookmark) => Seen::by(user, &bookmark).await,
        None => Ok(None),
    }
}

impl Command for Blank {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let Some(old) = Stored::load(tx, &self.user, &self.key).await? else { return Ok(()) };
        let Some(shown) = old.snapshot.as_ref().and_then(Shown::of) else { return Ok(()) };
        let kind = kind_of(&self.key);
        let datum = (self.user.clone(), Scope::Global, kind.clone());
        let Some(datum) = tx.get_guarded(&ACCOUNT_DATA, &datum).await? else { return Ok(()) };
        let Some(mut bookmark) = Bookmark::read(&self.key.id, &datum.content) else {
            return Ok(());
        };
        let seen = self.seen.as_ref().filter(|seen| seen.is_of(&bookmark));
        let snapshot = match seen {
            Some(seen) => seen.row(tx).await?,
            None => None,
        };
        if bookmark.body_preview.as_ref().is_some_and(|preview| shown.has(preview)) {
            bookmark.body_preview =
                snapshot.as_ref().and_then(Shown::of).and_then(|now| now.preview);
            let content = item_with_preview(&datum.content, bookmark.body_preview.as_deref());
            put(tx, &self.user, &Scope::Global, &kind, content).await?;
        }
        let new = match snapshot {
            Some(snapshot) => Stored::with(&bookmark, Some(snapshot)),
            None => old.blanked(&bookmark),
        };
        rows::replace(tx, &self.user, &self.key, Some(old), Some(new)).await
    }
}

/// What a snapshot shows.
struct Shown {
    preview: Option<String>,
    is_encrypted: bool,
}

impl Shown {
    /// None if it is blank.
    fn of(row: &SnapshotRow) -> Option<Self> {
        let text = text_of(row.content.as_deref()?);
        let is_encrypted = row.event_type == "m.room.encrypted";
        Some(Self { preview: text.and_then(|text| body_preview(&text)), is_encrypted })
    }

    /// Whether `preview` is of what it shows.
    fn has(&self, preview: &str) -> bool {
        self.is_encrypted || self.preview.as_deref() == Some(preview)
    }
}

/// Makes a favourite of an item that was set before there were any.
pub(crate) async fn adopt(user: &User, key: BookmarkKey, now: u64) -> Result<()> {
    let content = user.account_data(None, &kind_of(&key)).await?;
    let Some(bookmark) = Bookmark::read(&key.id, content.get()) else { return Ok(()) };
    let seen = Seen::by(user, &bookmark).await?;
    user.core.store.write(Adopt { user: user.id.clone(), key, seen, now }).await?;
    Ok(())
}

/// Lets the rows of favourites follow an item as it is.
struct Adopt {
    user: OwnedUserId,
    key: BookmarkKey,
    seen: Option<Seen>,
    now: u64,
}

impl Command for Adopt {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let datum = (self.user.clone(), Scope::Global, kind_of(&self.key));
        let Some(datum) = tx.get_guarded(&ACCOUNT_DATA, &datum).await? else { return Ok(()) };
        let seen = self.seen.as_ref();
        follow(tx, &self.user, &self.key, &datum.content, seen, self.now).await
    }
}

#[cfg(test)]
mod tests;
