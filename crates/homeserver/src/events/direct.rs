//! Which rooms are direct, and with whom: those whose invite said so, for who sent and who got it, and
//! those that a user lists in `m.direct`, for that user alone.
//!
//! The first part is a projection of invites, written where memberships are; it lasts until the user
//! forgets the room. Friends are read from it and from memberships; see [`Friendship`].

use std::collections::BTreeMap;

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use tertulia_protocol::{DirectRoom, Friendship, Place};
use tertulia_storage::{Direction, Tx, View};

use crate::{
    Result,
    core::Core,
    schema::{DIRECT, DIRECT_WITH, DirectBy, DirectWith, MEMBERSHIPS, Membership, MembershipKind},
};

/// With how many a room is direct for one user; beyond, it is for many.
const MOST_OTHERS: usize = 50;

/// How many direct rooms of one user with another are looked at, by each of what makes them so.
const MOST_ROOMS: usize = 100;

/// Whose invites count in what one user is to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// All that were sent.
    Sent,
    /// Those that the user is told of.
    Told,
}

/// Notes that an invite makes a room direct, for those of the two who are users of this server.
pub(super) async fn note_invite(
    tx: &mut Tx,
    core: &Core,
    room: &RoomId,
    asker: &UserId,
    guest: &UserId,
) -> Result<()> {
    for (user, other) in [(asker, guest), (guest, asker)] {
        if core.is_local(user.server_name()) {
            make_direct(tx, user, other, room, DirectBy::Invite).await?;
        }
    }
    Ok(())
}

/// Notes that `room` is direct for `user` with `other`.
pub(crate) async fn make_direct(
    tx: &mut Tx,
    user: &UserId,
    other: &UserId,
    room: &RoomId,
    by: DirectBy,
) -> Result<()> {
    let key = (user.to_owned(), room.to_owned(), by);
    let mut with = tx.get(&DIRECT_WITH, &key).await?.unwrap_or_default();
    if with.others.len() >= MOST_OTHERS || with.others.iter().any(|known| known == other) {
        return Ok(());
    }
    with.others.push(other.to_owned());
    tx.put(&DIRECT_WITH, &key, &with);
    tx.put(&DIRECT, &(user.to_owned(), other.to_owned(), room.to_owned(), by), &());
    Ok(())
}

/// Notes that `room` is not direct any more for `user` with those of whom `ends` says so.
pub(crate) async fn end_direct(
    tx: &mut Tx,
    user: &UserId,
    room: &RoomId,
    by: DirectBy,
    ends: impl Fn(&UserId) -> bool,
) -> Result<()> {
    let key = (user.to_owned(), room.to_owned(), by);
    let Some(with) = tx.get(&DIRECT_WITH, &key).await? else { return Ok(()) };
    let (ended, left): (Vec<_>, Vec<_>) = with.others.into_iter().partition(|other| ends(other));
    for other in ended {
        tx.delete(&DIRECT, &(user.to_owned(), other, room.to_owned(), by));
    }
    match left.is_empty() {
        true => tx.delete(&DIRECT_WITH, &key),
        false => tx.put(&DIRECT_WITH, &key, &DirectWith { others: left }),
    }
    Ok(())
}

/// With whom each of `rooms` is direct for `user`.
pub(crate) async fn direct_with(
    view: &View,
    user: &UserId,
    rooms: &[OwnedRoomId],
) -> Result<Vec<Vec<OwnedUserId>>> {
    let keys: Vec<_> = rooms
        .iter()
        .flat_map(|room| DirectBy::ALL.map(|by| (user.to_owned(), room.clone(), by)))
        .collect();
    let rows = view.get_many(&DIRECT_WITH, &keys).await?;
    let others = rows.chunks(DirectBy::ALL.len()).map(|parts| {
        let mut others: Vec<_> =
            parts.iter().flatten().flat_map(|with| with.others.iter().cloned()).collect();
        others.sort();
        others.dedup();
        others
    });
    Ok(others.collect())
}

/// The direct rooms of `user` with `other`, wherever the two are.
pub(crate) async fn direct_rooms(
    view: &View,
    user: &UserId,
    other: &UserId,
) -> Result<Vec<OwnedRoomId>> {
    let prefix = (user.to_owned(), other.to_owned());
    let limit = DirectBy::ALL.len() * MOST_ROOMS;
    let rows = view.scan(&DIRECT, &prefix, Direction::Forward, limit).await?;
    let mut rooms: Vec<_> = rows.into_iter().map(|((.., room, _), ())| room).collect();
    rooms.dedup();
    Ok(rooms)
}

/// What `other` is to `user`.
pub(crate) async fn friendship(
    view: &View,
    user: &UserId,
    other: &UserId,
    counted: Counted,
) -> Result<Friendship<OwnedRoomId>> {
    if user == other {
        return Ok(Friendship::Stranger);
    }
    let rooms = direct_rooms(view, user, other).await?;
    let rooms = rooms.into_iter().map(|room| (other.to_owned(), room)).collect();
    Ok(friendships(view, user, rooms, counted).await?.remove(other).unwrap_or_default())
}

/// What others are to `user` by their direct rooms. It asks for all memberships at once.
pub(crate) async fn friendships(
    view: &View,
    user: &UserId,
    rooms: Vec<(OwnedUserId, OwnedRoomId)>,
    counted: Counted,
) -> Result<BTreeMap<OwnedUserId, Friendship<OwnedRoomId>>> {
    let keys: Vec<_> = rooms
        .iter()
        .flat_map(|(other, room)| [(user.to_owned(), room.clone()), (other.clone(), room.clone())])
        .collect();
    let rows = view.get_many(&MEMBERSHIPS, &keys).await?;
    let mut by_other: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for ((other, room), both) in rooms.into_iter().zip(rows.chunks(2)) {
        let told = |mine: &&Membership| counted == Counted::Sent || !mine.unwelcome;
        let (mine, theirs) = (both[0].as_ref().filter(told), both[1].as_ref());
        by_other.entry(other).or_default().push(DirectRoom {
            room,
            mine: place(mine),
            theirs: place(theirs),
            since: both.iter().flatten().map(|row| row.since.get()).max().unwrap_or_default(),
        });
    }
    Ok(by_other.into_iter().map(|(other, rooms)| (other, Friendship::by(rooms))).collect())
}

fn place(membership: Option<&Membership>) -> Place {
    match membership.map(|row| row.kind) {
        Some(MembershipKind::Join) => Place::Joined,
        Some(MembershipKind::Invite) => Place::Invited,
        _ => Place::Outside,
    }
}
