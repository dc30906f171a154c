use super::{
    Subject,
    fixture::{COUNT, Script, Step, TEXT, key, open, put, reopen, script, text},
};
use crate::{Durability, Store};

/// A view shows one state, whatever is committed later.
pub async fn a_view_does_not_change(subject: &impl Subject) {
    let store = open(subject).await;
    store.write(script("a", [put("k", "old")])).await.unwrap();
    let before = store.view().await.unwrap();
    store.write(script("a", [put("k", "new"), put("other", "x")])).await.unwrap();
    assert_eq!(before.get(&TEXT, &key("k")).await.unwrap().unwrap(), "old");
    assert_eq!(before.get(&TEXT, &key("other")).await.unwrap(), None);
    assert_eq!(text(&store, "k").await.unwrap(), "new");
}

/// A row that has not been written for long is read as each view has it, however often it was read before.
pub async fn a_row_that_rested_is_read_as_each_view_has_it(subject: &impl Subject) {
    let store = open(subject).await;
    store.write(script("a", [put("k", "old")])).await.unwrap();
    let store = reopen(subject, store).await;
    let mut views = Vec::new();
    for step in [put("other", "x"), put("k", "new"), Step::Delete("k"), put("k", "newest")] {
        store.write(script("a", [step])).await.unwrap();
        rest(&store).await;
        views.push(store.view().await.unwrap());
    }
    let mut expected = [Some("old"), Some("new"), None, Some("newest")];
    for _ in 0..4 {
        for (view, value) in views.iter().zip(expected) {
            let found = view.get(&TEXT, &key("k")).await.unwrap();
            assert_eq!(found.as_deref(), value.map(str::as_bytes));
        }
        views.reverse();
        expected.reverse();
    }
}

/// Commits much else.
async fn rest(store: &Store) {
    for _ in 0..300 {
        let relaxed = Durability::Relaxed;
        let other = Script { durability: relaxed, ..script("b", [Step::Add("n", 1)]) };
        store.write(other).await.unwrap();
    }
}

/// What a transaction wrote it reads, deletions too.
pub async fn a_transaction_sees_its_own_writes(subject: &impl Subject) {
    let store = open(subject).await;
    let adds = [Step::Add("n", 1), Step::Add("n", 10), Step::Add("n", 100)];
    store.write(script("a", adds)).await.unwrap();
    let view = store.view().await.unwrap();
    assert_eq!(view.get(&COUNT, &key("n")).await.unwrap(), Some((111,)));
}

/// Whoever was told that a write is committed finds it.
pub async fn what_was_committed_is_found_by_the_next_view(subject: &impl Subject) {
    let store = open(subject).await;
    for _ in 0..20 {
        store
            .write(script("a", [Step::Add("n", 1), put("k", "v"), Step::Delete("k")]))
            .await
            .unwrap();
        assert_eq!(text(&store, "k").await, None);
    }
    assert_eq!(store.view().await.unwrap().get(&COUNT, &key("n")).await.unwrap(), Some((20,)));
}

/// Reading many keys answers each in its place.
pub async fn many_rows_are_found_in_the_order_asked_for(subject: &impl Subject) {
    let store = open(subject).await;
    store.write(script("a", [put("a", "1"), put("c", "3")])).await.unwrap();
    let keys = ["c", "b", "a", "c"].map(key);
    let found = store.view().await.unwrap().get_many(&TEXT, &keys).await.unwrap();
    let found: Vec<_> = found.iter().map(|value| value.as_deref()).collect();
    assert_eq!(found, [Some(&b"3"[..]), None, Some(b"1"), Some(b"3")]);
}

/// A store is found again as it was left.
pub async fn what_was_committed_is_there_after_reopening(subject: &impl Subject) {
    let store = open(subject).await;
    store.write(script("a", [put("k", "v"), Step::Add("n", 2)])).await.unwrap();
    let store = reopen(subject, store).await;
    assert_eq!(text(&store, "k").await.unwrap(), "v");
    store.write(script("a", [Step::Add("n", 3)])).await.unwrap();
    assert_eq!(store.view().await.unwrap().get(&COUNT, &key("n")).await.unwrap(), Some((5,)));
}
