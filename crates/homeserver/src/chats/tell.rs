//! What a chat is to one user.

use std::sync::{Arc, atomic::AtomicUsize};

use ruma::{OwnedRoomId, OwnedUserId, UserId};
use serde::Deserialize;
use tertulia_protocol::{Power, Preview, Role};
use tertulia_storage::{Json, View};

use super::{
    Chat, ChatHero, LastMessage,
    face::{Face, Speaker, faces},
    kind::Kind,
};
use crate::{
    Result,
    core::Core,
    events::{Head, Ignored, Reader, Sight, current_power, load_for, member},
    schema::{
        ACCOUNT_DATA, HEADS, MEMBERSHIPS, Membership, MembershipKind, Ordinal, PROFILES, Scope,
        TimelineRow,
    },
    unread::{Asking, UserRules},
};

/// The account data that says that a room is to be read, however much of it was read.
const MARKED_UNREAD: &str = "m.marked_unread";
/// The most that a group without a name is called after.
const HEROES: usize = 5;

/// One who is told of chats, and what they depend on in all of them.
pub(super) struct Telling<'a> {
    view: &'a View,
    core: &'a Core,
    user: &'a UserId,
    rules: Arc<UserRules>,
    ignored: Ignored,
    read: AtomicUsize,
}

/// A room that the user is in.
struct Own {
    head: Head,
    me: Membership,
    kind: Kind,
    marked_unread: bool,
}

impl<'a> Telling<'a> {
    pub(super) async fn of(view: &'a View, core: &'a Core, user: &'a UserId) -> Result<Self> {
        let rules = UserRules::of(view, core, user, None).await?;
        let ignored = Ignored::by(view, user).await?;
        Ok(Self { view, core, user, rules, ignored, read: AtomicUsize::new(0) })
    }

    /// The chats that `rooms` are, in their order; without those that are none any more.
    pub(super) async fn tell(&self, rooms: Vec<(OwnedRoomId, Kind)>) -> Result<Vec<Chat>> {
        let rooms = self.own(rooms).await?;
        let heads: Vec<_> = rooms.iter().map(|own| &own.head).collect();
        let faces = faces(self.view, self.core, &heads).await?;
        let mut chats = Vec::with_capacity(rooms.len());
        for (own, face) in rooms.iter().zip(faces) {
            chats.push(self.chat(own, &face).await?);
        }
        Ok(chats)
    }

    async fn own(&self, rooms: Vec<(OwnedRoomId, Kind)>) -> Result<Vec<Own>> {
        let key = |(room, _): &(OwnedRoomId, Kind)| (self.user.to_owned(), room.clone());
        let keys: Vec<_> = rooms.iter().map(key).collect();
        let memberships = self.view.get_many(&MEMBERSHIPS, &keys).await?;
        let keys: Vec<_> = rooms.iter().map(|(room, _)| (room.clone(),)).collect();
        let heads = self.view.get_many(&HEADS, &keys).await?;
        let key = |(room, _): &(OwnedRoomId, Kind)| {
            (self.user.to_owned(), Scope::Room(room.clone()), MARKED_UNREAD.to_owned())
        };
        let keys: Vec<_> = rooms.iter().map(key).collect();
        let marks = self.view.get_many(&ACCOUNT_DATA, &keys).await?;
        let mut own = Vec::with_capacity(rooms.len());
        for ((((room, kind), me), head), mark) in
            rooms.into_iter().zip(memberships).zip(heads).zip(marks)
        {
            let me = me.filter(|me| me.kind == MembershipKind::Join);
            let head = head.filter(|head| !head.is_space);
            let Some((me, head)) = me.zip(head) else { continue };
            let marked_unread = mark.is_some_and(|mark| is_marked(&mark.content));
            own.push(Own { head: Head::new(room, head)?, me, kind, marked_unread });
        }
        Ok(own)
    }

    async fn chat(&self, own: &Own, face: &Face) -> Result<Chat> {
        let named = self.named(own, face).await?;
        let power = match own.kind {
            Kind::Group => Some(current_power(self.view, self.core, &own.head).await?),
            Kind::Direct(_) => None,
        };
        let unread = self.asking().unread(&own.head, &own.me, None).await?.total();
        Ok(Chat {
            room_id: own.head.room.clone(),
            kind: own.kind.of(),
            name: named.name,
            avatar_url: named.avatar_url,
            friend: match &own.kind {
                Kind::Direct(friend) => Some(friend.clone()),
                Kind::Group => None,
            },
            heroes: named.heroes,
            member_count: own.head.row.joined,
            topic: face.summary.topic.clone().filter(|_| power.is_some()),
            role: power.as_ref().map(|power| Role::of(power.of(self.user))),
            announcements_only: power.as_ref().is_some_and(Power::is_for_announcements),
            last_message: self.last_message(own, face).await?,
            unread,
            marked_unread: own.marked_unread,
            muted: self.rules.mutes(&own.head.room),
            encrypted: face.summary.encryption.is_some(),
        })
    }

    fn asking(&self) -> Asking<'_> {
        Asking {
            view: self.view,
            core: self.core,
            user: self.user,
            rules: &self.rules,
            ignored: &self.ignored,
            read: &self.read,
        }
    }

    async fn named(&self, own: &Own, face: &Face) -> Result<Named> {
        if let Kind::Direct(friend) = &own.kind {
            return self.named_as(own, face, friend).await;
        }
        let alias = || face.summary.canonical_alias.as_ref().map(ToString::to_string);
        let name = face.summary.name.clone().or_else(alias);
        let others = face.members.iter().filter(|(user, _)| *user != self.user);
        let hero = |(user, row): &(OwnedUserId, _)| {
            let row: &crate::schema::Member = row;
            ChatHero { user_id: user.clone(), displayname: row.displayname.clone() }
        };
        let heroes = match name {
            Some(_) => Vec::new(),
            None => others.take(HEROES).map(hero).collect(),
        };
        Ok(Named { name, avatar_url: face.summary.avatar_url.clone(), heroes })
    }

    /// A direct chat is called as the other one is called there, or anywhere if they are gone.
    async fn named_as(&self, own: &Own, face: &Face, friend: &UserId) -> Result<Named> {
        let shown =
            face.members.iter().find(|(user, _)| *user == friend).map(|(_, row)| row.clone());
        let row = match shown {
            Some(row) => Some(row),
            None => member(self.view, &own.head, friend).await?,
        };
        use MembershipKind::{Invite, Join};
        if let Some(row) = row.filter(|row| matches!(row.kind, Join | Invite)) {
            return Ok(Named { name: row.displayname, avatar_url: row.avatar_url, heroes: vec![] });
        }
        let [name, avatar_url] = self.profile_of(friend).await?;
        Ok(Named { name, avatar_url, heroes: vec![] })
    }

    /// How somebody is called, and their picture, wherever they are.
    async fn profile_of(&self, user: &UserId) -> Result<[Option<String>; 2]> {
        let profile = self.view.get(&PROFILES, &(user.to_owned(),)).await?;
        let Json(profile) = profile.unwrap_or_default();
        let text = |field: &str| Some(profile.get(field)?.as_str()?.to_owned());
        Ok([text("displayname"), text("avatar_url")])
    }

    /// What was said last, if the user may see it and does not ignore who said it.
    async fn last_message(&self, own: &Own, face: &Face) -> Result<Option<LastMessage>> {
        let Some(row) = &face.spoken else { return Ok(None) };
        let edit = row.related.as_ref().and_then(|related| related.edit.as_ref());
        let ids: Vec<_> =
            [&row.event].into_iter().chain(edit.map(|edit| &edit.event)).cloned().collect();
        let reader = Reader::Inside(self.user);
        let mut events = load_for(self.view, self.core, &own.head, reader, &ids).await?.into_iter();
        let Some(event) = events.next().flatten() else { return Ok(None) };
        if self.ignored.contains(event.sender()) || !self.sees(own).await? {
            return Ok(None);
        }
        let preview = shown(row).then(|| Preview::of(&event, events.next().flatten().as_ref()));
        let kind =
            preview.as_ref().map_or(tertulia_protocol::MessageKind::Other, |shown| shown.kind);
        let sender_displayname = match &face.speaker {
            Speaker::Here(name) => name.clone(),
            Speaker::Gone => self.profile_of(event.sender()).await?[0].take(),
        };
        Ok(Some(LastMessage {
            event_id: row.event.clone(),
            sender: event.sender().to_owned(),
            sender_displayname,
            origin_server_ts: event.origin_server_ts().get().into(),
            kind,
            text: preview.and_then(|preview| preview.text),
            redacted: !shown(row),
        }))
    }

    /// Whether the user may see what was said last. They may if they were in the room.
    async fn sees(&self, own: &Own) -> Result<bool> {
        let spoken = own.head.row.spoken;
        if own.me.joined.is_some_and(|(since, _)| since <= spoken) {
            return Ok(true);
        }
        let sight = Sight::of(self.view, self.core, &own.head, self.user).await?;
        Ok(sight.sees(Ordinal::Live(spoken)))
    }
}

/// Whether there is anything left of what was said.
fn shown(row: &TimelineRow) -> bool {
    row.redacted_by.is_none()
}

/// How a chat is called.
struct Named {
    name: Option<String>,
    avatar_url: Option<String>,
    heroes: Vec<ChatHero>,
}

/// Whether the account data says that a room is to be read.
fn is_marked(content: &str) -> bool {
    #[derive(Deserialize)]
    struct Mark {
        unread: bool,
    }
    serde_json::from_str::<Mark>(content).is_ok_and(|mark| mark.unread)
}
