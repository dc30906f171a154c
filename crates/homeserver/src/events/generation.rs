//! Another base for a room's state, told by somebody else: the server comes into the room or comes
//! back, knew the state only in part, or knew it wrongly.
//!
//! | step | where |
//! |---|---|
//! | the base is written in pages that nobody sees | `draft` |
//! | one commit brings it into force, with all that happened meanwhile | `enter` |
//! | the lists of local users are brought in line | `settle` |
//! | or it comes to nothing, and its rows are deleted in pages | `abandon` |
//!
//! Each step can be repeated after a crash. The rows of older generations stay: events cite the
//! state of then.

mod abandon;
mod draft;
mod enter;
mod settle;

use std::sync::Arc;

use ruma::{OwnedEventId, OwnedRoomId, RoomId, RoomVersionId};
use tertulia_protocol::Incoming;
use tertulia_storage::{Command, Direction, Partition, Tx, View};

use self::{
    abandon::Abandon,
    draft::{Begin, Begun, Write},
    enter::{Enter, Entered},
    settle::{Settle, Settled},
};
use super::current::rules_of;
use crate::{
    Error, Result,
    core::{Core, Homeserver},
    schema::{GENERATIONS, Generation, HEADS, REMOVED_ROOMS, RoomHead, Stage},
};

/// How many events one page of a base holds; two rows each.
const PAGE: usize = 100;

/// How much of a room's state somebody else told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// What is needed to take part; the rest follows in another generation.
    Partial,
}

/// A generation of a room's state that is being written. It outlives the handle and the server:
/// [`Homeserver::unfinished_generations`] finds it again.
#[derive(Clone)]
pub struct NextGeneration {
    core: Arc<Core>,
    room: OwnedRoomId,
    number: u32,
}

impl Homeserver {
    /// Takes note of a room of other servers, so that events of it can be admitted. Nobody of this
    /// server is in it yet. Does nothing where the room is known.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedRoomVersion`], or [`Error::Forbidden`] if the room was removed from this
    /// server.
    pub async fn know_room(&self, room: &RoomId, version: &RoomVersionId) -> Result<()> {
        rules_of(version.as_str())?;
        let know = Know { room: room.to_owned(), version: version.as_str().to_owned() };
        self.core.store.write(know).await.map(drop)
    }

    /// Begins to write the next generation of a room's state. One that was being written before
    /// comes to nothing.
    ///
    /// The base is the room's state as it is now; where the state is known in part, as it was when
    /// that part was told.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the server does not know the room.
    pub async fn next_generation(&self, room: &RoomId) -> Result<NextGeneration> {
        loop {
            let begin = Begin { room: room.to_owned() };
            let (number, is_new) = match self.core.store.write(begin).await?.out {
                Begun::New(number) => (number, true),
                Begun::Unfinished(number) => (number, false),
            };
            let (core, room) = (self.core.clone(), room.to_owned());
            let generation = NextGeneration { core, room, number };
            if is_new {
                return Ok(generation);
            }
            generation.bring_to_an_end().await?;
        }
    }

    /// The generations that were being written when the server stopped: each is to be gone on with
    /// or abandoned. Those that were on their way in or out are brought to their end.
    ///
    /// Whoever writes generations asks for them at the start. That will be federation, by which
    /// alone others tell a state; until then nobody does.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if that cannot be read or written.
    pub async fn unfinished_generations(&self) -> Result<Vec<NextGeneration>> {
        let view = self.core.store.view().await?;
        let rows = view.scan(&GENERATIONS, &(), Direction::Forward, usize::MAX).await?;
        let mut being_written = Vec::new();
        for ((room, number), row) in rows {
            let generation = NextGeneration { core: self.core.clone(), room, number };
            match row.stage {
                Stage::Writing => being_written.push(generation),
                Stage::Settling(_) | Stage::Dropping => generation.bring_to_an_end().await?,
                Stage::Settled(_) | Stage::Dropped => {}
            }
        }
        Ok(being_written)
    }
}

impl NextGeneration {
    /// The room whose state it is.
    pub fn room(&self) -> &RoomId {
        &self.room
    }

    /// Puts events into the base, each in its slot, and tells those that must be admitted first;
    /// up to the page with the first of them all is written. Rejected events hold no slot.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the generation is not being written any more.
    pub async fn write(&self, events: &[OwnedEventId]) -> Result<Vec<OwnedEventId>> {
        for page in events.chunks(PAGE) {
            let (core, room) = (self.core.clone(), self.room.clone());
            let write = Write { core, room, number: self.number, events: page.to_owned() };
            let missing = self.core.store.write(write).await?.out;
            if !missing.is_empty() {
                return Ok(missing);
            }
        }
        Ok(Vec::new())
    }

    /// Brings the generation into force. What changed since the base was as the others tell it is
    /// laid over it, so that the room goes on.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the generation is not being written any more.
    pub async fn renew(&self, extent: Extent) -> Result<()> {
        self.enter(extent, None).await
    }

    /// Brings the generation into force as the state before `arrival`, with which the server comes
    /// into the room: a new stretch of its timeline begins, and of before nothing goes on.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the generation is not being written any more, [`Error::Forbidden`] if
    /// the state does not allow `arrival`; then all is as it was.
    pub async fn arrive(&self, arrival: Incoming, extent: Extent) -> Result<()> {
        self.enter(extent, Some(arrival)).await
    }

    async fn enter(&self, extent: Extent, arrival: Option<Incoming>) -> Result<()> {
        loop {
            let (core, room) = (self.core.clone(), self.room.clone());
            let arrival = arrival.clone();
            let enter = Enter { core, room, number: self.number, extent, arrival };
            match self.core.store.write(enter).await?.out {
                Entered::NotYet => {}
                Entered::Now(settled) => return self.settle(settled).await,
            }
        }
    }

    async fn settle(&self, mut settled: Settled) -> Result<()> {
        while let Settled::UpTo(after) = settled {
            let (core, room) = (self.core.clone(), self.room.clone());
            let settle = Settle { core, room, number: self.number, after };
            settled = self.core.store.write(settle).await?.out;
        }
        Ok(())
    }

    /// Gives the generation up and deletes what was written of it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if it is in force.
    pub async fn abandon(&self) -> Result<()> {
        let abandon = || Abandon { room: self.room.clone(), number: self.number };
        while !self.core.store.write(abandon()).await?.out {}
        Ok(())
    }

    /// Ends what was begun: a generation in force settles, any other comes to nothing.
    async fn bring_to_an_end(&self) -> Result<()> {
        let view = self.core.store.view().await?;
        let row = view.get(&GENERATIONS, &(self.room.clone(), self.number)).await?;
        match row.map(|row| row.stage) {
            Some(Stage::Settling(_)) => self.settle(Settled::UpTo(None)).await,
            Some(Stage::Writing | Stage::Dropping) => self.abandon().await,
            Some(Stage::Settled(_) | Stage::Dropped) | None => Ok(()),
        }
    }
}

/// The newest generation of a room, if it has others than the first.
async fn newest(view: &View, room: &RoomId) -> Result<Option<(u32, Generation)>> {
    let prefix = (room.to_owned(),);
    let rows = view.scan(&GENERATIONS, &prefix, Direction::Backward, 1).await?;
    Ok(rows.into_iter().next().map(|((_, number), row)| (number, row)))
}

/// The generation of a room's state that is being written, if one is.
pub(super) async fn being_written(view: &View, room: &RoomId) -> Result<Option<u32>> {
    let newest = newest(view, room).await?;
    Ok(newest.filter(|(_, row)| row.stage == Stage::Writing).map(|(number, _)| number))
}

/// Makes a head for a room of which no event is here.
struct Know {
    room: OwnedRoomId,
    version: String,
}

impl Command for Know {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.room.clone(),);
        if tx.get_guarded(&REMOVED_ROOMS, &key).await?.is_some() {
            return Err(Error::Forbidden("the room was removed from this server".to_owned()));
        }
        if tx.get_guarded(&HEADS, &key).await?.is_none() {
            tx.put(&HEADS, &key, &RoomHead::of_version(&self.version));
        }
        Ok(())
    }
}
