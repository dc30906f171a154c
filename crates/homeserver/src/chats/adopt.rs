//! Notes of rooms that were there before chats what lists of chats are ordered by: where something was said
//! last, and whether the room is a space. It is done once, in pages, beside all else.

use std::{ops::Bound, sync::Arc};

use ruma::{OwnedRoomId, events::StateEventType};
use tertulia_protocol::{is_space, is_spoken};
use tertulia_storage::{Command, Direction, Partition, Position, Tx};

use super::order::forget_orders;
use crate::{
    Error, Result,
    core::Core,
    events::{EventCache, Head, current_slots, guard_head},
    schema::{CHATS_ADOPTED, HEADS, Ordinal, TIMELINE},
};

/// How many rooms are read at once.
const PAGE: usize = 200;
/// How many rows of a timeline are looked at for what was said last.
const LOOK: usize = 200;

/// Does so for all rooms of which nothing is noted, unless it was done.
pub(crate) async fn adopt(core: &Arc<Core>) -> Result<()> {
    if core.store.view().await?.get(&CHATS_ADOPTED, &()).await?.is_some() {
        return Ok(());
    }
    let mut last = None;
    loop {
        let view = core.store.view().await?;
        let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let page = view.scan_from(&HEADS, &(), from, Direction::Forward, PAGE).await?;
        drop(view);
        let is_last = page.len() < PAGE;
        last = page.last().map(|(key, _)| key.clone());
        for ((room,), _) in page.into_iter().filter(|(_, head)| head.spoken == Position::ZERO) {
            if core.stop.is_cancelled() {
                return Ok(());
            }
            adopt_one(core, room).await?;
        }
        forget_orders(core);
        if is_last {
            core.store.write(Done).await?;
            return Ok(());
        }
    }
}

async fn adopt_one(core: &Arc<Core>, room: OwnedRoomId) -> Result<()> {
    match core.store.write(Adopt { core: core.clone(), room: room.clone() }).await {
        Err(Error::Storage(error)) => Err(error.into()),
        // It was removed meanwhile, or lacks an event.
        Err(error) => {
            tracing::info!(%error, %room, "a room has no place among chats");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// Looks back at what was said in a room.
struct Adopt {
    core: Arc<Core>,
    room: OwnedRoomId,
}

impl Command for Adopt {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let mut head = guard_head(tx, &self.room).await?;
        if head.row.spoken != Position::ZERO {
            return Ok(());
        }
        // Where nothing was found, the note is that it was looked for: nobody talks at the beginning of the log.
        head.row.spoken = self.spoken(tx, &head).await?.unwrap_or(Position::new(1));
        let create = StateEventType::RoomCreate;
        let state =
            current_slots(tx, &self.core, &head, &[(create.clone(), String::new())]).await?;
        head.row.is_space = state.get(&create, "").is_some_and(is_space);
        head.put(tx);
        Ok(())
    }
}

impl Adopt {
    /// Where something was said last.
    async fn spoken(&self, tx: &Tx, head: &Head) -> Result<Option<Position>> {
        let prefix = (self.room.clone(), head.row.stretch);
        let rows = tx.scan(&TIMELINE, &prefix, Direction::Backward, LOOK).await?;
        let words = rows.into_iter().filter(|(_, row)| !row.is_state);
        let places = words.filter_map(|((.., ordinal), row)| match ordinal {
            Ordinal::Live(at) => Some((at, row.event)),
            _ => None,
        });
        let (places, ids): (Vec<_>, Vec<_>) = places.unzip();
        let events = self.core.local::<EventCache>().load_many(tx, &head.rules, &ids).await?;
        let mut said = places.into_iter().zip(events);
        let said = said.find(|(_, event)| event.as_ref().is_some_and(is_spoken));
        Ok(said.map(|(at, _)| at))
    }
}

/// Notes that it was done.
struct Done;

impl Command for Done {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("chats", "")
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        tx.put(&CHATS_ADOPTED, &(), &());
        Ok(())
    }
}
