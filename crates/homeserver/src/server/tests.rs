//! Starting servers on ports of one's own, several in one process, and stopping them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::{StreamExt as _, TryStreamExt as _, future::BoxFuture, future::join_all};
use ruma::{MilliSecondsSinceUnixEpoch, uint};
use tertulia_storage::{Error as StorageError, MemoryEngine};

use super::*;
use crate::{
    Mail, MailError, NewFile, SyncRequest,
    testing::{DrivenClock, public_room, server, user},
};

/// Chance that counts how often it was asked.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<AtomicU64>);

impl Random for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        for (byte, part) in bytes.iter_mut().zip(number.to_le_bytes().into_iter().cycle()) {
            *byte = part;
        }
    }
}

/// One who delivers nothing.
#[derive(Clone, Debug, Default)]
struct Nobody;

impl Mailer for Nobody {
    fn send(&self, _: Mail) -> BoxFuture<'_, Result<(), MailError>> {
        Box::pin(async { Err(MailError::Permanent("nobody is there".to_owned())) })
    }
}

#[tokio::test]
async fn every_port_can_be_ones_own() {
    let (clock, random, blobs) =
        (DrivenClock::default(), Counting::default(), MemoryBlobs::default());
    let server = Homeserver::builder("example.org")
        .unwrap()
        .clock(clock.clone())
        .random(random.clone())
        .blobs(blobs.clone())
        .mailer(Nobody)
        .storage(StoreOptions::default())
        .settings(Settings::default())
        .start(MemoryEngine::default())
        .await
        .unwrap();
    clock.advance(5_000);
    assert_eq!(server.core.now(), MilliSecondsSinceUnixEpoch(uint!(5000)));
    assert!(server.core.mailer.is_some());
    let asked = random.0.load(Ordering::Relaxed);
    let (alice, _) = server.register("alice").await.unwrap();
    assert!(random.0.load(Ordering::Relaxed) > asked, "a token is made by chance");
    alice.upload_file(NewFile::from_bytes("a", "a")).await.unwrap();
    assert_eq!(blobs.count(), 1);
    server.shutdown().await;
}

#[tokio::test]
async fn servers_of_one_process_know_nothing_of_each_other() {
    let names: Vec<_> = (0..5).map(|number| format!("s{number}.example.org")).collect();
    let start = |name: &String| {
        let name = name.clone();
        async move { Homeserver::start(&name, MemoryEngine::default()).await.unwrap() }
    };
    let servers = join_all(names.iter().map(start)).await;
    for (server, name) in servers.iter().zip(&names) {
        let (alice, token) = server.register("alice").await.unwrap();
        assert_eq!(alice.id().as_str(), format!("@alice:{name}"));
        let room = public_room(&alice, "11").await;
        room.send_text(name).await.unwrap();
        let newest = room.history().try_next().await.unwrap().unwrap();
        assert_eq!(newest.body().as_ref(), Some(name));
        for other in servers.iter().filter(|other| other.name() != server.name()) {
            assert!(other.authenticate(token.reveal()).await.is_err());
            assert!(matches!(other.user("bob").await, Err(Error::NotFound(_))));
        }
    }
    // One ends, and the others go on.
    let (first, others) = servers.split_first().unwrap();
    first.shutdown().await;
    for other in others {
        other.create_user("bob").await.unwrap();
        other.shutdown().await;
    }
}

/// A server on which a lot is going on.
async fn busy() -> Homeserver {
    let server = server().await;
    let (alice, _) = server.register("alice").await.unwrap();
    let room = public_room(&alice, "11").await;
    room.typing(true).await.unwrap();
    alice.set_nickname(Some("Alicia")).await.unwrap();
    room.send_file(NewFile::from_bytes("a.txt", "a")).await.unwrap();
    server
}

#[tokio::test]
async fn no_task_is_left_behind_and_whoever_waits_is_answered() {
    let server = busy().await;
    let alice = server.user("alice").await.unwrap();
    let (session, _) = alice.open_session(Default::default()).await.unwrap();
    let mut updates = Box::pin(session.updates(SyncRequest::default()));
    updates.next().await.unwrap().unwrap();
    let waiting = tokio::spawn(async move { updates.next().await.is_none() });
    assert!(!server.core.tasks.is_empty());
    tokio::join!(server.shutdown(), server.shutdown());
    assert!(server.core.tasks.is_empty());
    assert!(waiting.await.unwrap(), "the stream of updates ends");
    tokio::time::timeout(Duration::from_secs(10), server.stopping()).await.unwrap();
    server.shutdown().await;
}

#[tokio::test]
async fn after_a_shutdown_handles_write_nothing() {
    let server = busy().await;
    let alice = user(&server, "alice");
    server.shutdown().await;
    let refused = alice.set_nickname(Some("Alice")).await.unwrap_err();
    assert!(matches!(refused, Error::Storage(StorageError::Closed)), "{refused:?}");
    assert!(server.create_user("bob").await.is_err());
}

#[tokio::test]
async fn an_odd_name_is_no_servers_name() {
    for odd in ["", "a b", "https://example.org", "-"] {
        assert!(
            Homeserver::builder(odd).is_err_and(|error| matches!(error, Error::Invalid(_)))
                || odd == "-"
        );
    }
}
