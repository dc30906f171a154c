//! Sessions whose access tokens expire.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tertulia_testkit::{Answered, Client, TestServer};

use crate::{
    people::{client, is_logged_in, open_server, post, register},
    secrets::PASSWORD,
};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Logs in as one who knows how to refresh.
async fn log_in(server: &TestServer) -> Answered {
    let identifier = json!({ "type": "m.id.user", "user": "alice" });
    let body = json!({
        "type": "m.login.password",
        "identifier": identifier,
        "password": PASSWORD,
        "device_id": "PHONE",
        "refresh_token": true,
    });
    post(server, "login", body).await
}

async fn refresh(server: &TestServer, token: &Value) -> Answered {
    post(server, "refresh", json!({ "refresh_token": token })).await
}

/// The client that goes on with the tokens of an answer.
fn with_tokens(server: &TestServer, old: &Client, answer: &Value) -> Client {
    let token = answer["access_token"].as_str().unwrap().to_owned();
    let user = old.id().try_into().unwrap();
    Client::new(server.router(), user, old.device().into(), token)
}

#[tokio::test]
async fn a_login_may_ask_for_a_refresh_token() {
    let server = open_server().await;
    register(&server, "alice").await;
    let answer = log_in(&server).await;
    let told = answer.ok();
    assert_eq!(told["expires_in_ms"], 3_600_000);
    let phone = client(&server, &answer);
    let next = refresh(&server, &told["refresh_token"]).await.ok();
    assert_eq!(next["expires_in_ms"], 3_600_000);
    assert_ne!(next["refresh_token"], told["refresh_token"]);
    assert_eq!(next.as_object().unwrap().len(), 3);
    let renewed = with_tokens(&server, &phone, &next);
    let who = renewed.get(["account", "whoami"]).await.ok();
    assert_eq!(who, json!({ "user_id": phone.id(), "device_id": "PHONE" }));
    assert!(!is_logged_in(&phone).await);
}

#[tokio::test]
async fn a_registration_may_ask_for_a_refresh_token() {
    let server = open_server().await;
    for (name, wanted) in [("alice", true), ("bob", false)] {
        let body = json!({
            "auth": { "type": "m.login.dummy" },
            "username": name,
            "refresh_token": wanted,
        });
        let told = post(&server, "register", body).await.ok();
        assert_eq!(told.get("refresh_token").is_some(), wanted, "{name}");
        assert_eq!(told.get("expires_in_ms").is_some(), wanted, "{name}");
    }
}

#[tokio::test]
async fn who_cannot_refresh_has_a_token_that_lasts() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    server.clock().advance(1_000 * HOUR);
    assert!(is_logged_in(&alice).await);
}

#[tokio::test]
async fn an_expired_token_is_a_soft_logout() {
    let server = open_server().await;
    register(&server, "alice").await;
    let answer = log_in(&server).await;
    let (phone, told) = (client(&server, &answer), answer.ok());
    server.clock().advance(HOUR);
    let refused = phone.get(["account", "whoami"]).await.refused(401, "M_UNKNOWN_TOKEN");
    assert_eq!(refused["soft_logout"], true);
    let next = refresh(&server, &told["refresh_token"]).await.ok();
    assert!(is_logged_in(&with_tokens(&server, &phone, &next)).await);
    let refused = phone.get(["account", "whoami"]).await.refused(401, "M_UNKNOWN_TOKEN");
    assert_eq!(refused.get("soft_logout"), None, "what was replaced is gone for good");
}

#[tokio::test]
async fn one_who_was_logged_out_softly_may_log_in_on_the_same_device() {
    let server = open_server().await;
    register(&server, "alice").await;
    let first = log_in(&server).await.ok();
    server.clock().advance(HOUR);
    let again = log_in(&server).await;
    assert!(is_logged_in(&client(&server, &again)).await);
    refresh(&server, &first["refresh_token"]).await.refused(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn a_lost_answer_does_no_harm() {
    let server = open_server().await;
    register(&server, "alice").await;
    let answer = log_in(&server).await;
    let (phone, told) = (client(&server, &answer), answer.ok());
    refresh(&server, &told["refresh_token"]).await.ok();
    let next = refresh(&server, &told["refresh_token"]).await.ok();
    assert!(is_logged_in(&with_tokens(&server, &phone, &next)).await);
    refresh(&server, &told["refresh_token"]).await.refused(401, "M_UNKNOWN_TOKEN");
    refresh(&server, &next["refresh_token"]).await.ok();
}

#[tokio::test]
async fn racers_with_one_refresh_token_end_in_one_session() {
    let server = open_server().await;
    register(&server, "alice").await;
    let answer = log_in(&server).await;
    let (phone, told) = (client(&server, &answer), answer.ok());
    let racers = (0..64).map(async |_| {
        let next = refresh(&server, &told["refresh_token"]).await;
        if next.status == 401 {
            return false;
        }
        is_logged_in(&with_tokens(&server, &phone, &next.ok())).await
    });
    let won = join_all(racers).await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
}

#[tokio::test]
async fn a_logout_ends_the_refresh_token_too() {
    let server = open_server().await;
    register(&server, "alice").await;
    let answer = log_in(&server).await;
    client(&server, &answer).post(["logout"]).await.ok();
    let refused = refresh(&server, &answer.ok()["refresh_token"]).await;
    assert_eq!(refused.refused(401, "M_UNKNOWN_TOKEN").get("soft_logout"), None);
}

#[tokio::test]
async fn nonsense_does_not_refresh() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    for token in [json!(""), json!("nonsense"), json!(alice.token())] {
        refresh(&server, &token).await.refused(401, "M_UNKNOWN_TOKEN");
    }
    for body in [json!({}), json!({ "refresh_token": 7 }), json!({ "refresh_token": null })] {
        post(&server, "refresh", body).await.refused(400, "M_BAD_JSON");
    }
}
