//! Forgets tokens that stood for their users for a short time. Whoever asks for another of a kind has
//! those that are over forgotten at once; these are of users who never asked again.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use ruma::OwnedUserId;
use tertulia_storage::{Command, Durability, Partition, Table, Tx};

use super::{Page, certainly_over};
use crate::{Error, Result, core::Core, users};

type PassKey = (OwnedUserId, [u8; 32]);
type Passes = Table<PassKey, (u64,)>;

/// Looks at a page of tokens of a kind, and forgets those whose time is over.
pub(super) async fn page(
    core: Arc<Core>,
    page: Page,
    table: &'static Passes,
) -> Result<Option<Bytes>> {
    let over = certainly_over(&core);
    let view = core.store.view().await?;
    let (rows, next) = page.rows(&view, table).await?;
    let mut old = BTreeMap::<OwnedUserId, Vec<PassKey>>::new();
    for (key, (until,)) in rows {
        if until <= over {
            old.entry(key.0.clone()).or_default().push(key);
        }
    }
    for (user, keys) in old {
        core.store.write(TakeBack { table, user, keys }).await?;
    }
    Ok(next)
}

/// Forgets tokens of a user.
struct TakeBack {
    table: &'static Passes,
    user: OwnedUserId,
    keys: Vec<PassKey>,
}

impl Command for TakeBack {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    fn durability(&self) -> Durability {
        // A crash makes the next round do it again.
        Durability::Relaxed
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        self.keys.iter().for_each(|key| tx.delete(self.table, key));
        Ok(())
    }
}
