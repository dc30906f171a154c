//! How far what users do outside of rooms was carried into them.

use std::time::Duration;

use tertulia_storage::Position;
use tokio::sync::watch;

use crate::core::Core;

/// How long one who changes something waits for the rooms to show it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Up to where rooms show what users did outside of them, since the server was started.
#[derive(Default)]
struct Carried(watch::Sender<Position>);

/// Rooms now show what happened up to `position`.
pub(crate) fn note_carried(core: &Core, position: Position) {
    core.local::<Carried>().0.send_modify(|carried| *carried = position.max(*carried));
}

/// Waits until rooms show what happened up to `position`, so that whoever did it reads it there.
/// Where there are too many rooms for that, it does not wait for all of them.
pub(crate) async fn carried(core: &Core, position: Position) {
    let mut carried = core.local::<Carried>().0.subscribe();
    tokio::select! {
        _ = carried.wait_for(|carried| *carried >= position) => {}
        () = core.clock.sleep(PATIENCE) => {}
        () = core.stop.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::testing::server;

    #[tokio::test]
    async fn one_waits_for_what_was_not_carried_yet_and_never_again_for_what_was() {
        let server = server().await;
        let far = |ahead: u64| Position::new(server.core.store.settled().get() + ahead);
        let wait = carried(&server.core, far(1_000_000));
        let mut wait = std::pin::pin!(wait);
        assert!(wait.as_mut().now_or_never().is_none());
        note_carried(&server.core, far(1_000_000));
        wait.await;
        // A page that is gone through once more takes nothing back.
        note_carried(&server.core, Position::ZERO);
        assert!(carried(&server.core, far(1_000)).now_or_never().is_some());
    }

    #[tokio::test]
    async fn nobody_waits_for_a_server_that_stops() {
        let server = server().await;
        server.shutdown().await;
        carried(&server.core, Position::new(u64::MAX)).await;
    }
}
