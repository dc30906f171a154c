use bytes::Bytes;
use futures_util::future::join_all;

use super::{
    Subject,
    fixture::{GRID, Step, is_too_large, key, open, script, text},
};
use crate::{
    Commit, Direction, Engine, MAX_COMMIT_ROWS, MAX_ROW, MAX_VALUE, MAX_WHOLE, Result, Write,
    testing::Fault,
};

const LONG: &str = str_of::<1_200>();

const fn str_of<const N: usize>() -> &'static str {
    const {
        match std::str::from_utf8(&[b'x'; N]) {
            Ok(text) => text,
            Err(_) => "",
        }
    }
}

/// Keys end at 1 KiB.
pub async fn a_key_that_is_too_long_is_refused(subject: &impl Subject) {
    let store = open(subject).await;
    let write = async |length: usize| {
        store.write(script("a", [Step::Put(&LONG[..length], Bytes::new())])).await
    };
    assert!(write(1_000).await.is_ok());
    assert!(is_too_large(write(1_100).await));
    assert_eq!(text(&store, &LONG[..1_000]).await.unwrap(), "");
}

/// Values end where one commit no longer bears them.
pub async fn a_value_that_is_too_large_is_refused(subject: &impl Subject) {
    let store = open(subject).await;
    let write = async |length: usize| {
        let steps =
            [Step::Put("other", Bytes::new()), Step::Put("k", Bytes::from(vec![b'x'; length]))];
        store.write(script("a", steps)).await
    };
    assert!(write(MAX_WHOLE).await.is_ok());
    assert!(is_too_large(write(MAX_WHOLE + 1).await));
    assert!(is_too_large(write(2_000_000).await));
    assert_eq!(text(&store, "k").await.unwrap().len(), MAX_WHOLE);
}

/// A command that writes too many rows or bytes is refused as a whole.
pub async fn a_commit_that_is_too_large_is_refused(subject: &impl Subject) {
    let store = open(subject).await;
    let rows = |n| (0..n).map(|column| Step::Grid("r", column));
    assert!(store.write(script("a", rows(450))).await.is_ok());
    assert!(is_too_large(store.write(script("a", rows(501))).await));
    let names = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];
    let large = names.map(|name| Step::Put(name, Bytes::from(vec![b'x'; 89_000])));
    assert!(is_too_large(store.write(script("a", large)).await));
    assert_eq!(text(&store, "1").await, None);
}

/// Commands that together are too large for one commit go into several.
pub async fn a_lane_spreads_what_one_commit_does_not_bear(subject: &impl Subject) {
    let store = open(subject).await;
    let writes = (0..12).map(|n| {
        store.write(script("a", (0..100).map(move |column| Step::Grid("r", n * 100 + column))))
    });
    for result in join_all(writes).await {
        result.unwrap();
    }
    let view = store.view().await.unwrap();
    assert_eq!(
        view.scan(&GRID, &key("r"), Direction::Forward, usize::MAX).await.unwrap().len(),
        1_200
    );
}

/// The limits hold at the seam, whoever calls it.
pub async fn an_engine_refuses_what_it_need_not_bear(subject: &impl Subject) {
    let (engine, _) = subject.open(Fault::Never);
    let commit = async |rows: Vec<Write>| -> Result<()> {
        let version = engine.begin().await?.version();
        engine.commit(Commit { version, writes: rows, ..Commit::default() }).await.map(drop)
    };
    let write = |row: Vec<u8>, value: usize| Write {
        row,
        row_places: Vec::new(),
        value: Some(vec![0; value].into()),
        value_places: Vec::new(),
    };
    let row = |n: usize| [&[0, 9][..], &n.to_be_bytes()].concat();
    commit(vec![write(vec![1; MAX_ROW], MAX_VALUE)]).await.unwrap();
    assert!(is_too_large(commit(vec![write(vec![1; MAX_ROW + 1], 0)]).await));
    assert!(is_too_large(commit(vec![write(row(1), MAX_VALUE + 1)]).await));
    assert!(is_too_large(commit((0..=MAX_COMMIT_ROWS).map(|n| write(row(n), 0)).collect()).await));
    assert!(is_too_large(commit((0..12).map(|n| write(row(n), MAX_VALUE)).collect()).await));
    commit((0..MAX_COMMIT_ROWS).map(|n| write(row(n), 1_000)).collect()).await.unwrap();
}

/// What is more than one commit bears is deleted page by page.
pub async fn a_prefix_is_deleted_in_pages(subject: &impl Subject) {
    let store = open(subject).await;
    for page in 0..3 {
        let rows = (0..400).map(|column| Step::Grid("gone", page * 400 + column));
        store.write(script("a", rows.chain([Step::Grid("kept", page)]))).await.unwrap();
    }
    for expected in [800, 400, 0, 0] {
        store.write(script("a", [Step::DeleteGrid("gone", 400)])).await.unwrap();
        let view = store.view().await.unwrap();
        let left = view.scan(&GRID, &key("gone"), Direction::Forward, usize::MAX).await.unwrap();
        assert_eq!(left.len(), expected);
    }
    let view = store.view().await.unwrap();
    assert_eq!(view.scan(&GRID, &key("kept"), Direction::Forward, 9).await.unwrap().len(), 3);
}
