//! Tokens for one purpose: to log in on another device, to tell a service who one is, for calls.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tertulia::{Secret, TurnServer, TurnUsers};
use tertulia_testkit::{Answered, Client, TestServer};

use crate::{
    people::{challenged, client, is_logged_in, open_server, owner, post, register},
    secrets::{PASSWORD, SHARED_SECRET, WRONG_PASSWORD},
};

const LOGIN_TOKEN: &str = "/_matrix/client/v1/login/get_token";

/// A login token, for the password.
async fn login_token(server: &TestServer, user: &Client) -> Value {
    let call = || server.call(Method::POST, LOGIN_TOKEN).token(user.token());
    let session = challenged(&call().json(json!({})).await);
    let wrong = owner(user, WRONG_PASSWORD, Some(&session));
    call().json(json!({ "auth": wrong })).await.refused(401, "M_FORBIDDEN");
    let right = owner(user, PASSWORD, Some(&session));
    call().json(json!({ "auth": right })).await.ok()
}

async fn log_in(server: &TestServer, token: &Value) -> Answered {
    post(server, "login", json!({ "type": "m.login.token", "token": token })).await
}

#[tokio::test]
async fn a_login_token_logs_in_once() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let told = login_token(&server, &alice).await;
    assert_eq!(told["expires_in_ms"], 120_000);
    let other = client(&server, &log_in(&server, &told["login_token"]).await);
    assert_eq!(other.id(), alice.id());
    assert!(is_logged_in(&other).await && is_logged_in(&alice).await);
    log_in(&server, &told["login_token"]).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_login_token_is_good_for_two_minutes() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    for (seconds, is_good) in [(119, true), (120, false)] {
        let told = login_token(&server, &alice).await;
        server.clock().advance(Duration::from_secs(seconds));
        let login = log_in(&server, &told["login_token"]).await;
        assert_eq!(login.status == 200, is_good, "after {seconds} seconds");
    }
}

#[tokio::test]
async fn a_login_token_is_asked_for_by_someone() {
    let server = open_server().await;
    let call = server.call(Method::POST, LOGIN_TOKEN).json(json!({}));
    call.await.refused(401, "M_MISSING_TOKEN");
    log_in(&server, &json!("nonsense")).await.refused(403, "M_FORBIDDEN");
}

async fn user_info(server: &TestServer, token: &str) -> Answered {
    let path = "/_matrix/federation/v1/openid/userinfo";
    server.call(Method::GET, path).query("access_token", token).await
}

#[tokio::test]
async fn an_openid_token_tells_who_one_is_for_an_hour() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let path = ["user", alice.id(), "openid", "request_token"];
    let told = alice.post(path).json(json!({})).await.ok();
    let token = told["access_token"].as_str().unwrap();
    let expected = json!({
        "access_token": token,
        "token_type": "Bearer",
        "matrix_server_name": "example.org",
        "expires_in": 3_600,
    });
    assert_eq!(told, expected);
    assert_eq!(user_info(&server, token).await.ok(), json!({ "sub": alice.id() }));
    server.clock().advance(Duration::from_secs(3_600));
    user_info(&server, token).await.refused(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn nobody_gets_an_openid_token_of_another() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let path = ["user", "@bob:example.org", "openid", "request_token"];
    alice.post(path).json(json!({})).await.refused(403, "M_FORBIDDEN");
    user_info(&server, alice.token()).await.refused(401, "M_UNKNOWN_TOKEN");
    let path = "/_matrix/federation/v1/openid/userinfo";
    server.call(Method::GET, path).await.refused(400, "M_MISSING_PARAM");
}

async fn turn(users: Option<TurnUsers>) -> Value {
    let server = TestServer::builder().settings(|settings| {
        let uris = vec!["turn:turn.example.org?transport=udp".to_owned()];
        let lifetime = Duration::from_secs(3_600);
        settings.turn = users.map(|users| TurnServer { uris, users, lifetime });
    });
    let server = server.start().await;
    let alice = server.user("alice").await;
    alice.get(["voip", "turnServer"]).await.ok()
}

#[tokio::test]
async fn calls_find_the_turn_server_if_there_is_one() {
    assert_eq!(turn(None).await, json!({}));
    let uris = json!(["turn:turn.example.org?transport=udp"]);
    let (username, password) = ("all".to_owned(), Secret::new(PASSWORD));
    let expected = json!({ "username": "all", "password": PASSWORD, "uris": uris, "ttl": 3_600 });
    assert_eq!(turn(Some(TurnUsers::One { username, password })).await, expected);
    let told = turn(Some(TurnUsers::Shared(Secret::new(SHARED_SECRET)))).await;
    let (until, user) = told["username"].as_str().unwrap().split_once(':').unwrap();
    assert!(until.parse::<u64>().is_ok());
    assert_eq!((user, &told["uris"], &told["ttl"]), ("@alice:example.org", &uris, &json!(3_600)));
    assert_eq!(told["password"].as_str().unwrap().len(), 28);
}

#[tokio::test]
async fn calls_of_many_find_what_carries_them() {
    const PATHS: [&str; 2] = [
        "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports",
        "/_matrix/client/v1/rtc/transports",
    ];
    let livekit = json!({ "type": "livekit", "livekit_service_url": "https://l.example.org" });
    for transports in [vec![], vec![livekit, json!({ "type": "org.example.other" })]] {
        let configured = transports.clone();
        let server = TestServer::builder().settings(move |settings| {
            let objects = configured.iter().map(|object| object.as_object().unwrap().clone());
            settings.rtc_transports = objects.collect();
        });
        let server = server.start().await;
        let alice = server.user("alice").await;
        for path in PATHS {
            let told = alice.get(path).await.ok();
            assert_eq!(told, json!({ "rtc_transports": transports }));
            server.call(Method::GET, path).await.refused(401, "M_MISSING_TOKEN");
            alice.post(path).json(json!({})).await.refused(405, "M_UNRECOGNIZED");
        }
    }
}
