//! The lists of local users say what the generation in force says of them.

use std::sync::Arc;

use ruma::{OwnedRoomId, OwnedUserId};
use tertulia_storage::{Command, Partition, Position, Tx};

use super::draft::Draft;
use crate::{
    Error, Result,
    core::Core,
    events::{
        Base, EventCache, Head, MemberContent,
        eras::eras,
        guard_head,
        members::{Asking, next_membership},
        roster::{delete_members, member_in, members_in},
    },
    log,
    schema::{Entry, MEMBERSHIPS, Member, Membership, MembershipKind, Stage},
};

/// How many members one step looks at.
const PAGE: usize = 500;

/// How many lists one step writes, of two rows each.
const STEP: usize = 30;

/// How many members of the generation before one step deletes.
const OLD: usize = 60;

/// How far the lists follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// All of them do.
    All,
    /// Those of the users up to this one do.
    UpTo(Option<OwnedUserId>),
}

/// Settles a step of a generation in force.
pub(super) struct Settle {
    pub(super) core: Arc<Core>,
    pub(super) room: OwnedRoomId,
    pub(super) number: u32,
    pub(super) after: Option<OwnedUserId>,
}

impl Command for Settle {
    type Out = Settled;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<Settled> {
        let head = guard_head(tx, &self.room).await?;
        let mut draft = Draft::guard(tx, &self.room, self.number).await?;
        if !matches!(draft.row.stage, Stage::Settling(_)) {
            return Ok(Settled::All);
        }
        let settled = step(tx, &self.core, &head, &mut draft, self.after.clone()).await?;
        draft.put(tx, &self.room);
        Ok(settled)
    }
}

/// Brings the lists of some users behind `after` in line, first those of the new generation, then
/// those who are only in the old one, whose list of members goes.
pub(super) async fn step(
    tx: &mut Tx,
    core: &Core,
    head: &Head,
    draft: &mut Draft,
    after: Option<OwnedUserId>,
) -> Result<Settled> {
    let rows = members_in(tx, head.base(), after.as_deref(), PAGE).await?;
    let is_last = rows.len() < PAGE;
    let reached = rows.last().map(|(user, _)| user.clone()).or(after);
    let locals = rows.into_iter().filter(|(user, _)| core.is_local(user.server_name()));
    let mut written = 0;
    for (user, member) in locals {
        written += usize::from(settle(tx, core, head, &user, &member).await?);
        if written == STEP {
            return Ok(Settled::UpTo(Some(user)));
        }
    }
    if !is_last || !clear(tx, core, head).await? {
        return Ok(Settled::UpTo(reached));
    }
    draft.row.stage = match draft.row.stage {
        Stage::Settling(began) => Stage::Settled(began),
        stage => stage,
    };
    Ok(Settled::All)
}

/// Writes down what the room makes of a local user, if that is not what the user's list says.
async fn settle(
    tx: &mut Tx,
    core: &Core,
    head: &Head,
    user: &OwnedUserId,
    member: &Member,
) -> Result<bool> {
    let key = (user.clone(), head.room.clone());
    let old = tx.get(&MEMBERSHIPS, &key).await?;
    if old.as_ref().is_some_and(|old| old.event == member.event) {
        return Ok(false);
    }
    let event = core.local::<EventCache>().load(tx, &head.rules, &member.event).await?;
    let content = MemberContent::of(&event);
    let asking = Asking::of(tx, core, &head.room, user, &content, Some(&event)).await?;
    let position = record(tx, head, user);
    let row = next_membership(old, member, position, head.row.stretch, asking);
    tx.put(&MEMBERSHIPS, &key, &row);
    Ok(true)
}

fn record(tx: &mut Tx, head: &Head, user: &OwnedUserId) -> Position {
    tx.wake(log::direct_topic());
    log::record(tx, &Entry::Generation { room: head.room.clone(), member: Some(user.clone()) })
}

/// Deletes a page of the lists of members that older generations have left; tells whether nothing
/// more is to be done. What is known in part does not say who is not there, so they stay meanwhile.
async fn clear(tx: &mut Tx, core: &Core, head: &Head) -> Result<bool> {
    if head.row.partial {
        return Ok(true);
    }
    for era in eras(tx, head).await? {
        let old = Base { room: &head.room, generation: era.generation };
        if era.generation != head.row.generation && !clear_list(tx, core, head, old).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Deletes a page of one old list. Those whom the new list does not know are gone. Tells whether
/// it was empty already.
async fn clear_list(tx: &mut Tx, core: &Core, head: &Head, old: Base<'_>) -> Result<bool> {
    for (user, _) in members_in(tx, old, None, OLD).await? {
        let is_local = core.is_local(user.server_name());
        if is_local && member_in(tx, head.base(), &user).await?.is_none() {
            take_out(tx, head, &user).await?;
        }
    }
    Ok(delete_members(tx, old, OLD).await? == 0)
}

/// A user of whom the room knows nothing any more has left it.
async fn take_out(tx: &mut Tx, head: &Head, user: &OwnedUserId) -> Result<()> {
    let key = (user.clone(), head.room.clone());
    let Some(old) = tx.get(&MEMBERSHIPS, &key).await? else { return Ok(()) };
    if matches!(old.kind, MembershipKind::Leave | MembershipKind::Ban) {
        return Ok(());
    }
    let position = record(tx, head, user);
    tx.put(&MEMBERSHIPS, &key, &left(old, position));
    Ok(())
}

/// The membership of one who is not in the room any more, without an event that says so.
fn left(old: Membership, position: Position) -> Membership {
    let was_joined = old.kind == MembershipKind::Join;
    let joined = match old.joined {
        Some((from, None)) if was_joined => Some((from, Some(position))),
        joined => joined,
    };
    Membership {
        kind: MembershipKind::Leave,
        at: position,
        since: position,
        before: Some(old.kind),
        joined,
        direct: false,
        unwelcome: false,
        ..old
    }
}
