//! Making accounts.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tertulia::{PasswordCost, Registration, Secret};
use tertulia_testkit::TestServer;

use crate::{
    people::{client, get, is_logged_in, log_in, open_server, post, register, server_where},
    secrets::{PASSWORD, REGISTRATION_TOKEN},
};

fn dummy(name: &str) -> Value {
    json!({ "auth": { "type": "m.login.dummy" }, "username": name, "password": PASSWORD })
}

async fn token_server() -> TestServer {
    server_where(Registration::Tokens(vec![Secret::new(REGISTRATION_TOKEN)])).await
}

#[tokio::test]
async fn a_dummy_without_a_session_registers_at_once() {
    let server = open_server().await;
    let answer = post(&server, "register", dummy("alice")).await.ok();
    assert_eq!(answer["user_id"], "@alice:example.org");
    assert!(answer["device_id"].is_string());
    assert!(answer["access_token"].is_string());
    assert_eq!(answer.get("refresh_token"), None);
    log_in(&server, "alice", PASSWORD).await.ok();
}

#[tokio::test]
async fn who_does_not_know_the_flows_is_told_them() {
    let server = open_server().await;
    let mut body = json!({ "username": "alice", "password": PASSWORD });
    let challenge = post(&server, "register", body.clone()).await;
    assert_eq!(challenge.status, 401);
    let told = challenge.json();
    let with_address = json!({ "stages": ["m.login.email.identity"] });
    assert_eq!(told["flows"], json!([{ "stages": ["m.login.dummy"] }, with_address]));
    assert_eq!((&told["params"], told.get("errcode")), (&json!({}), None));
    body["auth"] = json!({ "type": "m.login.dummy", "session": told["session"] });
    let alice = client(&server, &post(&server, "register", body).await);
    assert!(is_logged_in(&alice).await);
}

#[tokio::test]
async fn the_flows_may_be_asked_for_before_the_name_is_chosen() {
    let server = open_server().await;
    let told = post(&server, "register", json!({})).await.json();
    let mut body = dummy("alice");
    body["auth"]["session"] = told["session"].clone();
    post(&server, "register", body).await.ok();
}

#[tokio::test]
async fn the_old_path_serves_as_well() {
    let server = open_server().await;
    let call = server.call(http::Method::POST, "/_matrix/client/r0/register");
    call.json(dummy("alice")).await.ok();
}

#[tokio::test]
async fn the_device_is_the_one_asked_for() {
    let server = open_server().await;
    let mut body = dummy("alice");
    body["device_id"] = json!("PHONE");
    body["initial_device_display_name"] = json!("my phone");
    let alice = client(&server, &post(&server, "register", body).await);
    assert_eq!(alice.device(), "PHONE");
    let device = alice.get(["devices", "PHONE"]).await.ok();
    assert_eq!(device["display_name"], "my phone");
}

#[tokio::test]
async fn one_may_register_without_logging_in() {
    let server = open_server().await;
    let mut body = dummy("alice");
    body["inhibit_login"] = json!(true);
    let answer = post(&server, "register", body).await.ok();
    assert_eq!(answer, json!({ "user_id": "@alice:example.org" }));
    let alice = client(&server, &log_in(&server, "alice", PASSWORD).await);
    let devices = alice.get(["devices"]).await.ok();
    assert_eq!(devices["devices"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_gives_no_name_gets_one() {
    let server = open_server().await;
    let body = json!({ "auth": { "type": "m.login.dummy" }, "password": PASSWORD });
    let first = client(&server, &post(&server, "register", body.clone()).await);
    let second = client(&server, &post(&server, "register", body).await);
    assert_ne!(first.id(), second.id());
}

#[tokio::test]
async fn capitals_become_small() {
    let server = open_server().await;
    let answer = post(&server, "register", dummy("User-UPPER")).await.ok();
    assert_eq!(answer["user_id"], "@user-upper:example.org");
    post(&server, "register", dummy("USER-upper")).await.refused(400, "M_USER_IN_USE");
}

#[tokio::test]
async fn names_are_checked_before_anything_is_proved() {
    let server = open_server().await;
    register(&server, "alice").await;
    for (name, code) in [
        ("alice", "M_USER_IN_USE"),
        ("", "M_INVALID_USERNAME"),
        ("@bob:example.org", "M_INVALID_USERNAME"),
        ("b ob", "M_INVALID_USERNAME"),
        ("bób", "M_INVALID_USERNAME"),
    ] {
        let unproved = json!({ "username": name, "password": PASSWORD });
        post(&server, "register", unproved).await.refused(400, code);
        post(&server, "register", dummy(name)).await.refused(400, code);
    }
}

#[tokio::test]
async fn of_64_who_want_a_name_one_gets_it() {
    let server = open_server().await;
    let callers = (0..64).map(|_| post(&server, "register", dummy("alice")).into_future());
    let answers = join_all(callers).await;
    let (won, lost): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1);
    for answer in lost {
        answer.refused(400, "M_USER_IN_USE");
    }
    assert!(is_logged_in(&client(&server, &won[0])).await);
}

#[tokio::test]
async fn how_long_a_password_is_at_least_is_the_operators_choice() {
    let server = TestServer::builder().settings(|settings| {
        settings.registration = Registration::Open;
        settings.password_cost = PasswordCost::LEAST;
        settings.min_password_length = 3;
    });
    let server = server.start().await;
    let with = |password: &str| {
        let mut body = dummy("alice");
        body["password"] = json!(password);
        post(&server, "register", body)
    };
    with("to").await.refused(400, "M_WEAK_PASSWORD");
    with("tre").await.ok();
}

#[tokio::test]
async fn weak_passwords_and_long_devices_are_refused() {
    let server = open_server().await;
    for (key, value, code) in [
        ("password", String::new(), "M_WEAK_PASSWORD"),
        ("password", "seven77".to_owned(), "M_WEAK_PASSWORD"),
        ("password", "x".repeat(513), "M_WEAK_PASSWORD"),
        ("device_id", "x".repeat(256), "M_INVALID_PARAM"),
        ("initial_device_display_name", "x".repeat(256), "M_INVALID_PARAM"),
    ] {
        let mut body = dummy("alice");
        body[key] = json!(value);
        post(&server, "register", body).await.refused(400, code);
    }
    assert!(get(&server, "register/available?username=alice").await.ok()["available"] == true);
}

#[tokio::test]
async fn passwords_may_hold_anything() {
    let server = open_server().await;
    let password = "übermäßig 🔑\u{0}\n\"";
    let mut body = dummy("alice");
    body["password"] = json!(password);
    post(&server, "register", body).await.ok();
    log_in(&server, "alice", password).await.ok();
}

#[tokio::test]
async fn there_are_no_guests() {
    let server = open_server().await;
    let guest = post(&server, "register?kind=guest", json!({})).await;
    guest.refused(403, "M_GUEST_ACCESS_FORBIDDEN");
    post(&server, "register?kind=user", dummy("alice")).await.ok();
}

#[tokio::test]
async fn a_closed_server_registers_nobody() {
    let server = server_where(Registration::Closed).await;
    post(&server, "register", json!({})).await.refused(403, "M_FORBIDDEN");
    post(&server, "register", dummy("alice")).await.refused(403, "M_FORBIDDEN");
    let validity = "/_matrix/client/v1/register/m.login.registration_token/validity?token=x";
    server.call(http::Method::GET, validity).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_word_may_be_asked_for() {
    let server = token_server().await;
    let mut body = json!({ "username": "alice", "password": PASSWORD });
    let told = post(&server, "register", body.clone()).await.json();
    let with_address =
        json!({ "stages": ["m.login.email.identity", "m.login.registration_token"] });
    let alone = json!({ "stages": ["m.login.registration_token"] });
    assert_eq!(told["flows"], json!([alone, with_address]));
    for auth in [
        json!({ "type": "m.login.dummy" }),
        json!({ "type": "m.login.registration_token", "token": "guess" }),
        json!({ "type": "m.login.registration_token" }),
        json!({ "type": "m.login.unheard_of" }),
    ] {
        body["auth"] = auth;
        body["auth"]["session"] = told["session"].clone();
        let refused = post(&server, "register", body.clone()).await.refused(401, "M_FORBIDDEN");
        assert_eq!(refused["session"], told["session"], "one may try again");
        assert_eq!(refused["flows"], told["flows"]);
    }
    body["auth"] = json!({
        "type": "m.login.registration_token",
        "token": REGISTRATION_TOKEN,
        "session": told["session"],
    });
    post(&server, "register", body).await.ok();
}

#[tokio::test]
async fn a_word_can_be_tried_beforehand() {
    let server = token_server().await;
    for (token, valid) in [(REGISTRATION_TOKEN, true), ("guess", false), ("", false)] {
        let path = "/_matrix/client/v1/register/m.login.registration_token/validity";
        let answer = server.call(http::Method::GET, path).query("token", token).await;
        assert_eq!(answer.ok(), json!({ "valid": valid }), "{token}");
    }
}

#[tokio::test]
async fn a_name_can_be_tried_beforehand() {
    let server = open_server().await;
    register(&server, "alice").await;
    let available = |name: &str| get(&server, "register/available").query("username", name);
    assert_eq!(available("bob").await.ok(), json!({ "available": true }));
    available("alice").await.refused(400, "M_USER_IN_USE");
    available("Alice").await.refused(400, "M_USER_IN_USE");
    available("a:b").await.refused(400, "M_INVALID_USERNAME");
    get(&server, "register/available").await.refused(400, "M_MISSING_PARAM");
}

#[tokio::test]
async fn nonsense_is_refused() {
    let server = open_server().await;
    for (body, code) in [
        (json!({ "username": 7 }), "M_BAD_JSON"),
        (json!({ "auth": "dummy" }), "M_BAD_JSON"),
        (json!({ "auth": { "type": 7 } }), "M_BAD_JSON"),
        (json!({ "inhibit_login": "yes" }), "M_BAD_JSON"),
    ] {
        post(&server, "register", body).await.refused(400, code);
    }
}
