//! Forgets sessions of proving an e-mail address that nobody used in time.

use std::sync::Arc;

use bytes::Bytes;
use tertulia_storage::{Command, Durability, Partition, Tx};

use super::{Page, certainly_over, partition};
use crate::{Error, Result, core::Core, schema::THREEPID_SESSIONS};

/// How many are forgotten in one commit.
const STEP: usize = 50;

/// Looks at a page of sessions, and forgets those that are over.
pub(super) async fn page(core: Arc<Core>, page: Page) -> Result<Option<Bytes>> {
    let over = certainly_over(&core);
    let view = core.store.view().await?;
    let (rows, next) = page.rows(&view, &THREEPID_SESSIONS).await?;
    let old = rows.into_iter().filter(|(_, session)| session.until() <= over);
    let keys: Vec<_> = old.map(|(key, _)| key).collect();
    for keys in keys.chunks(STEP) {
        core.store.write(Forget { keys: keys.to_vec(), over }).await?;
    }
    Ok(next)
}

/// Forgets sessions that are still over.
struct Forget {
    keys: Vec<([u8; 16], [u8; 16])>,
    over: u64,
}

impl Command for Forget {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition()
    }

    fn durability(&self) -> Durability {
        // A crash makes the next round do it again.
        Durability::Relaxed
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        for key in &self.keys {
            // Another may have begun in its place.
            let session = tx.get_guarded(&THREEPID_SESSIONS, key).await?;
            if session.is_some_and(|session| session.until() <= self.over) {
                tx.delete(&THREEPID_SESSIONS, key);
            }
        }
        Ok(())
    }
}
