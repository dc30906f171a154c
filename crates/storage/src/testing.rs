//! Stores that fail when a test wants them to.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;

use crate::{Batch, Direction, Error, Local, Reach, Result, Row, RowRange, Rows};

/// What goes wrong, and when. Calls are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    Never,
    /// The n-th write fails and leaves nothing.
    Write(usize),
    /// The n-th write is written, but its sync fails.
    Sync(usize),
    /// Everything after the n-th write fails, as if the process had stopped right after it.
    StopAfter(usize),
}

/// A [`Local`] store in which a [`Fault`] happens, and which counts. Clones are the same store.
#[derive(Clone)]
pub struct FailingEngine<L> {
    inner: L,
    fault: Fault,
    counts: Arc<Counts>,
}

/// How often the store was called.
#[derive(Debug, Default)]
pub struct Counts {
    writes: AtomicUsize,
    syncs: AtomicUsize,
    reads: AtomicUsize,
    rows: AtomicUsize,
    written: AtomicUsize,
}

impl Counts {
    /// How many writes there were, merged ones counted once.
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    /// How often rows were asked for: one for each row by its key, and one for each run of rows.
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// How many rows were read.
    pub fn rows(&self) -> usize {
        self.rows.load(Ordering::SeqCst)
    }

    /// How many rows were written or deleted.
    pub fn written(&self) -> usize {
        self.written.load(Ordering::SeqCst)
    }

    fn count(&self, rows: usize) {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.rows.fetch_add(rows, Ordering::SeqCst);
    }

    /// How many of them were synced.
    pub fn syncs(&self) -> usize {
        self.syncs.load(Ordering::SeqCst)
    }
}

impl<L: Local> FailingEngine<L> {
    /// A store in which `fault` will happen.
    pub fn new(inner: L, fault: Fault) -> Self {
        Self { inner, fault, counts: Arc::default() }
    }

    /// What is counted.
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }
}

impl<L: Local> Local for FailingEngine<L> {
    fn snapshot(&self) -> Arc<dyn Rows> {
        Arc::new(CountedRows { inner: self.inner.snapshot(), counts: self.counts.clone() })
    }

    fn write(&self, batch: Batch, sync: bool) -> Result<()> {
        let nth = self.counts.writes.fetch_add(1, Ordering::SeqCst) + 1;
        self.counts.syncs.fetch_add(usize::from(sync), Ordering::SeqCst);
        self.counts.written.fetch_add(batch.len(), Ordering::SeqCst);
        match self.fault {
            Fault::Write(n) if n == nth => Err(Error::engine("this write was to fail")),
            Fault::Sync(n) if n == nth => {
                self.inner.write(batch, false)?;
                Err(Error::engine("this sync was to fail"))
            }
            Fault::StopAfter(n) if nth > n => {
                Err(Error::engine("the process was to have stopped before this write"))
            }
            _ => self.inner.write(batch, sync),
        }
    }

    fn sync(&self) -> Result<()> {
        match self.fault {
            Fault::StopAfter(n) if self.counts.writes() >= n => Ok(()),
            _ => self.inner.sync(),
        }
    }
}

/// Rows of which is counted how many are read.
struct CountedRows {
    inner: Arc<dyn Rows>,
    counts: Arc<Counts>,
}

impl Rows for CountedRows {
    fn get(&self, row: &[u8], reach: Reach) -> Result<Option<Option<Bytes>>> {
        let found = self.inner.get(row, reach)?;
        self.counts.count(usize::from(matches!(found, Some(Some(_)))));
        Ok(found)
    }

    fn scan(
        &self,
        range: &RowRange,
        direction: Direction,
        limit: usize,
        reach: Reach,
    ) -> Result<Option<Vec<Row>>> {
        let found = self.inner.scan(range, direction, limit, reach)?;
        self.counts.count(found.as_ref().map_or(0, Vec::len));
        Ok(found)
    }
}
