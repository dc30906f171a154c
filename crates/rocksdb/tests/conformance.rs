//! RocksDB passes the suite of all engines.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;

use tempfile::TempDir;
use tertulia_rocksdb::{Options, RocksLocal};
use tertulia_storage::{
    LocalEngine,
    conformance::Subject,
    testing::{Counts, FailingEngine, Fault},
};

struct Directory(TempDir);

impl Subject for Directory {
    type Engine = LocalEngine;

    fn open(&self, fault: Fault) -> (LocalEngine, Arc<Counts>) {
        let local = RocksLocal::open(self.0.path(), Options { format: None, ..Options::default() })
            .expect("the store was closed before");
        let local = FailingEngine::new(local, fault);
        let counts = local.counts();
        (LocalEngine::start(local).expect("the store is sound"), counts)
    }
}

tertulia_storage::conformance!(Directory(tempfile::tempdir().unwrap()));
