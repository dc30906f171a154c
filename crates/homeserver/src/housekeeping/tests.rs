use ruma::OwnedEventId;
use tertulia_storage::{Direction, MemoryEngine};

use super::*;
use crate::{
    Label, NewAccount, NewDevice, Room, Settings, Transaction, User,
    mail::{self, Letter, LetterKind},
    schema::{
        EXPIRING_TOKENS, MAIL_QUEUE, MEDIA_USE, PENDING_MEDIA, REFRESH_TOKENS, TRANSACTIONS,
        UNDELIVERED_MAIL,
    },
    testing::{DrivenClock, field, public_room, user},
};

/// A server that keeps house only when it is told to.
async fn start_on(engine: impl tertulia_storage::Engine) -> Homeserver {
    let settings = Settings { housekeeping: false, ..Settings::default() };
    let server = Homeserver::builder("x").unwrap().settings(settings);
    server.start(engine).await.unwrap()
}

async fn server() -> Homeserver {
    start_on(MemoryEngine::default()).await
}

async fn live_for(server: &Homeserver, hours: usize) {
    for _ in 0..hours {
        server.keep_house().await.unwrap();
    }
}

/// Sends as transaction `id`; again if it was not yet, or has been forgotten.
async fn send(room: &Room, id: &str) -> OwnedEventId {
    let transaction = Transaction { device: "D".into(), id: id.into() };
    let content = field("body", "said");
    room.send("m.room.message".into(), content, Some(transaction)).await.unwrap()
}

/// How many transactions are remembered.
async fn remembered(server: &Homeserver) -> usize {
    let view = server.core.store.view().await.unwrap();
    view.scan(&TRANSACTIONS, &(), Direction::Forward, usize::MAX).await.unwrap().len()
}

#[tokio::test]
async fn a_transaction_is_remembered_for_a_day_and_then_forgotten() {
    let server = server().await;
    let room = public_room(&user(&server, "a"), "12").await;
    let first = send(&room, "1").await;
    live_for(&server, 24).await;
    assert_eq!(send(&room, "1").await, first);
    let later = send(&room, "2").await;
    live_for(&server, 1).await;
    assert_eq!(remembered(&server).await, 1, "one is old and one is not");
    assert_eq!(send(&room, "2").await, later);
    assert_ne!(send(&room, "1").await, first);
    live_for(&server, 31).await;
    assert_eq!(remembered(&server).await, 0);
}

#[tokio::test]
async fn a_page_is_bounded_and_the_next_one_goes_on() {
    let server = server().await;
    let alice = user(&server, "a");
    let rooms = [public_room(&alice, "12").await, public_room(&alice, "11").await];
    for n in 0..210 {
        for room in &rooms {
            send(room, &n.to_string()).await;
        }
    }
    let up_to = server.core.store.settled();
    let next = transactions::page(server.core.clone(), Page { up_to, from: None }).await.unwrap();
    assert_eq!(remembered(&server).await, 20, "400 are gone");
    assert!(next.is_some());
    let last = transactions::page(server.core.clone(), Page { up_to, from: next }).await.unwrap();
    assert_eq!((remembered(&server).await, last), (0, None));
}

#[tokio::test]
async fn what_is_kept_is_passed_by() {
    let server = server().await;
    let room = public_room(&user(&server, "a"), "12").await;
    send(&room, "1").await;
    let page = Page { up_to: Position::ZERO, from: None };
    assert_eq!(transactions::page(server.core.clone(), page).await.unwrap(), None);
    assert_eq!(remembered(&server).await, 1);
}

#[tokio::test]
async fn a_job_that_was_interrupted_goes_on_where_it_was() {
    let server = server().await;
    let room = public_room(&user(&server, "a"), "12").await;
    send(&room, "1").await;
    send(&room, "2").await;
    live_for(&server, 25).await;
    send(&room, "3").await;
    // As if it had stopped behind the first of the rows that there are in the next hour.
    live_for(&server, 24).await;
    send(&room, "4").await;
    let view = server.core.store.view().await.unwrap();
    let rows = view.scan(&TRANSACTIONS, &(), Direction::Forward, 1).await.unwrap();
    let cursor = tertulia_storage::Key::encode(&rows[0].0).into();
    let note = NoteCursor { job: "transactions", cursor: Some(cursor) };
    server.core.store.write(note).await.unwrap();
    let before = remembered(&server).await;
    // No round begins in this hour.
    live_for(&server, 1).await;
    let view = server.core.store.view().await.unwrap();
    let cursor = view.get(&JOB_CURSORS, &("transactions".to_owned(),)).await.unwrap();
    assert_eq!(
        (remembered(&server).await, cursor),
        (before, None),
        "what lay before was not seen again"
    );
}

#[tokio::test]
async fn a_restart_makes_nothing_older_or_younger() {
    let engine = MemoryEngine::default();
    let memory = engine.memory().clone();
    let server = start_on(engine).await;
    let room = public_room(&user(&server, "a"), "12").await;
    let first = send(&room, "1").await;
    live_for(&server, 12).await;
    server.shutdown().await;
    let server = start_on(MemoryEngine::over(memory.reopen())).await;
    let room = user(&server, "a").room(room.id());
    live_for(&server, 12).await;
    assert_eq!(send(&room, "1").await, first);
    live_for(&server, 1).await;
    assert_eq!(remembered(&server).await, 0);
}

#[tokio::test]
async fn hours_are_bounded() {
    let server = server().await;
    live_for(&server, 200).await;
    let view = server.core.store.view().await.unwrap();
    let hours = view.scan(&HOURS, &(), Direction::Forward, usize::MAX).await.unwrap();
    assert_eq!(hours.len() as u64, REMEMBERED + 1);
    assert_eq!(hours.last().map(|(key, _)| key.0), Some(199));
    assert!(JOBS.iter().all(|job| job.keep <= REMEMBERED));
}

const HOUR_MS: u64 = 60 * 60_000;

/// A server whose clock a test moves, and who has an account there.
async fn driven() -> (Homeserver, DrivenClock, Vec<User>) {
    let clock = DrivenClock::default();
    let settings = Settings { housekeeping: false, ..Settings::default() };
    let builder = Homeserver::builder("x").unwrap().settings(settings).clock(clock.clone());
    let server = builder.start(MemoryEngine::default()).await.unwrap();
    let mut users = Vec::new();
    for name in ["alice", "bob"] {
        users.push(server.create_user(name).await.unwrap());
    }
    (server, clock, users)
}

/// Lets hours pass, in each of which the server keeps house.
async fn pass(server: &Homeserver, clock: &DrivenClock, hours: u64) {
    for _ in 0..hours {
        clock.advance(HOUR_MS);
        server.keep_house().await.unwrap();
    }
}

/// How many rows there are of what expires by the clock: login and OpenID tokens, and URIs that wait.
async fn expiring(server: &Homeserver) -> [usize; 3] {
    let view = server.core.store.view().await.unwrap();
    let all = (Direction::Forward, usize::MAX);
    [
        view.scan(&LOGIN_TOKENS, &(), all.0, all.1).await.unwrap().len(),
        view.scan(&OPENID_TOKENS, &(), all.0, all.1).await.unwrap().len(),
        view.scan(&PENDING_MEDIA, &(), all.0, all.1).await.unwrap().len(),
    ]
}

/// How many URIs are counted as waiting for their files.
async fn counted(server: &Homeserver, user: &User) -> usize {
    let view = server.core.store.view().await.unwrap();
    let usage = view.get(&MEDIA_USE, &(user.id.clone(),)).await.unwrap();
    usage.unwrap_or_default().pending.len()
}

/// Everybody gets one of each.
async fn give_all(users: &[User]) {
    for user in users {
        user.login_token().await.unwrap();
        user.openid_token().await.unwrap();
        user.reserve_media().await.unwrap();
    }
}

#[tokio::test]
async fn what_nobody_came_for_is_forgotten_a_day_after_its_end() {
    let (server, clock, users) = driven().await;
    give_all(&users).await;
    pass(&server, &clock, 24).await;
    assert_eq!(expiring(&server).await, [2, 2, 2], "it has ended, but not for long");
    give_all(&users[..1]).await;
    pass(&server, &clock, 1).await;
    assert_eq!(expiring(&server).await[0], 1, "a login token is good for two minutes");
    pass(&server, &clock, 23).await;
    assert_eq!(expiring(&server).await, [1, 1, 1], "a URI waits for a day");
    assert_eq!((counted(&server, &users[0]).await, counted(&server, &users[1]).await), (1, 0));
    pass(&server, &clock, 25).await;
    assert_eq!(expiring(&server).await, [0, 0, 0]);
    assert_eq!(counted(&server, &users[0]).await, 0);
}

#[tokio::test]
async fn a_clock_that_was_set_forward_ends_nothing() {
    let (server, clock, users) = driven().await;
    give_all(&users).await;
    clock.set_ahead(1_000 * HOUR_MS);
    server.keep_house().await.unwrap();
    clock.set_ahead(0);
    assert_eq!(expiring(&server).await, [2, 2, 2]);
}

#[tokio::test]
async fn a_file_that_comes_late_finds_its_uri_for_a_day() {
    let (server, clock, users) = driven().await;
    let reserved = users[0].reserve_media().await.unwrap();
    let (name, id) = reserved.uri.parts().unwrap();
    clock.advance(24 * HOUR_MS - 1);
    let upload = users[0].upload_to(name, id, Label::default()).await.unwrap();
    // It began in time, and takes its time.
    pass(&server, &clock, 23).await;
    upload.finish().await.unwrap();
    assert_eq!((expiring(&server).await[2], counted(&server, &users[0]).await), (0, 0));
}

#[tokio::test]
async fn pages_of_passes_and_uris_go_on_where_the_last_one_ended() {
    let (server, clock, _) = driven().await;
    let mut users = Vec::new();
    for n in 0..30 {
        users.push(server.create_user(format!("u{n}").as_str()).await.unwrap());
    }
    for user in &users {
        for _ in 0..16 {
            user.login_token().await.unwrap();
            user.reserve_media().await.unwrap();
        }
    }
    clock.advance(49 * HOUR_MS);
    let page = |from| Page { up_to: Position::ZERO, from };
    let core = || server.core.clone();
    let tokens = passes::page(core(), page(None), &LOGIN_TOKENS).await.unwrap();
    let uris = uploads::page(core(), page(None)).await.unwrap();
    assert_eq!(expiring(&server).await, [80, 0, 80], "400 of each are gone");
    assert!(tokens.is_some() && uris.is_some());
    let tokens = passes::page(core(), page(tokens), &LOGIN_TOKENS).await.unwrap();
    let uris = uploads::page(core(), page(uris)).await.unwrap();
    assert_eq!((tokens, uris), (None, None));
    assert_eq!(expiring(&server).await, [0, 0, 0]);
    assert_eq!(counted(&server, &users[7]).await, 0);
}

#[tokio::test]
async fn the_end_of_a_session_leaves_no_token_of_it() {
    let (server, ..) = driven().await;
    let device = NewDevice { renewable: true, ..NewDevice::default() };
    let guest = NewAccount { guest: true, device, ..NewAccount::default() };
    let (session, token) = server.register(guest).await.unwrap();
    server.refresh(token.renewal().unwrap().refresh_token.reveal()).await.unwrap();
    session.logout().await.unwrap();
    let view = server.core.store.view().await.unwrap();
    let own = (session.id().to_owned(),);
    let all = Direction::Forward;
    assert!(view.scan(&EXPIRING_TOKENS, &own, all, 9).await.unwrap().is_empty());
    assert!(view.scan(&REFRESH_TOKENS, &own, all, 9).await.unwrap().is_empty());
}

/// Posts a letter that nobody sends, and notes that the mail of a session came to nothing.
struct PostInVain(Letter);

impl Command for PostInVain {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("test", "")
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        mail::post(tx, &self.0);
        let until = self.0.posted + mail::CODE_LIFETIME_MS;
        tx.put(&UNDELIVERED_MAIL, &("session".to_owned(),), &(until,));
        Ok(())
    }
}

#[tokio::test]
async fn mail_that_nobody_sends_is_forgotten_after_a_week() {
    let (server, clock, _) = driven().await;
    let language = mail::Language::English;
    let letter = Letter::new(&server.core, LetterKind::AddressChanged, "a@x", language);
    server.core.store.write(PostInVain(letter)).await.unwrap();
    let left = async || {
        let (view, all) = (server.core.store.view().await.unwrap(), Direction::Forward);
        let letters = view.scan(&MAIL_QUEUE, &(), all, 9).await.unwrap().len();
        (letters, view.scan(&UNDELIVERED_MAIL, &(), all, 9).await.unwrap().len())
    };
    pass(&server, &clock, 24).await;
    assert_eq!(left().await, (1, 1));
    pass(&server, &clock, 2).await;
    assert_eq!(left().await, (1, 0));
    pass(&server, &clock, 6 * 24).await;
    assert_eq!(left().await, (1, 0));
    pass(&server, &clock, 2 * 24).await;
    assert_eq!(left().await, (0, 0));
}
