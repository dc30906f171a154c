//! Chats: the rooms a user talks in, newest first, each with what a list of them shows.
//!
//! Nothing is stored for them. In which order a user's chats are is kept in memory and goes on from
//! the log (`order`); what a room shows to everyone is kept under the version of the room (`face`);
//! what it is to the user is read (`tell`).

mod adopt;
mod changes;
mod face;
mod kind;
mod order;
mod tell;

use ruma::{OwnedRoomId, OwnedUserId, RoomId};
use serde::{Deserialize, Serialize};
use tertulia_protocol::{MessageKind, Role};

pub(crate) use adopt::adopt;
pub use changes::ChatChange;

use self::{kind::kinds, order::Order, tell::Telling};
use crate::{Error, Result, UnreadCounts, core::User};

/// How many chats a page has at most.
const MOST: usize = 200;

/// What kind of chat a room is to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    /// With one other person.
    Direct,
    /// Of several.
    Group,
}

/// A chat, as a list of them shows it. It serialises as our own API has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chat {
    /// The room.
    pub room_id: OwnedRoomId,
    /// What kind of chat it is.
    pub kind: ChatKind,
    /// How it is called: a group by its name or its alias, a direct chat by the other one's nickname.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its picture; that of a direct chat is the other one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// With whom a direct chat is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub friend: Option<OwnedUserId>,
    /// Some of the others, where a group has no name to be called by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heroes: Vec<ChatHero>,
    /// How many are in it.
    pub member_count: u64,
    /// What a group is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// What the user may do in a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Whether only admins and owners speak in a group.
    pub announcements_only: bool,
    /// What was said last, if the user may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message: Option<LastMessage>,
    /// How much of it the user has not read.
    pub unread: UnreadCounts,
    /// Whether the user marked it as unread, however much they have read.
    pub marked_unread: bool,
    /// Whether the user does not want to be notified of anything in it.
    pub muted: bool,
    /// Whether what is said in it is encrypted.
    pub encrypted: bool,
}

/// Somebody after whom a group without a name can be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChatHero {
    /// Who.
    pub user_id: OwnedUserId,
    /// The nickname they show there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub displayname: Option<String>,
}

/// What was said last in a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastMessage {
    /// The event.
    pub event_id: ruma::OwnedEventId,
    /// Who said it.
    pub sender: OwnedUserId,
    /// The nickname they show there, or that of their profile if they are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_displayname: Option<String>,
    /// When, by the sender's word, in milliseconds since 1970.
    pub origin_server_ts: u64,
    /// What kind of message it is.
    pub kind: MessageKind,
    /// How it begins; none where it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether it was taken back.
    pub redacted: bool,
}

/// Which chats to list.
#[derive(Clone, Debug)]
pub struct ChatsQuery {
    /// Those of one kind only.
    pub kind: Option<ChatKind>,
    /// Where to begin: the `next` of the page before.
    pub from: Option<String>,
    /// How many at most; 200 where it is more.
    pub limit: usize,
}

impl Default for ChatsQuery {
    fn default() -> Self {
        Self { kind: None, from: None, limit: 50 }
    }
}

/// A page of a user's chats, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChatsPage {
    /// The chats.
    pub chats: Vec<Chat>,
    /// Where the next page begins; none if this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The chats of a user. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Chats {
    user: User,
}

impl User {
    /// The user's chats.
    pub fn chats(&self) -> Chats {
        Chats { user: self.clone() }
    }
}

impl Chats {
    /// A page of the chats, newest first.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if `from` is no token of a page before.
    pub async fn list(&self, query: &ChatsQuery) -> Result<ChatsPage> {
        let User { core, id, .. } = &self.user;
        let from = query.from.as_deref().map(order::Place::parse).transpose()?;
        let view = core.store.view().await?;
        let order = Order::now(&view, core, id).await?;
        let limit = query.limit.clamp(1, MOST);
        let mut found = order.after(from.as_ref(), limit + 1, query.kind);
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(place, _)| place.to_string());
        let rooms = found.into_iter().map(|(place, kind)| (place.room, kind)).collect();
        let chats = Telling::of(&view, core, id).await?.tell(rooms).await?;
        Ok(ChatsPage { chats, next })
    }

    /// One chat.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the user is in no such room, or it is a space.
    pub async fn get(&self, room: &RoomId) -> Result<Chat> {
        let User { core, id, .. } = &self.user;
        let view = core.store.view().await?;
        let telling = Telling::of(&view, core, id).await?;
        let kind = kinds(&view, id, &[room.to_owned()]).await?.remove(0);
        let mut chats = telling.tell(vec![(room.to_owned(), kind)]).await?;
        chats.pop().ok_or(Error::NotFound("chat"))
    }
}

#[cfg(test)]
mod tests;
