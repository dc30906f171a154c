//! Coming into a group.

use ruma::{OwnedRoomId, RoomOrAliasId};

use super::Groups;
use crate::{Error, Result};

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
}
