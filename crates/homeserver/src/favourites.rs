//! Favourites: messages that a user keeps.
//!
//! They are bookmarks in the account data, which any client may write ([`crate::account_data`]); this
//! is how a chat application sees them. Beside each stands a snapshot of the message, which nobody but
//! its keeper reads: it outlives the keeper's access to the room, but neither the bookmark nor the
//! message's redaction nor the removal of its room.

mod adopt;
mod keep;
mod list;
mod unseen;

use std::collections::{BTreeMap, BTreeSet};

use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId};
use serde::Serialize;
use serde_json::value::RawValue;
use tertulia_protocol::{Bookmark, BookmarkNames, MessageKind};
use tertulia_storage::{Command, Json, Partition, Tx, View};

use crate::{
    Error, Result,
    account_data::bookmarks::{self, delete_page, kind_of, of_message},
    core::{Core, User},
    schema::{
        ACCOUNT_DATA, BookmarkKey, EVENT_META, PROFILES, REMOVED_ROOMS, SNAPSHOTS, Scope,
        SnapshotRow,
    },
    users,
};

pub(crate) use adopt::adopt;
#[cfg(test)]
pub(crate) use adopt::adopt_all;
pub use keep::Told;
pub use list::{FavouritesPage, FavouritesQuery};
pub(crate) use unseen::blank_unseen;

/// The favourites of a user, who acts on them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Favourites {
    user: User,
}

impl User {
    /// The messages that the user keeps.
    pub fn favourites(&self) -> Favourites {
        Favourites { user: self.clone() }
    }
}

/// A message that a user keeps.
#[derive(Clone, Debug, Serialize)]
pub struct Favourite {
    /// The ID of the bookmark.
    pub id: String,
    /// The room of the message.
    pub room_id: OwnedRoomId,
    /// The message.
    pub event_id: OwnedEventId,
    /// What kind of message it is.
    pub kind: MessageKind,
    /// When it was sent, in milliseconds since 1970.
    pub sent: u64,
    /// When it was kept, in milliseconds since 1970.
    pub kept: u64,
    /// Who sent it, if that was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<OwnedUserId>,
    /// The nickname of their profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_displayname: Option<String>,
    /// The picture of their profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_avatar_url: Option<String>,
    /// How its room was called when it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_name: Option<String>,
    /// How it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<String>,
    /// The message as the user saw it when keeping it; none if the user could not see it then, or if
    /// it was taken back since. If only an edit of it was, that is the last one seen, it is soon the
    /// message as it is without that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<KeptMessage>,
    /// Whether it was redacted since.
    pub redacted: bool,
}

/// A message as it was when somebody kept it.
#[derive(Clone, Debug, Serialize)]
pub struct KeptMessage {
    /// The type of its event.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its content, as of its last edit then.
    pub content: Box<RawValue>,
}

impl Favourites {
    /// One favourite.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the user has none of this ID.
    pub async fn get(&self, id: &str) -> Result<Favourite> {
        let view = self.user.core.store.view().await?;
        let keys = BookmarkNames::ALL.map(|names| BookmarkKey { names, id: id.to_owned() });
        let found = shown(&view, &self.user, keys.to_vec()).await?;
        found.into_iter().next().ok_or(Error::NotFound("favourite"))
    }

    /// The favourite that a message is.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the user does not keep it.
    pub async fn of(&self, room: &RoomId, event: &EventId) -> Result<Favourite> {
        let view = self.user.core.store.view().await?;
        let bookmarks = of_message(&view, &self.user.id, room, event).await?;
        let listed = bookmarks.into_iter().filter(|(_, row)| row.listed);
        let found = shown(&view, &self.user, listed.map(|(key, _)| key).collect()).await?;
        found.into_iter().next().ok_or(Error::NotFound("favourite"))
    }
}

/// Some of a user's favourites as the user sees them, in the order of `keys`, without those that are
/// none.
async fn shown(view: &View, user: &User, keys: Vec<BookmarkKey>) -> Result<Vec<Favourite>> {
    let own = |key: &BookmarkKey| (user.id.clone(), key.clone());
    let item = |key: &BookmarkKey| (user.id.clone(), Scope::Global, kind_of(key));
    let items = view.get_many(&ACCOUNT_DATA, &Vec::from_iter(keys.iter().map(item))).await?;
    let snapshots = view.get_many(&SNAPSHOTS, &Vec::from_iter(keys.iter().map(own))).await?;
    let kept = keys.into_iter().zip(items).zip(snapshots).filter_map(|((key, item), snapshot)| {
        let bookmark = Bookmark::read(&key.id, &item?.content)?;
        Some((key.id, bookmark, snapshot))
    });
    let kept: Vec<_> = kept.collect();
    let (redacted, removed) = (redacted(view, &kept).await?, removed(view, &kept).await?);
    let shown = |(id, bookmark, snapshot): Kept| {
        let is_taken =
            events_of(&bookmark, snapshot.as_ref()).any(|event| redacted.contains(&event));
        let message = (bookmark.room_id.clone(), bookmark.event_id.clone());
        let is_redacted = redacted.contains(&message);
        let is_removed = removed.contains(&bookmark.room_id);
        let favourite = favourite(id, bookmark, snapshot, is_redacted);
        if is_taken || is_removed { favourite.blank() } else { favourite }
    };
    let mut favourites: Vec<_> = kept.into_iter().map(shown).collect();
    name_senders(view, &mut favourites).await?;
    Ok(favourites)
}

/// Says how those are called whose messages these are.
async fn name_senders(view: &View, favourites: &mut [Favourite]) -> Result<()> {
    let senders = favourites.iter().filter_map(|favourite| favourite.sender.clone());
    let senders: Vec<_> =
        senders.map(|sender| (sender,)).collect::<BTreeSet<_>>().into_iter().collect();
    let profiles = view.get_many(&PROFILES, &senders).await?;
    let profiles: BTreeMap<_, _> = senders.into_iter().zip(profiles).collect();
    for favourite in favourites {
        let Some(sender) = favourite.sender.clone() else { continue };
        let Some(Some(Json(profile))) = profiles.get(&(sender,)) else { continue };
        let text = |field: &str| Some(profile.get(field)?.as_str()?.to_owned());
        favourite.sender_displayname = text("displayname");
        favourite.sender_avatar_url = text("avatar_url");
    }
    Ok(())
}

type Kept = (String, Bookmark, Option<SnapshotRow>);
type RoomEvent = (OwnedRoomId, OwnedEventId);

/// The events that a favourite shows something of.
fn events_of<'a>(
    bookmark: &'a Bookmark,
    snapshot: Option<&'a SnapshotRow>,
) -> impl Iterator<Item = RoomEvent> + 'a {
    let edit = snapshot.and_then(|row| row.edit.as_ref());
    let events = std::iter::once(&bookmark.event_id).chain(edit);
    events.map(|event| (bookmark.room_id.clone(), event.clone()))
}

/// Which of the events that favourites show something of were redacted. Their snapshots are blanked
/// soon, but are not to be seen until then either.
async fn redacted(view: &View, kept: &[Kept]) -> Result<BTreeSet<RoomEvent>> {
    let events = kept.iter().flat_map(|(_, bookmark, row)| events_of(bookmark, row.as_ref()));
    let events: Vec<_> = events.collect();
    let metas = view.get_many(&EVENT_META, &events).await?;
    let is_redacted =
        metas.into_iter().map(|meta| meta.is_some_and(|row| row.redacted_by.is_some()));
    let events = events.into_iter().zip(is_redacted);
    Ok(events.filter(|(_, is_redacted)| *is_redacted).map(|(event, _)| event).collect())
}

/// Which rooms of favourites were removed altogether. Their snapshots are blanked likewise.
async fn removed(view: &View, kept: &[Kept]) -> Result<BTreeSet<OwnedRoomId>> {
    let rooms = kept.iter().map(|(_, bookmark, _)| (bookmark.room_id.clone(),));
    let rooms: Vec<_> = rooms.collect::<BTreeSet<_>>().into_iter().collect();
    let rows = view.get_many(&REMOVED_ROOMS, &rooms).await?;
    let rooms = rooms.into_iter().zip(rows).filter(|(_, row)| row.is_some());
    Ok(rooms.map(|((room,), _)| room).collect())
}

impl Favourite {
    /// The same without anything that the message said.
    fn blank(self) -> Self {
        Self { preview: None, message: None, ..self }
    }
}

fn favourite(
    id: String,
    bookmark: Bookmark,
    snapshot: Option<SnapshotRow>,
    redacted: bool,
) -> Favourite {
    let event = snapshot.as_ref().map(|row| (row.event_type.as_str(), row.msgtype.as_deref()));
    let kind = bookmark.kind(event);
    let sender = snapshot.as_ref().map(|row| row.sender.clone());
    let message = snapshot.and_then(|row| {
        let content = RawValue::from_string(row.content?).ok()?;
        Some(KeptMessage { kind: row.event_type, content })
    });
    Favourite {
        id,
        kind,
        sent: bookmark.event_ts,
        kept: bookmark.bookmarked_ts,
        sender: sender.or(bookmark.sender),
        sender_displayname: None,
        sender_avatar_url: None,
        room_id: bookmark.room_id,
        event_id: bookmark.event_id,
        room_name: bookmark.room_name,
        preview: bookmark.body_preview,
        message,
        redacted,
    }
}

/// Deletes all that is stored for a user's favourites beside the account data.
pub(crate) async fn clear(core: &Core, user: &OwnedUserId) -> Result<()> {
    while !core.store.write(Clear { user: user.clone() }).await?.out {}
    Ok(())
}

/// Deletes a step of it; tells whether it was the last.
struct Clear {
    user: OwnedUserId,
}

impl Command for Clear {
    type Out = bool;
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<bool> {
        delete_page(tx, &self.user).await
    }
}

#[cfg(test)]
mod tests;
