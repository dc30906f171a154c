use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::{future::BoxFuture, poll};
use ruma::server_name;
use sha2::{Digest as _, Sha256};
use tertulia_storage::MemoryEngine;

use super::*;
use crate::{
    Blobs, FileBlobs, FoundBlob, Incoming, MemoryBlobs, Settings, User,
    schema::BlobId,
    testing::{server, user},
};

async fn server_on(blobs: impl Blobs, max_upload_size: u64) -> Homeserver {
    let settings = Settings { max_upload_size, ..Settings::default() };
    let server = Homeserver::builder("x").unwrap().blobs(blobs).settings(settings);
    server.start(MemoryEngine::default()).await.unwrap()
}

fn label(content_type: &str, name: &str) -> Label {
    Label { content_type: Some(content_type.to_owned()), name: Some(name.to_owned()) }
}

async fn upload(user: &User, label: Label, bytes: &'static [u8]) -> OwnedMxcUri {
    let mut upload = user.upload(label).await.unwrap();
    upload.write(Bytes::from_static(bytes)).await.unwrap();
    upload.finish().await.unwrap()
}

async fn find(server: &Homeserver, uri: &MxcUri) -> Media {
    server.file(uri).await.unwrap()
}

async fn read(media: &Media, from: u64) -> Vec<u8> {
    media.read(from).await.unwrap().try_collect::<Vec<Bytes>>().await.unwrap().concat()
}

/// How many files lie in `folder`, at any depth.
fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

#[tokio::test]
async fn what_is_no_uri_names_no_file() {
    let server = server().await;
    for (uri, is_uri) in
        [("mxc://x/none", true), ("mxc://x", false), ("https://x/a", false), ("", false)]
    {
        let error = server.file(<&MxcUri>::from(uri)).await.unwrap_err();
        match is_uri {
            true => assert!(matches!(error, Error::NotFound(_)), "{uri}: {error}"),
            false => assert!(matches!(error, Error::Invalid(_)), "{uri}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_file_is_read_as_it_was_uploaded() {
    let server = server().await;
    let alice = user(&server, "alice");
    let uri = upload(&alice, label("text/plain", "a.txt"), b"good morning").await;
    let media = find(&server, &uri).await;
    assert_eq!(media.content_type(), Some("text/plain"));
    assert_eq!(media.name(), Some("a.txt"));
    assert_eq!(media.size(), 12);
    assert_eq!(media.bytes().await.unwrap(), "good morning");
    assert_eq!(media.sha256()[..], Sha256::digest(b"good morning")[..]);
    assert_eq!(read(&media, 0).await, b"good morning");
    assert_eq!(read(&media, 5).await, b"morning");

    let nameless = upload(&alice, Label::default(), b"").await;
    assert_ne!(nameless, uri);
    let media = find(&server, &nameless).await;
    assert_eq!((media.content_type(), media.name(), media.size()), (None, None, 0));
    assert_eq!(read(&media, 0).await, b"");
}

#[tokio::test]
async fn only_files_that_are_there_are_found() {
    let server = server().await;
    let uri = upload(&user(&server, "alice"), Label::default(), b"a").await;
    let (name, id) = uri.parts().unwrap();
    let missing = [(server_name!("y"), id), (name, "unknown"), (name, ""), (name, "../kept")];
    for (name, id) in missing {
        let refused = server.media(name, id).await.unwrap_err();
        assert!(matches!(refused, Error::NotFound(_)), "{name} {id}");
    }
}

#[tokio::test]
async fn a_label_that_is_too_long_is_refused_and_a_type_that_is_none_forgotten() {
    let server = server().await;
    let alice = user(&server, "alice");
    let refused = alice.upload(label("a/b", &"a".repeat(1_025))).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)));
    let uri = upload(&alice, label("nonsense", "a"), b"a").await;
    assert_eq!(find(&server, &uri).await.content_type(), None);
}

#[tokio::test]
async fn an_upload_that_breaks_off_or_is_too_large_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FileBlobs::open(folder.path()).await.unwrap();
    let server = server_on(blobs, 1_000_000).await;
    let alice = user(&server, "alice");
    let piece = Bytes::from(vec![1; 500_000]);

    let mut broken = alice.upload(Label::default()).await.unwrap();
    broken.write(piece.clone()).await.unwrap();
    assert_eq!(files(folder.path()), 1);
    drop(broken);
    assert_eq!(files(folder.path()), 0);

    let mut large = alice.upload(Label::default()).await.unwrap();
    large.write(piece.clone()).await.unwrap();
    large.write(piece).await.unwrap();
    let refused = large.write(Bytes::from_static(b"a")).await.unwrap_err();
    assert!(matches!(refused, Error::BodyTooLarge(_)));
    drop(large);
    assert_eq!(files(folder.path()), 0);
}

#[tokio::test]
async fn a_file_that_is_being_kept_gets_its_row_even_if_nobody_waits() {
    let folder = tempfile::tempdir().unwrap();
    let server = server_on(FileBlobs::open(folder.path()).await.unwrap(), 100).await;
    let upload = user(&server, "alice").upload(Label::default()).await.unwrap();
    let mut finishing = Box::pin(upload.finish());
    assert!(poll!(&mut finishing).is_pending());
    drop(finishing);
    server.core.stop.cancel();
    server.core.tasks.close();
    server.core.tasks.wait().await;
    assert_eq!(files(folder.path()), 1);
    let view = server.core.store.view().await.unwrap();
    let prefix = (server.core.name.clone(),);
    let rows = view.scan(&MEDIA, &prefix, tertulia_storage::Direction::Forward, 10).await.unwrap();
    assert_eq!(rows.len(), 1);
}

#[tokio::test]
async fn a_file_whose_row_cannot_be_written_is_removed() {
    let blobs = MemoryBlobs::default();
    let server = server_on(blobs.clone(), 100).await;
    let upload = user(&server, "alice").upload(Label::default()).await.unwrap();
    server.core.store.shutdown().await;
    let refused = upload.finish().await.unwrap_err();
    assert!(matches!(refused, Error::Storage(_)), "{refused}");
    assert_eq!(blobs.count(), 0);
}

/// A place for blobs that counts what it is given and keeps none of it.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<AtomicUsize>);

impl Blobs for Counting {
    fn begin(&self, _: BlobId) -> BoxFuture<'_, io::Result<Box<dyn Incoming>>> {
        let incoming: Box<dyn Incoming> = Box::new(self.clone());
        Box::pin(async { Ok(incoming) })
    }

    fn read(&self, _: BlobId, _: u64) -> BoxFuture<'_, io::Result<Pieces>> {
        Box::pin(async { Err(io::ErrorKind::NotFound.into()) })
    }

    fn find(&self, _: BlobId) -> BoxFuture<'_, io::Result<Option<FoundBlob>>> {
        Box::pin(async { Ok(None) })
    }

    fn list(&self, _: Option<BlobId>, _: usize) -> BoxFuture<'_, io::Result<Vec<BlobId>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn delete(&self, _: BlobId) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

impl Incoming for Counting {
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, io::Result<()>> {
        self.0.fetch_add(piece.len(), Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }

    fn keep(self: Box<Self>) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(async { Err(io::Error::other("the disk is full")) })
    }
}

#[tokio::test]
async fn pieces_are_passed_on_as_they_arrive() {
    let counting = Counting::default();
    let server = server_on(counting.clone(), 20_000_000).await;
    let mut upload = user(&server, "alice").upload(Label::default()).await.unwrap();
    for n in 1..=160 {
        upload.write(Bytes::from(vec![0; 65_536])).await.unwrap();
        assert_eq!(counting.0.load(Ordering::Relaxed), n * 65_536);
    }
    // A file that cannot be kept gets no row.
    assert!(matches!(upload.finish().await.unwrap_err(), Error::Media(_)));
    let view = server.core.store.view().await.unwrap();
    let prefix = (server.core.name.clone(),);
    let rows = view.scan(&MEDIA, &prefix, tertulia_storage::Direction::Forward, 10).await.unwrap();
    assert!(rows.is_empty());
}

#[test]
fn a_media_id_cannot_be_a_path() {
    for id in ["a", "ascERGshawAWawugaAcauga", "A-_9", &"a".repeat(255)] {
        assert!(is_media_id(id), "{id}");
    }
    for id in ["", ".", "..", "../a", "a/b", "a%2Fb", "a.b", "ä", "a\0", "a b", &"a".repeat(256)] {
        assert!(!is_media_id(id), "{id}");
    }
}
