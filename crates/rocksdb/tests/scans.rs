//! Scans of one snapshot, in any order, tell what is there: none of them depends on those before.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeMap;

use bytes::Bytes;
use tertulia_rocksdb::{Options, RocksLocal};
use tertulia_storage::{Batch, Direction, Local as _, Reach, RowRange, Rows};

/// Chance that repeats (a linear congruential generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u16) -> u16 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u16::try_from((self.0 >> 33) % u64::from(end)).unwrap()
    }

    /// A row of one of three tables.
    fn row(&mut self) -> Vec<u8> {
        [self.below(3).to_be_bytes(), self.below(300).to_be_bytes()].concat()
    }

    /// A range within a table, or from one to another, which may hold nothing or be all of a table.
    fn range(&mut self) -> RowRange {
        let (a, b) = (self.row(), self.row());
        match self.below(8) {
            0 => RowRange { start: a.clone().min(b.clone()), end: a.max(b) },
            1 => RowRange { start: vec![0, a[1]], end: vec![0, a[1] + 1] },
            2 => RowRange { end: [&a[..], &[0]].concat(), start: a },
            _ => {
                let b = [&a[..2], &b[2..]].concat();
                RowRange { start: a.clone().min(b.clone()), end: a.max(b) }
            }
        }
    }
}

type Model = BTreeMap<Vec<u8>, Bytes>;

fn expected(
    rows: &Model,
    range: &RowRange,
    direction: Direction,
    limit: usize,
) -> Vec<(Bytes, Bytes)> {
    let inside = rows.range(range.start.clone()..range.end.clone());
    let inside = inside.map(|(row, value)| (Bytes::copy_from_slice(row), value.clone()));
    match direction {
        Direction::Forward => inside.take(limit).collect(),
        Direction::Backward => inside.rev().take(limit).collect(),
    }
}

fn check(rows: &dyn Rows, model: &Model, dice: &mut Dice) {
    let range = dice.range();
    let direction = if dice.below(3) == 0 { Direction::Backward } else { Direction::Forward };
    let limit = usize::from(1 + dice.below(40)) * usize::from(1 + 10 * dice.below(2));
    let found = rows.scan(&range, direction, limit, Reach::Disk).unwrap().unwrap();
    let known = rows.scan(&range, direction, limit, Reach::Memory).unwrap();
    let expected = expected(model, &range, direction, limit);
    assert_eq!(found, expected, "{range:?} {direction:?} {limit}");
    // What was just read lies in memory.
    assert_eq!(known, Some(expected), "{range:?} {direction:?} {limit}");
}

/// Writes some rows and deletes more, a run of them at a time, so that many deleted ones lie together.
fn change(local: &RocksLocal, model: &mut Model, dice: &mut Dice) {
    let mut batch = Batch::new();
    for _ in 0..60 {
        let row = dice.row();
        let value = Bytes::copy_from_slice(&dice.below(1_000).to_be_bytes());
        model.insert(row.clone(), value.clone());
        batch.push((row, Some(value)));
    }
    let from = dice.row();
    let gone: Vec<_> = model.range(from..).map(|(row, _)| row.clone()).take(150).collect();
    for row in gone {
        model.remove(&row);
        batch.push((row, None));
    }
    local.write(batch, false).unwrap();
}

#[test]
fn scans_do_not_depend_on_those_before() {
    let directory = tempfile::tempdir().unwrap();
    let local = RocksLocal::open(directory.path(), Options::default()).unwrap();
    let (mut model, mut dice) = (Model::new(), Dice(7));
    let mut older = Vec::new();
    for _ in 0..60 {
        change(&local, &mut model, &mut dice);
        older.push((local.snapshot(), model.clone()));
        for _ in 0..60 {
            let at = usize::from(dice.below(u16::try_from(older.len()).unwrap()));
            let (rows, model) = &older[at];
            check(&**rows, model, &mut dice);
        }
    }
}
