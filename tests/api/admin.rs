//! Making accounts with a shared secret.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use serde_json::{Value, json};
use sha1::Sha1;
use tertulia::{PasswordCost, Secret};
use tertulia_testkit::{Answered, TestServer};

use crate::{
    people::{client, is_logged_in, log_in},
    profile::UNFIT_NAMES,
    secrets::{PASSWORD, SHARED_SECRET, WRONG_PASSWORD},
};

const PATH: &str = "/_synapse/admin/v1/register";

/// A server whose registration is closed, but for those who know the secret.
async fn server() -> TestServer {
    let builder = TestServer::builder().settings(|settings| {
        settings.registration_shared_secret = Some(Secret::new(SHARED_SECRET));
        settings.password_cost = PasswordCost::LEAST;
    });
    builder.start().await
}

async fn nonce(server: &TestServer) -> String {
    let answer = server.call(Method::GET, PATH).await.ok();
    answer["nonce"].as_str().unwrap().to_owned()
}

fn sign(secret: &str, parts: &[&str]) -> String {
    let mut hmac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).unwrap();
    hmac.update(parts.join("\0").as_bytes());
    hmac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn send(server: &TestServer, body: Value) -> Answered {
    server.call(Method::POST, PATH).json(body).await
}

async fn request(server: &TestServer, name: &str) -> Value {
    request_with(server, name, PASSWORD).await
}

async fn request_with(server: &TestServer, name: &str, password: &str) -> Value {
    let nonce = nonce(server).await;
    let mac = sign(SHARED_SECRET, &[&nonce, name, password, "notadmin"]);
    json!({ "nonce": nonce, "username": name, "password": password, "admin": false, "mac": mac })
}

/// Whoever knows the secret knows what they do; but a password has to be one.
#[tokio::test]
async fn scripts_may_give_short_passwords() {
    let server = server().await;
    send(&server, request_with(&server, "alice", "7short!").await).await.ok();
    log_in(&server, "alice", "7short!").await.ok();
    let none = request_with(&server, "bob", "").await;
    send(&server, none).await.refused(400, "M_WEAK_PASSWORD");
}

#[tokio::test]
async fn who_knows_the_secret_makes_accounts() {
    let server = server().await;
    let answer = send(&server, request(&server, "alice").await).await;
    let body = answer.ok();
    assert_eq!(body["user_id"], "@alice:example.org");
    assert_eq!(body["home_server"], "example.org");
    assert!(is_logged_in(&client(&server, &answer)).await);
    log_in(&server, "alice", PASSWORD).await.ok();
    assert!(!server.homeserver().user("alice").await.unwrap().is_admin().await.unwrap());
}

#[tokio::test]
async fn administrators_are_made_so() {
    let server = server().await;
    let nonce = nonce(&server).await;
    let mac = sign(SHARED_SECRET, &[&nonce, "root", PASSWORD, "admin", "bot"]);
    let body = json!({
        "nonce": nonce,
        "username": "root",
        "displayname": "The root",
        "password": PASSWORD,
        "admin": true,
        "user_type": "bot",
        "mac": mac,
    });
    send(&server, body).await.ok();
    let root = server.homeserver().user("root").await.unwrap();
    assert!(root.is_admin().await.unwrap());
    assert_eq!(root.profile().await.unwrap()["displayname"], "The root");
}

#[tokio::test]
async fn a_request_counts_once() {
    let server = server().await;
    let body = request(&server, "alice").await;
    send(&server, body.clone()).await.ok();
    send(&server, body).await.refused(400, "M_INVALID_PARAM");
    let late = request(&server, "bob").await;
    server.clock().advance(Duration::from_secs(60));
    send(&server, late).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn what_is_not_signed_with_the_secret_is_refused() {
    let server = server().await;
    for (key, value) in [
        ("username", json!("mallory")),
        ("password", json!(WRONG_PASSWORD)),
        ("admin", json!(true)),
        ("user_type", json!("bot")),
        ("mac", json!("00")),
        ("mac", json!("no hex")),
    ] {
        let mut body = request(&server, "alice").await;
        body[key] = value;
        send(&server, body).await.refused(403, "M_FORBIDDEN");
    }
    let nonce = nonce(&server).await;
    let mac = sign(WRONG_PASSWORD, &[&nonce, "alice", PASSWORD, "notadmin"]);
    let body = json!({ "nonce": nonce, "username": "alice", "password": PASSWORD, "mac": mac });
    send(&server, body).await.refused(403, "M_FORBIDDEN");
    assert!(server.homeserver().available("alice").await.is_ok());
}

#[tokio::test]
async fn the_usual_rules_hold() {
    let server = server().await;
    send(&server, request(&server, "alice").await).await.ok();
    send(&server, request(&server, "alice").await).await.refused(400, "M_USER_IN_USE");
    send(&server, request(&server, "a b").await).await.refused(400, "M_INVALID_USERNAME");
    send(&server, json!({})).await.refused(400, "M_BAD_JSON");
    let call = server.call(Method::POST, PATH).body("{");
    call.await.refused(400, "M_NOT_JSON");
}

#[tokio::test]
async fn scripts_give_nobody_an_unfit_name() {
    let server = server().await;
    for name in UNFIT_NAMES {
        let mut body = request(&server, "alice").await;
        body["displayname"] = json!(name);
        send(&server, body).await.refused(400, "M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn without_a_secret_there_is_no_such_endpoint() {
    let server = TestServer::start().await;
    server.call(Method::GET, PATH).await.refused(404, "M_UNRECOGNIZED");
    send(&server, json!({})).await.refused(404, "M_UNRECOGNIZED");
}
