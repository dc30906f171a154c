use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::{
    Subject,
    fixture::{COUNT, LOG, SHARD, Step, count, key, open, open_failing, reopen, script},
};
use crate::{Error, Follower, Position, Result, Start, Store, Table, Tx, View, testing::Fault};

/// Counts entries in a row of its own, and remembers what it was shown.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<Vec<u64>>>);

impl Counter {
    fn shown(&self) -> Vec<u64> {
        self.0.lock().unwrap().clone()
    }
}

impl Follower for Counter {
    const NAME: &'static str = "counter";
    const LOG: Table<(u16, Position), (String,)> = LOG;
    const SHARD: u16 = SHARD;
    const PAGE: usize = 4;

    type Entry = (String,);
    type Work = u64;
    type Error = Error;

    async fn handle(&self, _: &View, page: Vec<(Position, (String,))>) -> Result<u64> {
        self.0.lock().unwrap().extend(page.iter().map(|(position, _)| position.get()));
        Ok(page.len() as u64)
    }

    async fn write(&self, tx: &mut Tx, work: &u64) -> Result<()> {
        let (before,) = tx.get(&COUNT, &key("entries")).await?.unwrap_or_default();
        tx.put(&COUNT, &key("entries"), &(before + work,));
        Ok(())
    }
}

async fn log(store: &Store, entries: usize) {
    store.write(script("a", vec![Step::Log("x"); entries])).await.unwrap();
}

/// Takes a follower as far as there is anything to follow.
async fn catch_up<F: Follower<Error = Error>>(store: &Store, follower: F) -> Result<()> {
    let follower = Arc::new(follower);
    while store.follow_page(&follower).await? {}
    Ok(())
}

/// A running follower is shown each entry once, in order, old ones and new ones.
pub async fn a_follower_sees_every_entry_once(subject: &impl Subject) {
    let store = open(subject).await;
    log(&store, 10).await;
    let (counter, stop) = (Counter::default(), CancellationToken::new());
    let running = tokio::spawn({
        let (store, counter, stop) = (store.clone(), counter.clone(), stop.clone());
        async move { store.follow(counter, stop).await }
    });
    for _ in 0..5 {
        log(&store, 2).await;
    }
    while store.view().await.unwrap().cursor("counter").await.unwrap() < Some(Position::new(20)) {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(counter.shown(), (1..=20).collect::<Vec<_>>());
    assert_eq!(count(&store, "entries").await, 20);
}

/// What a follower has dealt with it is not shown again after a restart.
pub async fn a_follower_goes_on_from_its_cursor(subject: &impl Subject) {
    let store = open(subject).await;
    log(&store, 6).await;
    catch_up(&store, Counter::default()).await.unwrap();
    let store = reopen(subject, store).await;
    log(&store, 3).await;
    let counter = Counter::default();
    catch_up(&store, counter.clone()).await.unwrap();
    assert_eq!(counter.shown(), [7, 8, 9]);
    assert_eq!(count(&store, "entries").await, 9);
}

/// As [`Counter`], but what was before it does not matter to it.
struct Latecomer(Counter);

impl Follower for Latecomer {
    const NAME: &'static str = "latecomer";
    const LOG: Table<(u16, Position), (String,)> = LOG;
    const SHARD: u16 = SHARD;
    const START: Start = Start::Now;

    type Entry = (String,);
    type Work = ();
    type Error = Error;

    async fn handle(&self, view: &View, page: Vec<(Position, (String,))>) -> Result<()> {
        self.0.handle(view, page).await.map(drop)
    }
}

/// A follower may begin with what is new when it is first run; where that was is kept.
pub async fn a_follower_that_begins_now_sees_only_what_is_new(subject: &impl Subject) {
    let store = open(subject).await;
    log(&store, 5).await;
    let counter = Counter::default();
    catch_up(&store, Latecomer(counter.clone())).await.unwrap();
    assert!(counter.shown().is_empty());
    log(&store, 2).await;
    catch_up(&store, Latecomer(counter.clone())).await.unwrap();
    assert_eq!(counter.shown(), [6, 7]);
}

/// However a follower is interrupted, its rows tell of exactly the entries before its cursor.
pub async fn a_followers_rows_and_cursor_survive_together(subject: &impl Subject) {
    let store = open(subject).await;
    log(&store, 15).await;
    store.shutdown().await;
    drop(store);
    for stop in 0..4 {
        let (store, _) = open_failing(subject, Fault::StopAfter(stop)).await;
        // It ends with an error, as the store stops under it.
        let _ = catch_up(&store, Counter::default()).await;
        store.shutdown().await;
        drop(store);
        let store = open(subject).await;
        let cursor = store.view().await.unwrap().cursor("counter").await.unwrap();
        assert_eq!(count(&store, "entries").await, cursor.map_or(0, Position::get));
        store.shutdown().await;
    }
}
