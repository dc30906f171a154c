//! Tables and commands that the rules are told with.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::Subject;
use crate::{
    Command, Descending, Durability, Error, Partition, Position, Result, Store, StoreOptions,
    Table, Topic, Tx,
    testing::{Counts, Fault},
};

pub(super) const TEXT: Table<(String,), Bytes> = Table::new(1, "text");
pub(super) const COUNT: Table<(String,), (u64,)> = Table::new(2, "count");
pub(super) const GRID: Table<(String, u64), (u64,)> = Table::new(3, "grid");
/// The log.
pub(super) const LOG: Table<(u16, Position), (String,)> = Table::new(4, "log");

/// The shard of the log that scripts write. Not the first, so that nobody gets by without asking.
pub(super) const SHARD: u16 = 3;
/// When, twice over.
pub(super) type When = (Option<Position>, Vec<Position>);
/// Who and when, newest first → when again.
pub(super) const NEWEST: Table<(String, Descending<Position>), When> = Table::new(5, "newest");

/// One thing that a command does.
#[derive(Clone)]
pub(super) enum Step {
    Put(&'static str, Bytes),
    Delete(&'static str),
    /// Adds to a counter, guarding it.
    Add(&'static str, u64),
    Grid(&'static str, u64),
    DeleteGrid(&'static str, usize),
    Guard(&'static str),
    /// Takes a position and writes about it.
    Log(&'static str),
    Wake(Topic),
    Refuse,
    Panic,
    /// Says that it got here, and waits to be let on.
    Pause(Arc<Gate>),
}

/// Where commands stop until a test lets them go on.
#[derive(Default)]
pub(super) struct Gate {
    pub reached: Notify,
    pub open: Notify,
    pub runs: AtomicUsize,
}

/// A command that takes its steps, in a lane of its own choice.
#[derive(Clone)]
pub(super) struct Script {
    pub lane: String,
    pub steps: Vec<Step>,
    pub durability: Durability,
}

pub(super) fn script(lane: &str, steps: impl IntoIterator<Item = Step>) -> Script {
    Script {
        lane: lane.to_owned(),
        steps: steps.into_iter().collect(),
        durability: Durability::Synced,
    }
}

pub(super) fn put(key: &'static str, value: &'static str) -> Step {
    Step::Put(key, Bytes::from_static(value.as_bytes()))
}

pub(super) fn key(key: &str) -> (String,) {
    (key.to_owned(),)
}

impl Command for Script {
    /// The positions it took.
    type Out = Vec<Position>;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("lane", &self.lane)
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    async fn run(&self, tx: &mut Tx) -> Result<Vec<Position>> {
        let mut taken = Vec::new();
        for step in &self.steps {
            match step {
                Step::Put(at, value) => tx.put(&TEXT, &key(at), value),
                Step::Delete(at) => tx.delete(&TEXT, &key(at)),
                Step::Add(at, n) => {
                    let (before,) = tx.get_guarded(&COUNT, &key(at)).await?.unwrap_or_default();
                    tx.put(&COUNT, &key(at), &(before + n,));
                }
                Step::Grid(row, column) => {
                    tx.put(&GRID, &((*row).to_owned(), *column), &(*column,))
                }
                Step::DeleteGrid(row, limit) => {
                    tx.delete_page(&GRID, &key(row), *limit).await?;
                }
                Step::Guard(at) => tx.guard(&TEXT, &key(at)),
                Step::Log(who) => taken.push(log(tx, who)),
                Step::Wake(topic) => tx.wake(*topic),
                Step::Refuse => return Err(refused()),
                Step::Panic => panic!("as it was told"),
                Step::Pause(gate) => {
                    gate.runs.fetch_add(1, Ordering::SeqCst);
                    gate.reached.notify_one();
                    gate.open.notified().await;
                }
            }
        }
        Ok(taken)
    }
}

fn log(tx: &mut Tx, who: &str) -> Position {
    let position = tx.next_position();
    tx.put(&LOG, &(SHARD, position), &(who.to_owned(),));
    tx.put(
        &NEWEST,
        &(who.to_owned(), Descending(position)),
        &(Some(position), vec![position, position]),
    );
    position
}

/// The error of a command that refuses.
pub(super) fn refused() -> Error {
    Error::Unreadable("refused".into())
}

pub(super) async fn open(subject: &impl Subject) -> Store {
    open_failing(subject, Fault::Never).await.0
}

pub(super) async fn open_failing(subject: &impl Subject, fault: Fault) -> (Store, Arc<Counts>) {
    let (engine, counts) = subject.open(fault);
    (Store::open(engine, StoreOptions::default()).await.unwrap(), counts)
}

/// Closes the store and opens it again.
pub(super) async fn reopen(subject: &impl Subject, store: Store) -> Store {
    store.shutdown().await;
    drop(store);
    open(subject).await
}

pub(super) async fn text(store: &Store, at: &str) -> Option<Bytes> {
    store.view().await.unwrap().get(&TEXT, &key(at)).await.unwrap()
}

pub(super) async fn count(store: &Store, at: &str) -> u64 {
    store.view().await.unwrap().get(&COUNT, &key(at)).await.unwrap().map_or(0, |(n,)| n)
}

pub(super) fn is_too_large<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::TooLarge { .. }))
}
