//! Letting a local user into a restricted room: somebody of this server who may invite answers for
//! the one who comes (client-server API, "Restricted rooms").

use ruma::{OwnedUserId, RoomId, UserId, events::StateEventType};
use tertulia_protocol::{AuthState, Draft, Power, Restriction, restriction, with_authoriser};
use tertulia_storage::Tx;

use super::{Head, current_slots, member, members};
use crate::{
    Error, Result,
    core::Core,
    schema::{MEMBERSHIPS, Member, MembershipKind},
};

/// How many whom the power levels name are looked at.
const NAMED: usize = 100;
/// How many members are read in one go, where everyone may invite.
const PAGE: usize = 100;
/// After how many goes a room in which nobody of this server was found has cost enough.
const PAGES: usize = 100;

/// A draft that somebody answers for if the room asks for it; `state` is what decides on it, to
/// which the one who answers is added.
///
/// # Errors
///
/// [`Error::Forbidden`] if the room asks for it and nobody may.
pub(super) async fn answered_for(
    tx: &Tx,
    core: &Core,
    head: &Head,
    draft: Draft,
    state: &mut AuthState,
) -> Result<Draft> {
    let Some(restriction) = restriction(&head.rules, &draft, state) else { return Ok(draft) };
    if !is_in_one(tx, &draft.sender, &restriction).await? {
        let reason = "you are in none of the rooms whose members may join";
        return Err(Error::Forbidden(reason.to_owned()));
    }
    let Some(authoriser) = authoriser(tx, core, head, state).await? else {
        let reason = "nobody of this server may invite you into the room";
        return Err(Error::Forbidden(reason.to_owned()));
    };
    let slot = (StateEventType::RoomMember, authoriser.to_string());
    state.extend(current_slots(tx, core, head, &[slot]).await?.iter().cloned());
    Ok(with_authoriser(draft, &authoriser))
}

/// Whether `user` is in one of the rooms. One event names no more rooms than can be looked up.
async fn is_in_one(tx: &Tx, user: &UserId, restriction: &Restriction) -> Result<bool> {
    let key = |room: &ruma::OwnedRoomId| (user.to_owned(), room.clone());
    let keys: Vec<_> = restriction.rooms.iter().map(key).collect();
    let rows = tx.get_many(&MEMBERSHIPS, &keys).await?;
    Ok(rows.into_iter().flatten().any(|row| row.kind == MembershipKind::Join))
}

/// A user of this server who is in the room and may invite: the most powerful of those whom the
/// power levels name, otherwise the first of the members.
async fn authoriser(
    tx: &Tx,
    core: &Core,
    head: &Head,
    state: &AuthState,
) -> Result<Option<OwnedUserId>> {
    let create = state.get(&StateEventType::RoomCreate, "").ok_or_else(|| no_create(&head.room))?;
    let levels = state.get(&StateEventType::RoomPowerLevels, "");
    let power = Power::new(&head.rules, create, levels);
    let named = power.inviters().into_iter().filter(|user| core.is_local(user.server_name()));
    for user in named.take(NAMED) {
        if member(tx, head, &user).await?.is_some_and(|row| row.kind == MembershipKind::Join) {
            return Ok(Some(user));
        }
    }
    if !power.everyone_may_invite() {
        return Ok(None);
    }
    let may = |user: &UserId, row: &Member| {
        let joined = row.kind == MembershipKind::Join;
        joined && core.is_local(user.server_name()) && power.may_invite(user)
    };
    first_member(tx, head, may).await
}

async fn first_member(
    tx: &Tx,
    head: &Head,
    is_wanted: impl Fn(&UserId, &Member) -> bool,
) -> Result<Option<OwnedUserId>> {
    let mut last: Option<OwnedUserId> = None;
    for _ in 0..PAGES {
        let page = members(tx, head, last.as_deref(), PAGE).await?;
        last = page.last().filter(|_| page.len() == PAGE).map(|(user, _)| user.clone());
        if let Some((user, _)) = page.into_iter().find(|(user, row)| is_wanted(user, row)) {
            return Ok(Some(user));
        }
        if last.is_none() {
            return Ok(None);
        }
    }
    Ok(None)
}

fn no_create(room: &RoomId) -> Error {
    Error::CorruptRoom(format!("{room} has no create event"))
}

#[cfg(test)]
mod tests;
