//! Guests leave a room that was closed to them ("Guest Access").
//!
//! A row of [`CLOSED_TO_GUESTS`] says that there may be some. It goes when all of them have left, so
//! that a start after a crash goes on with those who have not. A guest who comes meanwhile is refused
//! in the room's lane.

use std::sync::Arc;

use futures_util::future::try_join_all;
use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomId, OwnedUserId, RoomId,
    events::{StateEventType, room::member::MembershipState},
};
use serde_json::{json, value::to_raw_value};
use tertulia_protocol::{Draft, Pdu};
use tertulia_storage::{Command, Partition, Tx, View};

use crate::{
    Error, Result, User,
    core::Core,
    events::{self, load_head, members},
    schema::{ACCOUNTS, CLOSED_TO_GUESTS, Member, MembershipKind},
};

/// How many members are looked at together.
const PAGE: usize = 200;

/// How many guests leave at once, to share what a commit costs.
const AT_ONCE: usize = 20;

/// Lets all guests of this server leave `room` if it is closed to them, and then forgets the note,
/// unless it was `noted` anew meanwhile.
pub(crate) async fn turn_out_guests(core: &Arc<Core>, room: &RoomId, noted: u64) -> Result<()> {
    let mut after = None;
    loop {
        let view = core.store.view().await?;
        let head = match load_head(&view, room).await {
            Err(Error::NotFound(_)) => break,
            head => head?,
        };
        if events::lets_guests_in(&view, core, &head).await? {
            break;
        }
        let page = members(&view, &head, after.as_deref(), PAGE).await?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|(user, _)| user.clone());
        let guests = guests_of(core, &view, page).await?;
        drop(view);
        for guests in guests.chunks(AT_ONCE) {
            if core.stop.is_cancelled() {
                return Ok(());
            }
            try_join_all(guests.iter().map(|guest| turn_out(core, room, guest))).await?;
        }
        if is_last {
            break;
        }
    }
    core.store.write(Settle { room: room.to_owned(), noted }).await?;
    Ok(())
}

/// Those of some members who are guests of this server and in the room.
async fn guests_of(
    core: &Core,
    view: &View,
    members: Vec<(OwnedUserId, Member)>,
) -> Result<Vec<OwnedUserId>> {
    let is_here = |(user, row): &(OwnedUserId, Member)| {
        row.kind == MembershipKind::Join && core.is_local(user.server_name())
    };
    let here: Vec<_> = members.into_iter().filter(is_here).map(|(user, _)| (user,)).collect();
    let accounts = view.get_many(&ACCOUNTS, &here).await?;
    let guests = here.into_iter().zip(accounts);
    let guests = guests.filter(|(_, account)| account.as_ref().is_some_and(|row| row.guest));
    Ok(guests.map(|((user,), _)| user).collect())
}

/// Lets one guest leave; passes over whom the room keeps for a reason of its own.
async fn turn_out(core: &Arc<Core>, room: &RoomId, guest: &OwnedUserId) -> Result<()> {
    let (room, guest) = (room.to_owned(), guest.clone());
    let own = User::new(core.clone(), guest.clone()).room(&room);
    let leave = TurnOut { core: core.clone(), room, guest, now: core.now() };
    match core.store.write(leave).await.map(|left| left.out) {
        Ok(Some(left)) => drop(own.keep_sent(&left)),
        Ok(None) => {}
        Err(Error::Storage(error)) => return Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, user = %own.me(), room = %own.id, "a room keeps a guest it does not want");
        }
    }
    Ok(())
}

/// A guest leaves, if the guest is still there, still one, and not wanted.
struct TurnOut {
    core: Arc<Core>,
    room: OwnedRoomId,
    guest: OwnedUserId,
    now: MilliSecondsSinceUnixEpoch,
}

impl Command for TurnOut {
    type Out = Option<Pdu>;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<Option<Pdu>> {
        let mut head = events::guard_head(tx, &self.room).await?;
        let member = events::member(tx, &head, &self.guest).await?;
        let account = tx.get(&ACCOUNTS, &(self.guest.clone(),)).await?;
        let is_guest = member.is_some_and(|member| member.kind == MembershipKind::Join)
            && account.is_some_and(|account| account.guest);
        if !is_guest || events::lets_guests_in(tx, &self.core, &head).await? {
            return Ok(None);
        }
        let content = to_raw_value(&json!({ "membership": MembershipState::Leave }));
        let content = content.expect("an object is JSON");
        let kind = StateEventType::RoomMember;
        let draft = Draft::state(self.guest.clone(), kind, self.guest.as_str(), content);
        events::append(tx, &self.core, &mut head, draft, self.now, None).await.map(Some)
    }
}

/// Forgets that guests may have to leave, unless that was noted again since.
struct Settle {
    room: OwnedRoomId,
    noted: u64,
}

impl Command for Settle {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.room.clone(),);
        if tx.get_guarded(&CLOSED_TO_GUESTS, &key).await? == Some((self.noted,)) {
            tx.delete(&CLOSED_TO_GUESTS, &key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
