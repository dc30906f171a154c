//! Who may know of a room without being in it (client-server API, `/hierarchy` and `/room_summary`).

use std::collections::BTreeSet;

use ruma::{OwnedRoomId, RoomId, UserId};
use tertulia_protocol::Summary;
use tertulia_storage::View;

use super::{RoomSummary, summary::summaries};
use crate::{
    Result,
    core::Core,
    events::Head,
    schema::{HEADS, MEMBERSHIPS, Membership, MembershipKind},
};

/// A room as somebody sees it who need not be in it.
pub(super) struct Seen {
    pub(super) head: Head,
    pub(super) summary: Summary,
    /// What the one who looks is to the room.
    pub(super) membership: Option<MembershipKind>,
    /// Whether that one may know of the room.
    pub(super) accessible: bool,
}

impl Seen {
    /// What is told of the room.
    pub(super) fn told(self) -> RoomSummary {
        RoomSummary {
            room_id: self.head.room,
            num_joined_members: self.head.row.joined,
            summary: self.summary,
            room_version: Some(self.head.row.version),
        }
    }
}

/// One who looks at rooms: a user, or somebody without an account.
pub(super) struct Onlooker<'a> {
    pub(super) view: &'a View,
    pub(super) core: &'a Core,
    pub(super) user: Option<&'a UserId>,
}

impl Onlooker<'_> {
    /// The room as it is seen; none if the server does not know it.
    pub(super) async fn see(&self, room: &RoomId) -> Result<Option<Seen>> {
        let mut seen = self.see_many(&[room.to_owned()]).await?;
        Ok(seen.pop().flatten())
    }

    /// The rooms as they are seen, in their order; none for one that the server does not know.
    pub(super) async fn see_many(&self, rooms: &[OwnedRoomId]) -> Result<Vec<Option<Seen>>> {
        let keys: Vec<_> = rooms.iter().map(|room| (room.clone(),)).collect();
        let rows = self.view.get_many(&HEADS, &keys).await?;
        let heads = rooms
            .iter()
            .zip(rows)
            .map(|(room, row)| row.map(|row| Head::new(room.clone(), row)).transpose());
        let heads: Vec<Option<Head>> = heads.collect::<Result<_>>()?;
        let known: Vec<_> = heads.iter().flatten().collect();
        let mut summaries = summaries(self.view, self.core, &known).await?.into_iter();
        let memberships = self.memberships(rooms).await?;
        let mut seen = Vec::with_capacity(rooms.len());
        for (head, membership) in heads.into_iter().zip(memberships) {
            let summary = if head.is_some() { summaries.next() } else { None };
            let both = head.zip(summary);
            seen.push(both.map(|(head, summary)| {
                let accessible = summary.is_accessible() || is_let_in(membership);
                Seen { head, summary, membership, accessible }
            }));
        }
        self.let_in_members(&mut seen).await?;
        Ok(seen)
    }

    /// What the one who looks is to each of the rooms.
    async fn memberships(&self, rooms: &[OwnedRoomId]) -> Result<Vec<Option<MembershipKind>>> {
        let Some(user) = self.user else { return Ok(vec![None; rooms.len()]) };
        let keys: Vec<_> = rooms.iter().map(|room| (user.to_owned(), room.clone())).collect();
        let rows = self.view.get_many(&MEMBERSHIPS, &keys).await?;
        Ok(rows.into_iter().map(|row: Option<Membership>| Some(row?.kind)).collect())
    }

    /// Those rooms may be known of whose rules let in who is in another room, as the one who looks is.
    async fn let_in_members(&self, seen: &mut [Option<Seen>]) -> Result<()> {
        let closed =
            |seen: &&mut Seen| !seen.accessible && seen.membership != Some(MembershipKind::Ban);
        let mut closed: Vec<_> = seen.iter_mut().flatten().filter(closed).collect();
        let named = closed.iter().flat_map(|seen| &seen.summary.allowed_room_ids);
        let named: BTreeSet<_> = named.cloned().collect();
        let named: Vec<_> = named.into_iter().collect();
        let memberships = self.memberships(&named).await?;
        let joined = named.iter().zip(memberships);
        let joined = joined.filter(|(_, kind)| *kind == Some(MembershipKind::Join));
        let joined: BTreeSet<_> = joined.map(|(room, _)| room).collect();
        for seen in &mut closed {
            let mut allowed = seen.summary.allowed_room_ids.iter();
            seen.accessible = allowed.any(|room| joined.contains(room));
        }
        Ok(())
    }
}

fn is_let_in(membership: Option<MembershipKind>) -> bool {
    matches!(membership, Some(MembershipKind::Join | MembershipKind::Invite))
}
