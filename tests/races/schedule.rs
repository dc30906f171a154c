//! Interleavings drawn from seeds.
//!
//! All callers run on one thread, and each gives way to the others wherever it asks the engine for something, as often as
//! chance has it. The engine commits while that thread waits for it: so a seed is an interleaving.

use std::{
    env,
    ops::Range,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, join_all};
use http::StatusCode;
use tertulia_storage::{
    Answer, Bell, Commit, Direction, Engine, MemoryEngine, Position, Receipt, Result, Row,
    RowRange, Snapshot,
};
use tertulia_testkit::{Answered, Call, TestServer, TestServerBuilder};

/// How many want the same.
pub(crate) const CALLERS: usize = 64;
/// How many interleavings are tried.
const SEEDS: u64 = 1_000;

/// A server that is raced for.
pub(crate) struct Course {
    pub(crate) server: TestServer,
    chance: Chance,
}

impl Course {
    pub(crate) async fn new(builder: TestServerBuilder) -> Self {
        let chance = Chance::default();
        let engine = Seeded { engine: MemoryEngine::default(), chance: chance.clone() };
        Self { server: builder.start_on(engine).await, chance }
    }

    /// Runs a round for each seed, or for the one that the environment names.
    pub(crate) async fn for_each_seed(&self, mut round: impl AsyncFnMut(u64)) {
        for seed in seeds() {
            // The ID of a room is made of who made it and when.
            self.server.clock().advance(Duration::from_secs(1));
            self.chance.begin(seed);
            let _told = Told(seed);
            round(seed).await;
        }
    }

    /// Sends all calls at once, in an order of chance, and tells the answers in the order of the calls.
    pub(crate) async fn race(&self, calls: Vec<Call>) -> Vec<Answered> {
        self.race_all(calls.into_iter().map(IntoFuture::into_future)).await
    }

    /// Runs all at once, in an order of chance, and tells what came of them in their own order.
    pub(crate) async fn race_all<F>(&self, runners: impl IntoIterator<Item = F>) -> Vec<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.chance.race(runners).await
    }
}

/// The seeds to try: all, or the one that the environment names.
pub(crate) fn seeds() -> Range<u64> {
    let named = env::var("TERTULIA_SEED").ok().and_then(|seed| seed.parse().ok());
    named.map_or(0..SEEDS, |seed: u64| seed..seed + 1)
}

impl Chance {
    /// As [`Course::race_all`].
    pub(crate) async fn race<F>(&self, runners: impl IntoIterator<Item = F>) -> Vec<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let mut runners: Vec<_> = runners.into_iter().enumerate().collect();
        runners.sort_by_cached_key(|_| self.draw());
        let running = runners.into_iter().map(|(place, runner)| {
            let chance = self.clone();
            tokio::spawn(async move {
                chance.pause(8).await;
                (place, runner.await)
            })
        });
        let done = join_all(running.collect::<Vec<_>>()).await;
        let mut done: Vec<_> =
            done.into_iter().map(|done| done.expect("a runner arrives")).collect();
        done.sort_by_key(|(place, _)| *place);
        done.into_iter().map(|(_, output)| output).collect()
    }
}

/// The only one who was not refused. All others were, so.
#[track_caller]
pub(crate) fn only_winner(answers: &[Answered], status: u16, code: &str) -> usize {
    let won = |(_, answer): &(usize, &Answered)| answer.status == StatusCode::OK;
    let winners: Vec<_> = answers.iter().enumerate().filter(won).map(|(place, _)| place).collect();
    for (place, answer) in answers.iter().enumerate() {
        if !winners.contains(&place) {
            answer.refused(status, code);
        }
    }
    assert_eq!(winners.len(), 1, "winners: {winners:?}");
    winners[0]
}

/// Tells the seed of a round that panics.
pub(crate) struct Told(pub(crate) u64);

impl Drop for Told {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("TERTULIA_SEED={}", self.0);
        }
    }
}

/// When callers give way. It is drawn hundreds of times for each call, so it has to be cheap: splitmix64.
#[derive(Clone, Default)]
pub(crate) struct Chance(Arc<AtomicU64>);

impl Chance {
    pub(crate) fn begin(&self, seed: u64) {
        self.0.store(seed, Ordering::Relaxed);
    }

    pub(crate) fn draw(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let drawn = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        let drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        drawn ^ (drawn >> 31)
    }

    /// Lets others go first, up to so many times.
    async fn pause(&self, most: u64) {
        for _ in 0..self.draw() % (most + 1) {
            tokio::task::yield_now().await;
        }
    }
}

/// An engine whose answers come as late as chance has it.
pub(crate) struct Seeded<E> {
    pub(crate) engine: E,
    pub(crate) chance: Chance,
}

impl<E: Engine + Clone> Engine for Seeded<E> {
    fn begin(&self) -> Answer<'_, Arc<dyn Snapshot>> {
        Either::Right(Box::pin(async {
            self.chance.pause(3).await;
            let snapshot = self.engine.begin().await?;
            Ok(Arc::new(Slow { snapshot, chance: self.chance.clone() }) as Arc<dyn Snapshot>)
        }))
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'static, Result<Receipt>> {
        let (engine, chance) = (self.engine.clone(), self.chance.clone());
        let committed = tokio::spawn(async move {
            chance.pause(5).await;
            wait_for(engine.commit(commit))
        });
        Box::pin(async { committed.await.expect("a commit ends") })
    }

    fn bell(&self) -> &Arc<Bell> {
        self.engine.bell()
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        self.engine.close()
    }
}

/// A state of which each read lets others go first.
struct Slow {
    snapshot: Arc<dyn Snapshot>,
    chance: Chance,
}

impl Slow {
    fn slowly<'a, T: Send + 'a>(&'a self, answer: Answer<'a, T>) -> Answer<'a, T> {
        Either::Right(Box::pin(async {
            self.chance.pause(1).await;
            answer.await
        }))
    }
}

impl Snapshot for Slow {
    fn settled(&self) -> Position {
        self.snapshot.settled()
    }

    fn version(&self) -> u64 {
        self.snapshot.version()
    }

    fn get<'a>(&'a self, row: &'a [u8]) -> Answer<'a, Option<Bytes>> {
        self.slowly(self.snapshot.get(row))
    }

    fn get_many<'a>(&'a self, rows: &'a [Vec<u8>]) -> Answer<'a, Vec<Option<Bytes>>> {
        self.slowly(self.snapshot.get_many(rows))
    }

    fn scan<'a>(
        &'a self,
        range: &'a RowRange,
        direction: Direction,
        limit: usize,
    ) -> Answer<'a, Vec<Row>> {
        self.slowly(self.snapshot.scan(range, direction, limit))
    }
}

/// Waits for what another thread does, and lets nobody go first meanwhile.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
