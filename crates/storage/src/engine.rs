//! The seam: what storage asks of an engine, in bytes.
//!
//! An engine offers snapshots to read from and commits in one shot. That is the largest thing that an embedded
//! store, PostgreSQL and FoundationDB all do well. A *row* is named by its address: the number of its table as two
//! big-endian bytes, then its key, so that an engine is one ordered map.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, Ready, ready};

use crate::{Bell, Error, Place, Position, Result, Topic};

/// The most bytes of a row's address: the table's number and the key.
pub const MAX_ROW: usize = 1024;
/// The most bytes of a stored value.
pub const MAX_VALUE: usize = 90_000;
/// The most rows that one commit writes.
pub const MAX_COMMIT_ROWS: usize = 500;
/// The most bytes, addresses and values together, that one commit writes.
pub const MAX_COMMIT_BYTES: usize = 1_000_000;

/// The stable number of a table. It is part of the stored format: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u16);

impl TableId {
    /// The table of the row at this address.
    pub fn of(row: &[u8]) -> Self {
        Self(u16::from_be_bytes(
            *row.first_chunk().expect("a row's address begins with two bytes of table number"),
        ))
    }
}

/// Which end of a range a scan starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key up.
    Forward,
    /// From the largest key down.
    Backward,
}

/// What must have reached the disk before a commit counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Durability {
    /// Nothing: a crash may take the newest relaxed commits back, in order.
    Relaxed,
    /// Everything up to and including this commit.
    #[default]
    Synced,
}

/// The rows from `start` (inclusive) to `end` (exclusive).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRange {
    /// The first address.
    pub start: Vec<u8>,
    /// The address behind the last.
    pub end: Vec<u8>,
}

/// A row: its address and its value.
pub type Row = (Bytes, Bytes);

/// An answer that is often there at once and sometimes has to be waited for.
pub type Answer<'a, T> = Either<Ready<Result<T>>, BoxFuture<'a, Result<T>>>;

/// An answer that is there at once.
pub fn at_once<'a, T>(result: Result<T>) -> Answer<'a, T> {
    Either::Left(ready(result))
}

/// An ordered map of bytes with snapshots and guarded one-shot commits.
pub trait Engine: Send + Sync + 'static {
    /// The newest settled state, to read from.
    fn begin(&self) -> Answer<'_, Arc<dyn Snapshot>>;

    /// Makes all writes settled at once, in the order in which commits came, or none of them:
    /// [`Error::Conflict`] if a guarded row changed since the commit's snapshot.
    ///
    /// Positions are assigned densely and put in wherever a [`Place`] says so. Whoever watches a topic of the commit
    /// is woken when it is settled. The commit goes on when the future is dropped.
    fn commit(&self, commit: Commit) -> BoxFuture<'static, Result<Receipt>>;

    /// Where watchers of this engine's commits are told.
    fn bell(&self) -> &Arc<Bell>;

    /// Ends well: what was committed, relaxed or not, has reached the disk. Commits are refused afterwards.
    fn close(&self) -> BoxFuture<'_, Result<()>>;
}

/// One settled state of all rows.
pub trait Snapshot: Send + Sync + 'static {
    /// The newest position in it.
    fn settled(&self) -> Position;

    /// Its place in the order of commits; guards are compared with it.
    fn version(&self) -> u64;

    /// The value of the row, if there is one.
    fn get<'a>(&'a self, row: &'a [u8]) -> Answer<'a, Option<Bytes>>;

    /// The values of many rows, in the order asked for.
    fn get_many<'a>(&'a self, rows: &'a [Vec<u8>]) -> Answer<'a, Vec<Option<Bytes>>>;

    /// Up to `limit` rows of the range from the end that `direction` says.
    fn scan<'a>(
        &'a self,
        range: &'a RowRange,
        direction: Direction,
        limit: usize,
    ) -> Answer<'a, Vec<Row>>;
}

/// What a transaction wants to become true, in one shot.
#[derive(Debug, Default)]
pub struct Commit {
    /// The version of the snapshot it read.
    pub version: u64,
    /// Addresses of rows that must not have been written since.
    pub guards: Vec<Vec<u8>>,
    /// Rows to write, no address twice.
    pub writes: Vec<Write>,
    /// How many positions it takes.
    pub positions: u64,
    /// Whom to wake.
    pub topics: Vec<Topic>,
    /// What must have reached the disk.
    pub durability: Durability,
}

/// One row to put or, without a value, to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The row's address.
    pub row: Vec<u8>,
    /// Where in the address positions have to be put in.
    pub row_places: Vec<Place>,
    /// The new value, or `None` to delete the row.
    pub value: Option<Bytes>,
    /// Where in the value positions have to be put in.
    pub value_places: Vec<Place>,
}

impl Commit {
    /// Refuses what an engine need not bear.
    pub fn check_limits(&self) -> Result<()> {
        let mut bytes = 0;
        for write in &self.writes {
            let value = write.value.as_ref().map_or(0, Bytes::len);
            at_most("a key", write.row.len(), MAX_ROW)?;
            at_most("a stored value", value, MAX_VALUE)?;
            bytes += write.row.len() + value;
        }
        at_most("a commit", bytes, MAX_COMMIT_BYTES)?;
        at_most("a commit's number of rows", self.writes.len(), MAX_COMMIT_ROWS)
    }
}

pub(crate) fn at_most(what: &'static str, size: usize, limit: usize) -> Result<()> {
    if size > limit { Err(Error::TooLarge { what, size, limit }) } else { Ok(()) }
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// What `here(0)` became.
    pub first: Position,
}
