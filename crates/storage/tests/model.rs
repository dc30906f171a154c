//! The law of a store: whatever commands do, it holds what a plain map would.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use tertulia_storage::{
    Command, Direction, Durability, Error, MemoryEngine, Partition, Result, Store, StoreOptions,
    Table, Tx,
};

const ROWS: Table<(u8, u8), Bytes> = Table::new(1, "rows");

type Model = BTreeMap<(u8, u8), Bytes>;

#[derive(Debug, Clone)]
enum Op {
    Put((u8, u8), usize),
    Delete((u8, u8)),
    DeletePage(u8, usize),
    DeleteAll(u8, usize),
    /// Compares a scan, own writes included, with the model.
    Scan(u8, bool, usize),
}

#[derive(Debug, Clone)]
struct Ops {
    ops: Vec<Op>,
    refuse: bool,
    before: Model,
}

fn value(length: usize) -> Bytes {
    vec![length as u8; length].into()
}

impl Op {
    fn apply(&self, model: &mut Model) {
        match *self {
            Self::Put(key, length) => drop(model.insert(key, value(length))),
            Self::Delete(key) => drop(model.remove(&key)),
            Self::DeletePage(row, limit) | Self::DeleteAll(row, limit) => {
                let keys: Vec<_> =
                    model.keys().filter(|key| key.0 == row).take(limit).copied().collect();
                keys.iter().for_each(|key| drop(model.remove(key)));
            }
            Self::Scan(..) => {}
        }
    }
}

fn scanned(model: &Model, row: u8, forward: bool, limit: usize) -> Vec<((u8, u8), Bytes)> {
    let rows =
        model.iter().filter(|(key, _)| key.0 == row).map(|(key, value)| (*key, value.clone()));
    if forward { rows.take(limit).collect() } else { rows.rev().take(limit).collect() }
}

impl Command for Ops {
    type Out = Model;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("rows", "")
    }

    async fn run(&self, tx: &mut Tx) -> Result<Model> {
        let mut model = self.before.clone();
        for op in &self.ops {
            match *op {
                Op::Put(key, length) => tx.put(&ROWS, &key, &value(length)),
                Op::Delete(key) => tx.delete(&ROWS, &key),
                Op::DeletePage(row, limit) => drop(tx.delete_page(&ROWS, &(row,), limit).await?),
                Op::DeleteAll(row, limit) => {
                    let is_last = tx.delete_all(&ROWS, &(row,), limit).await?;
                    let there = scanned(&model, row, true, usize::MAX).len();
                    assert_eq!(is_last, there < limit, "{there} rows, {limit} at a time");
                }
                Op::Scan(row, forward, limit) => {
                    let direction = if forward { Direction::Forward } else { Direction::Backward };
                    let found = tx.scan(&ROWS, &(row,), direction, limit).await?;
                    assert_eq!(found, scanned(&model, row, forward, limit));
                }
            }
            op.apply(&mut model);
        }
        if self.refuse { Err(Error::Busy) } else { Ok(model) }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let key = || (0..3_u8, 0..6_u8);
    let length = prop_oneof![6 => 0..20_usize, 1 => 89_990..90_010_usize, 1 => Just(200_000)];
    prop_oneof![
        4 => (key(), length).prop_map(|(key, length)| Op::Put(key, length)),
        2 => key().prop_map(Op::Delete),
        1 => (0..3_u8, 0..4_usize).prop_map(|(row, limit)| Op::DeletePage(row, limit)),
        1 => (0..3_u8, 0..4_usize).prop_map(|(row, limit)| Op::DeleteAll(row, limit)),
        3 => (0..3_u8, any::<bool>(), 0..5_usize).prop_map(|(row, forward, limit)| Op::Scan(row, forward, limit)),
    ]
}

fn history() -> impl Strategy<Value = Vec<(Vec<Op>, bool, bool)>> {
    prop::collection::vec(
        (prop::collection::vec(op(), 0..8), prop::bool::weighted(0.2), any::<bool>()),
        1..12,
    )
}

async fn open(engine: &MemoryEngine) -> Store {
    Store::open(engine.clone(), StoreOptions::default()).await.unwrap()
}

async fn stored(store: &Store) -> Model {
    let rows = store.view().await.unwrap().scan(&ROWS, &(), Direction::Forward, usize::MAX).await;
    rows.unwrap().into_iter().collect()
}

/// Runs a history, crashing where it says so.
async fn check(history: Vec<(Vec<Op>, bool, bool)>) {
    let mut engine = MemoryEngine::default();
    let mut store = open(&engine).await;
    let mut model = Model::new();
    for (ops, refuse, crash) in history {
        let written = store.write(Ops { ops, refuse, before: model.clone() }).await;
        assert_eq!(written.is_err(), refuse);
        model = written.map_or(model, |committed| committed.out);
        if crash {
            engine = engine.crash();
            store = open(&engine).await;
        }
        assert_eq!(stored(&store).await, model);
    }
    for row in 0..3 {
        let ops = vec![Op::DeletePage(row, usize::MAX)];
        store.write(Ops { ops, refuse: false, before: Model::new() }).await.unwrap();
    }
    // What is left is the format and a note that there were chunks.
    assert!(engine.memory().len() <= 2, "{} rows are left", engine.memory().len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_store_holds_what_a_map_would_also_after_crashes(history in history()) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(check(history));
    }
}

struct Put(Durability);

impl Command for Put {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("rows", "")
    }

    fn durability(&self) -> Durability {
        self.0
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        tx.put(&ROWS, &(1, u8::from(self.0 == Durability::Synced)), &Bytes::new());
        Ok(())
    }
}

#[tokio::test]
async fn a_crash_takes_only_what_was_not_synced() {
    let engine = MemoryEngine::default();
    let store = open(&engine).await;
    store.write(Put(Durability::Relaxed)).await.unwrap();
    assert_eq!(stored(&open(&engine.crash()).await).await.len(), 0);
    store.write(Put(Durability::Synced)).await.unwrap();
    assert_eq!(
        stored(&open(&engine.crash()).await).await.len(),
        2,
        "a sync takes with it all that was before"
    );
}

#[tokio::test]
async fn a_relaxed_store_syncs_nothing_until_it_is_shut_down() {
    let engine = MemoryEngine::default();
    let options = StoreOptions { durability: Durability::Relaxed, ..StoreOptions::default() };
    let store = Store::open(engine.clone(), options).await.unwrap();
    store.write(Put(Durability::Synced)).await.unwrap();
    assert!(engine.crash().memory().is_empty());
    assert_eq!(engine.reopen().memory().len(), 2);
    store.shutdown().await;
    assert_eq!(engine.crash().memory().len(), 2);
}

#[test]
fn a_lane_is_started_anew_when_its_runtime_is_gone() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let engine = MemoryEngine::default();
    let first = runtime();
    let store = first.block_on(open(&engine));
    first.block_on(async {
        // Queued, but its lane never gets a turn.
        let write = std::pin::pin!(store.write(Put(Durability::Synced)));
        assert!(futures_util::FutureExt::now_or_never(write).is_none());
    });
    drop(first);
    runtime().block_on(async {
        store.write(Put(Durability::Relaxed)).await.unwrap();
        assert!(stored(&store).await.contains_key(&(1, 0)));
    });
}
