//! How often one may do something.

use std::{task::Poll, time::Duration};

use futures_util::{FutureExt as _, future::join_all, poll};
use http::Method;
use serde_json::json;
use tertulia_http::{Rate, RateLimits};
use tertulia_testkit::{Answered, Call, Client, TestServer};

use crate::{
    people::{log_in, open_server, register},
    secrets::{PASSWORD, WRONG_PASSWORD},
};

/// A server where everything may be done once.
async fn once() -> TestServer {
    let rate = Some(Rate::new(1, 0.001));
    let mut limits = RateLimits::off();
    limits.message = rate;
    limits.join = rate;
    limits.room_creation = rate;
    limits.profile = rate;
    limits.download = rate;
    limits.search = rate;
    limits.other = rate;
    TestServer::builder().options(|options| options.rate_limits = limits).start().await
}

/// How long a refused request says that one should wait.
#[track_caller]
fn wait(answer: &Answered) -> Duration {
    let told = answer.refused(429, "M_LIMIT_EXCEEDED");
    let wait = Duration::from_millis(told["retry_after_ms"].as_u64().unwrap());
    let header: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(Duration::from_secs(header) >= wait);
    wait
}

async fn check(name: &str, call: impl Fn(&Client) -> Call, client: &Client) {
    assert_ne!(call(client).await.status, 429, "{name}: the first");
    wait(&call(client).await);
}

#[tokio::test]
async fn each_action_has_its_limit() {
    let server = once().await;
    let alice = server.user("alice").await;
    let room = "!r:example.org";
    check("creation", |c| c.post(["createRoom"]).json(json!({})), &alice).await;
    check("messages", |c| c.put(["rooms", room, "send", "m.x", "t"]).json(json!({})), &alice).await;
    check("joins", |c| c.post(["join", room]), &alice).await;
    let (name, me) = (json!({ "displayname": "A" }), alice.id());
    check("names", |c| c.put(["profile", me, "displayname"]).json(name.clone()), &alice).await;
    let file = "/_matrix/client/v1/media/download/example.org/unknown";
    check("downloads", |c| c.get(file), &alice).await;
    check("searches", |c| c.post(["publicRooms"]).json(json!({})), &alice).await;
    check("others", |c| c.get(["account", "whoami"]), &alice).await;
}

#[tokio::test]
async fn what_the_specification_marks_is_limited_for_those_who_have_no_account_too() {
    let server = once().await;
    let login = || server.call(Method::GET, ["login"]);
    login().await.ok();
    login().await.refused(429, "M_LIMIT_EXCEEDED");
    // It does not say so of this.
    for _ in 0..5 {
        server.call(Method::GET, "/_matrix/client/versions").await.ok();
    }
}

#[tokio::test]
async fn usual_limits_are_not_in_the_way_of_people() {
    let server = TestServer::builder();
    let server =
        server.options(|options| options.rate_limits = RateLimits::default()).start().await;
    let alice = server.user("alice").await;
    let room = alice.create_public_room().await;
    for _ in 0..20 {
        alice.send(&room, "hello").await;
        alice.post(["rooms", &room, "read_markers"]).json(json!({})).await.ok();
        let typing = json!({ "typing": true, "timeout": 1_000 });
        alice.put(["rooms", &room, "typing", alice.id()]).json(typing).await.ok();
        alice.sync(None).await;
    }
}

#[tokio::test]
async fn actions_of_one_kind_share_a_limit() {
    let server = once().await;
    let alice = server.user("alice").await;
    let room = "!r:example.org";
    alice.post(["rooms", room, "join"]).await.refused(404, "M_NOT_FOUND");
    alice.post(["join", room]).await.refused(429, "M_LIMIT_EXCEEDED");
    alice.put(["rooms", room, "send", "m.x", "t"]).json(json!({})).await;
    let state = alice.put(["rooms", room, "state", "m.x", ""]).json(json!({})).await;
    state.refused(429, "M_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn one_user_does_not_use_up_what_is_anothers() {
    let server = once().await;
    for name in ["alice", "bob"] {
        let user = server.user(name).await;
        assert_eq!(user.post(["createRoom"]).json(json!({})).await.status, 200);
        assert_eq!(user.post(["createRoom"]).json(json!({})).await.status, 429);
    }
}

#[tokio::test]
async fn reading_is_not_limited() {
    let server = once().await;
    let alice = server.user("alice").await;
    for _ in 0..50 {
        alice.get(["joined_rooms"]).await.ok();
    }
}

#[tokio::test]
async fn passwords_are_not_guessed_at_faster_where_a_page_asks_for_them() {
    let mut limits = RateLimits::off();
    limits.login = Some(Rate::new(1, 0.001));
    let server = TestServer::builder().options(|options| options.rate_limits = limits);
    let server = server.start().await;
    let page = "/_matrix/client/v3/auth/m.login.password/fallback/web";
    let form = json!({ "session": "none", "user": "alice", "password": WRONG_PASSWORD });
    let guess = || server.call(Method::POST, page).json(form.clone());
    assert_ne!(guess().await.status, 429);
    wait(&guess().await);
}

/// Nobody gives back the place of their password, and no login goes on, before it is polled again. So it is not
/// by chance that the places run out, and whoever waited for one of these logins would wait for ever.
#[tokio::test]
async fn a_hundred_logins_hold_up_no_other_request() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let (mut waiting, mut sent_away) = (Vec::new(), Vec::new());
    while sent_away.is_empty() || waiting.len() + sent_away.len() < 100 {
        let mut login = log_in(&server, "alice", PASSWORD).boxed();
        match poll!(&mut login) {
            Poll::Ready(answer) => sent_away.push(answer),
            Poll::Pending => waiting.push(login),
        }
    }
    assert!(waiting.len() >= 66, "two are looked at, and 64 wait");
    assert!(sent_away.iter().all(|answer| wait(answer) > Duration::ZERO));
    server.call(Method::GET, "/_matrix/client/versions").await.ok();
    alice.get(["sync"]).await.ok();
    join_all(waiting).await.iter().for_each(|login| drop(login.ok()));
    // Those who were sent away find a place now.
    log_in(&server, "alice", PASSWORD).await.ok();
}
