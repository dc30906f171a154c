//! Forgets tokens that stood for their users for a short time. Whoever asks for another of a kind has
//! those that are over forgotten at once; these are of users who never asked again.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use ruma::OwnedUserId;
use tertulia_storage::Table;

use super::{Page, certainly_over, forget::forget};
use crate::{Result, core::Core};

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
    forget(&core, table, old).await?;
    Ok(next)
}
