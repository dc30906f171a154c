//! Logging in and out.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    people::{client, get, is_logged_in, log_in, open_server, owner, post, register},
    secrets::{NEW_PASSWORD, PASSWORD, WRONG_PASSWORD},
};

#[tokio::test]
async fn one_logs_in_with_a_password() {
    let server = open_server().await;
    let flows = get(&server, "login").await.ok();
    let token = json!({ "type": "m.login.token", "get_login_token": true });
    assert_eq!(flows, json!({ "flows": [{ "type": "m.login.password" }, token] }));
    let first = register(&server, "alice").await;
    for name in ["alice", "@alice:example.org", "Alice"] {
        let session = client(&server, &log_in(&server, name, PASSWORD).await);
        assert_eq!(session.id(), "@alice:example.org", "{name}");
        assert_ne!(session.device(), first.device());
        assert!(is_logged_in(&session).await);
    }
    assert!(is_logged_in(&first).await);
}

#[tokio::test]
async fn the_name_may_stand_where_it_once_stood() {
    let server = open_server().await;
    register(&server, "alice").await;
    for user in ["alice", "@alice:example.org"] {
        let body = json!({ "type": "m.login.password", "user": user, "password": PASSWORD });
        post(&server, "login", body).await.ok();
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let server = open_server().await;
    register(&server, "alice").await;
    let wrong = log_in(&server, "alice", WRONG_PASSWORD).await.refused(403, "M_FORBIDDEN");
    for (name, password) in [
        ("bob", PASSWORD),
        ("@alice:example.com", PASSWORD),
        ("alice:example.org", PASSWORD),
        ("", PASSWORD),
        ("alice", ""),
    ] {
        let refused = log_in(&server, name, password).await.refused(403, "M_FORBIDDEN");
        assert_eq!(refused, wrong, "{name:?} {password:?}");
    }
    let email = json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.thirdparty", "medium": "email", "address": "a@b.c" },
        "password": PASSWORD,
    });
    assert_eq!(post(&server, "login", email).await.refused(403, "M_FORBIDDEN"), wrong);
}

#[tokio::test]
async fn nonsense_is_refused() {
    let server = open_server().await;
    for (body, code) in [
        (json!({}), "M_BAD_JSON"),
        (json!({ "type": 7 }), "M_BAD_JSON"),
        (json!({ "type": "m.login.unheard_of" }), "M_UNKNOWN"),
        (json!({ "type": "m.login.token" }), "M_MISSING_PARAM"),
        (json!({ "type": "m.login.password", "user": "alice" }), "M_MISSING_PARAM"),
        (json!({ "type": "m.login.password", "password": 7 }), "M_BAD_JSON"),
    ] {
        post(&server, "login", body.clone()).await.refused(400, code);
    }
    let call = server.call(http::Method::POST, "/_matrix/client/v3/login");
    call.body("{").await.refused(400, "M_NOT_JSON");
}

#[tokio::test]
async fn a_known_device_logs_in_anew() {
    let server = open_server().await;
    register(&server, "alice").await;
    let body = |name: &str| {
        json!({
            "type": "m.login.password",
            "identifier": { "type": "m.id.user", "user": "alice" },
            "password": PASSWORD,
            "device_id": "PHONE",
            "initial_device_display_name": name,
        })
    };
    let first = client(&server, &post(&server, "login", body("first")).await);
    let second = client(&server, &post(&server, "login", body("second")).await);
    assert!(!is_logged_in(&first).await);
    assert!(is_logged_in(&second).await);
    let device = second.get(["devices", "PHONE"]).await.ok();
    assert_eq!(device["display_name"], "first");
}

#[tokio::test]
async fn a_logout_ends_one_session() {
    let server = open_server().await;
    let first = register(&server, "alice").await;
    let second = client(&server, &log_in(&server, "alice", PASSWORD).await);
    assert_eq!(first.post(["logout"]).await.ok(), json!({}));
    assert!(!is_logged_in(&first).await);
    first.post(["logout"]).await.refused(401, "M_UNKNOWN_TOKEN");
    let devices = second.get(["devices"]).await.ok();
    assert_eq!(devices["devices"][0]["device_id"], second.device());
    assert_eq!(devices["devices"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn one_may_log_out_everywhere() {
    let server = open_server().await;
    let first = register(&server, "alice").await;
    let second = client(&server, &log_in(&server, "alice", PASSWORD).await);
    let bob = register(&server, "bob").await;
    assert_eq!(first.post(["logout", "all"]).await.ok(), json!({}));
    assert!(!is_logged_in(&first).await);
    assert!(!is_logged_in(&second).await);
    assert!(is_logged_in(&bob).await);
    let anew = client(&server, &log_in(&server, "alice", PASSWORD).await);
    let devices = anew.get(["devices"]).await.ok();
    assert_eq!(devices["devices"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_may_stand_in_the_query() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let path = format!("account/whoami?access_token={}", alice.token());
    assert_eq!(get(&server, &path).await.ok()["user_id"], alice.id());
}

#[tokio::test]
async fn without_a_token_one_is_nobody() {
    let server = open_server().await;
    get(&server, "account/whoami").await.refused(401, "M_MISSING_TOKEN");
    for token in ["", "nonsense", "tertulia.YWxpY2U.AAAA"] {
        let call = get(&server, "account/whoami")
            .header(http::header::AUTHORIZATION, &format!("Bearer {token}"));
        call.await.refused(401, "M_UNKNOWN_TOKEN");
    }
}

#[tokio::test]
async fn whoami_tells_user_and_device() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let told = alice.get(["account", "whoami"]).await.ok();
    assert_eq!(told, json!({ "user_id": alice.id(), "device_id": alice.device() }));
}

#[tokio::test]
async fn a_session_to_prove_something_ends_after_a_quarter_of_an_hour() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let mut body = json!({ "new_password": NEW_PASSWORD });
    let told: Value = alice.post(["account", "password"]).json(body.clone()).await.json();
    body["auth"] = owner(&alice, PASSWORD, told["session"].as_str());
    server.clock().advance(Duration::from_secs(15 * 60));
    let refused = alice.post(["account", "password"]).json(body.clone()).await;
    let refused = refused.refused(401, "M_FORBIDDEN");
    assert_ne!(refused["session"], told["session"]);
    body["auth"]["session"] = refused["session"].clone();
    alice.post(["account", "password"]).json(body).await.ok();
}
