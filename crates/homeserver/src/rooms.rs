//! Rooms, as one of their users sees and changes them.

mod access;
mod create;
mod face;
mod forget;
mod friend;
mod guests;
mod joined;
mod membership;
mod moment;
mod page;
mod peek;
mod read;
mod redact;
mod relations;
mod remove;
mod send;
mod tell;
mod threads;
mod upgrade;

use std::sync::Arc;

use ruma::{DeviceId, OwnedDeviceId, OwnedRoomId, RoomId, UserId};

use crate::{
    core::{Core, User},
    events::Reader,
};

pub(crate) use face::Face;
pub(crate) use guests::turn_out_guests;
pub(crate) use membership::refuse_foreign_guest;
pub use moment::Moment;
pub use page::{Context, MessagesQuery, Page};
pub use peek::RoomNews;
pub use read::{JoinedMember, MembersQuery};
pub use relations::{RelationsPage, RelationsQuery};
pub use send::Transaction;
pub use threads::{ThreadsPage, ThreadsQuery};
pub(crate) use upgrade::{Intended, begun_upgrades, is_replaced_by, predecessor};

/// A room as one of its users sees it. Cheap to clone; whether the room exists shows in use.
///
/// ```
/// # async fn talk(room: tertulia::Room) -> tertulia::Result<()> {
/// use tertulia::NewFile;
///
/// room.typing(true).await?;
/// let said = room.send_text("Look at the see").await?;
/// room.edit(&said, "Look at the sea").await?;
/// let shown = room.send_image(NewFile::from_path("sea.jpg").with_caption("this morning")).await?;
/// room.react(&shown, "🌊").await?;
/// room.reply(&shown, "It was cold").await?;
/// room.redact(&said, Some("misspelt, after all".to_owned()), None).await?;
/// room.mark_read(&shown).await?;
/// for member in room.members().await? {
///     println!("{} is {:?}", member.user, member.role);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Room {
    user: User,
    /// The device on which the user reads, where that counts.
    device: Option<OwnedDeviceId>,
    id: OwnedRoomId,
}

impl User {
    /// The room `id`, with this user acting.
    pub fn room(&self, id: &RoomId) -> Room {
        Room { user: self.clone(), device: None, id: id.to_owned() }
    }
}

impl Room {
    /// The room as it is seen on a device, which knows its own transactions.
    #[must_use]
    pub(crate) fn on(self, device: &DeviceId) -> Self {
        Self { device: Some(device.to_owned()), ..self }
    }

    /// The room's ID.
    pub fn id(&self) -> &RoomId {
        &self.id
    }

    /// Who acts.
    pub fn user(&self) -> &User {
        &self.user
    }

    fn me(&self) -> &UserId {
        &self.user.id
    }

    /// Who is told of the room's events.
    fn reader(&self) -> Reader<'_> {
        Reader::Inside(self.me())
    }

    fn core(&self) -> &Arc<Core> {
        &self.user.core
    }
}

#[cfg(test)]
mod tests;
