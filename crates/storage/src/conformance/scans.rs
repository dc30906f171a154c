use std::ops::Bound;

use super::{
    Subject,
    fixture::{GRID, Step, TEXT, key, open, put, script},
};
use crate::{
    Direction::{self, Backward, Forward},
    Store, View,
};

async fn filled(subject: &impl Subject) -> Store {
    let store = open(subject).await;
    let rows = ["a", "ab", "b"].iter().flat_map(|row| (0..5).map(|column| Step::Grid(row, column)));
    store.write(script("a", rows)).await.unwrap();
    store
}

async fn scan(view: &View, row: &str, direction: Direction, limit: usize) -> Vec<(String, u64)> {
    let found = view.scan(&GRID, &key(row), direction, limit).await.unwrap();
    found.into_iter().map(|(key, _)| key).collect()
}

fn cells(row: &str, columns: impl IntoIterator<Item = u64>) -> Vec<(String, u64)> {
    columns.into_iter().map(|column| (row.to_owned(), column)).collect()
}

/// A scan answers in the order of keys, or backwards, and no more than it was asked for.
pub async fn scans_go_both_ways_in_the_order_of_keys(subject: &impl Subject) {
    let view = filled(subject).await.view().await.unwrap();
    assert_eq!(scan(&view, "b", Forward, 3).await, cells("b", 0..3));
    assert_eq!(scan(&view, "b", Backward, 3).await, cells("b", [4, 3, 2]));
    assert_eq!(scan(&view, "b", Forward, 0).await, []);
    assert_eq!(scan(&view, "b", Backward, usize::MAX).await.len(), 5);
}

/// A prefix means whole parts: "a" is not the beginning of "ab".
pub async fn scans_keep_to_their_prefix(subject: &impl Subject) {
    let view = filled(subject).await.view().await.unwrap();
    assert_eq!(scan(&view, "a", Forward, 99).await, cells("a", 0..5));
    assert_eq!(scan(&view, "a", Backward, 99).await, cells("a", (0..5).rev()));
    assert_eq!(scan(&view, "c", Forward, 99).await, []);
    assert_eq!(view.scan(&GRID, &(), Forward, 99).await.unwrap().len(), 15);
}

/// `scan_from` goes on from a key, to whichever side, within the prefix.
pub async fn scans_begin_where_they_are_told(subject: &impl Subject) {
    let view = filled(subject).await.view().await.unwrap();
    let from = ("ab".to_owned(), 2);
    let check = async |from: Bound<&(String, u64)>, direction, expected: &[u64]| {
        let found = view.scan_from(&GRID, &key("ab"), from, direction, 99).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|(key, _)| key).collect();
        assert_eq!(found, cells("ab", expected.iter().copied()), "{from:?} {direction:?}");
    };
    check(Bound::Included(&from), Forward, &[2, 3, 4]).await;
    check(Bound::Excluded(&from), Forward, &[3, 4]).await;
    check(Bound::Included(&from), Backward, &[2, 1, 0]).await;
    check(Bound::Excluded(&from), Backward, &[1, 0]).await;
    check(Bound::Unbounded, Forward, &[0, 1, 2, 3, 4]).await;
    check(Bound::Unbounded, Backward, &[4, 3, 2, 1, 0]).await;
    check(Bound::Included(&("a".to_owned(), 3)), Forward, &[0, 1, 2, 3, 4]).await;
    check(Bound::Included(&("b".to_owned(), 3)), Backward, &[4, 3, 2, 1, 0]).await;
    check(Bound::Included(&("b".to_owned(), 3)), Forward, &[]).await;
}

/// `range` takes both bounds, each with or without its key, and finds nothing where they cross.
pub async fn ranges_keep_to_their_bounds(subject: &impl Subject) {
    let view = filled(subject).await.view().await.unwrap();
    let (low, high) = (("ab".to_owned(), 1), ("ab".to_owned(), 3));
    let check = async |start, end, expected: &[u64]| {
        let found = view.range(&GRID, start, end, Forward, 99).await.unwrap();
        assert_eq!(found.into_iter().map(|((_, column), _)| column).collect::<Vec<_>>(), expected);
        let backwards = view.range(&GRID, start, end, Backward, 99).await.unwrap();
        assert_eq!(
            backwards.into_iter().map(|((_, column), _)| column).rev().collect::<Vec<_>>(),
            expected
        );
    };
    check(Bound::Included(&low), Bound::Included(&high), &[1, 2, 3]).await;
    check(Bound::Excluded(&low), Bound::Excluded(&high), &[2]).await;
    check(Bound::Included(&high), Bound::Included(&low), &[]).await;
    check(Bound::Unbounded, Bound::Excluded(&low), &[0, 1, 2, 3, 4, 0]).await;
    check(Bound::Excluded(&high), Bound::Unbounded, &[4, 0, 1, 2, 3, 4]).await;
}

/// Within a transaction a scan shows what the commit would leave.
pub async fn scans_see_own_writes_and_miss_own_deletes(subject: &impl Subject) {
    let store = filled(subject).await;
    // Deletes the three smallest of what it sees, its own row among them.
    let steps = [
        Step::DeleteGrid("b", 2),
        Step::Grid("b", 1),
        Step::Grid("b", 7),
        Step::DeleteGrid("b", 2),
    ];
    store.write(script("a", steps)).await.unwrap();
    let view = store.view().await.unwrap();
    assert_eq!(scan(&view, "b", Forward, 99).await, cells("b", [3, 4, 7]));
    assert_eq!(scan(&view, "ab", Forward, 99).await.len(), 5);
}

/// Equal keys of different tables are different rows.
pub async fn tables_do_not_touch(subject: &impl Subject) {
    let store = filled(subject).await;
    store.write(script("a", [put("a", "text"), Step::Add("a", 1)])).await.unwrap();
    let view = store.view().await.unwrap();
    assert_eq!(view.scan(&TEXT, &(), Forward, 99).await.unwrap().len(), 1);
    assert_eq!(view.get(&TEXT, &key("a")).await.unwrap().unwrap(), "text");
}
