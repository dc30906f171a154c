//! `m.direct`: which rooms a user calls direct, and with whom (client-server API, "Direct Messaging").
//!
//! Clients write all of it at once, and the server adds and takes away single rooms. So a write is
//! merged with what the server did that the writer has not been told of: rooms that it added stay, and
//! rooms that were left do not come back.

mod content;
mod told;

use std::{collections::BTreeSet, ops::Bound};

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use tertulia_storage::{Command, Direction, Partition, Position, Tx, View};

use self::content::{Listed, listed, merged, rooms, with, without};
pub(crate) use self::told::{known_to, note_told};
use super::{DIRECT, check_size, partition, put};
use crate::{
    Error, Result,
    core::Core,
    events::{end_direct, make_direct},
    log,
    schema::{
        self, ACCOUNT_DATA, DIRECT_LISTED, DirectBy, DirectListed, Entry, MEMBERSHIPS,
        MembershipKind, Scope,
    },
    users,
};

/// How many entries one commit changes, of two rows each.
const STEP: usize = 100;
/// How many rows are read at once.
const PAGE: usize = 1_000;

fn key(user: &UserId) -> (OwnedUserId, Scope, String) {
    (user.to_owned(), Scope::Global, DIRECT.to_owned())
}

/// What a client's write of `new` over `old` becomes, which was told what happened up to `known`.
pub(super) async fn merge(
    tx: &Tx,
    user: &UserId,
    old: Option<&str>,
    new: String,
    known: Position,
) -> Result<String> {
    let old = old.unwrap_or("{}");
    let (before, after) = (rooms(old), rooms(&new));
    let stay = added_unseen(tx, user, before.difference(&after), known).await?;
    let left = left(tx, user, after.difference(&before)).await?;
    let new = without(&new, |room| left.iter().any(|id| id == room)).unwrap_or(new);
    Ok(merged(old, &new, &stay).filter(|all| check_size(all).is_ok()).unwrap_or(new))
}

/// Those of some rooms that the server has listed after `known`, and that the user is in.
async fn added_unseen(
    tx: &Tx,
    user: &UserId,
    rooms: impl Iterator<Item = &OwnedRoomId>,
    known: Position,
) -> Result<BTreeSet<OwnedRoomId>> {
    let keys: Vec<_> = rooms.map(|room| (user.to_owned(), room.clone())).collect();
    let added = tx.get_many(&DIRECT_LISTED, &keys).await?;
    let unseen = |listed: &Option<DirectListed>| listed.is_some_and(|listed| listed.at > known);
    let keys = keys.into_iter().zip(added).filter(|(_, listed)| unseen(listed));
    let keys: Vec<_> = keys.map(|(key, _)| key).collect();
    let memberships = tx.get_many(&MEMBERSHIPS, &keys).await?;
    let joined = keys
        .into_iter()
        .zip(memberships)
        .filter(|(_, row)| row.as_ref().is_some_and(|row| row.kind == MembershipKind::Join));
    Ok(joined.map(|((_, room), _)| room).collect())
}

/// Those of some rooms that the user has left.
async fn left(
    tx: &Tx,
    user: &UserId,
    rooms: impl Iterator<Item = &OwnedRoomId>,
) -> Result<BTreeSet<OwnedRoomId>> {
    let keys: Vec<_> = rooms.map(|room| (user.to_owned(), room.clone())).collect();
    let memberships = tx.get_many(&MEMBERSHIPS, &keys).await?;
    let left = keys
        .into_iter()
        .zip(memberships)
        .filter(|(_, row)| row.as_ref().is_some_and(|row| is_out(row.kind)));
    Ok(left.map(|((_, room), _)| room).collect())
}

fn is_out(kind: MembershipKind) -> bool {
    matches!(kind, MembershipKind::Leave | MembershipKind::Ban)
}

/// Lets `user` call `room` direct with `others`, because of what happened at `because`, which does so
/// once. A room that the user calls direct already is left as it is.
pub(crate) async fn list_direct(
    core: &Core,
    user: OwnedUserId,
    room: OwnedRoomId,
    others: Vec<OwnedUserId>,
    because: Position,
) -> Result<()> {
    core.store.write(List { user, room, others, because }).await.map(drop)
}

struct List {
    user: OwnedUserId,
    room: OwnedRoomId,
    others: Vec<OwnedUserId>,
    because: Position,
}

impl Command for List {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        users::refuse_closed(tx, &self.user).await?;
        let mine = (self.user.clone(), self.room.clone());
        let done = tx.get_guarded(&DIRECT_LISTED, &mine).await?;
        let me = tx.get(&MEMBERSHIPS, &mine).await?;
        let is_in = me.is_some_and(|me| me.kind == MembershipKind::Join);
        if !is_in || done.is_some_and(|done| done.because >= self.because) {
            return Ok(());
        }
        let old = tx.get_guarded(&ACCOUNT_DATA, &key(&self.user)).await?;
        let old = old.as_ref().map_or("{}", |old| &old.content);
        let Some(new) = with(old, &self.room, &self.others) else { return Ok(()) };
        if check_size(&new).is_ok() {
            let at = put(tx, &self.user, &Scope::Global, DIRECT, new).await?;
            tx.put(&DIRECT_LISTED, &mine, &DirectListed { because: self.because, at });
        }
        Ok(())
    }
}

/// Lets `user` call `room` direct no more, unless they are in it or asked in.
pub(crate) async fn unlist_direct(core: &Core, user: OwnedUserId, room: OwnedRoomId) -> Result<()> {
    core.store.write(Unlist { user, room }).await.map(drop)
}

struct Unlist {
    user: OwnedUserId,
    room: OwnedRoomId,
}

impl Command for Unlist {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let mine = (self.user.clone(), self.room.clone());
        let me = tx.get(&MEMBERSHIPS, &mine).await?;
        if me.is_some_and(|me| !is_out(me.kind)) {
            return Ok(());
        }
        tx.delete(&DIRECT_LISTED, &mine);
        let old = tx.get_guarded(&ACCOUNT_DATA, &key(&self.user)).await?;
        let new = old.and_then(|old| without(&old.content, |room| room == self.room.as_str()));
        match new {
            Some(new) => put(tx, &self.user, &Scope::Global, DIRECT, new).await.map(drop),
            None => Ok(()),
        }
    }
}

/// Writes down which rooms are direct for `user` by their own list, as it is now.
pub(crate) async fn relist(core: &Core, user: &UserId) -> Result<()> {
    let view = core.store.view().await?;
    let datum = view.get(&ACCOUNT_DATA, &key(user)).await?;
    let now = datum.map(|datum| listed(&datum.content)).unwrap_or_default();
    let noted = noted(&view, user).await?;
    let new = now.difference(&noted).map(|listed| (listed.clone(), true));
    let old = noted.difference(&now).map(|listed| (listed.clone(), false));
    let changes: Vec<_> = old.chain(new).collect();
    for changes in changes.chunks(STEP) {
        let relist = Relist { user: user.to_owned(), changes: changes.to_vec() };
        core.store.write(relist).await?;
    }
    Ok(())
}

/// What is written down of that.
async fn noted(view: &View, user: &UserId) -> Result<BTreeSet<Listed>> {
    let (mut noted, mut from) = (BTreeSet::new(), Bound::Unbounded);
    loop {
        let prefix = (user.to_owned(),);
        let table = &schema::DIRECT;
        let page = view.scan_from(table, &prefix, from.as_ref(), Direction::Forward, PAGE).await?;
        let Some((last, ())) = page.last() else { return Ok(noted) };
        from = Bound::Excluded(last.clone());
        let listed = page.into_iter().filter(|((.., by), ())| *by == DirectBy::List);
        noted.extend(listed.map(|((_, other, room, _), ())| (other, room)));
    }
}

/// Takes over some changes of a user's list.
struct Relist {
    user: OwnedUserId,
    /// Which rooms, and whether they are listed now.
    changes: Vec<(Listed, bool)>,
}

impl Command for Relist {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        users::refuse_closed(tx, &self.user).await?;
        for ((other, room), is_listed) in &self.changes {
            match is_listed {
                true => make_direct(tx, &self.user, other, room, DirectBy::List).await?,
                false => {
                    end_direct(tx, &self.user, room, DirectBy::List, |ended| ended == other).await?
                }
            }
        }
        let rooms: BTreeSet<_> = self.changes.iter().map(|((_, room), _)| room.clone()).collect();
        let rooms = rooms.into_iter().collect();
        log::record(tx, &Entry::Relisted { user: self.user.clone(), rooms });
        Ok(())
    }
}

/// Notes that the server has listed `room` beside one that the user listed.
pub(super) fn note_listed(tx: &mut Tx, user: &UserId, room: &RoomId, at: Position) {
    let listed = DirectListed { because: at, at };
    tx.put(&DIRECT_LISTED, &(user.to_owned(), room.to_owned()), &listed);
}

#[cfg(test)]
mod tests;
