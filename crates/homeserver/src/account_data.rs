//! Account data: what clients keep on the server for themselves, global and per room.
//!
//! Tags, push rules and the fully-read marker are account data with rules of their own.

pub(crate) mod bookmarks;
mod carry;
pub(crate) mod direct;
pub(crate) mod filters;
pub(crate) mod push_rules;
pub(crate) mod tags;

use std::ops::Bound;

use ruma::{EventId, OwnedUserId, RoomId, UserId};
use serde::Serialize;
use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};
use tertulia_protocol::BookmarkType;
use tertulia_storage::{Command, Direction, Key, Partition, Position, Tx, View};

pub(crate) use carry::carry_settings;

use crate::{
    Error, Result, User,
    devices::Session,
    events::{REQUESTS_KIND, reconsider_requests, says_who_is_welcome},
    log,
    schema::{ACCOUNT_DATA, ACCOUNT_DATA_CHANGES, Scope},
    users,
};

/// The most bytes of one type's content. A commit holds 1 MB.
const MAX_CONTENT: usize = 512 * 1024;
/// The most bytes of a type, as for types of events.
const MAX_KIND: usize = 255;
/// How many rows are read at once.
const PAGE: usize = 1_000;

pub(crate) const DIRECT: &str = "m.direct";
const FULLY_READ: &str = "m.fully_read";
const PUSH_RULES: &str = "m.push_rules";
const TAG: &str = "m.tag";

impl User {
    /// The content of one type of the user's account data: of `room`, or global.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if it was never set.
    pub async fn account_data(&self, room: Option<&RoomId>, kind: &str) -> Result<Box<RawValue>> {
        let view = self.core.store.view().await?;
        let datum = load(&view, &self.id, scope(room), kind).await?;
        Ok(raw(datum.ok_or(Error::NotFound("account data"))?.content))
    }

    /// Sets the content of one type of the user's account data: of `room`, or global.
    ///
    /// # Errors
    ///
    /// [`Error::NotAnObject`] if `content` is no JSON object, [`Error::SetByServer`] for what only
    /// the server sets, [`Error::BodyTooLarge`] beyond 512 KiB, [`Error::TooMany`] for a bookmark
    /// beyond the 20,000 that a user may have.
    pub async fn set_account_data(
        &self,
        room: Option<&RoomId>,
        kind: &str,
        content: Box<RawValue>,
    ) -> Result<()> {
        self.set_knowing(room, kind, &content, Position::new(u64::MAX)).await
    }

    /// Sets account data as one who was told what happened up to `known`.
    async fn set_knowing(
        &self,
        room: Option<&RoomId>,
        kind: &str,
        content: &RawValue,
        known: Position,
    ) -> Result<()> {
        check(kind, content)?;
        if let (None, Some(kind)) = (room, BookmarkType::of(kind)) {
            return bookmarks::set(self, kind, content).await;
        }
        let command = SetAccountData {
            user: self.id.clone(),
            scope: scope(room),
            kind: kind.to_owned(),
            content: content.get().to_owned(),
            known,
        };
        self.core.store.write(command).await?;
        if room.is_none() && says_who_is_welcome(kind) {
            let user = &self.id;
            while self.core.store.write(Reconsider { user: user.clone() }).await?.out {}
        }
        Ok(())
    }

    /// Moves the marker of what the user has certainly read in `room`. Only receipts check it.
    pub(crate) async fn set_fully_read(&self, room: &RoomId, event: &EventId) -> Result<()> {
        let command = SetAccountData {
            user: self.id.clone(),
            scope: Scope::Room(room.to_owned()),
            kind: FULLY_READ.to_owned(),
            content: json!({ "event_id": event }).to_string(),
            known: self.core.store.settled(),
        };
        self.core.store.write(command).await?;
        Ok(())
    }
}

impl Session {
    /// As [`User::account_data`], on this session's device.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn account_data(&self, room: Option<&RoomId>, kind: &str) -> Result<Box<RawValue>> {
        let settled = self.core.store.settled();
        let content = User::account_data(self, room, kind).await?;
        if room.is_none() && kind == DIRECT {
            direct::note_told(&self.core, &self.id, self.device(), Some(settled));
        }
        Ok(content)
    }

    /// As [`User::set_account_data`], on this session's device: rooms that the server has added to
    /// `m.direct`, and of which the device was not told yet when it made this write, stay there. A
    /// write may have been on its way for ten seconds.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn set_account_data(
        &self,
        room: Option<&RoomId>,
        kind: &str,
        content: Box<RawValue>,
    ) -> Result<()> {
        let known = direct::known_to(&self.core, &self.id, self.device());
        self.set_knowing(room, kind, &content, known).await
    }
}

fn scope(room: Option<&RoomId>) -> Scope {
    room.map_or(Scope::Global, |room| Scope::Room(room.to_owned()))
}

/// Whether a client may set `kind` to `content`.
fn check(kind: &str, content: &RawValue) -> Result<()> {
    if kind == FULLY_READ || kind == PUSH_RULES || kind == REQUESTS_KIND {
        return Err(Error::SetByServer(kind.to_owned()));
    }
    if kind.is_empty() || kind.len() > MAX_KIND {
        return Err(Error::Invalid("the type of the account data"));
    }
    if !content.get().starts_with('{') {
        return Err(Error::NotAnObject("account data"));
    }
    check_size(content.get())
}

fn check_size(content: &str) -> Result<()> {
    match content.len() {
        0..=MAX_CONTENT => Ok(()),
        _ => Err(Error::BodyTooLarge("account data")),
    }
}

fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("account data is stored as JSON")
}

struct SetAccountData {
    user: OwnedUserId,
    scope: Scope,
    kind: String,
    content: String,
    /// Up to where its writer was told what happened.
    known: Position,
}

impl Command for SetAccountData {
    type Out = Position;
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<Position> {
        let mut content = self.content.clone();
        if self.kind == DIRECT && self.scope == Scope::Global {
            let old = load(tx, &self.user, Scope::Global, DIRECT).await?;
            let old = old.as_ref().map(|old| &*old.content);
            content = direct::merge(tx, &self.user, old, content, self.known).await?;
        }
        let at = put(tx, &self.user, &self.scope, &self.kind, content).await?;
        if self.scope == Scope::Global && says_who_is_welcome(&self.kind) {
            reconsider_requests(tx, &self.user).await?;
        }
        Ok(at)
    }
}

/// Goes on with hiding and showing requests, where one commit does not bear all; tells whether there may be
/// more. What a stop leaves is done when the user says the next time who is welcome.
struct Reconsider {
    user: OwnedUserId,
}

impl Command for Reconsider {
    type Out = bool;
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<bool> {
        reconsider_requests(tx, &self.user).await
    }
}

/// Where a user's account data is changed, one change after the other.
fn partition(user: &UserId) -> Partition {
    Partition::of("user", user.as_str())
}

/// Sets account data, whoever may set it, and writes down that it changed.
async fn put(
    tx: &mut Tx,
    user: &UserId,
    scope: &Scope,
    kind: &str,
    content: String,
) -> Result<Position> {
    users::refuse_closed(tx, user).await?;
    let at = log::set_account_data(tx, user, scope, kind, content).await?;
    if kind == DIRECT {
        tx.wake(log::direct_topic());
    }
    Ok(at)
}

/// One type of a user's account data, as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Datum {
    pub(crate) scope: Scope,
    pub(crate) kind: String,
    pub(crate) content: String,
}

impl Datum {
    /// The event that tells a client.
    pub(crate) fn event(&self) -> Box<RawValue> {
        #[derive(Serialize)]
        struct Event<'a> {
            r#type: &'a str,
            content: &'a RawValue,
        }
        let content: &RawValue =
            serde_json::from_str(&self.content).expect("account data is stored as JSON");
        to_raw_value(&Event { r#type: &self.kind, content }).expect("JSON serialises")
    }
}

/// One type of a user's account data. Push rules are there before anyone sets them.
pub(crate) async fn load(
    view: &View,
    user: &UserId,
    scope: Scope,
    kind: &str,
) -> Result<Option<Datum>> {
    let key = (user.to_owned(), scope.clone(), kind.to_owned());
    let stored = view.get(&ACCOUNT_DATA, &key).await?.map(|datum| datum.content);
    shown(view, user, scope, kind, stored).await
}

/// What is `stored` of one type, as clients see it.
async fn shown(
    view: &View,
    user: &UserId,
    scope: Scope,
    kind: &str,
    stored: Option<String>,
) -> Result<Option<Datum>> {
    let content = match (&scope, kind, stored) {
        (Scope::Global, PUSH_RULES, stored) => {
            Some(push_rules::content(&push_rules::current(user, stored.as_deref())))
        }
        (Scope::Global, kind, Some(stored)) => match BookmarkType::of(kind) {
            Some(BookmarkType::Index(names)) => {
                Some(bookmarks::index_content(view, user, names, &stored).await?)
            }
            _ => Some(stored),
        },
        (_, _, stored) => stored,
    };
    Ok(content.map(|content| Datum { scope, kind: kind.to_owned(), content }))
}

/// All of a user's account data, global and of every room: what an initial sync tells.
pub(crate) async fn all(view: &View, user: &UserId) -> Result<Vec<Datum>> {
    let mut data =
        vec![load(view, user, Scope::Global, PUSH_RULES).await?.expect("everyone has push rules")];
    for (scope, kind, content) in stored(view, &(user.to_owned(),)).await? {
        if scope != Scope::Global || kind != PUSH_RULES {
            data.extend(shown(view, user, scope, &kind, Some(content)).await?);
        }
    }
    Ok(data)
}

/// All of a user's account data about one room.
pub(crate) async fn of_room(view: &View, user: &UserId, room: &RoomId) -> Result<Vec<Datum>> {
    let rows = stored(view, &(user.to_owned(), Scope::Room(room.to_owned()))).await?;
    Ok(rows.into_iter().map(|(scope, kind, content)| Datum { scope, kind, content }).collect())
}

/// What is stored under a prefix of the key: scope, type, content.
async fn stored(view: &View, prefix: &impl Key) -> Result<Vec<(Scope, String, String)>> {
    let mut data = Vec::new();
    let mut from = Bound::Unbounded;
    loop {
        let page =
            view.scan_from(&ACCOUNT_DATA, prefix, from.as_ref(), Direction::Forward, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(data) };
        from = Bound::Excluded(last.clone());
        data.extend(page.into_iter().map(|((_, scope, kind), row)| (scope, kind, row.content)));
    }
}

/// The account data of a user that was set after a position, oldest first: what an incremental
/// sync tells.
pub(crate) async fn changed(view: &View, user: &UserId, after: Position) -> Result<Vec<Datum>> {
    let mut data = Vec::new();
    let mut from = (user.to_owned(), after);
    loop {
        let (prefix, start) = ((user.to_owned(),), Bound::Excluded(&from));
        let page =
            view.scan_from(&ACCOUNT_DATA_CHANGES, &prefix, start, Direction::Forward, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(data) };
        from = last.clone();
        let keys = page.into_iter().map(|(_, (scope, kind))| (user.to_owned(), scope, kind));
        let keys: Vec<_> = keys.collect();
        let rows = view.get_many(&ACCOUNT_DATA, &keys).await?;
        for ((_, scope, kind), row) in keys.into_iter().zip(rows) {
            let stored = row.map(|row| row.content);
            data.extend(shown(view, user, scope, &kind, stored).await?);
        }
    }
}

#[cfg(test)]
mod tests;
