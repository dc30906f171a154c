//! Asking somebody to be a friend.
//!
//! A request touches two partitions, the pair and the room. It is a job: the pair's row is written
//! first, with the create event of a new room or the room that is used again; then comes the invite,
//! which is there once however often it is placed; then the row goes.

use std::{ops::Bound, sync::Arc};

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use tertulia_protocol::Friendship;
use tertulia_storage::{Command, Direction, Partition, Tx, View};

use super::{Friends, is, no_request};
use crate::{
    Error, Homeserver, Result, User,
    core::Core,
    events::{Counted, admits, current_power, direct_rooms, friendship, load_head, member},
    schema::{MEMBERSHIPS, MembershipKind, PAIRS, PairRow},
    users,
};

/// How often it is looked again what has become of the two, where each look finds something to do.
const TRIES: usize = 8;

/// How many requests that were begun are read at once.
const PAGE: usize = 100;

/// Two users, the lesser first.
type Pair = (OwnedUserId, OwnedUserId);

fn pair(one: &UserId, other: &UserId) -> Pair {
    let (one, other) = (one.to_owned(), other.to_owned());
    if one < other { (one, other) } else { (other, one) }
}

fn partition((one, other): &Pair) -> Partition {
    Partition::of("pair", &format!("{one} {other}"))
}

impl Friends {
    /// Asks `other` to be a friend, for `reason`, and tells what they are now. To ask one who has asked
    /// the user is to accept; to ask again is the same request; to ask a friend changes nothing.
    ///
    /// One who does not want to hear from the user looks like one who has not answered. If that has changed since, to ask
    /// again is told.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such user here; [`Error::Forbidden`] for the user themself, or
    /// one of another server, as this server does not federate yet; [`Error::InviteBlocked`] if the other
    /// lets those who invite them know that they do not want that; [`Error::GuestsForbidden`].
    pub async fn request(
        &self,
        other: &UserId,
        reason: Option<String>,
    ) -> Result<Friendship<OwnedRoomId>> {
        self.user.refuse_suspended()?;
        self.check_request(other).await?;
        for _ in 0..TRIES {
            match self.begin_request(other, reason.clone()).await? {
                Begun::Known(Friendship::Asking(_)) => match self.accept(other).await {
                    // It was taken back just now.
                    Err(Error::NotFound(_)) => {}
                    accepted => return Ok(Friendship::Friend(accepted?.id().to_owned())),
                },
                Begun::Known(known) => return Ok(known),
                Begun::UnderWay(row) => {
                    go_on(&self.user.core, &pair(&self.user.id, other), &row).await?;
                    if row.by == self.user.id {
                        return Ok(Friendship::Asked(row.room));
                    }
                }
            }
        }
        Err(no_request())
    }

    async fn check_request(&self, other: &UserId) -> Result<()> {
        let view = self.user.core.store.view().await?;
        self.known_user(&view, other).await?;
        match users::account(&view, &self.user.id).await? {
            None => return Err(Error::NotFound("user")),
            Some(account) if account.deactivated.is_some() => return Err(Error::Deactivated),
            Some(account) if account.guest => return Err(Error::GuestsForbidden),
            Some(_) => {}
        }
        self.user.refuse_unwelcome(other).await
    }

    async fn begin_request(&self, other: &UserId, reason: Option<String>) -> Result<Begun> {
        let begin = Begin {
            core: self.user.core.clone(),
            by: self.user.id.clone(),
            other: other.to_owned(),
            fresh: self.user.new_request(other, reason).await?,
        };
        Ok(self.user.core.store.write(begin).await?.out)
    }
}

/// What has come of the wish to ask.
#[derive(Clone, Debug)]
enum Begun {
    /// There is nothing to place.
    Known(Friendship<OwnedRoomId>),
    /// A request is on its way, by either.
    UnderWay(PairRow),
}

/// Writes down that one is going to ask the other, unless something is between them already.
struct Begin {
    core: Arc<Core>,
    by: OwnedUserId,
    other: OwnedUserId,
    /// The request, were it to be in a new room.
    fresh: PairRow,
}

impl Command for Begin {
    type Out = Begun;
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&pair(&self.by, &self.other))
    }

    async fn run(&self, tx: &mut Tx) -> Result<Begun> {
        let key = pair(&self.by, &self.other);
        if let Some(row) = tx.get_guarded(&PAIRS, &key).await? {
            return Ok(Begun::UnderWay(row));
        }
        // A request that was placed is here: its row went after that.
        let known = friendship(tx, &self.by, &self.other, Counted::Sent).await?;
        let used = match &known {
            Friendship::Stranger => again(tx, &self.core, &self.by, &self.other).await?,
            Friendship::Asked(room) => heard_now(tx, &self.by, &self.other, room).await?,
            Friendship::Asking(_) | Friendship::Friend(_) => None,
        };
        if used.is_none() && known != Friendship::Stranger {
            return Ok(Begun::Known(known));
        }
        let row = match used {
            Some(used) => PairRow { reason: self.fresh.reason.clone(), ..used },
            None => self.fresh.clone(),
        };
        tx.put(&PAIRS, &key, &row);
        Ok(Begun::UnderWay(row))
    }
}

/// The request in a direct room of the two that `by` was left alone in, and may invite to.
async fn again(view: &View, core: &Core, by: &UserId, other: &UserId) -> Result<Option<PairRow>> {
    let rooms = direct_rooms(view, by, other).await?;
    let mine: Vec<_> = rooms.iter().map(|room| (by.to_owned(), room.clone())).collect();
    let mine = view.get_many(&MEMBERSHIPS, &mine).await?;
    for (room, mine) in rooms.into_iter().zip(mine) {
        if !is(mine.as_ref(), MembershipKind::Join) {
            continue;
        }
        let head = match load_head(view, &room).await {
            Err(Error::NotFound(_)) => continue,
            head => head?,
        };
        let theirs = member(view, &head, other).await?;
        let banned = theirs.as_ref().is_some_and(|member| member.kind == MembershipKind::Ban);
        let alone = head.row.joined == 1 && head.row.invited == 0;
        if alone && !banned && current_power(view, core, &head).await?.may_invite(by) {
            return Ok(Some(PairRow {
                by: by.to_owned(),
                version: head.row.version.clone(),
                create: None,
                replaces: theirs.map(|member| member.event),
                reason: None,
                room,
            }));
        }
    }
    Ok(None)
}

/// The request that waits in `room` once more, if `other` was not told of it and would be told now.
async fn heard_now(
    view: &View,
    by: &UserId,
    other: &UserId,
    room: &RoomId,
) -> Result<Option<PairRow>> {
    let theirs = view.get(&MEMBERSHIPS, &(other.to_owned(), room.to_owned())).await?;
    let Some(untold) = theirs.filter(|theirs| theirs.unwelcome) else { return Ok(None) };
    if !admits(view, other, by).await? {
        return Ok(None);
    }
    Ok(Some(PairRow {
        by: by.to_owned(),
        version: load_head(view, room).await?.row.version.clone(),
        create: None,
        replaces: Some(untold.event),
        reason: None,
        room: room.to_owned(),
    }))
}

/// Takes the steps of a request that was begun. One that cannot be placed is given up.
async fn go_on(core: &Arc<Core>, pair: &Pair, row: &PairRow) -> Result<()> {
    let placed = place(core, pair, row).await;
    if !matches!(placed, Err(Error::Storage(_))) {
        core.store.write(Finish { pair: pair.clone(), row: row.clone() }).await?;
    }
    placed
}

async fn place(core: &Arc<Core>, pair: &Pair, row: &PairRow) -> Result<()> {
    let view = core.store.view().await?;
    for user in [&pair.0, &pair.1] {
        let account = users::account(&view, user).await?;
        if account.is_none_or(|account| account.deactivated.is_some()) {
            return Err(Error::NotFound("user"));
        }
    }
    let guest = if row.by == pair.0 { &pair.1 } else { &pair.0 };
    let by = User::new(core.clone(), row.by.clone());
    by.room(&row.room).place_request(row, guest).await
}

/// Forgets that a request was on its way: it is there.
struct Finish {
    pair: Pair,
    row: PairRow,
}

impl Command for Finish {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.pair)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        if tx.get_guarded(&PAIRS, &self.pair).await?.as_ref() == Some(&self.row) {
            tx.delete(&PAIRS, &self.pair);
        }
        Ok(())
    }
}

impl Homeserver {
    /// Goes on with friend requests that a stop interrupted.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if the store fails.
    pub async fn go_on_requesting(&self) -> Result<()> {
        let (view, mut from) = (self.core.store.view().await?, Bound::Unbounded);
        loop {
            let forward = Direction::Forward;
            let rows = view.scan_from(&PAIRS, &(), from.as_ref(), forward, PAGE).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            from = Bound::Excluded(last.clone());
            for (pair, row) in rows {
                match go_on(&self.core, &pair, &row).await {
                    Err(Error::Storage(error)) => return Err(error.into()),
                    Err(error) => tracing::info!(%error, "a friend request is given up"),
                    Ok(()) => {}
                }
            }
        }
    }
}
