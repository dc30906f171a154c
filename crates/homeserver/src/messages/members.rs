//! Who is in a room, as people see it.

use ruma::OwnedUserId;
use tertulia_protocol::Role;

use crate::{
    Error, MembershipKind, Result, Room,
    events::{current_power, load_head, members},
    schema::{MEMBERSHIPS, Member},
};

/// How many members one answer tells at most.
const MOST: usize = if cfg!(test) { 4 } else { 200_000 };

/// Somebody who is in a room, was asked in, or asks to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomMember {
    /// Who.
    pub user: OwnedUserId,
    /// The name they show there.
    pub displayname: Option<String>,
    /// The picture they show there.
    pub avatar_url: Option<String>,
    /// What they are to the room: `Join`, `Invite` or `Knock`.
    pub membership: MembershipKind,
    /// What they may do in it.
    pub role: Role,
}

impl Room {
    /// Those who are in the room, were asked in or ask to be let in, by their IDs; 200,000 at most.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] for one who is not in the room, whether there is such a room or not.
    pub async fn members(&self) -> Result<Vec<RoomMember>> {
        let core = &self.user().core;
        let view = core.store.view().await?;
        let mine = (self.user().id().to_owned(), self.id().to_owned());
        let mine = view.get(&MEMBERSHIPS, &mine).await?;
        if mine.is_none_or(|row| row.kind != MembershipKind::Join) {
            return Err(Error::Forbidden("you are not in the room".to_owned()));
        }
        let head = load_head(&view, self.id()).await?;
        let power = current_power(&view, core, &head).await?;
        let rows = members(&view, &head, None, MOST).await?;
        let is_member = |row: &Member| {
            use MembershipKind::{Invite, Join, Knock};
            matches!(row.kind, Join | Invite | Knock)
        };
        let member = |(user, row): (OwnedUserId, Member)| {
            let Member { kind: membership, displayname, avatar_url, .. } = row;
            let role = Role::of(power.of(&user));
            RoomMember { user, displayname, avatar_url, membership, role }
        };
        Ok(rows.into_iter().filter(|(_, row)| is_member(row)).map(member).collect())
    }
}
