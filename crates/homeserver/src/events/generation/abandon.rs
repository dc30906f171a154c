//! A generation comes to nothing.

use ruma::OwnedRoomId;
use tertulia_storage::{Command, Partition, Tx};

use super::draft::Draft;
use crate::{
    Error, Result,
    events::roster::delete_members,
    schema::{STATE, Stage},
};

/// How many rows of a table one step deletes.
const STEP: usize = 150;

/// Deletes a step of what was written of a generation; tells whether it was the last.
pub(super) struct Abandon {
    pub(super) room: OwnedRoomId,
    pub(super) number: u32,
}

impl Command for Abandon {
    type Out = bool;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<bool> {
        let mut draft = Draft::guard(tx, &self.room, self.number).await?;
        match draft.row.stage {
            Stage::Writing | Stage::Dropping => {}
            Stage::Dropped => return Ok(true),
            Stage::Settling(_) | Stage::Settled(_) => return Err(Error::NotFound("generation")),
        }
        let prefix = (self.room.clone(), self.number);
        let slots = tx.delete_page(&STATE, &prefix, STEP).await?;
        let members = delete_members(tx, draft.base(&self.room), STEP).await?;
        let is_last = slots.max(members) < STEP;
        draft.row.stage = if is_last { Stage::Dropped } else { Stage::Dropping };
        draft.put(tx, &self.room);
        Ok(is_last)
    }
}
