use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use ruma::{MilliSecondsSinceUnixEpoch, UInt};
use tertulia_storage::MemoryEngine;

use super::*;
use crate::{
    Blobs as _, Clock, Label, MemoryBlobs, User,
    schema::{Drawing, MediaUse},
    testing::user,
};

/// A clock that says what it is told to.
#[derive(Clone, Debug)]
struct At(Arc<Mutex<u64>>);

impl Clock for At {
    fn now(&self) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(UInt::try_from(*self.0.lock()).unwrap())
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

/// A server, its files, and its clock, which begins with that of the files.
async fn start() -> (Homeserver, MemoryBlobs, At) {
    let (blobs, clock) = (MemoryBlobs::default(), At(Arc::new(Mutex::new(0))));
    *clock.0.lock() = MilliSecondsSinceUnixEpoch::now().get().into();
    let server = Homeserver::builder("x").unwrap().blobs(blobs.clone()).clock(clock.clone());
    let server = server.start(MemoryEngine::default()).await.unwrap();
    // What each start mends by itself is not counted here.
    server.core.stop.cancel();
    server.core.tasks.close();
    server.core.tasks.wait().await;
    (server, blobs, clock)
}

async fn upload(user: &User) -> (OwnedServerName, String) {
    let mut upload = user.upload(Label::default()).await.unwrap();
    upload.write(Bytes::from_static(b"file")).await.unwrap();
    let uri = upload.finish().await.unwrap();
    let (server, id) = uri.parts().unwrap();
    (server.to_owned(), id.to_owned())
}

async fn orphan(blobs: &MemoryBlobs, number: u128) -> BlobId {
    let id = BlobId::from_number(number);
    blobs.begin(id).await.unwrap().keep().await.unwrap();
    id
}

async fn get<K: tertulia_storage::Key, V: tertulia_storage::Value>(
    server: &Homeserver,
    table: &Table<K, V>,
    key: &K,
) -> Option<V> {
    server.core.store.view().await.unwrap().get(table, key).await.unwrap()
}

const fn mended(deleted: u64, missing: u64) -> Mended {
    Mended { deleted, missing }
}

#[tokio::test]
async fn a_file_without_a_row_goes_after_a_day() {
    let (server, blobs, clock) = start().await;
    let alice = user(&server, "alice");
    upload(&alice).await;
    for number in 0..PAGE as u128 * 2 {
        orphan(&blobs, number).await;
    }
    assert_eq!(server.mend_media().await.unwrap(), mended(0, 0));
    *clock.0.lock() += PATIENCE_MS - 60_000;
    assert_eq!(server.mend_media().await.unwrap(), mended(0, 0));
    *clock.0.lock() += 120_000;
    assert_eq!(server.mend_media().await.unwrap(), mended(PAGE as u64 * 2, 0));
    assert_eq!(server.mend_media().await.unwrap(), mended(0, 0));
    assert_eq!(blobs.count(), 1, "what has a row stays");
}

#[tokio::test]
async fn a_row_whose_file_is_gone_says_so_until_it_is_back() {
    let (server, blobs, clock) = start().await;
    let key = upload(&user(&server, "alice")).await;
    let blob = get(&server, &MEDIA, &key).await.unwrap().blob;
    blobs.delete(blob).await.unwrap();
    let media = server.media(&key.0, &key.1).await.unwrap();
    assert!(matches!(media.read(0).await.err().unwrap(), Error::NotFound(_)));
    assert_eq!(server.mend_media().await.unwrap(), mended(0, 1));
    let missing = get(&server, &MEDIA, &key).await.unwrap().missing;
    assert_eq!(missing, Some(*clock.0.lock()));
    assert_eq!(server.mend_media().await.unwrap(), mended(0, 0), "it is told once");
    orphan(&blobs, blob.number()).await;
    assert_eq!(server.mend_media().await.unwrap(), mended(0, 0));
    assert_eq!(get(&server, &MEDIA, &key).await.unwrap().missing, None);
}

/// Makes the rows of a file what they were before files were counted.
struct Forget((OwnedServerName, String), MediaRow);

impl Command for Forget {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("test", "")
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        tx.put(&MEDIA, &self.0, &self.1);
        tx.delete(&BLOBS, &(self.1.blob,));
        tx.delete(&MEDIA_USE, &(self.1.uploader.clone().unwrap(),));
        Ok(())
    }
}

#[tokio::test]
async fn files_of_before_are_counted_once_and_never_deleted() {
    let (server, blobs, clock) = start().await;
    let alice = user(&server, "alice");
    let key = upload(&alice).await;
    let row = get(&server, &MEDIA, &key).await.unwrap();
    server.core.store.write(Forget(key.clone(), row.clone())).await.unwrap();
    *clock.0.lock() += 2 * PATIENCE_MS;
    for _ in 0..2 {
        assert_eq!(server.mend_media().await.unwrap(), mended(0, 0));
        assert_eq!(get(&server, &BLOBS, &(row.blob,)).await, Some(key.clone()));
        let usage = get(&server, &MEDIA_USE, &(alice.id().to_owned(),)).await.unwrap();
        assert_eq!(usage, MediaUse { bytes: 4, pending: Vec::new() });
    }
    assert_eq!(blobs.count(), 1);
}

#[tokio::test]
async fn a_thumbnail_whose_file_is_gone_is_made_again() {
    struct Put((OwnedServerName, String, ThumbnailKind), ThumbnailRow);
    impl Command for Put {
        type Out = ();
        type Error = Error;

        fn partition(&self) -> Partition {
            Partition::of("test", "")
        }

        async fn run(&self, tx: &mut Tx) -> Result<()> {
            tx.put(&THUMBNAILS, &self.0, &self.1);
            Ok(())
        }
    }
    let (server, blobs, _) = start().await;
    let row = |blob| {
        let drawing = Drawing { blob, content_type: String::new(), size: 0, sha256: [0; 32] };
        ThumbnailRow { maker: 1, outcome: ThumbnailOutcome::Made(drawing) }
    };
    let key = |animated| {
        (server.core.name.clone(), "a".to_owned(), ThumbnailKind { size: None, animated })
    };
    let here = orphan(&blobs, 1).await;
    server.core.store.write(Put(key(false), row(here))).await.unwrap();
    server.core.store.write(Put(key(true), row(BlobId::from_number(2)))).await.unwrap();
    server.mend_media().await.unwrap();
    assert!(get(&server, &THUMBNAILS, &key(false)).await.is_some());
    assert!(get(&server, &THUMBNAILS, &key(true)).await.is_none());
}

#[tokio::test]
async fn a_mending_goes_on_where_the_one_before_stopped() {
    let (server, blobs, clock) = start().await;
    let (first, second) = (orphan(&blobs, 1).await, orphan(&blobs, 2).await);
    *clock.0.lock() += 2 * PATIENCE_MS;
    let mending = Mending { core: &server.core, done: Mended::default() };
    mending.reach(Stage::Files, Some((first,).encode())).await.unwrap();
    assert_eq!(server.mend_media().await.unwrap(), mended(1, 0));
    assert!(blobs.find(second).await.unwrap().is_none());
    // The next one begins at the beginning.
    assert_eq!(server.mend_media().await.unwrap(), mended(1, 0));
    assert!(blobs.find(first).await.unwrap().is_none());
    assert_eq!(blobs.count(), 0);
}
