//! Reading: what the block cache holds is read at once, the rest only where waiting is allowed.

use std::sync::Arc;

use bytes::Bytes;
use rocksdb::{DB, ErrorKind, ReadOptions, ReadTier, SnapshotWithThreadMode};
use self_cell::self_cell;
use tertulia_storage::{Direction, Error, Reach, Result, Row, RowRange, Rows};

use crate::{
    cursor::{Cursor, Resting, table_of},
    engine::Database,
};

type Pinned<'a> = SnapshotWithThreadMode<'a, DB>;

self_cell!(
    /// A snapshot, with the database that it belongs to.
    struct Snapshot {
        owner: Arc<Database>,
        #[covariant]
        dependent: Pinned,
    }
);

self_cell!(
    /// A snapshot, with the cursors that rest between scans of it.
    pub(crate) struct SnapshotRows {
        owner: Snapshot,
        #[not_covariant]
        dependent: Resting,
    }
);

impl SnapshotRows {
    pub(crate) fn take(database: Arc<Database>) -> Self {
        let snapshot = Snapshot::new(database, |database| database.db.snapshot());
        Self::new(snapshot, |_| Resting::default())
    }

    /// A scan by a cursor that later ones go on with; `None` if that cannot tell, or not cheaply.
    fn scan_on(
        &self,
        range: &RowRange,
        direction: Direction,
        limit: usize,
        reach: Reach,
    ) -> Result<Option<Vec<Row>>> {
        let Some(table) = table_of(range) else { return Ok(None) };
        self.with_dependent(|snapshot, resting| {
            let snapshot = snapshot.borrow_dependent();
            let mut cursor = resting.take(snapshot, (table, reach), options(reach));
            let found = unless_incomplete(cursor.scan(range, direction, limit))?;
            if found.is_some() {
                resting.put((table, reach), cursor);
            }
            Ok(found)
        })
    }
}

fn options(reach: Reach) -> ReadOptions {
    let mut options = ReadOptions::default();
    if reach == Reach::Memory {
        options.set_read_tier(ReadTier::BlockCache);
    }
    options
}

/// What was found; `None` if it would have taken a read from the disk.
fn unless_incomplete<T>(found: Result<T, rocksdb::Error>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::Incomplete => Ok(None),
        Err(error) => Err(Error::engine(error)),
    }
}

impl Rows for SnapshotRows {
    fn get(&self, row: &[u8], reach: Reach) -> Result<Option<Option<Bytes>>> {
        let snapshot = self.borrow_owner().borrow_dependent();
        let found = snapshot.get_pinned_opt(row, options(reach));
        Ok(unless_incomplete(found)?.map(|value| value.map(|value| Bytes::copy_from_slice(&value))))
    }

    fn scan(
        &self,
        range: &RowRange,
        direction: Direction,
        limit: usize,
        reach: Reach,
    ) -> Result<Option<Vec<Row>>> {
        if let Some(found) = self.scan_on(range, direction, limit, reach)? {
            return Ok(Some(found));
        }
        let snapshot = self.borrow_owner().borrow_dependent();
        let mut cursor = Cursor::within(snapshot, range, options(reach));
        unless_incomplete(cursor.scan(range, direction, limit))
    }
}
