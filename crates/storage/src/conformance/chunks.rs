use bytes::Bytes;

use super::{
    Subject,
    fixture::{Step, TEXT, key, open, put, reopen, script, text},
};
use crate::{
    Command, Direction, Error, MAX_VALUE, MAX_WHOLE, Partition, Position, Result, RowRange, Store,
    Table, Tx, chunks::CHUNKS, table::behind_prefix,
};

fn large(length: usize) -> Bytes {
    (0..length).map(|n| (n % 251) as u8).collect()
}

async fn chunks(store: &Store) -> usize {
    let start = CHUNKS.0.to_be_bytes().to_vec();
    let range = RowRange { end: behind_prefix(start.clone()), start };
    store
        .view()
        .await
        .unwrap()
        .stored_rows(&range, Direction::Forward, usize::MAX)
        .await
        .unwrap()
        .len()
}

/// Tables do not see how large a value is.
pub async fn large_values_come_back_whole(subject: &impl Subject) {
    let mut store = open(subject).await;
    for length in [MAX_VALUE - 1, MAX_VALUE, MAX_VALUE + 1, 2 * MAX_VALUE, 500_000, MAX_WHOLE] {
        store.write(script("a", [Step::Put("k", large(length))])).await.unwrap();
        assert_eq!(text(&store, "k").await.unwrap(), large(length), "{length}");
        store = reopen(subject, store).await;
        assert_eq!(text(&store, "k").await.unwrap(), large(length), "{length} after reopening");
    }
    let many =
        store.view().await.unwrap().get_many(&TEXT, &[key("k"), key("absent")]).await.unwrap();
    assert_eq!(many, [Some(large(MAX_WHOLE)), None]);
}

/// Whatever replaces a large value, its chunks are gone, also after the store was opened anew.
pub async fn replacing_a_large_value_leaves_no_chunk(subject: &impl Subject) {
    let mut store = open(subject).await;
    for next in [put("k", "small"), Step::Delete("k"), Step::Put("k", large(100_000))] {
        store.write(script("a", [Step::Put("k", large(400_000))])).await.unwrap();
        assert_eq!(chunks(&store).await, 5);
        store = reopen(subject, store).await;
        store.write(script("a", [next.clone()])).await.unwrap();
        let left = if let Step::Put(_, value) = &next {
            text(&store, "k").await == Some(value.clone())
        } else {
            true
        };
        assert!(left, "the new value");
        let expected =
            if matches!(&next, Step::Put(_, value) if value.len() > MAX_VALUE) { 2 } else { 0 };
        assert_eq!(chunks(&store).await, expected);
    }
    store.write(script("a", [Step::Put("k", large(400_000)), put("k", "small")])).await.unwrap();
    assert_eq!(chunks(&store).await, 0, "replaced by the command that wrote it");
    store.write(script("a", [Step::Put("k", large(400_000)), Step::Refuse])).await.unwrap_err();
    assert_eq!(chunks(&store).await, 0, "of a refused command");
}

/// Values that hold positions, some of them where a chunk would end.
const LISTS: Table<(String,), (String, Vec<Position>)> = Table::new(20, "lists");

struct WriteList(usize);

impl Command for WriteList {
    type Out = Position;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("lane", "a")
    }

    async fn run(&self, tx: &mut Tx) -> Result<Position> {
        let position = tx.next_position();
        tx.put(&LISTS, &key("k"), &("x".repeat(self.0), vec![position; 20_000]));
        Ok(position)
    }
}

/// The commit finds every position in a large value, also one that a chunk's end would cut.
pub async fn positions_are_put_into_large_values(subject: &impl Subject) {
    let store = open(subject).await;
    for offset in 0..8 {
        let committed = store.write(WriteList(offset)).await.unwrap();
        let at = committed.at(committed.out);
        let stored = store.view().await.unwrap().get(&LISTS, &key("k")).await.unwrap().unwrap();
        assert_eq!(stored, ("x".repeat(offset), vec![at; 20_000]));
    }
}

/// A scan shows large values like others.
pub async fn scans_put_large_values_together(subject: &impl Subject) {
    let store = open(subject).await;
    let steps = [put("a", "small"), Step::Put("b", large(300_000)), put("c", "small")];
    store.write(script("a", steps)).await.unwrap();
    let rows = store.view().await.unwrap().scan(&TEXT, &(), Direction::Backward, 9).await.unwrap();
    let lengths: Vec<_> = rows.iter().map(|(key, value)| (key.0.as_str(), value.len())).collect();
    assert_eq!(lengths, [("c", 5), ("b", 300_000), ("a", 5)]);
}
