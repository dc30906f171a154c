use futures_util::future::join_all;
use ruma::{owned_user_id, server_name};
use tertulia_storage::{Direction, MemoryEngine};

use super::*;
use crate::{
    Homeserver, MemoryBlobs, Settings,
    testing::{server, user},
};

async fn server_with(quota: u64) -> (Homeserver, MemoryBlobs) {
    let blobs = MemoryBlobs::default();
    let settings = Settings { max_media_per_user: Some(quota), ..Settings::default() };
    let server = Homeserver::builder("x").unwrap().blobs(blobs.clone()).settings(settings);
    (server.start(MemoryEngine::default()).await.unwrap(), blobs)
}

async fn send(upload: Result<Upload>, bytes: &'static [u8]) -> Result<OwnedMxcUri> {
    let mut upload = upload?;
    upload.write(Bytes::from_static(bytes)).await?;
    upload.finish().await
}

async fn upload(user: &User, bytes: &'static [u8]) -> Result<OwnedMxcUri> {
    send(user.upload(Label::default()).await, bytes).await
}

async fn usage(user: &User) -> MediaUse {
    let view = user.core.store.view().await.unwrap();
    view.get(&MEDIA_USE, &(user.id.clone(),)).await.unwrap().unwrap_or_default()
}

async fn pending(server: &Homeserver) -> usize {
    let view = server.core.store.view().await.unwrap();
    view.scan(&PENDING_MEDIA, &(), Direction::Forward, 1_000).await.unwrap().len()
}

#[tokio::test]
async fn what_a_user_has_is_counted_and_bounded() {
    let (server, blobs) = server_with(10).await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    upload(&alice, b"1234567").await.unwrap();
    assert_eq!(usage(&alice).await.bytes, 7);
    // Refused before it has come, and while it comes.
    let begun = alice.upload(Label::default()).await.unwrap();
    assert!(matches!(begun.announce(4).unwrap_err(), Error::QuotaReached));
    begun.announce(3).unwrap();
    drop(begun);
    assert!(matches!(upload(&alice, b"1234").await.unwrap_err(), Error::QuotaReached));
    upload(&alice, b"123").await.unwrap();
    upload(&alice, b"").await.unwrap();
    assert!(matches!(upload(&alice, b"1").await.unwrap_err(), Error::QuotaReached));
    upload(&bob, b"1234567890").await.unwrap();
    assert_eq!((usage(&alice).await.bytes, usage(&bob).await.bytes), (10, 10));
    assert_eq!(blobs.count(), 4);
}

#[tokio::test]
async fn uploads_that_race_never_exceed_the_quota() {
    let (server, blobs) = server_with(10).await;
    let alice = user(&server, "alice");
    let mut begun = Vec::new();
    for _ in 0..64 {
        let mut upload = alice.upload(Label::default()).await.unwrap();
        upload.write(Bytes::from_static(b"123")).await.unwrap();
        begun.push(upload.finish());
    }
    let finished = join_all(begun).await;
    assert_eq!(finished.iter().filter(|finished| finished.is_ok()).count(), 3);
    let refused = |it: &Result<_>| matches!(it, Err(Error::QuotaReached));
    assert_eq!(finished.iter().filter(|finished| refused(finished)).count(), 61);
    assert_eq!((usage(&alice).await.bytes, blobs.count()), (9, 3));
}

#[tokio::test]
async fn a_reserved_uri_gets_its_file_once_from_its_owner() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let ReservedMedia { uri, expires } = alice.reserve_media().await.unwrap();
    assert_eq!(expires / 1_000, u64::from(server.core.now().get()) / 1_000 + 24 * 60 * 60);
    let (name, id) = uri.parts().unwrap();
    let found = server.media(name, id).await.unwrap_err();
    assert!(matches!(found, Error::NotYetUploaded));
    let to = |user: &User, name: &ServerName, id: &str| {
        let (user, name, id) = (user.clone(), name.to_owned(), id.to_owned());
        async move { user.upload_to(&name, &id, Label::default()).await }
    };
    assert!(matches!(to(&bob, name, id).await.unwrap_err(), Error::Forbidden(_)));
    for (name, id) in [(server_name!("y"), id), (name, "unknown"), (name, ".."), (name, "")] {
        assert!(matches!(to(&alice, name, id).await.unwrap_err(), Error::NotFound(_)));
    }
    // Two begin; the first to end wins.
    let (one, other) = (to(&alice, name, id).await, to(&alice, name, id).await);
    assert_eq!(send(one, b"one").await.unwrap(), uri);
    assert!(matches!(send(other, b"other").await.unwrap_err(), Error::AlreadyUploaded));
    assert_eq!(server.media(name, id).await.unwrap().size(), 3);
    assert!(matches!(to(&alice, name, id).await.unwrap_err(), Error::AlreadyUploaded));
    assert!(matches!(to(&bob, name, id).await.unwrap_err(), Error::Forbidden(_)));
    let usage = usage(&alice).await;
    assert_eq!((usage.bytes, usage.pending.len(), pending(&server).await), (3, 0, 0));
}

#[tokio::test]
async fn a_reserved_uri_is_forgotten_after_a_day() {
    let server = server().await;
    let alice = user(&server, "alice");
    let now = server.core.now().get().into();
    let reserve = |id: &str, now: u64| {
        let (user, id) = (alice.id.clone(), id.to_owned());
        server.core.store.write(Reserve { user, id, now, expires: now + PENDING_MS })
    };
    reserve("old", now - PENDING_MS).await.unwrap();
    let name = server_name!("x");
    let late = alice.upload_to(name, "old", Label::default()).await.unwrap_err();
    assert!(matches!(late, Error::NotFound(_)));
    assert!(matches!(server.media(name, "old").await.unwrap_err(), Error::NotFound(_)));
    // One that has begun in time may end later.
    reserve("new", now - PENDING_MS + 1).await.unwrap();
    let row = StoreMedia {
        uploader: alice.id.clone(),
        server: name.to_owned(),
        target: Target { id: "new".to_owned(), reserved: Some(now) },
        row: MediaRow {
            uploader: Some(alice.id.clone()),
            content_type: None,
            name: None,
            size: 1,
            sha256: [0; 32],
            created: now + 5_000,
            blob: BlobId::from_number(1),
            last_read: None,
            missing: None,
        },
        quota: None,
    };
    server.core.store.write(row).await.unwrap();
    assert_eq!(pending(&server).await, 1);
    reserve("later", now).await.unwrap();
    assert_eq!(pending(&server).await, 1, "the old one went when the next was made");
}

#[tokio::test]
async fn only_so_many_uris_wait_for_their_files() {
    let server = server().await;
    let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
    let mut last = None;
    for _ in 0..MOST_PENDING {
        last = Some(alice.reserve_media().await.unwrap().uri);
    }
    assert!(matches!(alice.reserve_media().await.unwrap_err(), Error::TooManyPending));
    bob.reserve_media().await.unwrap();
    let last = last.unwrap();
    let (name, id) = last.parts().unwrap();
    send(alice.upload_to(name, id, Label::default()).await, b"a").await.unwrap();
    alice.reserve_media().await.unwrap();
    assert_eq!(pending(&server).await, MOST_PENDING + 1);
}

#[tokio::test]
async fn those_who_wait_for_a_file_get_it_when_it_comes() {
    let server = server().await;
    let alice = user(&server, "alice");
    let uri = alice.reserve_media().await.unwrap().uri;
    let waiting = {
        let (server, uri) = (server.clone(), uri.clone());
        tokio::spawn(async move {
            let (name, id) = uri.parts().unwrap();
            server.await_media(name, id, std::time::Duration::from_secs(3_600)).await
        })
    };
    tokio::task::yield_now().await;
    let (name, id) = uri.parts().unwrap();
    send(alice.upload_to(name, id, Label::default()).await, b"here").await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().size(), 4);
    // Whoever does not wait is told at once; so is everyone when the server stops.
    let uri = alice.reserve_media().await.unwrap().uri;
    let (name, id) = uri.parts().unwrap();
    let refused = server.await_media(name, id, std::time::Duration::ZERO).await.unwrap_err();
    assert!(matches!(refused, Error::NotYetUploaded));
    server.stop_waiting();
    let refused = server.await_media(name, id, std::time::Duration::MAX).await.unwrap_err();
    assert!(matches!(refused, Error::NotYetUploaded));
}

#[tokio::test]
async fn what_is_counted_of_a_user_can_be_forgotten() {
    struct Forget(OwnedUserId);
    impl Command for Forget {
        type Out = ();
        type Error = Error;

        fn partition(&self) -> Partition {
            users::partition(&self.0)
        }

        async fn run(&self, tx: &mut Tx) -> Result<()> {
            forget_use(tx, &self.0).await
        }
    }
    let server = server().await;
    let alice = user(&server, "alice");
    alice.reserve_media().await.unwrap();
    upload(&alice, b"abc").await.unwrap();
    for _ in 0..2 {
        server.core.store.write(Forget(owned_user_id!("@alice:x"))).await.unwrap();
        assert_eq!((usage(&alice).await, pending(&server).await), (MediaUse::default(), 0));
    }
}

#[test]
fn a_type_that_is_none_is_not_kept() {
    for kind in ["image/png", "text/plain; charset=utf-8", "application/vnd.x+json"] {
        assert!(is_type(kind), "{kind}");
    }
    for kind in ["", "image", "image/png\r\nX: y", "a/b; <", &format!("a/{}", "b".repeat(254))] {
        assert!(!is_type(kind), "{kind}");
    }
}
