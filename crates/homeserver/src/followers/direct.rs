//! Carries into `m.direct` what invites make, and into the index of direct rooms what `m.direct` says.
//!
//! A direct room gets into the list of whoever invites when they invite, and into that of whoever is
//! invited when they join: nobody's list is written before they act. It leaves the list of one who
//! leaves it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::Deserialize;
use tertulia_storage::{Follower, Position, Table, View};

use super::follow_at;
use crate::{
    Error, Result,
    account_data::{
        DIRECT,
        direct::{list_direct, relist, unlist_direct},
    },
    core::Core,
    log,
    schema::{
        DIRECT_WITH, DirectBy, DirectWith, EVENTS, Entry, LOG, MEMBERSHIPS, Membership,
        MembershipKind,
    },
};

/// Follows until the server stops, or the store fails.
pub(super) async fn follow(core: Arc<Core>) {
    let lists = Arc::new(Lists { core: core.clone() });
    if let Err(error) = follow_at(&core, &lists, log::direct_topic()).await {
        tracing::error!(%error, "lists of direct rooms stay as they are");
    }
}

struct Lists {
    core: Arc<Core>,
}

impl Follower for Lists {
    const NAME: &'static str = "direct";
    const LOG: Table<(u16, Position), Entry> = LOG;
    const PAGE: usize = 1_000;

    type Entry = Entry;
    type Work = ();
    type Error = Error;

    async fn handle(&self, view: &View, page: Vec<(Position, Entry)>) -> Result<()> {
        let mut events = member_events(view, &page).await?.into_iter();
        let mut known = self.known(view, &page).await?;
        for (at, entry) in page {
            let done = match entry {
                Entry::Event { room, member: Some(user), .. } => {
                    let event = events.next().flatten().unwrap_or_default();
                    self.met(&known, room, user, event, at).await
                }
                Entry::Generation { room, member: Some(user) }
                | Entry::Forgotten { user, room } => self.moved(&known, room, user, at).await,
                Entry::AccountData { user, room: None, kind } if kind == DIRECT => {
                    let relisted = relist(&self.core, &user).await;
                    known.relisted.insert(user);
                    relisted
                }
                _ => Ok(()),
            };
            pass_over(done)?;
        }
        Ok(())
    }
}

type Mine = (OwnedUserId, OwnedRoomId);

/// What is known of those who came or went in a page, when it is read.
#[derive(Default)]
struct Known {
    memberships: BTreeMap<Mine, Membership>,
    /// With whom invites made their rooms direct.
    invited_with: BTreeMap<Mine, DirectWith>,
    /// Which of the rooms are listed.
    listed: BTreeSet<Mine>,
    /// Whose lists have changed in the page.
    relisted: BTreeSet<OwnedUserId>,
}

impl Lists {
    async fn known(&self, view: &View, page: &[(Position, Entry)]) -> Result<Known> {
        let moved = |(_, entry): &(Position, Entry)| match entry {
            Entry::Event { room, member: Some(user), .. }
            | Entry::Generation { room, member: Some(user) }
            | Entry::Forgotten { user, room } => {
                self.is_here(user).then(|| (user.clone(), room.clone()))
            }
            _ => None,
        };
        let mine: BTreeSet<Mine> = page.iter().filter_map(moved).collect();
        let mine: Vec<_> = mine.into_iter().collect();
        let with = |by| {
            mine.iter().map(|(user, room)| (user.clone(), room.clone(), by)).collect::<Vec<_>>()
        };
        let memberships = view.get_many(&MEMBERSHIPS, &mine).await?;
        let invited = view.get_many(&DIRECT_WITH, &with(DirectBy::Invite)).await?;
        let listed = view.get_many(&DIRECT_WITH, &with(DirectBy::List)).await?;
        let mut known = Known::default();
        for (((mine, me), invited), listed) in
            mine.into_iter().zip(memberships).zip(invited).zip(listed)
        {
            known.memberships.extend(me.map(|me| (mine.clone(), me)));
            known.invited_with.extend(invited.map(|with| (mine.clone(), with)));
            known.listed.extend(listed.map(|_| mine));
        }
        Ok(known)
    }
}

/// What a member event says, as far as it matters here.
#[derive(Default, Deserialize)]
struct MemberEvent {
    sender: Option<OwnedUserId>,
    content: Content,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content {
    membership: String,
    is_direct: bool,
}

/// The member events of a page. What cannot be read says nothing.
async fn member_events(
    view: &View,
    page: &[(Position, Entry)],
) -> Result<Vec<Option<MemberEvent>>> {
    let of_member = |(_, entry): &(Position, Entry)| match entry {
        Entry::Event { event, member: Some(_), .. } => Some((event.clone(),)),
        _ => None,
    };
    let ids: Vec<(OwnedEventId,)> = page.iter().filter_map(of_member).collect();
    let events = view.get_many(&EVENTS, &ids).await?;
    Ok(events.into_iter().map(|json| serde_json::from_slice(&json?).ok()).collect())
}

impl Lists {
    /// Somebody was invited, came or went.
    async fn met(
        &self,
        known: &Known,
        room: OwnedRoomId,
        user: OwnedUserId,
        event: MemberEvent,
        at: Position,
    ) -> Result<()> {
        let MemberEvent { sender, content } = event;
        let asker = sender.filter(|sender| self.is_here(sender) && *sender != user);
        match (content.membership.as_str(), asker) {
            ("invite", Some(asker)) if content.is_direct => {
                list_direct(&self.core, asker, room, vec![user], at).await
            }
            ("invite", _) => Ok(()),
            _ => self.moved(known, room, user, at).await,
        }
    }

    /// Somebody came or went.
    async fn moved(
        &self,
        known: &Known,
        room: OwnedRoomId,
        user: OwnedUserId,
        at: Position,
    ) -> Result<()> {
        let mine = (user, room);
        let me = known.memberships.get(&mine).map(|me| (me.kind, me.since));
        let may_be_listed = known.listed.contains(&mine) || known.relisted.contains(&mine.0);
        match me {
            Some((MembershipKind::Join, since)) if since == at => {
                let Some(with) = known.invited_with.get(&mine) else { return Ok(()) };
                list_direct(&self.core, mine.0, mine.1, with.others.clone(), at).await
            }
            Some((MembershipKind::Leave | MembershipKind::Ban, _)) if may_be_listed => {
                unlist_direct(&self.core, mine.0, mine.1).await
            }
            _ => Ok(()),
        }
    }

    fn is_here(&self, user: &OwnedUserId) -> bool {
        self.core.is_local(user.server_name())
    }
}

/// One list that cannot be written keeps nobody else's from it.
fn pass_over(done: Result<()>) -> Result<()> {
    match done {
        Err(Error::Storage(error)) => Err(error.into()),
        Err(Error::Deactivated) | Ok(()) => Ok(()),
        Err(error) => {
            tracing::warn!(%error, "a list of direct rooms stays as it is");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
