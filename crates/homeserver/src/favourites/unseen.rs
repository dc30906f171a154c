//! Blanks the snapshots of what nobody is to see any more: of messages that were redacted, and of rooms
//! that were removed. A message of which an edit was redacted is seen as it is without it.
//!
//! A row of [`UNSEEN_EVENTS`] says that there may be some. It goes when they are blank, so that a start
//! after a crash goes on with those that are not.

use std::{ops::Bound, sync::Arc};

use futures_util::future::try_join_all;
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use tertulia_storage::{Command, Direction, Partition, Tx};

use crate::{
    Error, Result,
    account_data::bookmarks::{Blank, seen_now},
    core::{Core, User},
    schema::{BookmarkKey, KEPT_EVENTS, Kept, UNSEEN_EVENTS},
};

/// How many rows are read at once.
const PAGE: usize = 100;
/// How many snapshots are blanked at once, to share what a commit costs.
const AT_ONCE: usize = 20;

/// Blanks all snapshots that are to be blanked.
pub(crate) async fn blank_unseen(core: &Arc<Core>) -> Result<()> {
    let mut last = None;
    loop {
        let view = core.store.view().await?;
        let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let forward = Direction::Forward;
        let page = view.scan_from(&UNSEEN_EVENTS, &(), from, forward, PAGE).await?;
        drop(view);
        let is_last = page.len() < PAGE;
        last = page.last().map(|(key, _)| key.clone());
        for ((room, event), (noted,)) in page {
            if core.stop.is_cancelled() {
                return Ok(());
            }
            blank_kept(core, &room, &event).await?;
            core.store.write(Settle { room, event, noted }).await?;
        }
        if is_last {
            return Ok(());
        }
    }
}

type KeptEvent = (OwnedRoomId, OwnedEventId, OwnedUserId, BookmarkKey);

/// Blanks all snapshots of an event, or of a room if no event is named.
async fn blank_kept(core: &Arc<Core>, room: &OwnedRoomId, event: &str) -> Result<()> {
    let mut last: Option<KeptEvent> = None;
    loop {
        let view = core.store.view().await?;
        let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let forward = Direction::Forward;
        let page = if event.is_empty() {
            view.scan_from(&KEPT_EVENTS, &(room.clone(),), from, forward, PAGE).await?
        } else {
            let prefix = (room.clone(), event.to_owned());
            view.scan_from(&KEPT_EVENTS, &prefix, from, forward, PAGE).await?
        };
        drop(view);
        let is_last = page.len() < PAGE;
        last = page.last().map(|(key, _)| key.clone());
        for kept in page.chunks(AT_ONCE) {
            let blanked = kept.iter().map(|((_, _, user, key), (kept,))| {
                let is_edit = *kept == Kept::Edit && !event.is_empty();
                blank(core, user, key, is_edit)
            });
            try_join_all(blanked).await?;
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Blanks a snapshot. If only an edit was taken back, the message stands: it is taken as it is now.
async fn blank(
    core: &Arc<Core>,
    user: &OwnedUserId,
    key: &BookmarkKey,
    is_edit: bool,
) -> Result<()> {
    let mut seen = None;
    if is_edit {
        seen = seen_now(&User::new(core.clone(), user.clone()), key).await?;
    }
    let blank = Blank { user: user.clone(), key: key.clone(), seen };
    match core.store.write(blank).await {
        // Of a closed account everything goes by itself.
        Err(Error::Deactivated) => Ok(()),
        blanked => blanked.map(drop),
    }
}

/// Forgets that snapshots may have to be blanked, unless that was noted again since.
struct Settle {
    room: OwnedRoomId,
    event: String,
    noted: u64,
}

impl Command for Settle {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.room.clone(), self.event.clone());
        if tx.get_guarded(&UNSEEN_EVENTS, &key).await? == Some((self.noted,)) {
            tx.delete(&UNSEEN_EVENTS, &key);
        }
        Ok(())
    }
}
