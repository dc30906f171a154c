use std::sync::Arc;

use futures_util::{FutureExt as _, future::join_all};

use super::{
    Subject,
    fixture::{Gate, LOG, NEWEST, Step, key, open, put, reopen, script},
};
use crate::{Direction, Position, Store, Topic};

async fn logged(store: &Store) -> Vec<u64> {
    let rows =
        store.view().await.unwrap().scan(&LOG, &(), Direction::Forward, usize::MAX).await.unwrap();
    rows.into_iter().map(|((_, position), _)| position.get()).collect()
}

/// Positions count from 1 without a gap, whichever lanes take them.
pub async fn positions_are_dense_and_in_order(subject: &impl Subject) {
    let store = open(subject).await;
    let writes = (0..40).map(|n| {
        let lane = ["a", "b", "c"][n % 3];
        store.write(script(lane, vec![Step::Log("x"); 1 + n % 3]))
    });
    let mut told = Vec::new();
    for result in join_all(writes).await {
        let committed = result.unwrap();
        told.extend(committed.out.iter().map(|position| committed.at(*position).get()));
    }
    told.sort_unstable();
    let all: Vec<u64> = (1..=told.len() as u64).collect();
    assert_eq!(told, all, "what commands are told");
    assert_eq!(logged(&store).await, all, "what is stored");
    assert_eq!(store.settled().get(), told.len() as u64);
}

/// A position is the same number wherever the command wrote it.
pub async fn positions_are_put_into_keys_and_values(subject: &impl Subject) {
    let store = open(subject).await;
    store.write(script("a", [Step::Log("x")])).await.unwrap();
    let committed = store.write(script("a", [Step::Log("x"), Step::Log("y")])).await.unwrap();
    assert!(committed.out.iter().all(|position| position.is_here()));
    let at: Vec<_> = committed.out.iter().map(|position| committed.at(*position)).collect();
    assert_eq!(at, [2, 3].map(Position::new));
    let view = store.view().await.unwrap();
    let rows = view.scan(&NEWEST, &key("y"), Direction::Forward, 9).await.unwrap();
    let [((who, when), (again, both))] = &rows[..] else { panic!("{} rows", rows.len()) };
    assert_eq!((who.as_str(), when.0, *again, both), ("y", at[1], Some(at[1]), &vec![at[1]; 2]));
}

/// Descending positions sort the newest first, those put in by the commit too.
pub async fn the_newest_comes_first_in_a_descending_key(subject: &impl Subject) {
    let store = open(subject).await;
    store.write(script("a", vec![Step::Log("x"); 3])).await.unwrap();
    store.write(script("a", vec![Step::Log("x"); 2])).await.unwrap();
    let view = store.view().await.unwrap();
    let rows = view.scan(&NEWEST, &key("x"), Direction::Forward, 9).await.unwrap();
    let order: Vec<_> = rows.iter().map(|((_, when), _)| when.0.get()).collect();
    assert_eq!(order, [5, 4, 3, 2, 1]);
}

/// A refused command leaves no gap in the log.
pub async fn positions_of_a_refused_command_are_taken_again(subject: &impl Subject) {
    let store = open(subject).await;
    let writes = (0..20).map(|n| {
        let mut steps = vec![Step::Log("x")];
        steps.extend((n % 2 == 0).then_some(Step::Refuse));
        store.write(script("a", steps))
    });
    join_all(writes).await;
    assert_eq!(logged(&store).await, (1..=10).collect::<Vec<_>>());
}

/// The log goes on where it ended, and everything in it is settled.
pub async fn positions_go_on_after_reopening(subject: &impl Subject) {
    let store = open(subject).await;
    store.write(script("a", vec![Step::Log("x"); 3])).await.unwrap();
    let store = reopen(subject, store).await;
    assert_eq!(store.settled(), Position::new(3));
    let committed = store.write(script("a", [Step::Log("x")])).await.unwrap();
    assert_eq!(committed.at(committed.out[0]), Position::new(4));
}

/// A view says how far it tells, has everything up to there and nothing beyond.
pub async fn a_view_tells_of_nothing_beyond_what_is_settled(subject: &impl Subject) {
    let store = open(subject).await;
    let writes = (0..60).map(|n| {
        let store = store.clone();
        async move {
            store.write(script(["a", "b"][n % 2], [Step::Log("x")])).await.unwrap();
            let view = store.view().await.unwrap();
            let rows = view.scan(&LOG, &(), Direction::Forward, usize::MAX).await.unwrap();
            let newest = rows.last().map(|((_, position), _)| *position);
            assert_eq!(newest, Some(view.settled()));
            assert_eq!(rows.len() as u64, view.settled().get());
            assert!(store.settled() >= view.settled());
        }
    });
    join_all(writes).await;
}

/// Who watches a topic wakes when a commit that rings it is settled, not before and not for others.
pub async fn watchers_wake_after_the_commit(subject: &impl Subject) {
    let store = open(subject).await;
    let (mine, other) = (Topic::of("room", "mine"), Topic::of("room", "other"));
    let mut watch = store.watch([mine]);
    store.write(script("a", [put("k", "v"), Step::Wake(other)])).await.unwrap();
    assert!(watch.changed().now_or_never().is_none(), "another topic");
    let gate = Arc::new(Gate::default());
    let slow = script("a", [Step::Wake(mine), put("k", "v"), Step::Pause(gate.clone())]);
    let slow = tokio::spawn({
        let store = store.clone();
        async move { store.write(slow).await }
    });
    gate.reached.notified().await;
    assert!(watch.changed().now_or_never().is_none(), "not committed yet");
    gate.open.notify_one();
    slow.await.unwrap().unwrap();
    watch.changed().await;
    watch.set([other]);
    store.wake(mine);
    assert!(watch.changed().now_or_never().is_none(), "no longer watched");
    store.wake(other);
    watch.changed().await;
}
