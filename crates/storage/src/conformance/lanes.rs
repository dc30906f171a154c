use std::sync::{Arc, atomic::Ordering};

use futures_util::{FutureExt as _, future::join_all};

use super::{
    Subject,
    fixture::{Gate, Step, count, open, open_failing, put, reopen, script, text},
};
use crate::{Error, testing::Fault};

/// Sixty who write in one room at the same time cost few syncs.
pub async fn writers_of_one_lane_share_a_sync(subject: &impl Subject) {
    assert!(syncs(subject, |_| "one").await <= 4);
}

/// Lanes that commit at the same time share syncs, too.
pub async fn writers_of_many_lanes_share_a_sync(subject: &impl Subject) {
    assert!(syncs(subject, |n| ["a", "b", "c", "d", "e", "f"][n % 6]).await <= 30);
}

/// How many syncs sixty writers cost.
async fn syncs(subject: &impl Subject, lane: fn(usize) -> &'static str) -> usize {
    let (store, counts) = open_failing(subject, Fault::Never).await;
    let before = counts.syncs();
    let writes = (0..60).map(|n| store.write(script(lane(n), [Step::Add(lane(n), 1)])));
    for result in join_all(writes).await {
        result.unwrap();
    }
    let total: u64 = join_all((0..6).map(|n| count(&store, lane(n)))).await.iter().sum();
    assert!(total >= 60);
    counts.syncs() - before
}

/// A caller that stops waiting does not take its command back, nor stop the lane.
pub async fn a_command_whose_caller_went_away_takes_place(subject: &impl Subject) {
    let store = open(subject).await;
    let gate = Arc::new(Gate::default());
    let slow = script("a", [Step::Add("n", 1), Step::Pause(gate.clone()), put("k", "v")]);
    let mut caller = Box::pin(store.write(slow));
    assert!(caller.as_mut().now_or_never().is_none());
    gate.reached.notified().await;
    drop(caller);
    let mut queued = Box::pin(store.write(script("a", [Step::Add("n", 10)])));
    assert!(queued.as_mut().now_or_never().is_none());
    drop(queued);
    gate.open.notify_one();
    store.write(script("a", [Step::Add("n", 100)])).await.unwrap();
    assert_eq!(count(&store, "n").await, 111);
    assert_eq!(text(&store, "k").await.unwrap(), "v");
}

/// A command that panics is told apart, and its lane goes on with the others.
pub async fn a_panic_in_a_command_does_not_stop_its_lane(subject: &impl Subject) {
    let store = open(subject).await;
    let writes = (0..9).map(|n| {
        let mut steps = vec![Step::Add("n", 1)];
        steps.extend((n % 3 == 0).then_some(Step::Panic));
        store.write(script("a", steps))
    });
    for (n, result) in join_all(writes).await.into_iter().enumerate() {
        match result {
            Err(Error::Panicked(words)) => assert!(n % 3 == 0 && words == "as it was told"),
            result => assert!(result.is_ok() && n % 3 != 0),
        }
    }
    assert_eq!(count(&store, "n").await, 6);
}

/// Shutting down refuses new commands and finishes those that wait.
pub async fn shutting_down_finishes_what_was_queued(subject: &impl Subject) {
    let store = open(subject).await;
    let gate = Arc::new(Gate::default());
    let first = script("a", [Step::Pause(gate.clone()), Step::Add("n", 1)]);
    let writes = [first, script("a", [Step::Add("n", 10)]), script("b", [Step::Add("m", 1)])];
    let writes = writes.map(|write| {
        let store = store.clone();
        tokio::spawn(async move { store.write(write).await })
    });
    gate.reached.notified().await;
    let shutdown = tokio::spawn({
        let store = store.clone();
        async move { store.shutdown().await }
    });
    while !matches!(store.write(script("c", [Step::Add("other", 1)])).await, Err(Error::Closed)) {
        tokio::task::yield_now().await;
    }
    gate.open.notify_one();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    shutdown.await.unwrap();
    assert_eq!(gate.runs.load(Ordering::SeqCst), 1);
    let store = reopen(subject, store).await;
    assert_eq!(count(&store, "m").await, 1);
    assert_eq!(count(&store, "n").await, 11);
}
