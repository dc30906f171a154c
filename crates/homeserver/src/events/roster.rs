//! The list of a room's members. Each generation of the room's state has its own, so that a new
//! one is complete when it comes into force, however many members there are.

use std::ops::Bound;

use ruma::{OwnedUserId, UserId};
use tertulia_storage::{Direction, Tx, View};

use super::{Base, Head};
use crate::{
    Result,
    schema::{GENERATION_MEMBERS, MEMBERS, Member},
};

/// What `user` is to the room now.
pub(crate) async fn member(view: &View, head: &Head, user: &UserId) -> Result<Option<Member>> {
    member_in(view, head.base(), user).await
}

/// Up to `limit` of the room's members behind `after`, in the order of their names.
pub(crate) async fn members(
    view: &View,
    head: &Head,
    after: Option<&UserId>,
    limit: usize,
) -> Result<Vec<(OwnedUserId, Member)>> {
    members_in(view, head.base(), after, limit).await
}

/// What `user` is to the room in one generation of its state.
pub(super) async fn member_in(
    view: &View,
    base: Base<'_>,
    user: &UserId,
) -> Result<Option<Member>> {
    let Base { room, generation } = base;
    Ok(match generation {
        0 => view.get(&MEMBERS, &(room.to_owned(), user.to_owned())).await?,
        n => view.get(&GENERATION_MEMBERS, &(room.to_owned(), n, user.to_owned())).await?,
    })
}

/// Up to `limit` members of one generation behind `after`.
pub(super) async fn members_in(
    view: &View,
    base: Base<'_>,
    after: Option<&UserId>,
    limit: usize,
) -> Result<Vec<(OwnedUserId, Member)>> {
    let (room, n) = (base.room.to_owned(), base.generation);
    if n == 0 {
        let from = after.map(|user| (room.clone(), user.to_owned()));
        let from = from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let rows = view.scan_from(&MEMBERS, &(room,), from, Direction::Forward, limit).await?;
        return Ok(rows.into_iter().map(|((_, user), row)| (user, row)).collect());
    }
    let from = after.map(|user| (room.clone(), n, user.to_owned()));
    let from = from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let rows =
        view.scan_from(&GENERATION_MEMBERS, &(room, n), from, Direction::Forward, limit).await?;
    Ok(rows.into_iter().map(|((_, _, user), row)| (user, row)).collect())
}

/// Writes what `user` is to the room in one generation; none takes the row away.
pub(super) fn put_member(tx: &mut Tx, base: Base<'_>, user: &UserId, row: Option<&Member>) {
    let (room, user) = (base.room.to_owned(), user.to_owned());
    match (base.generation, row) {
        (0, Some(row)) => tx.put(&MEMBERS, &(room, user), row),
        (0, None) => tx.delete(&MEMBERS, &(room, user)),
        (n, Some(row)) => tx.put(&GENERATION_MEMBERS, &(room, n, user), row),
        (n, None) => tx.delete(&GENERATION_MEMBERS, &(room, n, user)),
    }
}

/// Deletes up to `limit` members of one generation; tells how many there were.
pub(super) async fn delete_members(tx: &mut Tx, base: Base<'_>, limit: usize) -> Result<usize> {
    let room = base.room.to_owned();
    Ok(match base.generation {
        0 => tx.delete_page(&MEMBERS, &(room,), limit).await?,
        n => tx.delete_page(&GENERATION_MEMBERS, &(room, n), limit).await?,
    })
}
