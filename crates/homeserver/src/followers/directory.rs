//! Keeps the directories of rooms and users as what happens makes them.

use std::{collections::BTreeSet, sync::Arc};

use ruma::OwnedRoomId;
use tertulia_storage::{Follower, Position, Table, Topic, View};

use super::reach;
use crate::{
    Error, Result,
    core::Core,
    directory::{self, note_followed},
    schema::{Entry, HEADS, LOG, PUBLIC_ROOM_PLACES, PUBLISHED_ROOMS},
};

/// How far it may lie behind while nobody reads.
const FAR_BEHIND: u64 = 1_000;

/// Follows until the server stops, or the store fails.
pub(super) async fn follow(core: Arc<Core>) {
    let directories = Arc::new(Directories { core: core.clone() });
    let mut wanted = core.store.watch([directory::topic()]);
    let mut anything = core.store.watch([Topic::LOG]);
    while !core.stop.is_cancelled() {
        let settled = core.store.settled();
        match core.store.follow_page(&directories).await {
            Ok(true) => continue,
            Ok(false) => note_followed(&core, settled),
            Err(error) => {
                tracing::error!(%error, "the directories of rooms and users stay as they are");
                // Nobody need wait for it.
                note_followed(&core, Position::new(u64::MAX));
                return;
            }
        }
        let enough = Position::new(core.store.settled().get() + FAR_BEHIND);
        tokio::select! {
            () = wanted.changed() => {}
            () = reach(&core, &mut anything, enough) => {}
            () = core.stop.cancelled() => {}
        }
    }
}

struct Directories {
    core: Arc<Core>,
}

impl Follower for Directories {
    const NAME: &'static str = "directory";
    const LOG: Table<(u16, Position), Entry> = LOG;
    const PAGE: usize = 500;

    type Entry = Entry;
    type Work = ();
    type Error = Error;

    async fn handle(&self, view: &View, page: Vec<(Position, Entry)>) -> Result<()> {
        let Some(first) = page.first().map(|(position, _)| *position) else { return Ok(()) };
        let mut rooms = BTreeSet::new();
        for (_, entry) in page {
            if let Entry::Event { room, .. } | Entry::Generation { room, .. } = entry {
                rooms.insert(room);
            }
        }
        for room in concerned(view, first, rooms).await? {
            match directory::relist(&self.core, &room).await {
                Err(Error::Storage(error)) => return Err(error.into()),
                Err(error) => tracing::warn!(%error, %room, "the directory passes over a room"),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

/// Those of `rooms` of which the directories may show something else than before: their state has
/// changed since `first`, or they are shown. Messages in all others cost one look.
async fn concerned(
    view: &View,
    first: Position,
    rooms: BTreeSet<OwnedRoomId>,
) -> Result<Vec<OwnedRoomId>> {
    let keys: Vec<_> = rooms.into_iter().map(|room| (room,)).collect();
    let heads = view.get_many(&HEADS, &keys).await?;
    let published = view.get_many(&PUBLISHED_ROOMS, &keys).await?;
    let listed = view.get_many(&PUBLIC_ROOM_PLACES, &keys).await?;
    let rows = keys.into_iter().zip(heads).zip(published).zip(listed);
    let concerned = rows.filter(|(((_, head), published), listed)| {
        let changed = head.as_ref().is_none_or(|head| head.state_at >= first);
        changed || published.is_some() || listed.is_some()
    });
    Ok(concerned.map(|((((room,), _), _), _)| room).collect())
}

#[cfg(test)]
mod tests;
