//! The load generator against a server that works, and against some that do not: those get no figures.
#![allow(clippy::unwrap_used, reason = "all of this is a test, and panics when something is wrong")]

mod flaws;

use flaws::{Flaw, flawed};
use tertulia_bench::api::Registration;
use tertulia_bench::measurement;
use tertulia_bench::plan::{Load, Step};
use tertulia_bench::report::Row;
use tertulia_bench::scenario::{incremental_sync, initial_sync, lists, send};
use tertulia_bench::target::Target;
use tertulia_testkit::{Listening, TestServer};

/// Operations in a run.
const OPERATIONS: u64 = 40;

const ROOMS: send::Shape = send::Shape { rooms: 3, members: 4, syncing: 0 };
const READERS: send::Shape = send::Shape { rooms: 1, members: 6, syncing: 3 };
const GROUPS: incremental_sync::Shape = incremental_sync::Shape { groups: 2, users: 5, rooms: 2 };
const SMALL: initial_sync::Shape =
    initial_sync::Shape { users: 2, rooms: 6, members: 3, messages: 12, unread: false };

const LISTS: lists::Shape = lists::Shape { friends: 3, groups: 2, favourites: 6 };

/// A server of this flaw, and where it is found.
async fn serve(flaw: Flaw) -> (Listening, Target) {
    let server = TestServer::builder().settings(|settings| {
        settings.registration = tertulia::Registration::Open;
        settings.password_cost = tertulia::PasswordCost::LEAST;
    });
    let listening = Listening::start(flawed(server.start().await.router(), flaw)).await;
    // Of the data directory only its size is asked.
    let (url, pid, data) = (listening.url(""), std::process::id(), env!("CARGO_MANIFEST_DIR"));
    let target = format!("{flaw:?}={url},{pid},{data}").parse().unwrap();
    (listening, target)
}

async fn measure(flaw: Flaw, load: Load) -> Vec<Row> {
    let (_server, target) = serve(flaw).await;
    step(load).measure(&target.bench(Registration::Open)).await
}

fn step(load: Load) -> Step {
    Step { load, operations: OPERATIONS, runs: 2 }
}

#[track_caller]
fn check_figures(row: &Row) {
    let figures = row.figures.as_ref().unwrap_or_else(|| panic!("{row:?}"));
    assert!(figures.operations >= OPERATIONS, "{row:?}");
    assert!(figures.throughput > 0.0 && figures.p50 <= figures.p99, "{row:?}");
    assert!(figures.cpu.is_some() && row.peak_memory.is_some() && row.disk.is_some(), "{row:?}");
    assert_eq!(row.errors, 0);
}

/// The loads of a server that works have so many rows, each with figures.
async fn honest(load: Load, rows: usize) {
    let measured = measure(Flaw::None, load).await;
    assert_eq!(measured.len(), rows, "{measured:?}");
    measured.iter().for_each(check_figures);
}

/// A dishonest server has a row that says what is wrong, in these words, and no figures.
async fn dishonest(flaw: Flaw, load: Load, words: &str) {
    let measured = measure(flaw, load).await;
    let row = measured.iter().find(|row| row.figures.is_none());
    let why = row.and_then(|row| row.failure.as_ref());
    assert!(why.is_some_and(|why| why.contains(words)), "{measured:?}");
}

#[tokio::test]
async fn users_register_and_log_in() {
    honest(Load::Register, 1).await;
    honest(Load::Login(3), 1).await;
}

#[tokio::test]
async fn access_tokens_must_be_good_for_something() {
    dishonest(Flaw::GivesDeadTokens, Load::Register, "M_UNKNOWN_TOKEN").await;
    dishonest(Flaw::GivesDeadTokens, Load::Login(3), "M_UNKNOWN_TOKEN").await;
}

#[tokio::test]
async fn rooms_are_created_and_joined() {
    honest(Load::CreateAndJoin, 1).await;
    dishonest(Flaw::LosesJoins, Load::CreateAndJoin, "a user is in 0 of").await;
}

#[tokio::test]
async fn messages_are_sent_by_as_many_at_once_as_asked() {
    honest(Load::Send(ROOMS, vec![1, 4, 9]), 3).await;
}

#[tokio::test]
async fn members_whose_syncs_are_open_are_told_every_message() {
    honest(Load::Send(READERS, vec![4]), 1).await;
    dishonest(Flaw::ForgetsInSyncs, Load::Send(READERS, vec![4]), "was not told all").await;
}

#[tokio::test]
async fn a_message_that_was_lost_doubled_or_refused_spoils_the_run() {
    let check = |flaw, words| dishonest(flaw, Load::Send(ROOMS, vec![4]), words);
    check(Flaw::LosesAMessage, "1 messages are lost").await;
    check(Flaw::DoublesAMessage, "came twice or was never sent").await;
    check(Flaw::RefusesAMessage, "1 operations failed and 39 succeeded").await;
}

#[tokio::test]
async fn an_operation_that_failed_is_counted() {
    let measured = measure(Flaw::RefusesAMessage, Load::Send(ROOMS, vec![4, 4])).await;
    assert_eq!((measured[0].errors, &measured[0].figures), (1, &None));
    // By then the server refuses nothing any more.
    check_figures(&measured[1]);
}

#[tokio::test]
async fn messages_are_delivered_to_those_who_wait() {
    honest(Load::Delivery(0), 1).await;
    honest(Load::Delivery(5), 1).await;
    honest(Load::FanOut(7), 1).await;
}

#[tokio::test]
async fn those_who_wait_are_told_every_message_once() {
    for load in [Load::Delivery(0), Load::FanOut(3)] {
        dishonest(Flaw::DoublesAMessage, load.clone(), "instead of $").await;
        dishonest(Flaw::ForgetsInSyncs, load.clone(), "a sync was not told $").await;
        dishonest(Flaw::RepeatsInSyncs, load, "instead of $").await;
    }
}

#[tokio::test]
async fn syncs_tell_what_is_new() {
    honest(Load::IncrementalSync(GROUPS), 2).await;
    dishonest(
        Flaw::ForgetsInSyncs,
        Load::IncrementalSync(GROUPS),
        "a sync told [] instead of Some",
    )
    .await;
}

#[tokio::test]
async fn first_syncs_tell_every_room() {
    honest(Load::InitialSync(SMALL), 1).await;
    dishonest(Flaw::ForgetsARoom, Load::InitialSync(SMALL), "a sync told 5 of 6 rooms").await;
}

#[tokio::test]
async fn a_history_is_read_page_by_page() {
    honest(Load::Messages(250), 1).await;
    dishonest(Flaw::LosesAMessage, Load::Messages(250), "goes on with other messages").await;
    dishonest(Flaw::DoublesAMessage, Load::Messages(250), "goes on with other messages").await;
}

#[tokio::test]
async fn files_come_back_as_they_were() {
    honest(Load::Media, 2).await;
    dishonest(Flaw::SpoilsFiles, Load::Media, "came back with other bytes").await;
}

#[tokio::test]
async fn every_member_of_a_room_is_told() {
    honest(Load::Members(20), 1).await;
    dishonest(Flaw::ForgetsAMember, Load::Members(20), "19 of 20 members were told").await;
}

#[tokio::test]
async fn pages_of_lists_are_full() {
    honest(Load::Lists(LISTS), 8).await;
    let words = "5 of 6 rows were told";
    dishonest(Flaw::ForgetsAFavourite, Load::Lists(LISTS), words).await;
}

#[tokio::test]
async fn a_scenario_that_fails_leaves_the_others_their_figures() {
    let ((_one, honest), (_other, forgetful)) =
        (serve(Flaw::None).await, serve(Flaw::ForgetsAMember).await);
    let plan = [step(Load::Members(5)), step(Load::Register)];
    let targets = [honest, forgetful];
    let report = measurement::run(&plan, &targets, &Registration::Open, |_| {}).await;
    let figures: Vec<Vec<bool>> = report
        .servers
        .iter()
        .map(|server| server.rows.iter().map(|row| row.figures.is_some()).collect())
        .collect();
    assert_eq!(figures, [[true, true], [false, true]]);
    assert!(!report.is_complete());
    assert_eq!(report.servers[0].name, "None");
}
