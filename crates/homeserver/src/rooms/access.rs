//! Who may look into a room, and up to when.

use ruma::UserId;
use tertulia_storage::{Position, View};

use super::Room;
use crate::{
    Error, Result,
    events::{Head, Sight, load_head},
    schema::{MEMBERSHIPS, MembershipKind},
};

/// Up to when a user sees a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// As it is now.
    Now,
    /// As it was when the user went, the going included.
    Then(Position),
}

/// A room open to one reader.
pub(crate) struct Open {
    pub(crate) view: View,
    pub(crate) head: Head,
    pub(crate) until: Until,
    /// The stretch of the timeline in which the reader's view ends.
    pub(crate) stretch: u32,
}

impl Open {
    /// The room as one to read the history of: what is open to the world is so to those who left
    /// (client-server API, "Room history visibility").
    pub(super) fn for_history(self, sight: &Sight) -> Self {
        if !sight.is_world_readable() {
            return self;
        }
        Self { until: Until::Now, stretch: self.head.row.stretch, ..self }
    }
}

impl Room {
    /// Opens the room for its user to read.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] for one who is not in the room, was not, and does not find it open to
    /// the world; the same for a room that does not exist.
    pub(super) async fn open(&self) -> Result<Open> {
        let view = self.core().store.view().await?;
        let head = match load_head(&view, &self.id).await {
            Err(Error::NotFound(_)) => return Err(outside()),
            head => head?,
        };
        let (until, stretch) = self.until(&view, &head, self.me()).await?;
        Ok(Open { view, head, until, stretch })
    }

    async fn until(&self, view: &View, head: &Head, user: &UserId) -> Result<(Until, u32)> {
        let now = (Until::Now, head.row.stretch);
        let key = (user.to_owned(), self.id.clone());
        let membership = view.get(&MEMBERSHIPS, &key).await?;
        match membership {
            Some(row) if row.kind == MembershipKind::Join => return Ok(now),
            Some(row) if !row.forgotten => {
                if let Some((_, Some(left))) = row.joined {
                    return Ok((Until::Then(left), row.stretch));
                }
            }
            _ => {}
        }
        let sight = Sight::of(view, self.core(), head, user).await?;
        if sight.is_world_readable() { Ok(now) } else { Err(outside()) }
    }
}

fn outside() -> Error {
    Error::Forbidden("you are not in the room, and were not before".to_owned())
}
