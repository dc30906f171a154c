//! Forgets requests that have not waited any more for as long as the owner of the server keeps them.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use ruma::OwnedUserId;
use tertulia_storage::{Descending, Position};

use super::{Page, certainly_over, forget::forget};
use crate::{
    Result,
    core::Core,
    schema::{REQUESTS, RequestBox},
};

type RequestKey = (OwnedUserId, RequestBox, Descending<Position>);

/// Looks at a page of requests, and forgets those that ended long ago.
pub(super) async fn page(core: Arc<Core>, page: Page) -> Result<Option<Bytes>> {
    let kept = core.settings.requests_kept.as_millis().try_into().unwrap_or(u64::MAX);
    let Some(over) = certainly_over(&core).checked_sub(kept) else { return Ok(None) };
    let view = core.store.view().await?;
    let (rows, next) = page.rows(&view, &REQUESTS).await?;
    let mut old = BTreeMap::<OwnedUserId, Vec<RequestKey>>::new();
    for (key, row) in rows {
        if row.ended.is_some_and(|ended| ended <= over) {
            old.entry(key.0.clone()).or_default().push(key);
        }
    }
    forget(&core, &REQUESTS, old).await?;
    Ok(next)
}
