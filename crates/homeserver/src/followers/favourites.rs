//! Blanks what favourites show of messages that nobody is to see any more.

use std::sync::Arc;

use crate::{core::Core, favourites, log};

/// Follows until the server stops, or the store fails.
pub(super) async fn follow(core: Arc<Core>) {
    let mut unseen = core.store.watch([log::unseen_topic()]);
    if let Err(error) = favourites::adopt(&core).await {
        tracing::error!(%error, "older bookmarks are no favourites until the next start");
    }
    while !core.stop.is_cancelled() {
        if let Err(error) = favourites::blank_unseen(&core).await {
            tracing::error!(%error, "favourites keep what was redacted until the next start");
            return;
        }
        tokio::select! {
            () = unseen.changed() => {}
            () = core.stop.cancelled() => {}
        }
    }
}
