//! Who is in a group, and as what.

use ruma::{OwnedUserId, RoomId, UserId};
use serde::Serialize;
use tertulia_protocol::{Power, Role};

use super::Groups;
use crate::{
    Error, Result,
    events::{current_power, load_head, members},
    schema::{MEMBERSHIPS, Member, MembershipKind},
};

/// How many members a page has at most.
const MOST: usize = 200;
/// How many rows of the list are looked at for one page: it names those who have left, too.
const ROWS: usize = 2_000;

/// A page of a group's members, in the order of their user IDs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupMembers {
    /// Who is in it, or invited to it.
    pub members: Vec<GroupMember>,
    /// Where the next page begins; none if this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<OwnedUserId>,
}

/// Somebody who is in a group, or invited to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupMember {
    /// Who.
    pub user_id: OwnedUserId,
    /// The nickname they show there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub displayname: Option<String>,
    /// The picture they show there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// What they may do.
    pub role: Role,
    /// Whether they have still to accept the invitation.
    pub invited: bool,
}

impl Groups {
    /// Up to `limit` members of `group`, 200 at most, who come after `from`.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] for one who is not in it, whether there is such a group or not.
    pub async fn members(
        &self,
        group: &RoomId,
        from: Option<&UserId>,
        limit: usize,
    ) -> Result<GroupMembers> {
        let core = &self.user.core;
        let view = core.store.view().await?;
        let mine = view.get(&MEMBERSHIPS, &(self.user.id.clone(), group.to_owned())).await?;
        if mine.is_none_or(|row| row.kind != MembershipKind::Join) {
            return Err(Error::Forbidden("you are not in the group".to_owned()));
        }
        let head = load_head(&view, group).await?;
        let power = current_power(&view, core, &head).await?;
        let limit = limit.clamp(1, MOST);
        let (mut page, mut last, mut rows) = (Vec::new(), from.map(ToOwned::to_owned), 0);
        while rows < ROWS {
            let read = members(&view, &head, last.as_deref(), limit + 1 - page.len()).await?;
            let Some((user, _)) = read.last() else {
                return Ok(GroupMembers { members: page, next: None });
            };
            (last, rows) = (Some(user.clone()), rows + read.len());
            page.extend(read.into_iter().filter_map(|(user, row)| shown(&power, user, row)));
            if page.len() > limit {
                page.truncate(limit);
                last = page.last().map(|member| member.user_id.clone());
                break;
            }
        }
        Ok(GroupMembers { members: page, next: last })
    }
}

/// One row of the list as members see it, if it is one of a member.
fn shown(power: &Power, user_id: OwnedUserId, row: Member) -> Option<GroupMember> {
    let invited = match row.kind {
        MembershipKind::Join => false,
        MembershipKind::Invite => true,
        MembershipKind::Leave | MembershipKind::Ban | MembershipKind::Knock => return None,
    };
    let Member { displayname, avatar_url, .. } = row;
    let role = Role::of(power.of(&user_id));
    Some(GroupMember { user_id, displayname, avatar_url, role, invited })
}
