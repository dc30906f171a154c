use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use imbl::OrdMap;
use parking_lot::Mutex;

use crate::{
    Answer, Batch, Bell, Commit, Direction, Engine, Local, LocalEngine, Reach, Receipt, Result,
    Row, RowRange, Rows, Snapshot,
};

type Map = OrdMap<Bytes, Bytes>;

/// Rows in memory, as a disk would hold them: what was synced survives a [`crash`](Self::crash), the rest does not.
#[derive(Clone, Default)]
pub struct Memory {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Default, Clone)]
struct Disk {
    written: Map,
    synced: Map,
}

impl Memory {
    /// What a new process finds after this one was killed with all that was not synced.
    #[must_use]
    pub fn crash(&self) -> Self {
        let synced = self.disk.lock().synced.clone();
        Self { disk: Arc::new(Mutex::new(Disk { written: synced.clone(), synced })) }
    }

    /// What a new process finds after this one ended well.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let written = self.disk.lock().written.clone();
        Self { disk: Arc::new(Mutex::new(Disk { synced: written.clone(), written })) }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.disk.lock().written.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Local for Memory {
    fn snapshot(&self) -> Arc<dyn Rows> {
        Arc::new(MemoryRows(self.disk.lock().written.clone()))
    }

    fn write(&self, batch: Batch, sync: bool) -> Result<()> {
        let mut disk = self.disk.lock();
        for (row, value) in batch {
            match value {
                Some(value) => disk.written.insert(row.into(), value),
                None => disk.written.remove(row.as_slice()),
            };
        }
        if sync {
            disk.synced = disk.written.clone();
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut disk = self.disk.lock();
        disk.synced = disk.written.clone();
        Ok(())
    }
}

struct MemoryRows(Map);

impl Rows for MemoryRows {
    fn get(&self, row: &[u8], _: Reach) -> Result<Option<Option<Bytes>>> {
        Ok(Some(self.0.get(row).cloned()))
    }

    fn scan(
        &self,
        range: &RowRange,
        direction: Direction,
        limit: usize,
        _: Reach,
    ) -> Result<Option<Vec<Row>>> {
        let rows = self.0.range::<_, [u8]>((
            std::ops::Bound::Included(range.start.as_slice()),
            std::ops::Bound::Excluded(range.end.as_slice()),
        ));
        let copy = |(row, value): (&Bytes, &Bytes)| (row.clone(), value.clone());
        Ok(Some(match direction {
            Direction::Forward => rows.map(copy).take(limit).collect(),
            Direction::Backward => rows.rev().map(copy).take(limit).collect(),
        }))
    }
}

/// An engine in memory, for tests and for embedding without a disk. Clones share their rows.
#[derive(Clone)]
pub struct MemoryEngine {
    memory: Memory,
    engine: LocalEngine,
}

impl Default for MemoryEngine {
    fn default() -> Self {
        Self::over(Memory::default())
    }
}

impl MemoryEngine {
    /// An engine over rows that are already there.
    pub fn over(memory: Memory) -> Self {
        let engine = LocalEngine::start(memory.clone())
            .expect("rows that only engines wrote hold a readable position");
        Self { memory, engine }
    }

    /// The rows, to be reopened later.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// A new engine over what a crash would leave: everything that was synced.
    #[must_use]
    pub fn crash(&self) -> Self {
        Self::over(self.memory.crash())
    }

    /// A new engine over everything that was written, as after an orderly end.
    #[must_use]
    pub fn reopen(&self) -> Self {
        Self::over(self.memory.reopen())
    }
}

impl Engine for MemoryEngine {
    fn begin(&self) -> Answer<'_, Arc<dyn Snapshot>> {
        self.engine.begin()
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'static, Result<Receipt>> {
        self.engine.commit(commit)
    }

    fn bell(&self) -> &Arc<Bell> {
        self.engine.bell()
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        self.engine.close()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Memory;
    use crate::{
        LocalEngine,
        conformance::Subject,
        testing::{Counts, FailingEngine, Fault},
    };

    impl Subject for Memory {
        type Engine = LocalEngine;

        fn open(&self, fault: Fault) -> (LocalEngine, Arc<Counts>) {
            let local = FailingEngine::new(self.clone(), fault);
            let counts = local.counts();
            (LocalEngine::start(local).unwrap(), counts)
        }
    }

    crate::conformance!(Memory::default());
}
