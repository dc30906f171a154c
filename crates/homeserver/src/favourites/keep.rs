//! Keeping a message, and dropping it.

use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, events::StateEventType};
use serde::Deserialize;
use tertulia_protocol::{Bookmark, BookmarkNames, body_preview, bookmark_id, removed_item};
use tertulia_storage::{Command, Descending, Direction, Partition, Tx};

use super::{Favourite, Favourites, bookmarks};
use crate::{
    Error, Result, Room,
    account_data::bookmarks::{Seen, kind_of, of_message, set_item},
    schema::{ACCOUNT_DATA, BookmarkKey, FAVOURITE_LISTS, FAVOURITES, FavouriteList, Scope},
    users,
};

/// The most bytes of a `msgtype`.
const MAX_MSGTYPE: usize = 255;
/// The most characters of a room's name that is kept.
const MAX_NAME: usize = 255;
/// How many bookmarks of a message one commit removes: each may change 50 rows, and a commit bears 500.
const AT_ONCE: usize = 4;
/// By how many milliseconds favourites may be ahead of the clock so that each is newer than the one
/// before.
const AHEAD: u64 = 60_000;

/// What a keeper tells of a message that the server cannot read. What it can read it takes itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The `msgtype` of the decrypted message, by which it is sorted.
    pub msgtype: Option<String>,
    /// How the message begins; whoever gives this shows it to the server.
    pub preview: Option<String>,
}

impl Favourites {
    /// Keeps a message as the user sees it now. One that is kept already stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such message, or the user may not see it,
    /// [`Error::TooMany`] beyond 20,000 favourites, [`Error::Invalid`] for a `msgtype` of more than 255
    /// bytes.
    pub async fn keep(&self, room: &RoomId, event: &EventId, told: Told) -> Result<Favourite> {
        if told.msgtype.as_ref().is_some_and(|msgtype| msgtype.len() > MAX_MSGTYPE) {
            return Err(Error::Invalid("the msgtype"));
        }
        let room = self.user.room(room);
        let message = room.event(event).await?;
        let seen = Seen::of(&message);
        let told_preview = told.preview.filter(|_| !seen.is_redacted());
        let preview = seen.text().or(told_preview);
        let bookmark = Bookmark {
            room_id: room.id().to_owned(),
            event_id: event.to_owned(),
            event_ts: message.pdu().origin_server_ts().get().into(),
            bookmarked_ts: 0,
            sender: Some(message.sender().to_owned()),
            room_name: name_of(&room).await?,
            body_preview: preview.and_then(|text| body_preview(&text)),
            msgtype: seen.msgtype().map(str::to_owned).or(told.msgtype),
        };
        let now = bookmarks::now(&self.user);
        let keep = Keep { user: self.user.id.clone(), bookmark, seen, now };
        let key = self.user.core.store.write(keep).await?.out;
        self.get(&key.id).await
    }

    /// Drops a favourite: the message is kept no more.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the user has none of this ID.
    pub async fn drop(&self, id: &str) -> Result<()> {
        let store = &self.user.core.store;
        let own = |names| (self.user.id.clone(), BookmarkKey { names, id: id.to_owned() });
        let keys = BookmarkNames::ALL.map(own);
        let rows = store.view().await?.get_many(&FAVOURITES, &keys).await?;
        let mut rows = rows.into_iter().flatten().peekable();
        if rows.peek().is_none() {
            return Err(Error::NotFound("favourite"));
        }
        for row in rows {
            let (room, event) = (row.room, row.event);
            let now = bookmarks::now(&self.user);
            let drop = Drop { user: self.user.id.clone(), room, event, now };
            while !store.write(drop.clone()).await?.out {}
        }
        Ok(())
    }
}

/// How the room is called, for one who may know it.
async fn name_of(room: &Room) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Content {
        name: String,
    }
    let name = match room.state_event(&StateEventType::RoomName, "").await {
        Ok(event) => serde_json::from_str::<Content>(event.content().get()).ok(),
        Err(Error::Storage(error)) => return Err(error.into()),
        Err(_) => None,
    };
    let name = name.map(|content| content.name.chars().take(MAX_NAME).collect::<String>());
    Ok(name.filter(|name| !name.is_empty()))
}

/// Makes a bookmark of a message, unless there is one; tells which one there is.
struct Keep {
    user: OwnedUserId,
    bookmark: Bookmark,
    seen: Seen,
    now: u64,
}

impl Command for Keep {
    type Out = BookmarkKey;
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<BookmarkKey> {
        let Bookmark { room_id, event_id, .. } = &self.bookmark;
        let known = of_message(tx, &self.user, room_id, event_id).await?;
        if let Some((key, _)) = known.into_iter().find(|(_, row)| row.listed) {
            return Ok(key);
        }
        if !self.seen.is_there(tx).await? {
            return Err(Error::NotFound("event"));
        }
        let id = bookmark_id(room_id, event_id);
        let bookmarked_ts = self.time(tx).await?;
        let item = Bookmark { bookmarked_ts, ..self.bookmark.clone() }.item(&id);
        let key = BookmarkKey { names: BookmarkNames::Unstable, id };
        set_item(tx, &self.user, &key, &item, Some(&self.seen), self.now).await?;
        Ok(key)
    }
}

impl Keep {
    /// The time of keeping: later than that of any favourite before, so that the newest is the newest.
    async fn time(&self, tx: &Tx) -> Result<u64> {
        let prefix = (self.user.clone(), FavouriteList::All);
        let newest = tx.scan(&FAVOURITE_LISTS, &prefix, Direction::Forward, 1).await?;
        let newest = newest.first().map(|((_, _, Descending(at), _), ())| *at);
        // What a client with a clock far ahead wrote stays ahead.
        let newest = newest.filter(|at| *at < self.now.saturating_add(AHEAD));
        Ok(newest.map_or(self.now, |at| self.now.max(at + 1)))
    }
}

/// Removes a step of a message's bookmarks; tells whether it was the last.
#[derive(Clone)]
struct Drop {
    user: OwnedUserId,
    room: OwnedRoomId,
    event: OwnedEventId,
    now: u64,
}

impl Command for Drop {
    type Out = bool;
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<bool> {
        let known = of_message(tx, &self.user, &self.room, &self.event).await?;
        let is_last = known.len() <= AT_ONCE;
        for (key, _) in known.into_iter().take(AT_ONCE) {
            let datum = (self.user.clone(), Scope::Global, kind_of(&key));
            let item = tx.get_guarded(&ACCOUNT_DATA, &datum).await?;
            let item = item.map(|datum| datum.content).unwrap_or_default();
            set_item(tx, &self.user, &key, &removed_item(&item), None, self.now).await?;
        }
        Ok(is_last)
    }
}
