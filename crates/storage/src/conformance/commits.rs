use std::sync::Arc;

use futures_util::future::join_all;

use super::{
    Subject,
    fixture::{Gate, Step, count, open, put, refused, script, text},
};
use crate::{Commit, Engine, Error, testing::Fault};

/// A command that returns an error has written nothing.
pub async fn a_command_that_fails_leaves_nothing(subject: &impl Subject) {
    let store = open(subject).await;
    let result = store.write(script("a", [put("k", "v"), Step::Log("x"), Step::Refuse])).await;
    assert_eq!(result.unwrap_err().to_string(), refused().to_string());
    assert_eq!(text(&store, "k").await, None);
    assert_eq!(store.settled().get(), 0);
}

/// Of commands that share a commit, a refused one is taken back and the others are kept.
pub async fn a_refused_command_does_not_spoil_those_beside_it(subject: &impl Subject) {
    let store = open(subject).await;
    let writes = (0..30).map(|n| {
        let mut steps =
            vec![Step::Add("n", 1), put("last", if n % 3 == 0 { "refused" } else { "kept" })];
        steps.extend((n % 3 == 0).then_some(Step::Refuse));
        store.write(script("a", steps))
    });
    let results = join_all(writes).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 20);
    assert_eq!(count(&store, "n").await, 20);
    assert_eq!(text(&store, "last").await.unwrap(), "kept");
}

/// A commit is refused if a row that it guards was written since its snapshot.
pub async fn a_guard_finds_a_concurrent_change(subject: &impl Subject) {
    check_guard(subject, true).await;
}

/// A guarded row that was absent must be absent still.
pub async fn a_guard_finds_a_row_that_came_to_be(subject: &impl Subject) {
    check_guard(subject, false).await;
}

async fn check_guard(subject: &impl Subject, exists: bool) {
    let store = open(subject).await;
    if exists {
        store.write(script("a", [put("guarded", "old")])).await.unwrap();
    }
    let gate = Arc::new(Gate::default());
    let slow = script("b", [Step::Guard("guarded"), Step::Pause(gate.clone()), put("k", "v")]);
    let slow = tokio::spawn({
        let store = store.clone();
        async move { store.write(slow).await }
    });
    gate.reached.notified().await;
    store.write(script("a", [put("guarded", "new")])).await.unwrap();
    gate.open.notify_one();
    // It is run again, and meets no one this time.
    gate.reached.notified().await;
    assert_eq!(text(&store, "k").await, None, "the first run must not have been committed");
    gate.open.notify_one();
    slow.await.unwrap().unwrap();
    assert_eq!(text(&store, "k").await.unwrap(), "v");
}

/// Guarded reads make lost updates impossible, also between lanes. Each time one lane wins, and whoever
/// lost against it sees what it wrote at the next try, so that no lane tries more often than there are lanes.
pub async fn commands_of_different_lanes_lose_no_update(subject: &impl Subject) {
    let store = open(subject).await;
    for _ in 0..5 {
        let adds = ["a", "b", "c", "d", "e", "f", "g"]
            .map(|lane| store.write(script(lane, [Step::Add("n", 1)])));
        for result in join_all(adds).await {
            result.unwrap();
        }
    }
    assert_eq!(count(&store, "n").await, 35);
}

/// The seam itself says `Conflict`, and nothing of the commit is there.
pub async fn a_conflicting_batch_is_run_again(subject: &impl Subject) {
    let (engine, _) = subject.open(Fault::Never);
    let row = vec![0, 9, 1];
    let write = crate::Write {
        row: row.clone(),
        row_places: Vec::new(),
        value: Some(bytes::Bytes::from_static(b"v\0")),
        value_places: Vec::new(),
    };
    let version = engine.begin().await.unwrap().version();
    let commit = || Commit {
        version,
        guards: vec![row.clone()],
        writes: vec![write.clone()],
        ..Commit::default()
    };
    engine.commit(commit()).await.unwrap();
    assert!(matches!(engine.commit(commit()).await, Err(Error::Conflict)));
    let version = engine.begin().await.unwrap().version();
    engine.commit(Commit { version, ..commit() }).await.unwrap();
}
