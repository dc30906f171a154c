use ruma::OwnedEventId;
use tertulia_storage::{Direction, MemoryEngine};

use super::*;
use crate::{
    Room, Settings, Transaction,
    schema::TRANSACTIONS,
    testing::{field, public_room, user},
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
