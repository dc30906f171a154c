//! How far the directories follow what happens.
//!
//! Nobody wakes their follower for each thing that happens: it goes on when much has, or when
//! somebody wants to read, who then waits for it. So reading is always up to date, and what nobody
//! reads costs next to nothing.

use std::time::Duration;

use tertulia_storage::{Position, Topic};
use tokio::sync::watch;

use crate::core::Core;

/// How long one who reads waits for what happened before; then what is there has to do.
const PATIENCE: Duration = Duration::from_secs(1);

/// Up to where the directories show what happened, since the server was started.
#[derive(Default)]
struct Followed(watch::Sender<Position>);

/// Somebody wants to read.
pub(crate) fn topic() -> Topic {
    Topic::of("directory", "")
}

/// The directories now show what happened up to `position`.
pub(crate) fn note_followed(core: &Core, position: Position) {
    core.local::<Followed>().0.send_modify(|followed| *followed = position.max(*followed));
}

/// Waits until the directories show everything that happened before.
pub(super) async fn caught_up(core: &Core) {
    let settled = core.store.settled();
    let mut followed = core.local::<Followed>().0.subscribe();
    if *followed.borrow() >= settled {
        return;
    }
    core.store.wake(topic());
    tokio::select! {
        _ = followed.wait_for(|followed| *followed >= settled) => {}
        () = core.clock.sleep(PATIENCE) => {}
        () = core.stop.cancelled() => {}
    }
}
