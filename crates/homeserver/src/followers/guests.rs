//! Lets guests leave the rooms that were closed to them.

use std::{ops::Bound, sync::Arc};

use tertulia_storage::Direction;

use crate::{Error, Result, core::Core, log, rooms, schema::CLOSED_TO_GUESTS};

/// How many rooms are read at once.
const PAGE: usize = 100;

/// Follows until the server stops, or the store fails.
pub(super) async fn follow(core: Arc<Core>) {
    let mut closed = core.store.watch([log::guests_topic()]);
    while !core.stop.is_cancelled() {
        if let Err(error) = turn_out_all(&core).await {
            tracing::error!(%error, "guests stay in rooms that were closed to them until the next start");
            return;
        }
        tokio::select! {
            () = closed.changed() => {}
            () = core.stop.cancelled() => {}
        }
    }
}

/// Goes through the rooms that were closed to guests.
async fn turn_out_all(core: &Arc<Core>) -> Result<()> {
    let mut last = None;
    loop {
        let view = core.store.view().await?;
        let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let forward = Direction::Forward;
        let page = view.scan_from(&CLOSED_TO_GUESTS, &(), from, forward, PAGE).await?;
        let is_last = page.len() < PAGE;
        last = page.last().map(|(key, _)| key.clone());
        for ((room,), (noted,)) in page {
            if core.stop.is_cancelled() {
                return Ok(());
            }
            match rooms::turn_out_guests(core, &room, noted).await {
                Err(Error::Storage(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%error, %room, "guests stay in a room that was closed to them")
                }
                Ok(()) => {}
            }
        }
        if is_last {
            return Ok(());
        }
    }
}
