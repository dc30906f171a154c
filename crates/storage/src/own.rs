//! What a transaction has written so far: its reads see it, and it can be taken back.

use std::collections::{BTreeMap, HashSet, btree_map};

use bytes::Bytes;

use crate::{Direction, Place, Position, Row, RowRange, Topic, chunks::chunks_of};

/// A row as the transaction left it.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    /// Its whole value, or `None` if it was deleted.
    pub value: Option<Bytes>,
    pub row_places: Vec<Place>,
    pub value_places: Vec<Place>,
    /// How many chunks the stored value has that this one replaces; `None` until it was looked up.
    pub stale: Option<usize>,
}

impl Written {
    /// Whether the value has to be kept in chunks.
    pub(crate) fn is_large(&self) -> bool {
        self.value.as_ref().is_some_and(|value| chunks_of(value.len()) > 0)
    }

    /// Rows and bytes that this costs a commit.
    fn cost(&self, row: &[u8]) -> Size {
        let value = self.value.as_ref().map_or(0, Bytes::len);
        let rows = 1 + chunks_of(value).max(self.stale.unwrap_or(0));
        Size { rows, bytes: rows * row.len() + value }
    }
}

/// What a commit has to bear.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Size {
    pub rows: usize,
    pub bytes: usize,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
    }

    fn subtract(&mut self, other: Self) {
        self.rows -= other.rows;
        self.bytes -= other.bytes;
    }
}

/// The writes of a transaction, with what is needed to take the newest ones back.
#[derive(Debug, Default)]
pub(crate) struct Own {
    rows: BTreeMap<Vec<u8>, Written>,
    before: Vec<(Vec<u8>, Option<Written>)>,
    pub positions: u64,
    pub topics: Vec<Topic>,
    size: Size,
    mark: Mark,
}

/// Where the running command began.
#[derive(Debug, Default)]
struct Mark {
    positions: u64,
    topics: usize,
    size: Size,
}

impl Own {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn get(&self, row: &[u8]) -> Option<&Written> {
        if self.rows.is_empty() { None } else { self.rows.get(row) }
    }

    pub(crate) fn set(&mut self, row: Vec<u8>, mut written: Written) {
        let before = match self.rows.entry(row.clone()) {
            btree_map::Entry::Occupied(mut entry) => {
                written.stale = entry.get().stale;
                self.size.subtract(entry.get().cost(&row));
                self.size.add(written.cost(&row));
                Some(entry.insert(written))
            }
            btree_map::Entry::Vacant(entry) => {
                self.size.add(written.cost(&row));
                entry.insert(written);
                None
            }
        };
        self.before.push((row, before));
    }

    /// Notes that the row, which was written, replaces a stored value of so many chunks.
    pub(crate) fn set_stale(&mut self, row: &[u8], chunks: usize) {
        let Some(written) = self.rows.get_mut(row) else {
            return;
        };
        self.size.subtract(written.cost(row));
        written.stale = Some(chunks);
        self.size.add(written.cost(row));
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    pub(crate) fn next_position(&mut self) -> Position {
        self.positions += 1;
        Position::here(self.positions - 1)
    }

    /// From here on [`undo`](Self::undo) takes back.
    pub(crate) fn mark(&mut self) {
        self.before.clear();
        self.mark = Mark { positions: self.positions, topics: self.topics.len(), size: self.size };
    }

    /// Takes back everything since the mark.
    pub(crate) fn undo(&mut self) {
        while let Some((row, before)) = self.before.pop() {
            match before {
                Some(written) => self.rows.insert(row, written),
                None => self.rows.remove(&row),
            };
        }
        self.positions = self.mark.positions;
        self.topics.truncate(self.mark.topics);
        self.size = self.mark.size;
    }

    /// The rows written since the mark, each once.
    pub(crate) fn since_mark(&self) -> impl Iterator<Item = (&Vec<u8>, &Written)> {
        let rows: HashSet<_> = self.before.iter().map(|(row, _)| row).collect();
        rows.into_iter().filter_map(|row| self.rows.get_key_value(row))
    }

    pub(crate) fn into_parts(self) -> (BTreeMap<Vec<u8>, Written>, Vec<Topic>) {
        (self.rows, self.topics)
    }

    /// How many rows of the range it wrote: so many stored rows it may hide.
    pub(crate) fn count(&self, range: &RowRange) -> usize {
        if self.rows.is_empty() || range.start >= range.end {
            return 0;
        }
        self.rows.range(range.start.clone()..range.end.clone()).count()
    }

    /// Lays the own rows of the range over the stored ones.
    pub(crate) fn merge(
        &self,
        stored: Vec<Row>,
        range: &RowRange,
        direction: Direction,
        limit: usize,
    ) -> Vec<Row> {
        let mut merged: BTreeMap<Bytes, Bytes> = stored.into_iter().collect();
        for (row, written) in self.rows.range(range.start.clone()..range.end.clone()) {
            match &written.value {
                Some(value) => merged.insert(Bytes::copy_from_slice(row), value.clone()),
                None => merged.remove(row.as_slice()),
            };
        }
        match direction {
            Direction::Forward => merged.into_iter().take(limit).collect(),
            Direction::Backward => merged.into_iter().rev().take(limit).collect(),
        }
    }
}
