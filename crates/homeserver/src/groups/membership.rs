//! Coming into a group, and leaving it.

use std::sync::Arc;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomId, OwnedUserId, RoomId, RoomOrAliasId,
    events::StateEventType,
};
use serde_json::{json, value::to_raw_value};
use tertulia_protocol::{Draft, Pdu, Role};
use tertulia_storage::{Command, Partition, Tx};

use super::{
    Groups,
    roles::{check_owned, levels},
};
use crate::{
    Error, Result,
    core::Core,
    events::{self, Head},
    schema::MembershipKind,
};

/// What has become of the wish to be in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// The user is in it.
    In(OwnedRoomId),
    /// The user has asked to be let in.
    Asked(OwnedRoomId),
}

impl Groups {
    /// Joins the group that has this ID or alias, or asks to be let in where one has to ask. Whoever
    /// lets people in is told the `reason`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such group; [`Error::Refused`] if one is neither let in nor
    /// may ask.
    pub async fn join(&self, group: &RoomOrAliasId, reason: Option<String>) -> Result<Joined> {
        let id = self.user.room_id(group).await?;
        let room = self.user.room(&id);
        match room.join(reason.clone()).await {
            Err(refused @ (Error::Refused(_) | Error::Forbidden(_))) => {
                match room.knock(reason).await {
                    Ok(()) => Ok(Joined::Asked(id)),
                    Err(Error::Refused(_)) => Err(refused),
                    Err(error) => Err(error),
                }
            }
            joined => joined.map(|()| Joined::In(id)),
        }
    }

    /// Leaves the group, or refuses an invitation to it; does nothing where the user is out of it
    /// already. [`Room::leave`](crate::Room::leave) leaves without looking who stays behind.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] for its only owner while others are in it, and for one who never had
    /// anything to do with it; [`Error::Refused`] for one who is banned; [`Error::NotFound`] if there
    /// is no such group.
    pub async fn leave(&self, group: &RoomId) -> Result<()> {
        let core = self.user.core.clone();
        let (room, user, now) = (group.to_owned(), self.user.id.clone(), core.now());
        let left = core.store.write(Leave { core: core.clone(), room, user, now }).await?.out;
        if let Some(left) = left {
            self.user.room(group).keep_sent(&left);
        }
        Ok(())
    }
}

/// Takes a user out of a group that keeps an owner; tells the event, if the user was not out yet.
struct Leave {
    core: Arc<Core>,
    room: OwnedRoomId,
    user: OwnedUserId,
    now: MilliSecondsSinceUnixEpoch,
}

impl Command for Leave {
    type Out = Option<Pdu>;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<Option<Pdu>> {
        let mut head = events::guard_head(tx, &self.room).await?;
        let member = events::member(tx, &head, &self.user).await?.map(|member| member.kind);
        let is_owner = match member {
            None => return Err(Error::Forbidden("you are not in the group".to_owned())),
            Some(MembershipKind::Leave) => return Ok(None),
            Some(MembershipKind::Join) => self.is_owner(tx, &head).await?,
            Some(_) => false,
        };
        let content = to_raw_value(&json!({ "membership": "leave" })).expect("an object is JSON");
        let (kind, key) = (StateEventType::RoomMember, self.user.as_str());
        let draft = Draft::state(self.user.clone(), kind, key, content);
        let left = events::append(tx, &self.core, &mut head, draft, self.now, None).await?;
        if is_owner && head.row.joined > 0 {
            check_owned(tx, &self.core, &head).await?;
        }
        Ok(Some(left))
    }
}

impl Leave {
    async fn is_owner(&self, tx: &Tx, head: &Head) -> Result<bool> {
        let (power, _) = levels(tx, &self.core, head).await?;
        Ok(Role::of(power.of(&self.user)) == Role::Owner)
    }
}
