//! Forgets transaction IDs. A client repeats a request for as long as it has not seen the answer,
//! which is a matter of minutes; after a day it will not come to that any more.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use ruma::{OwnedDeviceId, OwnedRoomId, OwnedTransactionId, OwnedUserId};
use tertulia_storage::{Command, Partition, Position, Tx};

use super::Page;
use crate::{
    Error, Result,
    core::Core,
    schema::{EVENT_META, EventMeta, Ordinal, TRANSACTIONS, Verdict},
};

type TransactionKey = (OwnedRoomId, OwnedUserId, OwnedDeviceId, String, OwnedTransactionId);

/// Looks at a page of transactions, and forgets those whose events are old.
pub(super) async fn page(core: Arc<Core>, page: Page) -> Result<Option<Bytes>> {
    let view = core.store.view().await?;
    let (rows, next) = page.rows(&view, &TRANSACTIONS).await?;
    let events: Vec<_> =
        rows.iter().map(|(key, (event,))| (key.0.clone(), event.clone())).collect();
    let metas = view.get_many(&EVENT_META, &events).await?;
    let mut old = BTreeMap::<OwnedRoomId, Vec<TransactionKey>>::new();
    for ((key, _), meta) in rows.into_iter().zip(metas) {
        if meta.is_none_or(|meta| was_by(&meta, page.up_to)) {
            old.entry(key.0.clone()).or_default().push(key);
        }
    }
    for (room, keys) in old {
        core.store.write(Forget { room, keys }).await?;
    }
    Ok(next)
}

/// Whether the event had its place when the log was at `position`.
fn was_by(meta: &EventMeta, position: Position) -> bool {
    match meta.verdict {
        Verdict::Timeline { ordinal: Ordinal::Live(at), .. } => at <= position,
        // No local user's event is anywhere else, or will ever be looked for.
        _ => true,
    }
}

/// Forgets transactions of a room.
struct Forget {
    room: OwnedRoomId,
    keys: Vec<TransactionKey>,
}

impl Command for Forget {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        self.keys.iter().for_each(|key| tx.delete(&TRANSACTIONS, key));
        Ok(())
    }
}
