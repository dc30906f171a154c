//! Forgets mail that nobody sends any more, and that mail came to nothing.

use std::sync::Arc;

use bytes::Bytes;

use super::{Page, certainly_over};
use crate::{
    Result,
    core::Core,
    mail::{self, Forget},
    schema::{MAIL_QUEUE, UNDELIVERED_MAIL},
};

/// For how long letters are kept, in milliseconds. They are tried for two days, unless the server has
/// lost whoever delivers mail.
const KEPT_MS: u64 = 7 * 24 * 60 * 60_000;

/// Looks at a page of letters, and forgets the oldest.
pub(super) async fn page_of_queue(core: Arc<Core>, page: Page) -> Result<Option<Bytes>> {
    let over = certainly_over(&core);
    let view = core.store.view().await?;
    let (rows, next) = page.rows(&view, &MAIL_QUEUE).await?;
    let is_old = |posted: u64| posted.saturating_add(KEPT_MS) <= over;
    let old = rows.into_iter().filter(|(_, letter)| is_old(letter.posted));
    let keys: Vec<_> = old.map(|(key, _)| key).collect();
    if !keys.is_empty() {
        core.store.write(Forget { keys }).await?;
    }
    Ok(next)
}

/// Looks at a page of sessions whose mail came to nothing, and forgets those that have ended.
pub(super) async fn page_of_undelivered(core: Arc<Core>, page: Page) -> Result<Option<Bytes>> {
    let over = certainly_over(&core);
    let view = core.store.view().await?;
    let (rows, next) = page.rows(&view, &UNDELIVERED_MAIL).await?;
    let ended = rows.into_iter().filter(|(_, (until,))| *until <= over);
    let sessions: Vec<_> = ended.map(|((session,), _)| session).collect();
    if !sessions.is_empty() {
        core.store.write(mail::ForgetUndelivered { sessions }).await?;
    }
    Ok(next)
}
