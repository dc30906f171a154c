use std::future::pending;

use parking_lot::Mutex;
use tertulia_storage::{Command, Memory, MemoryEngine, Partition, Tx};
use tokio::sync::watch;

use super::*;
use crate::{
    Error, Homeserver, Mail,
    mail::{Language, Letter, LetterKind},
    testing::{DrivenClock, user},
};

/// How somebody delivers mail.
#[derive(Clone, Debug)]
enum Way {
    Well,
    Fails(MailError),
    Never,
}

/// Delivers as it is told to, and keeps what it was given.
#[derive(Clone, Debug)]
struct Carrier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    way: Mutex<Way>,
    tried: watch::Sender<Vec<Mail>>,
}

impl Carrier {
    fn new(way: Way) -> Self {
        Self(Arc::new(Inner { way: Mutex::new(way), tried: watch::Sender::default() }))
    }

    fn goes(&self, way: Way) {
        *self.0.way.lock() = way;
    }

    /// Waits until it was given so many mails, and tells all of them.
    async fn tried(&self, count: usize) -> Vec<Mail> {
        let mut tried = self.0.tried.subscribe();
        tried.wait_for(|tried| tried.len() >= count).await.unwrap().clone()
    }

    fn count(&self) -> usize {
        self.0.tried.borrow().len()
    }
}

impl Mailer for Carrier {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>> {
        self.0.tried.send_modify(|tried| tried.push(mail));
        let way = self.0.way.lock().clone();
        Box::pin(async {
            match way {
                Way::Well => Ok(()),
                Way::Fails(error) => Err(error),
                Way::Never => pending().await,
            }
        })
    }
}

fn down() -> Way {
    Way::Fails(MailError::Temporary("the server is down".to_owned()))
}

async fn start(memory: &Memory, carrier: &Carrier, clock: &DrivenClock) -> Homeserver {
    let server = Homeserver::builder("x").unwrap().clock(clock.clone()).mailer(carrier.clone());
    server.start(MemoryEngine::over(memory.clone())).await.unwrap()
}

/// A server whose mail goes so.
async fn server(way: Way) -> (Homeserver, Carrier, DrivenClock) {
    let (carrier, clock) = (Carrier::new(way), DrivenClock::default());
    (start(&Memory::default(), &carrier, &clock).await, carrier, clock)
}

struct PostOne(Letter);

impl Command for PostOne {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("test", "")
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        mail::post(tx, &self.0);
        Ok(())
    }
}

async fn post(server: &Homeserver, kind: LetterKind, session: &str) {
    let letter = Letter::new(&server.core, kind, "alice@example.com", Language::English);
    let ends = letter.posted + mail::CODE_LIFETIME_MS;
    let letter = if session.is_empty() { letter } else { letter.proving(session, ends) };
    server.core.store.write(PostOne(letter)).await.unwrap();
}

/// Waits until the queue holds letters that were tried so often, in any order.
async fn queued(server: &Homeserver, expected: &[u32]) {
    loop {
        let view = server.core.store.view().await.unwrap();
        let rows = view.scan(&MAIL_QUEUE, &(), Direction::Forward, 100).await.unwrap();
        let mut tries: Vec<_> = rows.iter().map(|(_, letter)| letter.tries).collect();
        tries.sort_unstable();
        if tries == expected {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn is_undelivered(server: &Homeserver) -> bool {
    mail::is_undelivered(&server.core.store.view().await.unwrap(), "s").await.unwrap()
}

#[tokio::test]
async fn what_is_posted_is_sent_at_once() {
    let (server, carrier, _) = server(Way::Well).await;
    post(&server, LetterKind::ProveToRegister, "s").await;
    let mails = carrier.tried(1).await;
    assert_eq!(mails[0].to, "alice@example.com");
    assert!(mails[0].text.contains(mail::code(&server.core, "s").reveal()));
    queued(&server, &[]).await;
    assert!(!is_undelivered(&server).await);
}

#[tokio::test]
async fn what_fails_is_tried_again_as_the_same_mail() {
    let (server, carrier, clock) = server(down()).await;
    post(&server, LetterKind::AddressChanged, "").await;
    for (tries, pause) in [(1, 30_000), (2, 60_000), (3, 120_000)] {
        queued(&server, &[tries]).await;
        clock.advance(pause - 1);
        post(&server, LetterKind::AlreadyKnown, "").await;
        let before = 2 * tries as usize;
        assert_eq!(carrier.tried(before).await.len(), before, "not before its time");
        forget_known(&server).await;
        clock.advance(1);
        carrier.tried(before + 1).await;
    }
    carrier.goes(Way::Well);
    queued(&server, &[4]).await;
    clock.advance(240_000);
    queued(&server, &[]).await;
    let mails = carrier.tried(8).await;
    let same = mails.iter().filter(|mail| **mail == mails[0]).count();
    assert_eq!((mails.len(), same), (8, 5));
}

/// Forgets the letters that only showed that time had passed.
async fn forget_known(server: &Homeserver) {
    loop {
        let view = server.core.store.view().await.unwrap();
        let rows = view.scan(&MAIL_QUEUE, &(), Direction::Forward, 100).await.unwrap();
        let known = |(_, letter): &&(LetterKey, LetterRow)| letter.kind == LetterKind::AlreadyKnown;
        let known: Vec<_> = rows.iter().filter(known).collect();
        if known.iter().all(|(_, letter)| letter.tries > 0) {
            let keys = known.into_iter().map(|(key, _)| *key).collect();
            server.core.store.write(mail::Forget { keys }).await.unwrap();
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_code_that_could_only_come_late_is_not_sent_and_its_session_knows() {
    let (server, carrier, clock) = server(down()).await;
    post(&server, LetterKind::ProveToReset, "s").await;
    for tries in 1..=7 {
        queued(&server, &[tries]).await;
        assert!(!is_undelivered(&server).await);
        clock.advance(120_000);
    }
    queued(&server, &[]).await;
    assert!(is_undelivered(&server).await);
    assert_eq!(carrier.count(), 8);
}

#[tokio::test]
async fn a_code_that_waited_while_the_server_was_off_is_not_sent() {
    let (memory, carrier, clock) =
        (Memory::default(), Carrier::new(down()), DrivenClock::default());
    let server = start(&memory, &carrier, &clock).await;
    post(&server, LetterKind::ProveToReset, "s").await;
    post(&server, LetterKind::AddressChanged, "").await;
    queued(&server, &[1, 1]).await;
    server.shutdown().await;
    carrier.goes(Way::Well);
    clock.advance(16 * 60_000);
    let server = start(&memory, &carrier, &clock).await;
    queued(&server, &[]).await;
    assert!(is_undelivered(&server).await);
    assert_eq!(carrier.count(), 3);
}

#[tokio::test]
async fn what_waited_is_sent_when_the_server_starts_again() {
    let (memory, carrier, clock) =
        (Memory::default(), Carrier::new(down()), DrivenClock::default());
    let server = start(&memory, &carrier, &clock).await;
    post(&server, LetterKind::ProveToReset, "s").await;
    queued(&server, &[1]).await;
    server.shutdown().await;
    carrier.goes(Way::Well);
    let server = start(&memory, &carrier, &clock).await;
    queued(&server, &[]).await;
    let mails = carrier.tried(2).await;
    assert_eq!(mails[0], mails[1]);
}

#[tokio::test]
async fn what_is_refused_for_good_is_dropped() {
    let refused = MailError::Permanent("nobody is called so".to_owned());
    let (server, carrier, _) = server(Way::Fails(refused)).await;
    post(&server, LetterKind::ProveToAdd, "s").await;
    carrier.tried(1).await;
    queued(&server, &[]).await;
    assert!(is_undelivered(&server).await);
}

#[tokio::test]
async fn few_are_on_their_way_at_once_and_none_for_ever() {
    let (server, carrier, clock) = server(Way::Never).await;
    for _ in 0..6 {
        post(&server, LetterKind::AddressChanged, "").await;
    }
    carrier.tried(4).await;
    post(&server, LetterKind::AddressChanged, "").await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(carrier.count(), 4);
    carrier.goes(Way::Well);
    clock.advance(5 * 60_000);
    queued(&server, &[1, 1, 1, 1]).await;
    assert_eq!(carrier.count(), 7);
}

#[tokio::test]
async fn the_server_stops_though_a_mail_is_on_its_way() {
    let (server, carrier, _) = server(Way::Never).await;
    post(&server, LetterKind::AddressChanged, "").await;
    carrier.tried(1).await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_clock_that_leaps_hastens_nothing_and_makes_nothing_late() {
    let (server, carrier, clock) = server(down()).await;
    post(&server, LetterKind::ProveToAdd, "s").await;
    queued(&server, &[1]).await;
    clock.set_ahead(1_000_000_000);
    clock.advance(30_000);
    queued(&server, &[2]).await;
    clock.set_ahead(0);
    carrier.goes(Way::Well);
    clock.advance(60_000);
    queued(&server, &[]).await;
    assert!(!is_undelivered(&server).await);
    assert_eq!(carrier.count(), 3);
}

#[tokio::test]
async fn a_letter_that_proves_nothing_is_sent_though_its_session_has_ended() {
    let (server, carrier, clock) = server(down()).await;
    post(&server, LetterKind::AlreadyKnown, "s").await;
    for tries in 1..=8 {
        queued(&server, &[tries]).await;
        assert_eq!(is_undelivered(&server).await, tries == 8);
        clock.advance(120_000);
    }
    carrier.goes(Way::Well);
    for _ in 0..3 {
        clock.advance(60 * 60_000);
    }
    queued(&server, &[]).await;
    assert!(is_undelivered(&server).await);
}

#[tokio::test]
async fn a_mail_says_for_how_long_its_code_is_still_good() {
    let (server, carrier, clock) = server(down()).await;
    post(&server, LetterKind::ProveToAdd, "s").await;
    queued(&server, &[1]).await;
    clock.advance(6 * 60_000);
    let mails = carrier.tried(2).await;
    assert!(mails[0].text.contains("good for 15 minutes"), "{}", mails[0].text);
    assert!(mails[1].text.contains("good for 9 minutes"), "{}", mails[1].text);
    assert_eq!(mails[0].message_id, mails[1].message_id);
}

#[tokio::test]
async fn letters_wait_where_nobody_delivers() {
    let server = Homeserver::start("x", MemoryEngine::default()).await.unwrap();
    assert!(!server.sends_mail());
    post(&server, LetterKind::AddressChanged, "").await;
    queued(&server, &[0]).await;
    server.shutdown().await;
}

#[tokio::test]
async fn of_a_removed_user_no_letter_is_left() {
    let (server, carrier, _) = server(down()).await;
    server.create_user("alice").await.unwrap();
    let alice = user(&server, "alice");
    let letter = Letter::new(&server.core, LetterKind::AddressChanged, "a@x", Language::English);
    server.core.store.write(PostOne(letter.about(alice.id()))).await.unwrap();
    post(&server, LetterKind::AlreadyKnown, "").await;
    carrier.tried(2).await;
    queued(&server, &[1, 1]).await;
    server.remove_user(alice.id()).await.unwrap();
    queued(&server, &[1]).await;
}
