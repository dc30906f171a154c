use futures_util::future::join_all;

use super::{
    Subject,
    fixture::{Step, count, open, open_failing, put, script, text},
};
use crate::{Error, Store, testing::Fault};

// The first write of a store is its format row.
const SECOND: usize = 3;

fn is_read_only<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::ReadOnly { reason }) if reason.contains("was to fail"))
}

async fn check_failure(subject: &impl Subject, fault: Fault) {
    let (store, _) = open_failing(subject, fault).await;
    store.write(script("a", [put("first", "v"), Step::Log("x")])).await.unwrap();
    let writes =
        ["a", "b", "c"].map(|lane| store.write(script(lane, [put("second", "v"), Step::Log("x")])));
    for result in join_all(writes).await {
        assert!(is_read_only(&result), "{result:?}");
    }
    assert_eq!(text(&store, "second").await, None, "nothing unsettled is shown");
    assert_eq!(store.settled().get(), 1);
}

/// When a write fails nobody who waits for it is told that it took place.
pub async fn a_failed_write_acknowledges_nothing(subject: &impl Subject) {
    check_failure(subject, Fault::Write(SECOND)).await;
}

/// When a sync fails nobody knows what is on the disk, so it counts as a failed write.
pub async fn a_failed_sync_acknowledges_nothing(subject: &impl Subject) {
    check_failure(subject, Fault::Sync(SECOND)).await;
}

async fn failed(subject: &impl Subject) -> Store {
    let (store, _) = open_failing(subject, Fault::Write(SECOND)).await;
    store.write(script("a", [put("k", "v")])).await.unwrap();
    assert!(is_read_only(&store.write(script("a", [put("k", "lost")])).await));
    store
}

/// Reading goes on, and each write is told why it cannot be.
pub async fn a_store_that_failed_is_still_read(subject: &impl Subject) {
    let store = failed(subject).await;
    for _ in 0..3 {
        assert!(is_read_only(&store.write(script("b", [put("k", "lost")])).await));
        assert_eq!(text(&store, "k").await.unwrap(), "v");
    }
}

/// After a restart the store is written again.
pub async fn a_restart_ends_being_read_only(subject: &impl Subject) {
    let store = failed(subject).await;
    store.shutdown().await;
    drop(store);
    let store = open(subject).await;
    assert_eq!(text(&store, "k").await.unwrap(), "v");
    store.write(script("a", [put("k", "new")])).await.unwrap();
    assert_eq!(text(&store, "k").await.unwrap(), "new");
}

/// Wherever the process stops, each command is there as a whole or not at all, and what was acknowledged is there.
pub async fn stopping_after_any_commit_leaves_whole_commands(subject: &impl Subject) {
    let mut acknowledged = 0;
    for stop in 1..8 {
        let (store, _) = open_failing(subject, Fault::StopAfter(stop)).await;
        for _ in 0..4 {
            let both = [Step::Add("a", 1), Step::Add("b", 1), Step::Log("x")];
            acknowledged += u64::from(store.write(script("a", both)).await.is_ok());
        }
        store.shutdown().await;
        drop(store);
        let store = open(subject).await;
        let (a, b) = (count(&store, "a").await, count(&store, "b").await);
        assert_eq!((a, store.settled().get()), (b, b));
        assert_eq!(a, acknowledged);
        store.shutdown().await;
    }
}
