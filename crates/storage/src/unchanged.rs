//! Rows that are read again and again and hardly ever written, like access tokens, in memory.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};

/// How much memory the rows may take, in bytes.
const CAPACITY: u64 = 1 << 20;
/// What a row takes beside its address and its value.
const OVERHEAD: usize = 100;
/// How large a row is thought to be, to make room for as many from the beginning.
const USUAL: u64 = 256;
/// The longest row that is kept, with its address.
const LONGEST: usize = 1_000;
/// Marks of when rows were written; a power of two. Rows share them by their hashes: to share one with a row that was
/// written costs a read, no more.
const MARKS: usize = 1 << 14;
/// The mark of what was not written since the start.
const NEVER: u64 = 0;
/// A row that was written within so many commits is soon written again, and not worth keeping.
const SETTLED: u64 = 256;

/// Knows of every row by which commit it was not written any more, and keeps some of those that were read.
///
/// Nothing is ever taken back: what is kept of a row counts as long as the row bears no younger mark.
pub(crate) struct Unchanged {
    hasher: RandomState,
    /// The version that wrote a row of this hash last.
    marks: Box<[AtomicU64]>,
    rows: Cache<Vec<u8>, Kept, Weight>,
}

/// A value, and a version in which it was read.
#[derive(Clone)]
struct Kept {
    value: Bytes,
    version: u64,
}

/// Weighs rows by the memory they take.
#[derive(Clone)]
struct Weight;

impl Weighter<Vec<u8>, Kept> for Weight {
    fn weight(&self, row: &Vec<u8>, kept: &Kept) -> u64 {
        (row.len() + kept.value.len() + OVERHEAD) as u64
    }
}

impl Default for Unchanged {
    fn default() -> Self {
        let usually = usize::try_from(CAPACITY / USUAL).unwrap_or(usize::MAX);
        Self {
            hasher: RandomState::new(),
            marks: (0..MARKS).map(|_| AtomicU64::new(NEVER)).collect(),
            rows: Cache::with_weighter(usually, CAPACITY, Weight),
        }
    }
}

impl Unchanged {
    /// What rows are told apart by in memory.
    pub(crate) fn hash(&self, row: &[u8]) -> u64 {
        self.hasher.hash_one(row)
    }

    fn mark(&self, hash: u64) -> &AtomicU64 {
        let index = usize::try_from(hash % MARKS as u64).unwrap_or(0);
        &self.marks[index]
    }

    /// `version` writes a row of this hash. To be said before anyone can read what was written.
    pub(crate) fn write(&self, hash: u64, version: u64) {
        self.mark(hash).store(version, Ordering::Release);
    }

    /// The value that the row has in `version`, if it is known.
    pub(crate) fn get(&self, row: &[u8], version: u64) -> Option<Bytes> {
        let kept = self.rows.get(row)?;
        let written = self.mark(self.hash(row)).load(Ordering::Acquire);
        (written <= kept.version.min(version)).then_some(kept.value)
    }

    /// Keeps what was read of a row in `version`, unless it is large or was written only just.
    pub(crate) fn keep(&self, row: &[u8], value: &Bytes, version: u64) {
        let written = self.mark(self.hash(row)).load(Ordering::Acquire);
        let settled = written == NEVER || version.saturating_sub(written) >= SETTLED;
        if settled && row.len() + value.len() <= LONGEST {
            self.rows.insert(row.to_vec(), Kept { value: value.clone(), version });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &[u8] = b"row";
    const LATER: u64 = 10 * SETTLED;

    fn value(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn write(known: &Unchanged, version: u64) {
        known.write(known.hash(ROW), version);
    }

    #[test]
    fn a_row_that_was_read_is_known_in_all_versions_since_it_was_written() {
        let known = Unchanged::default();
        write(&known, 5);
        known.keep(ROW, &value("old"), LATER);
        for version in [5, LATER, LATER + 100] {
            assert_eq!(known.get(ROW, version), Some(value("old")), "{version}");
        }
        assert_eq!(known.get(ROW, 4), None, "it was another then");
        assert_eq!(known.get(b"other", LATER), None);
    }

    #[test]
    fn a_row_that_was_written_since_is_not_known() {
        let known = Unchanged::default();
        known.keep(ROW, &value("old"), LATER);
        write(&known, LATER + 1);
        for version in [LATER, LATER + 1, LATER + 2] {
            assert_eq!(known.get(ROW, version), None, "{version}");
        }
    }

    #[test]
    fn what_an_old_reader_found_is_not_taken_for_new() {
        let known = Unchanged::default();
        write(&known, LATER + 1);
        known.keep(ROW, &value("old"), LATER);
        assert_eq!(known.get(ROW, LATER + 1), None);
        assert_eq!(known.get(ROW, LATER + 2 * SETTLED), None);
        known.keep(ROW, &value("new"), LATER + 2 * SETTLED);
        assert_eq!(known.get(ROW, LATER + 2 * SETTLED), Some(value("new")));
    }

    #[test]
    fn rows_that_are_young_or_large_are_not_kept() {
        let known = Unchanged::default();
        write(&known, LATER);
        known.keep(ROW, &value("young"), LATER + SETTLED - 1);
        assert_eq!(known.get(ROW, LATER + SETTLED), None);
        let large = Bytes::from(vec![0; LONGEST]);
        known.keep(b"large", &large, LATER);
        assert_eq!(known.get(b"large", LATER), None);
    }

    #[test]
    fn it_takes_no_more_memory_than_it_may() {
        let known = Unchanged::default();
        let large = Bytes::from(vec![0; LONGEST / 2]);
        for row in 0..20_000_u32 {
            known.keep(&row.to_be_bytes(), &large, LATER);
        }
        assert!(known.rows.weight() <= CAPACITY);
        assert!(known.rows.len() > 1_000);
    }
}
