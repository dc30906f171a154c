//! The load generator against a server that works, and against some that do not: those get no figures.
#![allow(clippy::unwrap_used, reason = "all of this is a test, and panics when something is wrong")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tertulia_bench::api::Registration;
use tertulia_bench::client::Client;
use tertulia_bench::crowd::Recruiter;
use tertulia_bench::measure::Figures;
use tertulia_bench::process::Process;
use tertulia_bench::scenario::incremental_sync::{self, IncrementalSync, News};
use tertulia_bench::scenario::initial_sync::{self, InitialSync};
use tertulia_bench::scenario::send::{self, Send};
use tertulia_bench::scenario::{Bench, Scenario};
use tertulia_testkit::{Listening, TestServer};

/// Which message a dishonest server is dishonest about.
const VICTIM: u32 = 7;
/// Operations in a run.
const OPERATIONS: u64 = 40;

const ROOMS: send::Shape = send::Shape { senders: 4, rooms: 3, members: 4, syncing: 0 };
const READERS: send::Shape = send::Shape { senders: 4, rooms: 1, members: 6, syncing: 3 };
const GROUPS: incremental_sync::Shape = incremental_sync::Shape { groups: 2, users: 5, rooms: 2 };
const SMALL: initial_sync::Shape =
    initial_sync::Shape { users: 2, rooms: 6, members: 3, messages: 12 };

/// What a server does to a request before, or instead of, what it should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    LosesAMessage,
    DoublesAMessage,
    RefusesAMessage,
    ForgetsInSyncs,
}

/// A server of this flaw, and a bench that is pointed at it.
async fn bench(flaw: Flaw) -> (Listening, Bench) {
    let count = Arc::new(AtomicU32::new(0));
    let spoil = move |request, next| spoil(flaw, count.clone(), request, next);
    let server = TestServer::builder().settings(|settings| {
        settings.registration = tertulia::Registration::Open;
        settings.password_cost = tertulia::PasswordCost::LEAST;
    });
    // Around all routes, so that a changed path is routed again.
    let honest = server.start().await.router();
    let router = Router::new().fallback_service(honest).layer(from_fn(spoil));
    let listening = Listening::start(router).await;
    let recruiter = Recruiter::new(Client::new(&listening.url("")), Registration::Open);
    let process = Some(Process::new(std::process::id()));
    (listening, Bench { recruiter, process, operations: OPERATIONS, runs: 2 })
}

async fn spoil(flaw: Flaw, count: Arc<AtomicU32>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_sync = path.ends_with("/sync");
    // A first sync tells the truth: the scenarios take their token from it.
    let goes_on = request.uri().query().is_some_and(|query| query.contains("since="));
    let is_victim = path.contains("/send/") && count.fetch_add(1, Ordering::Relaxed) == VICTIM;
    match flaw {
        Flaw::LosesAMessage if is_victim => r#"{"event_id":"$lost"}"#.into_response(),
        Flaw::DoublesAMessage if is_victim => double(request, next).await,
        Flaw::RefusesAMessage if is_victim => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Flaw::ForgetsInSyncs if is_sync && goes_on => r#"{"next_batch":"t"}"#.into_response(),
        _ => next.run(request).await,
    }
}

/// Sends the message under another transaction ID as well.
async fn double(request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let again = Request::from_parts(head.clone(), Body::from(body.clone()));
    head.uri = format!("{}-again", head.uri).parse().unwrap();
    next.clone().run(Request::from_parts(head, Body::from(body))).await;
    next.run(again).await
}

async fn measure(
    bench: &Bench,
    scenario: anyhow::Result<impl Scenario>,
) -> anyhow::Result<Figures> {
    bench.measure(&mut scenario?).await
}

#[track_caller]
fn check_figures(figures: &Figures) {
    assert!(figures.operations >= OPERATIONS, "{figures:?}");
    assert!(figures.throughput > 0.0 && figures.p50 <= figures.p99, "{figures:?}");
    assert!(figures.cpu.is_some(), "{figures:?}");
}

#[track_caller]
fn check_failure(outcome: anyhow::Result<Figures>, words: &str) {
    let error = format!("{:#}", outcome.unwrap_err());
    assert!(error.contains(words), "{error}");
}

#[tokio::test]
async fn every_scenario_has_figures_at_a_server_that_works() {
    let (_server, bench) = bench(Flaw::None).await;
    check_figures(&measure(&bench, Send::prepare(&bench, ROOMS).await).await.unwrap());
    for news in [News::OneEvent, News::Nothing] {
        let scenario = IncrementalSync::prepare(&bench, news, GROUPS).await;
        check_figures(&measure(&bench, scenario).await.unwrap());
    }
    check_figures(&measure(&bench, InitialSync::prepare(&bench, SMALL).await).await.unwrap());
}

#[tokio::test]
async fn members_whose_syncs_are_open_are_told_every_message() {
    let (_server, bench) = bench(Flaw::None).await;
    check_figures(&measure(&bench, Send::prepare(&bench, READERS).await).await.unwrap());
}

#[tokio::test]
async fn a_server_that_loses_a_message_has_no_figures() {
    let (_server, bench) = bench(Flaw::LosesAMessage).await;
    let outcome = measure(&bench, Send::prepare(&bench, ROOMS).await).await;
    check_failure(outcome, "1 messages are lost");
}

#[tokio::test]
async fn a_server_that_doubles_a_message_has_no_figures() {
    let (_server, bench) = bench(Flaw::DoublesAMessage).await;
    let outcome = measure(&bench, Send::prepare(&bench, ROOMS).await).await;
    check_failure(outcome, "came twice or was never sent");
}

#[tokio::test]
async fn a_server_that_refuses_a_message_has_no_figures() {
    let (_server, bench) = bench(Flaw::RefusesAMessage).await;
    let outcome = measure(&bench, Send::prepare(&bench, ROOMS).await).await;
    check_failure(outcome, "1 operations failed and 39 succeeded");
}

#[tokio::test]
async fn a_server_whose_syncs_forget_a_message_has_no_figures() {
    let (_server, bench) = bench(Flaw::ForgetsInSyncs).await;
    let scenario = IncrementalSync::prepare(&bench, News::OneEvent, GROUPS).await;
    check_failure(measure(&bench, scenario).await, "a sync told [] instead of Some");
}
