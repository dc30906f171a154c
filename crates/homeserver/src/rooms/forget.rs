//! Forgetting a room: it disappears from the user's lists.

use ruma::{OwnedRoomId, OwnedUserId};
use tertulia_storage::{Command, Partition, Tx};

use super::Room;
use crate::{
    Error, Result, events, log,
    schema::{DirectBy, Entry, MEMBERSHIPS, MembershipKind},
};

impl Room {
    /// Forgets a room the user has left, so that it is never shown to them again unless they come
    /// back.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] if the user is still in the room, or never was.
    pub async fn forget(&self) -> Result<()> {
        let forget = Forget { user: self.me().to_owned(), room: self.id.clone() };
        self.core().store.write(forget).await.map(drop)
    }
}

struct Forget {
    user: OwnedUserId,
    room: OwnedRoomId,
}

impl Command for Forget {
    type Out = ();
    type Error = Error;

    // The row lists the user's rooms but follows from the room's events: it is written in the
    // room's lane, so that no new member event is lost.
    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.user.clone(), self.room.clone());
        let Some(mut membership) = tx.get_guarded(&MEMBERSHIPS, &key).await? else {
            return Err(Error::Forbidden("you were never in the room".to_owned()));
        };
        if !matches!(membership.kind, MembershipKind::Leave | MembershipKind::Ban) {
            return Err(Error::InRoom);
        }
        if membership.forgotten {
            return Ok(());
        }
        membership.forgotten = true;
        tx.put(&MEMBERSHIPS, &key, &membership);
        let (user, room) = key;
        events::end_direct(tx, &user, &room, DirectBy::Invite, |_| true).await?;
        tx.wake(log::direct_topic());
        log::record(tx, &Entry::Forgotten { user, room });
        Ok(())
    }
}
