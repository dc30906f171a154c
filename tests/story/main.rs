//! The whole story of a chat application: people register, become friends, talk, meet in a group, keep what they like,
//! and part. It is told over HTTP and by the library alone, on an engine in memory and on RocksDB, and each time the
//! same is seen by everyone. `transcript.txt` has it to read.
//!
//! Whoever wants to embed Tertulia reads `library.rs`; whoever writes a client of it, `http.rs`.

mod again;
mod http;
mod library;
mod plot;
mod transcript;
mod way;

use std::{fs, path::Path};

use tertulia::{
    Builder, Encryption, Homeserver, PasswordCost, Registration, Settings, Smtp, SmtpServer,
};
use tertulia_rocksdb::{Options, RocksEngine};
use tertulia_storage::{Engine, MemoryEngine};
use tertulia_testkit::{DrivenClock, SmtpSink};

use self::{
    http::Http,
    library::Library,
    plot::Stage,
    transcript::{Transcript, assert_same_lines},
    way::Way,
};

/// The story as it is to be.
const TOLD: &str = include_str!("transcript.txt");

/// Tells the story in one way, on one engine.
async fn told<W: Way>(engine: impl Engine) -> Transcript {
    let (sink, clock) = (SmtpSink::start().await, DrivenClock::default());
    let builder = builder(&sink, &clock);
    let stage = Stage { server: builder.start(engine).await.expect("a server"), sink, clock };
    let way = W::open(stage.server.clone()).await;
    let transcript = plot::tell(&stage, &way).await;
    stage.server.shutdown().await;
    transcript
}

/// A server to be, as those have it who let everyone register who has an e-mail address.
fn builder(sink: &SmtpSink, clock: &DrivenClock) -> Builder {
    let mut settings = Settings::default();
    settings.registration = Registration::Email;
    settings.directory.all_users = true;
    settings.password_cost = PasswordCost::LEAST;
    let mut post = SmtpServer::new("127.0.0.1", "Tertulia <noreply@example.org>");
    (post.port, post.encryption) = (Some(sink.port()), Encryption::None);
    let mailer = Smtp::new(post).expect("a way to send mail");
    let builder = Homeserver::builder("example.org").expect("a server name");
    builder.settings(settings).mailer(mailer).clock(clock.clone())
}

#[tokio::test]
async fn the_story_is_the_same_whoever_tells_it_and_wherever_it_is_kept() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let rocksdb = |folder: &Path| RocksEngine::open(folder, Options::default()).unwrap();
    let (library, http, kept, kept_by_http) = tokio::join!(
        told::<Library>(MemoryEngine::default()),
        told::<Http>(MemoryEngine::default()),
        told::<Library>(rocksdb(one.path())),
        told::<Http>(rocksdb(other.path())),
    );
    println!("{}", library.text);
    http.assert_same(&library, "over HTTP");
    kept.assert_same(&library, "on RocksDB");
    kept_by_http.assert_same(&library, "over HTTP on RocksDB");
    let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transcript.txt");
    fs::write(&new, &library.text).unwrap();
    let how = format!("transcript.txt has it otherwise than {}", new.display());
    assert_same_lines(&library.text, TOLD, &how);
}

#[test]
fn the_library_tells_it_without_http() {
    let source = include_str!("library.rs");
    for other in
        ["tertulia_http", "tertulia_testkit", "tertulia_bench", "axum", "http::", "reqwest"]
    {
        assert!(!source.contains(other), "{other}");
    }
}
