//! Who may know of a room without being in it (client-server API, `/hierarchy` and `/room_summary`).

use ruma::{RoomId, UserId};
use tertulia_protocol::Summary;
use tertulia_storage::View;

use super::{RoomSummary, summary::summary};
use crate::{
    Error, Result,
    core::Core,
    events::{Head, load_head},
    schema::{MEMBERSHIPS, MembershipKind},
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

/// The room `room` as `user` sees it, or somebody without an account; none if the server does not
/// know it.
pub(super) async fn see(
    view: &View,
    core: &Core,
    user: Option<&UserId>,
    room: &RoomId,
) -> Result<Option<Seen>> {
    let head = match load_head(view, room).await {
        Err(Error::NotFound(_)) => return Ok(None),
        head => head?,
    };
    let summary = summary(view, core, &head).await?;
    let Some(user) = user else {
        let accessible = summary.is_accessible();
        return Ok(Some(Seen { head, summary, membership: None, accessible }));
    };
    let row = view.get(&MEMBERSHIPS, &(user.to_owned(), room.to_owned())).await?;
    let membership = row.map(|row| row.kind);
    let is_let_in = matches!(membership, Some(MembershipKind::Join | MembershipKind::Invite));
    let is_banned = membership == Some(MembershipKind::Ban);
    let accessible = is_let_in
        || summary.is_accessible()
        || (!is_banned && is_in_one(view, user, &summary).await?);
    Ok(Some(Seen { head, summary, membership, accessible }))
}

/// Whether `user` is in one of the rooms whose members may join.
async fn is_in_one(view: &View, user: &UserId, summary: &Summary) -> Result<bool> {
    let rooms = summary.allowed_room_ids.iter();
    let keys: Vec<_> = rooms.map(|room| (user.to_owned(), room.clone())).collect();
    let rows = view.get_many(&MEMBERSHIPS, &keys).await?;
    Ok(rows.into_iter().flatten().any(|row| row.kind == MembershipKind::Join))
}
