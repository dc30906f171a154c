//! What embedded engines share: an engine made of a store's snapshots and its atomic writes.

use std::{cell::Cell, sync::Arc};

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either};
use parking_lot::{Mutex, RwLock};

use crate::{
    Answer, Bell, Commit, Direction, Engine, Error, Position, Receipt, Result, Row, RowRange,
    Snapshot, at_once,
    committer::{Committer, Order, stored_position},
    unchanged::Unchanged,
};

/// Rows to write, and rows (without a value) to delete.
pub type Batch = Vec<(Vec<u8>, Option<Bytes>)>;

/// How far a read may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only as far as it need not wait for a disk.
    Memory,
    /// Until it has found the answer.
    Disk,
}

thread_local! {
    /// Whether this thread may wait for a disk.
    static MAY_WAIT: Cell<bool> = const { Cell::new(false) };
}

/// Does `work` on this thread, which may wait for a disk: what is not in memory is read right here
/// instead of being sent to the blocking pool. For long work on a thread of that pool, for which
/// going to another one at every read would cost more than the reads.
pub fn reading_in_place<T>(work: impl FnOnce() -> T) -> T {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            MAY_WAIT.set(self.0);
        }
    }
    let _before = Before(MAY_WAIT.replace(true));
    work()
}

/// How far a read on this thread may go.
fn reach() -> Reach {
    if MAY_WAIT.get() { Reach::Disk } else { Reach::Memory }
}

/// A store in this process, seen as little as possible: snapshots, and writes that are all or nothing.
pub trait Local: Send + Sync + 'static {
    /// All rows as they are now.
    fn snapshot(&self) -> Arc<dyn Rows>;
    /// Writes all of the batch or nothing of it, and with `sync` returns only when it and all before it lie on the
    /// disk. Only one thread calls this, and it may wait.
    fn write(&self, batch: Batch, sync: bool) -> Result<()>;
    /// Returns when all that was written lies on the disk.
    fn sync(&self) -> Result<()>;
}

/// All rows at one moment. Reads that must not wait say `None` when they would have to.
pub trait Rows: Send + Sync + 'static {
    /// The row's value, if there is one.
    fn get(&self, row: &[u8], reach: Reach) -> Result<Option<Option<Bytes>>>;
    /// Up to `limit` rows of the range.
    fn scan(
        &self,
        range: &RowRange,
        direction: Direction,
        limit: usize,
        reach: Reach,
    ) -> Result<Option<Vec<Row>>>;
}

/// An engine over a [`Local`] store, with one thread that commits. Clones are the same engine.
#[derive(Clone)]
pub struct LocalEngine {
    shared: Arc<Shared>,
    committer: Arc<Mutex<Option<Committer>>>,
}

/// What the committer and the readers both see.
pub(crate) struct Shared {
    pub bell: Arc<Bell>,
    pub unchanged: Arc<Unchanged>,
    current: RwLock<Arc<Settled>>,
}

impl Shared {
    pub(crate) fn current(&self) -> Arc<Settled> {
        self.current.read().clone()
    }

    /// From now on this is what is read. True if the log has grown, which is for the caller to ring.
    pub(crate) fn publish(&self, rows: Arc<dyn Rows>, position: Position, version: u64) -> bool {
        let settled = Settled { rows, position, version, unchanged: self.unchanged.clone() };
        // The old snapshot is dropped outside the lock: that may take a while.
        let old = std::mem::replace(&mut *self.current.write(), Arc::new(settled));
        drop(old);
        self.bell.advance(position)
    }
}

/// A state that may be read: everything in it is as safe as it was promised to be.
pub(crate) struct Settled {
    rows: Arc<dyn Rows>,
    pub position: Position,
    pub version: u64,
    unchanged: Arc<Unchanged>,
}

impl LocalEngine {
    /// Starts the thread that commits. Fails if the store's newest position cannot be read.
    pub fn start(local: impl Local) -> Result<Self> {
        let rows = local.snapshot();
        let position = stored_position(&*rows)?;
        let unchanged = Arc::<Unchanged>::default();
        let settled = Settled { rows, position, version: 0, unchanged: unchanged.clone() };
        let shared = Arc::new(Shared {
            bell: Arc::default(),
            unchanged,
            current: RwLock::new(Arc::new(settled)),
        });
        shared.bell.settle(position);
        let committer = Committer::start(local, shared.clone())?;
        Ok(Self { shared, committer: Arc::new(Mutex::new(Some(committer))) })
    }

    fn send(&self, order: Order) {
        match &*self.committer.lock() {
            Some(committer) => committer.send(order),
            None => order.refuse(Error::Closed),
        }
    }
}

impl Engine for LocalEngine {
    fn begin(&self) -> Answer<'_, Arc<dyn Snapshot>> {
        at_once(Ok(self.shared.current()))
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'static, Result<Receipt>> {
        if let Err(error) = commit.check_limits() {
            return Box::pin(std::future::ready(Err(error)));
        }
        let (reply, receipt) = tokio::sync::oneshot::channel();
        self.send(Order::Commit(commit, reply));
        Box::pin(async { receipt.await.unwrap_or(Err(Error::Closed)) })
    }

    fn bell(&self) -> &Arc<Bell> {
        &self.shared.bell
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        let (reply, done) = tokio::sync::oneshot::channel();
        self.send(Order::Close(reply));
        Box::pin(async {
            match done.await.unwrap_or(Ok(())) {
                Err(Error::Closed) => Ok(()),
                result => result,
            }
        })
    }
}

impl Snapshot for Settled {
    fn settled(&self) -> Position {
        self.position
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn get<'a>(&'a self, row: &'a [u8]) -> Answer<'a, Option<Bytes>> {
        if let Some(value) = self.unchanged.get(row, self.version) {
            return at_once(Ok(Some(value)));
        }
        let found = self.rows.get(row, reach());
        if let Ok(Some(Some(value))) = &found {
            self.unchanged.keep(row, value, self.version);
        }
        self.read(found, |rows| {
            let row = row.to_vec();
            Box::new(move || rows.get(&row, Reach::Disk))
        })
    }

    fn get_many<'a>(&'a self, rows: &'a [Vec<u8>]) -> Answer<'a, Vec<Option<Bytes>>> {
        self.read(get_all(&*self.rows, rows, reach()), |stored| {
            let rows = rows.to_vec();
            Box::new(move || get_all(&*stored, &rows, Reach::Disk))
        })
    }

    fn scan<'a>(
        &'a self,
        range: &'a RowRange,
        direction: Direction,
        limit: usize,
    ) -> Answer<'a, Vec<Row>> {
        self.read(self.rows.scan(range, direction, limit, reach()), |rows| {
            let range = range.clone();
            Box::new(move || rows.scan(&range, direction, limit, Reach::Disk))
        })
    }
}

/// A read that may wait for the disk.
type Slow<T> = Box<dyn FnOnce() -> Result<Option<T>> + Send>;

impl Settled {
    /// Answers with what memory had, or else has the blocking pool read, so that no worker waits for a disk.
    fn read<T: Send + 'static>(
        &self,
        quick: Result<Option<T>>,
        slow: impl FnOnce(Arc<dyn Rows>) -> Slow<T>,
    ) -> Answer<'static, T> {
        if let Some(result) = quick.transpose() {
            return at_once(result);
        }
        let read = tokio::task::spawn_blocking(slow(self.rows.clone()));
        Either::Right(Box::pin(async move {
            let found = read.await.map_err(Error::engine)??;
            Ok(found.expect("a read that may go to the disk finds its answer"))
        }))
    }
}

fn get_all(
    stored: &dyn Rows,
    rows: &[Vec<u8>],
    reach: Reach,
) -> Result<Option<Vec<Option<Bytes>>>> {
    rows.iter().map(|row| stored.get(row, reach).transpose()).map(Option::transpose).collect()
}
