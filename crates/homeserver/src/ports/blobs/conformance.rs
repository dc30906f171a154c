//! What every place for blobs must keep to.

use futures_util::TryStreamExt as _;

use super::*;

/// Checks an empty place. `count` tells how many files of any kind lie there.
pub(crate) async fn check(blobs: &dyn Blobs, count: &dyn Fn() -> usize) {
    what_was_kept_is_read_as_it_was_written(blobs).await;
    assert_eq!(count(), 2);
    what_is_given_up_leaves_nothing(blobs).await;
    assert_eq!(count(), 2);
    large_blobs_come_in_pieces(blobs).await;
    assert_eq!(count(), 3);
    kept_blobs_are_listed_in_order(blobs).await;
    assert_eq!(count(), 6);
    what_was_deleted_is_gone(blobs).await;
    assert_eq!(count(), 5);
}

async fn put(blobs: &dyn Blobs, id: BlobId, pieces: &[&'static [u8]]) {
    let mut incoming = blobs.begin(id).await.unwrap();
    for piece in pieces {
        incoming.write(Bytes::from_static(piece)).await.unwrap();
    }
    incoming.keep().await.unwrap();
}

async fn pieces(blobs: &dyn Blobs, id: BlobId, from: u64) -> io::Result<Vec<Bytes>> {
    blobs.read(id, from).await?.try_collect().await
}

async fn check_missing(blobs: &dyn Blobs, id: BlobId) {
    let missing = pieces(blobs, id, 0).await.unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
}

async fn what_was_kept_is_read_as_it_was_written(blobs: &dyn Blobs) {
    let [words, nothing] = [1, 2].map(BlobId::from_number);
    put(blobs, words, &[b"good ", b"", b"morning"]).await;
    put(blobs, nothing, &[]).await;
    let cases: [(BlobId, u64, &[u8]); 6] = [
        (words, 0, b"good morning"),
        (words, 3, b"d morning"),
        (words, 5, b"morning"),
        (words, 12, b""),
        (words, 1 << 40, b""),
        (nothing, 0, b""),
    ];
    for (id, from, expected) in cases {
        assert_eq!(pieces(blobs, id, from).await.unwrap().concat(), expected, "from {from}");
    }
}

async fn what_is_given_up_leaves_nothing(blobs: &dyn Blobs) {
    let id = BlobId::from_number(3);
    let mut incoming = blobs.begin(id).await.unwrap();
    incoming.write(Bytes::from(vec![7; 1 << 20])).await.unwrap();
    check_missing(blobs, id).await;
    drop(incoming);
    check_missing(blobs, id).await;
}

async fn large_blobs_come_in_pieces(blobs: &dyn Blobs) {
    const SIZE: usize = 50_000;
    let id = BlobId::from_number(3);
    let mut incoming = blobs.begin(id).await.unwrap();
    for n in 0..64 {
        incoming.write(Bytes::from(vec![n; SIZE])).await.unwrap();
    }
    incoming.keep().await.unwrap();
    let pieces = pieces(blobs, id, 0).await.unwrap();
    assert!(pieces.iter().all(|piece| piece.len() <= 256 * 1024));
    let whole = pieces.concat();
    assert_eq!(whole.len(), 64 * SIZE);
    assert!(whole.iter().enumerate().all(|(place, byte)| usize::from(*byte) == place / SIZE));
}

/// The names of blobs that are far apart.
const FAR: [u128; 3] = [0xab << 120, (0xab << 120) + 1, u128::MAX];

async fn kept_blobs_are_listed_in_order(blobs: &dyn Blobs) {
    for number in FAR {
        put(blobs, BlobId::from_number(number), &[b"far"]).await;
    }
    let given_up = blobs.begin(BlobId::from_number(4)).await.unwrap();
    let all = [1, 2, 3].into_iter().chain(FAR).map(BlobId::from_number).collect::<Vec<_>>();
    assert_eq!(blobs.list(None, 100).await.unwrap(), all);
    drop(given_up);
    for limit in 1..=all.len() + 1 {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = blobs.list(after, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(*last);
            listed.extend(page);
        }
        assert_eq!(listed, all, "{limit} at a time");
    }
    // What is not there can be begun behind, too.
    let behind = blobs.list(Some(BlobId::from_number(5)), 1).await.unwrap();
    assert_eq!(behind, [BlobId::from_number(FAR[0])]);
    let now = MilliSecondsSinceUnixEpoch::now().get().into();
    for id in all {
        let written = blobs.find(id).await.unwrap().unwrap().written;
        assert!(written.abs_diff(now) < 3_600_000, "{written} and {now}");
    }
}

async fn what_was_deleted_is_gone(blobs: &dyn Blobs) {
    let id = BlobId::from_number(3);
    for _ in 0..2 {
        blobs.delete(id).await.unwrap();
        check_missing(blobs, id).await;
        assert_eq!(blobs.find(id).await.unwrap(), None);
    }
    assert!(!blobs.list(None, 100).await.unwrap().contains(&id));
}
