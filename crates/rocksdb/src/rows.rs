//! Reading: what the block cache holds is read at once, the rest only where waiting is allowed.

use std::sync::Arc;

use bytes::Bytes;
use rocksdb::{
    DB, DBRawIteratorWithThreadMode, ErrorKind, ReadOptions, ReadTier, SnapshotWithThreadMode,
};
use self_cell::self_cell;
use tertulia_storage::{Direction, Error, Reach, Result, Row, RowRange, Rows};

use crate::engine::Database;

type Pinned<'a> = SnapshotWithThreadMode<'a, DB>;

self_cell!(
    /// A snapshot, with the database that it belongs to.
    pub(crate) struct SnapshotRows {
        owner: Arc<Database>,
        #[covariant]
        dependent: Pinned,
    }
);

impl SnapshotRows {
    pub(crate) fn take(database: Arc<Database>) -> Self {
        Self::new(database, |database| database.db.snapshot())
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
        let found = self.borrow_dependent().get_pinned_opt(row, options(reach));
        Ok(unless_incomplete(found)?.map(|value| value.map(|value| Bytes::copy_from_slice(&value))))
    }

    fn scan(
        &self,
        range: &RowRange,
        direction: Direction,
        limit: usize,
        reach: Reach,
    ) -> Result<Option<Vec<Row>>> {
        let mut options = options(reach);
        options.set_iterate_lower_bound(range.start.as_slice());
        options.set_iterate_upper_bound(range.end.as_slice());
        let mut rows = self.borrow_dependent().raw_iterator_opt(options);
        match direction {
            Direction::Forward => rows.seek_to_first(),
            Direction::Backward => rows.seek_to_last(),
        }
        let found = collect(&mut rows, direction, limit);
        unless_incomplete(rows.status().map(|()| found))
    }
}

fn collect(
    rows: &mut DBRawIteratorWithThreadMode<'_, DB>,
    direction: Direction,
    limit: usize,
) -> Vec<Row> {
    let mut found = Vec::new();
    while let Some((row, value)) = rows.item() {
        found.push((Bytes::copy_from_slice(row), Bytes::copy_from_slice(value)));
        if found.len() == limit {
            break;
        }
        match direction {
            Direction::Forward => rows.next(),
            Direction::Backward => rows.prev(),
        }
    }
    found
}
