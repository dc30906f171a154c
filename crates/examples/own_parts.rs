//! What a program can give the server in place of its own parts: a way to send mail, a place for files, a time.
//!
//! Each is a small trait. The server hands it what is to be done and awaits that; nothing else of it changes.

use std::{
    error::Error,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tertulia::{
    BlobId, Blobs, Clock, CodeRequest, FoundBlob, Homeserver, Incoming, Language, Mail, MailError,
    Mailer, MemoryBlobs, MemoryEngine, NewFile, Pieces, Proving, Registration, Settings,
    ruma::{MilliSecondsSinceUnixEpoch, UInt},
};
use tokio::sync::{mpsc, watch};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (outbox, mut mails) = mpsc::channel(16);
    let (files, clock) = (CountedBlobs::default(), HandClock::default());
    let server = start(Outbox(outbox), files.clone(), clock.clone()).await?;

    let wish = CodeRequest {
        email: "alice@example.org",
        client_secret: "a word of the client",
        attempt: 1,
        language: Language::English,
    };
    server.request_code(Proving::Registration, wish).await?;
    if let Some(mail) = mails.recv().await {
        println!("to {}: {}\n{}", mail.to, mail.subject, mail.text);
    }

    let bob = server.create_user("bob").await?;
    bob.upload_file(NewFile::from_bytes("list.txt", "apples, pears")).await?;
    println!("{} bytes were written", files.written());

    clock.advance(Duration::from_secs(60));
    server.shutdown().await;
    Ok(())
}

async fn start(
    mailer: Outbox,
    files: CountedBlobs,
    clock: HandClock,
) -> tertulia::Result<Homeserver> {
    let mut settings = Settings::default();
    settings.registration = Registration::Email;
    Homeserver::builder("localhost")?
        .settings(settings)
        .mailer(mailer)
        .blobs(files)
        .clock(clock)
        .start(MemoryEngine::default())
        .await
}

/// Mail goes to whoever holds the other end: a queue of one's own, an HTTP API of a provider, a test.
#[derive(Debug)]
struct Outbox(mpsc::Sender<Mail>);

impl Mailer for Outbox {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>> {
        Box::pin(async move {
            // What is temporary is tried again, for two days at most.
            let sent = self.0.send(mail).await;
            sent.map_err(|_| MailError::Temporary("nobody takes mail".to_owned()))
        })
    }
}

/// Files in memory, with a count of all that was written: any other place is wrapped in the same way.
#[derive(Clone, Debug, Default)]
struct CountedBlobs {
    kept: MemoryBlobs,
    written: Arc<AtomicU64>,
}

impl CountedBlobs {
    fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

impl Blobs for CountedBlobs {
    fn begin(&self, id: BlobId) -> BoxFuture<'_, io::Result<Box<dyn Incoming>>> {
        Box::pin(async move {
            let (incoming, written) = (self.kept.begin(id).await?, self.written.clone());
            let counted: Box<dyn Incoming> = Box::new(Counted { incoming, written });
            Ok(counted)
        })
    }

    fn read(&self, id: BlobId, from: u64) -> BoxFuture<'_, io::Result<Pieces>> {
        self.kept.read(id, from)
    }

    fn find(&self, id: BlobId) -> BoxFuture<'_, io::Result<Option<FoundBlob>>> {
        self.kept.find(id)
    }

    fn list(&self, after: Option<BlobId>, limit: usize) -> BoxFuture<'_, io::Result<Vec<BlobId>>> {
        self.kept.list(after, limit)
    }

    fn delete(&self, id: BlobId) -> BoxFuture<'_, io::Result<()>> {
        self.kept.delete(id)
    }
}

/// A file that is being written.
struct Counted {
    incoming: Box<dyn Incoming>,
    written: Arc<AtomicU64>,
}

impl Incoming for Counted {
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, io::Result<()>> {
        self.written.fetch_add(piece.len() as u64, Ordering::Relaxed);
        self.incoming.write(piece)
    }

    fn keep(self: Box<Self>) -> BoxFuture<'static, io::Result<()>> {
        self.incoming.keep()
    }
}

/// A time that moves when it is told to: for tests, which then need not wait for anything.
#[derive(Clone, Debug, Default)]
struct HandClock(watch::Sender<Duration>);

impl HandClock {
    fn advance(&self, by: Duration) {
        self.0.send_modify(|passed| *passed += by);
    }
}

impl Clock for HandClock {
    fn now(&self) -> MilliSecondsSinceUnixEpoch {
        let passed = self.0.borrow().as_millis();
        MilliSecondsSinceUnixEpoch(UInt::new_saturating(passed as u64))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut passed = self.0.subscribe();
        let end = *passed.borrow() + duration;
        Box::pin(async move {
            // It ends early only when the clock is gone, and the server with it.
            let _ = passed.wait_for(|passed| *passed >= end).await;
        })
    }
}

#[cfg(test)]
mod tests {
    use tertulia::{EmailProof, NewAccount, Secret};

    use super::*;

    struct World {
        server: Homeserver,
        mails: mpsc::Receiver<Mail>,
        files: CountedBlobs,
        clock: HandClock,
    }

    async fn world() -> World {
        let (outbox, mails) = mpsc::channel(16);
        let (files, clock) = (CountedBlobs::default(), HandClock::default());
        let server = start(Outbox(outbox), files.clone(), clock.clone()).await.unwrap();
        World { server, mails, files, clock }
    }

    #[tokio::test]
    async fn mail_goes_where_the_program_puts_it() {
        let World { server, mut mails, .. } = world().await;
        let wish = CodeRequest {
            email: "alice@example.org",
            client_secret: "secret",
            attempt: 1,
            language: Language::English,
        };
        let session = server.request_code(Proving::Registration, wish).await.unwrap();
        let mail = mails.recv().await.unwrap();
        assert_eq!(mail.to, "alice@example.org");
        let proof = EmailProof { session, client_secret: Secret::new("secret") };
        let code = Secret::new(tertulia_testkit::code_in(&mail));
        server.submit_code(&proof, &code).await.unwrap();
        let account = NewAccount { email: Some(proof), ..NewAccount::from("alice") };
        let alice = server.create_user(account).await.unwrap();
        assert_eq!(alice.emails().await.unwrap()[0].address, "alice@example.org");
        server.shutdown().await;
    }

    #[tokio::test]
    async fn files_lie_where_the_program_keeps_them() {
        let World { server, files, .. } = world().await;
        let bob = server.create_user("bob").await.unwrap();
        bob.upload_file(NewFile::from_bytes("list.txt", "apples")).await.unwrap();
        assert_eq!((files.written(), files.kept.count()), (6, 1));
        server.shutdown().await;
    }

    #[tokio::test]
    async fn it_is_as_late_as_the_program_says() {
        let World { server, clock, .. } = world().await;
        let bob = server.create_user("bob").await.unwrap();
        let room = bob.groups().create(Default::default()).await.unwrap();
        clock.advance(Duration::from_secs(60));
        let said = room.send_text("a minute later").await.unwrap();
        let event = serde_json::to_value(room.event(&said).await.unwrap()).unwrap();
        assert_eq!(event["origin_server_ts"], 60_000);
        server.shutdown().await;
    }
}
