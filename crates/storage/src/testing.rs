//! Stores that fail when a test wants them to.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::{Batch, Error, Local, Result, Rows};

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
}

impl Counts {
    /// How many writes there were, merged ones counted once.
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
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
        self.inner.snapshot()
    }

    fn write(&self, batch: Batch, sync: bool) -> Result<()> {
        let nth = self.counts.writes.fetch_add(1, Ordering::SeqCst) + 1;
        self.counts.syncs.fetch_add(usize::from(sync), Ordering::SeqCst);
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
