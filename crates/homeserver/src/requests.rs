//! Requests, received and sent: to be friends, to come into groups, to be let in.
//!
//! They are written where invites, knocks and what follows them are (`events/requests.rs`), so that what
//! any client does shows here. To answer one is to do what any client does: join, leave, invite, remove.

use std::{collections::BTreeMap, ops::Bound};

use ruma::{OwnedRoomId, OwnedUserId};
use serde::Serialize;
use tertulia_protocol::{RequestKind, RequestState, Summary};
use tertulia_storage::{Command, Descending, Direction, Json, Partition, Position, Tx, View};

use crate::{
    Error, Result,
    core::{Core, User},
    directory::summaries,
    events::{self, Head},
    schema::{HEADS, PROFILES, Profile, REQUESTS, REQUESTS_SEEN, RequestRow},
    users,
};
pub use crate::{events::RequestCounts, schema::RequestBox};

/// How many requests a page has at most.
const MOST: usize = 200;
/// How many may have come while it is noted that the user has looked.
const JUST_NOW: usize = 50;

/// A request, as its page shows it. It serialises as our own API has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request {
    /// What it is called, to answer it.
    pub id: String,
    /// What is asked.
    pub kind: RequestKind,
    /// Into which room.
    pub room_id: OwnedRoomId,
    /// How the room is called, where that is told; of a request that is over, how it was when it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_name: Option<String>,
    /// The picture of the room, as its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_avatar_url: Option<String>,
    /// Who asks; on the page of what the user asks, who is asked, or the user where that is a room.
    pub user_id: OwnedUserId,
    /// Their nickname.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub displayname: Option<String>,
    /// Their picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was asked, in milliseconds since 1970.
    pub asked: u64,
    /// What has become of it.
    pub state: RequestState,
    /// When that was, as `asked`; none while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// Whether it is new to the user.
    pub unread: bool,
}

/// A page of requests, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestsPage {
    /// The requests.
    pub requests: Vec<Request>,
    /// How many wait.
    pub counts: RequestCounts,
    /// Where the next page begins; none if this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The requests of a user. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Requests {
    user: User,
}

impl User {
    /// The user's requests.
    pub fn requests(&self) -> Requests {
        Requests { user: self.clone() }
    }
}

type Row = (Position, RequestRow);
/// A row with who is shown beside it, their profile, and the room.
type Told = (((Row, (OwnedUserId,)), Option<Json<Profile>>), Named);

impl Requests {
    /// Up to `limit` requests, 200 at most, newest first, of those behind `from`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if `from` is no token of a page before.
    pub async fn list(
        &self,
        of: RequestBox,
        from: Option<&str>,
        limit: usize,
    ) -> Result<RequestsPage> {
        let from = from.map(position).transpose()?;
        let view = self.user.core.store.view().await?;
        let limit = limit.clamp(1, MOST);
        let mut rows = self.rows(&view, of, from, limit + 1).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|(at, _)| at.get().to_string());
        let counts = events::request_counts(&view, &self.user.id).await?;
        let requests = self.tell(&view, of, rows).await?;
        Ok(RequestsPage { requests, counts, next })
    }

    async fn rows(
        &self,
        view: &View,
        of: RequestBox,
        from: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Row>> {
        let prefix = (self.user.id.clone(), of);
        let from = from.map(|from| (prefix.0.clone(), of, Descending(from)));
        let from = from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let rows = view.scan_from(&REQUESTS, &prefix, from, Direction::Forward, limit).await?;
        Ok(rows.into_iter().map(|((_, _, Descending(at)), row)| (at, row)).collect())
    }

    async fn tell(&self, view: &View, of: RequestBox, rows: Vec<Row>) -> Result<Vec<Request>> {
        let core = &self.user.core;
        let seen = view.get(&REQUESTS_SEEN, &(self.user.id.clone(),)).await?;
        let others: Vec<_> = rows.iter().map(|(_, row)| (other(of, row).clone(),)).collect();
        let profiles = view.get_many(&PROFILES, &others).await?;
        let rooms = rooms(view, core, &rows).await?;
        let told = rows.into_iter().zip(others).zip(profiles).zip(rooms);
        let request = |((((at, row), (user_id,)), profile), room): Told| {
            let Json(profile) = profile.unwrap_or_default();
            let text = |field: &str| Some(profile.get(field)?.as_str()?.to_owned());
            let is_new = seen.is_none_or(|(seen,)| at > seen);
            let (kind, state) = (row.kind(), row.state());
            let waits = state == RequestState::Waiting;
            Request {
                id: at.get().to_string(),
                kind,
                room_name: room.0.or(row.room_name),
                room_avatar_url: room.1.or(row.room_avatar),
                displayname: text("displayname"),
                avatar_url: text("avatar_url"),
                unread: waits && is_new && of == RequestBox::Received,
                state,
                user_id,
                room_id: row.room,
                reason: row.reason,
                asked: row.asked,
                ended: row.ended,
            }
        };
        Ok(told.map(request).collect())
    }

    /// Grants a request that the user received: joins the room, or lets somebody in.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such request that waits, and as joining and inviting have it.
    pub async fn accept(&self, id: &str) -> Result<()> {
        let row = self.waiting(RequestBox::Received, id).await?;
        let room = self.user.room(&row.room);
        match row.kind() {
            RequestKind::Knock => room.invite(&row.subject, None, false).await,
            RequestKind::Friend | RequestKind::Group => room.join(None).await,
        }
    }

    /// Turns down a request that the user received.
    ///
    /// # Errors
    ///
    /// As [`Requests::accept`].
    pub async fn refuse(&self, id: &str) -> Result<()> {
        let row = self.waiting(RequestBox::Received, id).await?;
        let room = self.user.room(&row.room);
        match row.kind() {
            RequestKind::Knock => room.kick(&row.subject, None).await,
            RequestKind::Friend | RequestKind::Group => room.leave(None).await,
        }
    }

    /// Takes back a request that the user sent.
    ///
    /// # Errors
    ///
    /// As [`Requests::accept`].
    pub async fn withdraw(&self, id: &str) -> Result<()> {
        let row = self.waiting(RequestBox::Sent, id).await?;
        let room = self.user.room(&row.room);
        match row.kind() {
            RequestKind::Knock => room.leave(None).await,
            RequestKind::Friend | RequestKind::Group => room.kick(&row.subject, None).await,
        }
    }

    /// The request `id`, if it waits.
    async fn waiting(&self, of: RequestBox, id: &str) -> Result<RequestRow> {
        let view = self.user.core.store.view().await?;
        let key = (self.user.id.clone(), of, Descending(position(id)?));
        let row = view.get(&REQUESTS, &key).await?;
        let row = row.filter(|row| row.state() == RequestState::Waiting);
        row.ok_or(Error::NotFound("request"))
    }

    /// Takes a request that does not wait any more off its page.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such request, or it waits.
    pub async fn dismiss(&self, id: &str) -> Result<()> {
        let dismiss = Dismiss { user: self.user.id.clone(), at: position(id)? };
        self.user.core.store.write(dismiss).await?;
        Ok(())
    }

    /// Notes that the user has looked at all requests received so far.
    ///
    /// # Errors
    ///
    /// [`Error::Deactivated`] if the user is gone.
    pub async fn mark_seen(&self) -> Result<()> {
        let (user, up_to) = (self.user.id.clone(), self.user.core.store.settled());
        self.user.core.store.write(See { user, up_to }).await?;
        Ok(())
    }
}

/// The one to be shown beside a request.
fn other(of: RequestBox, row: &RequestRow) -> &OwnedUserId {
    match of {
        RequestBox::Received => &row.asker,
        RequestBox::Sent => &row.subject,
    }
}

/// The name and the picture of a room.
type Named = (Option<String>, Option<String>);

/// What the rooms of requests that wait are called now. Rooms for two have no name of their own; of those
/// who were not let into a room it is nobody's business how it is called later.
async fn rooms(view: &View, core: &Core, rows: &[Row]) -> Result<Vec<Named>> {
    let waiting = |row: &RequestRow| row.state() == RequestState::Waiting;
    let keys: Vec<_> = rows.iter().filter(|(_, row)| waiting(row)).collect();
    let keys: Vec<_> = keys.into_iter().map(|(_, row)| (row.room.clone(),)).collect();
    let found = view.get_many(&HEADS, &keys).await?;
    let mut heads = Vec::with_capacity(keys.len());
    for ((room,), head) in keys.into_iter().zip(found) {
        heads.extend(head.map(|head| Head::new(room, head)).transpose()?);
    }
    let told = summaries(view, core, &heads.iter().collect::<Vec<_>>()).await?;
    let named = |summary: Summary| (summary.name, summary.avatar_url);
    let rooms = heads.iter().map(|head| head.room.clone());
    let named: BTreeMap<_, _> = rooms.zip(told.into_iter().map(named)).collect();
    let named = rows.iter().map(|(_, row)| match waiting(row) {
        true => named.get(&row.room).cloned().unwrap_or_default(),
        false => Named::default(),
    });
    Ok(named.collect())
}

fn position(id: &str) -> Result<Position> {
    id.parse().map(Position::new).map_err(|_| Error::Invalid("the ID of the request"))
}

/// Takes a request off its page.
struct Dismiss {
    user: OwnedUserId,
    at: Position,
}

impl Command for Dismiss {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        // Nobody both asks and is asked by one event.
        for of in [RequestBox::Received, RequestBox::Sent] {
            let key = (self.user.clone(), of, Descending(self.at));
            let row = tx.get_guarded(&REQUESTS, &key).await?;
            if row.is_some_and(|row| row.state() != RequestState::Waiting) {
                tx.delete(&REQUESTS, &key);
                return Ok(());
            }
        }
        Err(Error::NotFound("request"))
    }
}

/// Notes up to where a user has looked.
struct See {
    user: OwnedUserId,
    up_to: Position,
}

impl Command for See {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        users::refuse_closed(tx, &self.user).await?;
        let key = (self.user.clone(),);
        let seen = tx.get_guarded(&REQUESTS_SEEN, &key).await?;
        if seen.is_some_and(|(seen,)| seen >= self.up_to) {
            return Ok(());
        }
        tx.put(&REQUESTS_SEEN, &key, &(self.up_to,));
        let unread = self.unread(tx).await?;
        if events::request_counts(tx, &self.user).await?.unread != unread {
            events::count_requests(tx, &self.user, |counts| counts.unread = unread).await?;
        }
        Ok(())
    }
}

impl See {
    /// How many have come since the user looked.
    async fn unread(&self, tx: &Tx) -> Result<u64> {
        let prefix = (self.user.clone(), RequestBox::Received);
        let rows = tx.scan(&REQUESTS, &prefix, Direction::Forward, JUST_NOW).await?;
        let new = rows.into_iter().take_while(|((.., Descending(at)), _)| *at > self.up_to);
        Ok(new.filter(|(_, row)| row.state() == RequestState::Waiting).count() as u64)
    }
}

#[cfg(test)]
mod tests;
