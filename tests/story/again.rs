//! What a shutdown leaves: nothing that runs, and a directory that can be opened again at once, by the same process.

use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _};
use ruma::{OwnedRoomId, RoomVersionId};
use tertulia::{
    CodeRequest, Encryption, FileBlobs, Homeserver, Language, NewFile, NewRoom, Preset, Proving,
    Room, Smtp, SmtpServer, SyncRequest,
};
use tertulia_rocksdb::{Options, RocksEngine};
use tertulia_testkit::{DrivenClock, SmtpSink};
use tokio::{net::TcpListener, runtime::Handle};

use crate::{
    builder,
    library::Library,
    plot::{self, Stage},
    way::Way as _,
};

/// A server over a directory, whose mail goes to a port where nobody takes any.
async fn open(folder: &Path, port: u16) -> Homeserver {
    let engine = RocksEngine::open(folder, Options::default()).expect("nobody else has it open");
    let mut post = SmtpServer::new("127.0.0.1", "noreply@example.org");
    (post.port, post.encryption) = (Some(port), Encryption::None);
    let builder = Homeserver::builder("example.org").unwrap().mailer(Smtp::new(post).unwrap());
    builder.start(engine).await.unwrap()
}

/// Leaves something to do to all that works in the background.
async fn keep_busy(server: &Homeserver, room: &Room, life: usize) {
    room.send_text(&format!("life {life}")).await.unwrap();
    room.typing(true).await.unwrap();
    room.send_file(NewFile::from_bytes("a.txt", "a")).await.unwrap();
    room.user().set_nickname(Some(&format!("Alice {life}"))).await.unwrap();
    let email = format!("alice{life}@example.com");
    let (client_secret, language) = ("secret", Language::English);
    let wish = CodeRequest { email: &email, client_secret, attempt: 1, language };
    server.request_code(Proving::Addition, wish).await.unwrap();
}

/// Alice's room, before there is anything.
async fn first_room(server: &Homeserver) -> Room {
    let alice = server.create_user("alice").await.unwrap();
    let mut wish = NewRoom::new(alice.id().to_owned(), RoomVersionId::V11);
    wish.preset = Preset::PrivateChat;
    alice.create_room(wish).await.unwrap()
}

#[tokio::test]
async fn a_directory_is_opened_again_as_soon_as_its_server_has_shut_down() {
    let folder = tempfile::tempdir().unwrap();
    // It accepts nobody, so that who sends mail waits.
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = deaf.local_addr().unwrap().port();
    let mut id: Option<OwnedRoomId> = None;
    for life in 0..3 {
        let server = open(folder.path(), port).await;
        let room = match &id {
            None => first_room(&server).await,
            Some(id) => server.user("alice").await.unwrap().room(id),
        };
        let alice = room.user();
        let (session, _) = alice.open_session(Default::default()).await.unwrap();
        let updates = tokio::spawn(session.updates(SyncRequest::default()).count());
        let changes = tokio::spawn(alice.chats().changes().count());
        keep_busy(&server, &room, life).await;
        server.shutdown().await;
        // Those who listened hear that it is over.
        updates.await.unwrap();
        changes.await.unwrap();
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
        let events: Vec<_> = room.history().try_collect().await.expect("handles can still read");
        let said = events.iter().filter(|event| event.body().is_some_and(|body| body != "a.txt"));
        assert_eq!(said.count(), life + 1);
        id = Some(room.id().to_owned());
    }
}

/// Where the story happens, over a directory.
async fn stage(folder: &Path, clock: DrivenClock) -> Stage {
    let engine = RocksEngine::open(folder.join("store"), Options::default()).unwrap();
    let sink = SmtpSink::start().await;
    let files = FileBlobs::open(folder.join("files")).await.unwrap();
    let server = builder(&sink, &clock).blobs(files).start(engine).await.unwrap();
    Stage { server, sink, clock }
}

#[tokio::test]
async fn what_the_story_left_is_there_after_a_restart() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), DrivenClock::default());
    let mut found = Vec::new();
    for life in 0..2 {
        let stage = stage(folder.path(), clock.clone()).await;
        let way = Library::open(stage.server.clone()).await;
        if life == 0 {
            plot::tell(&stage, &way).await;
        }
        found.push(plot::look_back(&way).await);
        stage.server.shutdown().await;
        drop((stage, way));
        // Those who listened let the server go.
        while Handle::current().metrics().num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(found[0].iter().filter(|(what, _)| what.starts_with("mxc://")).count(), 2);
    assert_eq!(found[0].len(), found[1].len());
    for (before, after) in found[0].iter().zip(&found[1]) {
        assert_eq!(before, after);
    }
}
