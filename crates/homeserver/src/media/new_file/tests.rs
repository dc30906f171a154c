use std::{fs, io::ErrorKind};

use super::*;
use crate::{
    MemoryBlobs, Settings,
    testing::{server, user},
};
use tertulia_storage::MemoryEngine;

async fn read(media: &Media) -> Vec<u8> {
    media.read(0).await.unwrap().try_collect::<Vec<Bytes>>().await.unwrap().concat()
}

/// What was uploaded: its type, its name and its bytes.
async fn uploaded(file: impl Into<NewFile>) -> (String, Option<String>, Vec<u8>) {
    let server = server().await;
    let media = user(&server, "alice").upload_file(file).await.unwrap();
    let kind = media.content_type().unwrap().to_owned();
    (kind, media.name().map(ToOwned::to_owned), read(&media).await)
}

fn pieces(pieces: &[&'static str]) -> impl Stream<Item = io::Result<Bytes>> + use<> {
    let pieces: Vec<_> =
        pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect();
    stream::iter(pieces)
}

#[tokio::test]
async fn a_file_comes_from_memory_from_the_disk_or_as_a_stream() {
    let expected =
        |kind: &str| (kind.to_owned(), Some("notes.txt".to_owned()), b"good morning".to_vec());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "good morning").unwrap();
    let text = expected("text/plain");
    assert_eq!(uploaded(NewFile::from_bytes("notes.txt", "good morning")).await, text);
    assert_eq!(uploaded(&*path).await, text);
    let stream = NewFile::from_stream("notes.txt", pieces(&["good ", "", "morning"]));
    assert_eq!(uploaded(stream).await, text);
    let given = NewFile::from_path(&path).with_content_type("text/x-notes");
    assert_eq!(uploaded(given).await, expected("text/x-notes"));
}

#[tokio::test]
async fn what_nobody_says_is_left_out_or_guessed() {
    let (kind, name, bytes) = uploaded(NewFile::from_bytes("", "")).await;
    assert_eq!((&*kind, name, bytes), ("application/octet-stream", None, Vec::new()));
    let (kind, name, _) = uploaded(NewFile::from_bytes("a", &b"GIF89a"[..]).with_name("b")).await;
    assert_eq!((&*kind, name.as_deref()), ("image/gif", Some("b")));
}

#[tokio::test]
async fn what_cannot_be_read_or_is_too_much_leaves_nothing_behind() {
    let blobs = MemoryBlobs::default();
    let settings = Settings { max_upload_size: 5, ..Settings::default() };
    let server = Homeserver::builder("x").unwrap().blobs(blobs.clone()).settings(settings);
    let server = server.start(MemoryEngine::default()).await.unwrap();
    let alice = user(&server, "alice");
    let refused = async |file: NewFile| alice.upload_file(file).await.unwrap_err();

    assert!(matches!(refused(NewFile::from_path("/nowhere/a.png")).await, Error::NotFound(_)));
    let broken = stream::iter([Ok(Bytes::from_static(b"a")), Err(ErrorKind::BrokenPipe.into())]);
    assert!(matches!(refused(NewFile::from_stream("a", broken)).await, Error::Media(_)));
    let large = NewFile::from_stream("a", pieces(&["abc", "def"]));
    assert!(matches!(refused(large).await, Error::BodyTooLarge(_)));
    let odd = NewFile::from_bytes("a", "a").with_content_type("a picture");
    assert!(matches!(refused(odd).await, Error::Invalid(_)));
    assert_eq!(blobs.count(), 0);
}
