//! Followers: effects of the log that reach beyond the partition they began in. Each goes through
//! the log at its own pace, with a cursor that outlives the server. Beside them, what an earlier
//! stop interrupted is brought to its end.

mod direct;
mod directory;
mod favourites;
mod guests;
mod mail;
mod people;

use std::sync::Arc;

use tertulia_storage::{Follower, Position, Topic, Watch};

use crate::{Error, Homeserver, Mended, Result, chats, core::Core, housekeeping};

/// Has lists of chats know what was said before there were any.
async fn adopt_chats(server: Homeserver) {
    if let Err(error) = chats::adopt(&server.core).await {
        tracing::error!(%error, "older rooms show nothing in lists of chats until the next start");
    }
}

impl Homeserver {
    /// Starts everything that follows the log; it ends with the server.
    pub(crate) fn follow_log(&self) {
        let core = self.core.clone();
        self.core.tasks.spawn(people::follow(core.clone()));
        self.core.tasks.spawn(directory::follow(core.clone()));
        self.core.tasks.spawn(direct::follow(core.clone()));
        self.core.tasks.spawn(guests::follow(core.clone()));
        self.core.tasks.spawn(mail::follow(core.clone()));
        self.core.tasks.spawn(favourites::follow(core));
        self.core.tasks.spawn(finish_removals(self.clone()));
        self.core.tasks.spawn(finish_upgrades(self.clone()));
        self.core.tasks.spawn(finish_groups(self.clone()));
        self.core.tasks.spawn(finish_requests(self.clone()));
        self.core.tasks.spawn(mend_media(self.clone()));
        self.core.tasks.spawn(adopt_chats(self.clone()));
        if self.core.settings.housekeeping {
            self.core.tasks.spawn(housekeeping::live(self.clone()));
        }
    }

    /// Removes what was being removed when the server stopped.
    async fn go_on_removing(&self) -> Result<()> {
        self.go_on_removing_rooms().await?;
        self.go_on_removing_users().await
    }
}

/// How far a follower may lie behind while nothing that concerns it has happened. It looks only when
/// something has, so that messages cost it nothing; but then there must not be too much to look at.
const FAR_BEHIND: u64 = 2_000;

/// Follows the log whenever something that concerns the follower rings at `topic`, until the server
/// stops, or the store fails.
async fn follow_at<F>(core: &Core, follower: &Arc<F>, topic: Topic) -> Result<()>
where
    F: Follower<Error = Error>,
{
    let mut concerned = core.store.watch([topic]);
    let mut anything = core.store.watch([Topic::LOG]);
    while !core.stop.is_cancelled() {
        if core.store.follow_page(follower).await? {
            continue;
        }
        let enough = Position::new(core.store.settled().get() + FAR_BEHIND);
        tokio::select! {
            () = concerned.changed() => {}
            () = reach(core, &mut anything, enough) => {}
            () = core.stop.cancelled() => {}
        }
    }
    Ok(())
}

/// Ends when the log has reached `position`.
async fn reach(core: &Core, log: &mut Watch, position: Position) {
    while core.store.settled() < position {
        log.changed().await;
    }
}

/// Brings files and rows together that a crash or a backup parted, beside all else.
async fn mend_media(server: Homeserver) {
    tokio::select! {
        done = server.mend_media() => match done {
            Ok(Mended { deleted: 0, missing: 0 }) => {}
            Ok(Mended { deleted, missing }) => {
                tracing::warn!(deleted, missing, "files without rows were deleted, rows without files noted");
            }
            Err(error) => {
                tracing::warn!(%error, "files and rows were not brought together; the next start tries again");
            }
        },
        () = server.core.stop.cancelled() => {}
    }
}

/// If the server ends before they do, removals go on at its next start.
async fn finish_removals(server: Homeserver) {
    tokio::select! {
        done = server.go_on_removing() => if let Err(error) = done {
            tracing::warn!(%error, "a removal that was interrupted did not go on; the next start tries again");
        },
        () = server.core.stop.cancelled() => {}
    }
}

/// Rooms that were being replaced when the server stopped are replaced at its next start.
async fn finish_upgrades(server: Homeserver) {
    tokio::select! {
        done = server.go_on_upgrading() => if let Err(error) = done {
            tracing::warn!(%error, "an upgrade of a room that was interrupted did not go on; the next start tries again");
        },
        () = server.core.stop.cancelled() => {}
    }
}

/// Groups that were being ended when the server stopped are ended at its next start.
async fn finish_groups(server: Homeserver) {
    tokio::select! {
        done = server.go_on_dissolving() => if let Err(error) = done {
            tracing::warn!(%error, "the end of a group that was interrupted did not go on; the next start tries again");
        },
        () = server.core.stop.cancelled() => {}
    }
}

/// Friend requests that were on their way when the server stopped are placed at its next start.
async fn finish_requests(server: Homeserver) {
    tokio::select! {
        done = server.go_on_requesting() => if let Err(error) = done {
            tracing::warn!(%error, "a friend request that was interrupted did not go on; the next start tries again");
        },
        () = server.core.stop.cancelled() => {}
    }
}
