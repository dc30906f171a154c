//! Iterators that are used again: to make one and to find its first row costs more than the rows.

use bytes::Bytes;
use parking_lot::Mutex;
use rocksdb::{DB, DBRawIteratorWithThreadMode, ReadOptions, SnapshotWithThreadMode};
use tertulia_storage::{Direction, Reach, Row, RowRange, TableId};

/// How many cursors of a snapshot rest between scans. They hold files and blocks in place until the
/// next commit is read.
const MOST: usize = 12;

/// How many deleted rows a cursor passes in order to find where it stands. Behind the range that was
/// asked for, there may be any number of them.
const MOST_DELETED: u64 = 32;

/// An iterator of one snapshot.
pub(crate) struct Cursor<'a> {
    rows: DBRawIteratorWithThreadMode<'a, DB>,
    /// From here up to where the iterator stands there are no rows.
    empty_from: Option<Vec<u8>>,
}

/// Cursors that rest between scans, each of them free to move in its table.
#[derive(Default)]
pub(crate) struct Resting<'a>(Mutex<Vec<(Scope, Cursor<'a>)>>);

/// Where a cursor may move, and how far it may reach.
type Scope = (TableId, Reach);

impl<'a> Resting<'a> {
    /// A cursor that is free to move in a table, with `options` for its reach.
    pub(crate) fn take(
        &self,
        snapshot: &'a SnapshotWithThreadMode<'a, DB>,
        scope: Scope,
        mut options: ReadOptions,
    ) -> Cursor<'a> {
        let mut resting = self.0.lock();
        if let Some(at) = resting.iter().position(|(other, _)| *other == scope) {
            return resting.swap_remove(at).1;
        }
        drop(resting);
        options.set_max_skippable_internal_keys(MOST_DELETED);
        Cursor::within(snapshot, &whole(scope.0), options)
    }

    /// Lets a cursor rest until the next scan of its table.
    pub(crate) fn put(&self, scope: Scope, cursor: Cursor<'a>) {
        let mut resting = self.0.lock();
        if resting.len() < MOST {
            resting.push((scope, cursor));
        }
    }
}

/// The table that all of `range` lies in, if it is one.
pub(crate) fn table_of(range: &RowRange) -> Option<TableId> {
    let table = TableId(u16::from_be_bytes(*range.start.first_chunk()?));
    (table.0 < u16::MAX && range.end <= whole(table).end).then_some(table)
}

/// All rows of a table that is not the last one possible.
fn whole(table: TableId) -> RowRange {
    let [start, end] = [table.0, table.0 + 1].map(|number| number.to_be_bytes().to_vec());
    RowRange { start, end }
}

impl<'a> Cursor<'a> {
    /// A cursor that does not leave `bounds`.
    pub(crate) fn within(
        snapshot: &'a SnapshotWithThreadMode<'a, DB>,
        bounds: &RowRange,
        mut options: ReadOptions,
    ) -> Self {
        options.set_iterate_lower_bound(bounds.start.as_slice());
        options.set_iterate_upper_bound(bounds.end.as_slice());
        Self { rows: snapshot.raw_iterator_opt(options), empty_from: None }
    }

    /// Up to `limit` rows of the range. After an error the cursor is of no more use.
    pub(crate) fn scan(
        &mut self,
        range: &RowRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, rocksdb::Error> {
        let found = match direction {
            Direction::Forward => self.forward(range, limit),
            Direction::Backward => self.backward(range, limit),
        };
        self.rows.status().map(|()| found)
    }

    fn forward(&mut self, range: &RowRange, limit: usize) -> Vec<Row> {
        if !self.stands_at(&range.start) {
            self.rows.seek(&range.start);
            self.empty_from = Some(range.start.clone());
        }
        let mut found = Vec::new();
        while let Some((row, value)) = self.rows.item().filter(|(row, _)| *row < &*range.end) {
            found.push((Bytes::copy_from_slice(row), Bytes::copy_from_slice(value)));
            if found.len() == limit {
                self.empty_from = None;
                return found;
            }
            self.rows.next();
        }
        if let Some((last, _)) = found.last() {
            self.empty_from = Some([last, &[0][..]].concat());
        }
        found
    }

    /// Whether the first row from `start` on is where the iterator stands already.
    fn stands_at(&self, start: &[u8]) -> bool {
        let seen = self.empty_from.as_deref().is_some_and(|from| from <= start);
        seen && self.rows.key().is_none_or(|row| start <= row)
    }

    fn backward(&mut self, range: &RowRange, limit: usize) -> Vec<Row> {
        self.empty_from = None;
        self.rows.seek_for_prev(&range.end);
        if self.rows.key().is_some_and(|row| row == range.end) {
            self.rows.prev();
        }
        let mut found = Vec::new();
        while let Some((row, value)) = self.rows.item().filter(|(row, _)| *row >= &*range.start) {
            found.push((Bytes::copy_from_slice(row), Bytes::copy_from_slice(value)));
            if found.len() == limit {
                break;
            }
            self.rows.prev();
        }
        found
    }
}
