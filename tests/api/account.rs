//! A user's own account: the password, closing it.

use futures_util::future::join;
use serde_json::{Value, json};

use crate::{
    people::{challenged, client, get, is_logged_in, log_in, open_server, owner, post, register},
    secrets::{NEW_PASSWORD, PASSWORD, WRONG_PASSWORD},
};

#[tokio::test]
async fn the_owner_changes_the_password() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let path = ["account", "password"];
    let mut body = json!({ "new_password": NEW_PASSWORD });
    let session = challenged(&alice.post(path).json(body.clone()).await);
    body["auth"] = owner(&alice, PASSWORD, Some(&session));
    assert_eq!(alice.post(path).json(body).await.ok(), json!({}));
    log_in(&server, "alice", PASSWORD).await.refused(403, "M_FORBIDDEN");
    log_in(&server, "alice", NEW_PASSWORD).await.ok();
}

#[tokio::test]
async fn a_password_may_be_proved_at_once() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let body = json!({
        "new_password": NEW_PASSWORD,
        "auth": { "type": "m.login.password", "user": "alice", "password": PASSWORD },
    });
    alice.post(["account", "password"]).json(body).await.ok();
    log_in(&server, "alice", NEW_PASSWORD).await.ok();
}

#[tokio::test]
async fn only_the_owner_changes_the_password() {
    let server = open_server().await;
    let (alice, bob) = (register(&server, "alice").await, register(&server, "bob").await);
    let path = ["account", "password"];
    let mut body = json!({ "new_password": NEW_PASSWORD });
    let session = challenged(&alice.post(path).json(body.clone()).await);
    for auth in [
        owner(&alice, WRONG_PASSWORD, Some(&session)),
        json!({ "type": "m.login.dummy", "session": session }),
    ] {
        body["auth"] = auth;
        let refused = alice.post(path).json(body.clone()).await.refused(401, "M_FORBIDDEN");
        assert_eq!(refused["session"], json!(session));
        assert_eq!(refused["flows"][0], json!({ "stages": ["m.login.password"] }));
    }
    body["auth"] = owner(&bob, PASSWORD, Some(&session));
    alice.post(path).json(body.clone()).await.refused(403, "M_FORBIDDEN");
    body["auth"] = json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.thirdparty", "medium": "email", "address": "a@b.c" },
        "password": PASSWORD,
    });
    alice.post(path).json(body).await.refused(403, "M_FORBIDDEN");
    log_in(&server, "alice", PASSWORD).await.ok();
}

#[tokio::test]
async fn other_sessions_end_unless_that_is_not_wanted() {
    for (logout_devices, expected) in
        [(json!(null), false), (json!(true), false), (json!(false), true)]
    {
        let server = open_server().await;
        let alice = register(&server, "alice").await;
        let other = client(&server, &log_in(&server, "alice", PASSWORD).await);
        let mut body = json!({
            "new_password": NEW_PASSWORD,
            "auth": owner(&alice, PASSWORD, None),
            "logout_devices": logout_devices,
        });
        if logout_devices.is_null() {
            body.as_object_mut().unwrap().remove("logout_devices");
        }
        alice.post(["account", "password"]).json(body).await.ok();
        assert!(is_logged_in(&alice).await);
        assert_eq!(is_logged_in(&other).await, expected, "{logout_devices}");
    }
}

#[tokio::test]
async fn who_has_lost_every_session_may_still_change_the_password() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let mut body = json!({ "new_password": NEW_PASSWORD });
    let session = challenged(&post(&server, "account/password", body.clone()).await);
    body["auth"] = owner(&alice, PASSWORD, Some(&session));
    post(&server, "account/password", body).await.ok();
    assert!(!is_logged_in(&alice).await);
    log_in(&server, "alice", NEW_PASSWORD).await.ok();
}

#[tokio::test]
async fn a_weak_password_is_refused() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let body = json!({ "new_password": "", "auth": owner(&alice, PASSWORD, None) });
    let path = ["account", "password"];
    alice.post(path).json(body).await.refused(400, "M_WEAK_PASSWORD");
    // Said before anything is to be proved.
    for short in ["", "seven77", "пароль!"] {
        let body = json!({ "new_password": short });
        let refused = alice.post(path).json(body).await.refused(400, "M_WEAK_PASSWORD");
        let length = short.chars().count();
        assert!(length == 0 || refused["error"] == "a password needs 8 characters", "{refused}");
    }
    alice.post(path).json(json!({})).await.refused(400, "M_BAD_JSON");
    log_in(&server, "alice", PASSWORD).await.ok();
}

#[tokio::test]
async fn a_proof_for_one_password_does_not_set_another() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let session = {
        let body = json!({ "new_password": NEW_PASSWORD });
        challenged(&alice.post(["account", "password"]).json(body).await)
    };
    let mut closing = json!({ "auth": owner(&alice, PASSWORD, Some(&session)) });
    let refused = alice.post(["account", "deactivate"]).json(closing.clone()).await;
    let refused = refused.refused(401, "M_FORBIDDEN");
    assert_ne!(refused["session"], json!(session));
    assert!(is_logged_in(&alice).await);
    closing["auth"]["session"] = refused["session"].clone();
    alice.post(["account", "deactivate"]).json(closing).await.ok();
}

#[tokio::test]
async fn the_owner_closes_the_account() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let other = client(&server, &log_in(&server, "alice", PASSWORD).await);
    let path = ["account", "deactivate"];
    let session = challenged(&alice.post(path).json(json!({})).await);
    let body = json!({ "auth": owner(&alice, PASSWORD, Some(&session)) });
    let answer = alice.post(path).json(body).await.ok();
    assert_eq!(answer, json!({ "id_server_unbind_result": "success" }));
    assert!(!is_logged_in(&alice).await);
    assert!(!is_logged_in(&other).await);
    log_in(&server, "alice", PASSWORD).await.refused(403, "M_USER_DEACTIVATED");
    let again = json!({ "auth": { "type": "m.login.dummy" }, "username": "alice" });
    post(&server, "register", again).await.refused(400, "M_USER_IN_USE");
}

#[tokio::test]
async fn only_the_owner_closes_the_account() {
    let server = open_server().await;
    let (alice, bob) = (register(&server, "alice").await, register(&server, "bob").await);
    let attempts = [(owner(&alice, WRONG_PASSWORD, None), 401), (owner(&bob, PASSWORD, None), 403)];
    for (auth, status) in attempts {
        let body = json!({ "auth": auth });
        alice.post(["account", "deactivate"]).json(body).await.refused(status, "M_FORBIDDEN");
    }
    assert!(is_logged_in(&alice).await);
}

#[tokio::test]
async fn what_a_closed_account_told_stays_or_goes() {
    for (erase, status) in [(false, 200), (true, 404)] {
        let server = open_server().await;
        let alice = register(&server, "alice").await;
        let name = ["profile", alice.id(), "displayname"];
        alice.put(name).json(json!({ "displayname": "Alice" })).await.ok();
        let body = json!({ "auth": owner(&alice, PASSWORD, None), "erase": erase });
        alice.post(["account", "deactivate"]).json(body).await.ok();
        let path = format!("profile/{}/displayname", alice.id());
        assert_eq!(get(&server, &path).await.status, status, "erase: {erase}");
    }
}

#[tokio::test]
async fn a_login_while_the_account_is_closed_leaves_no_session() {
    for _ in 0..10 {
        let server = open_server().await;
        let alice = register(&server, "alice").await;
        let body = json!({ "auth": owner(&alice, PASSWORD, None) });
        let close = alice.post(["account", "deactivate"]).json(body).into_future();
        let (closed, login) = join(close, log_in(&server, "alice", PASSWORD)).await;
        closed.ok();
        if login.status == 200 {
            assert!(!is_logged_in(&client(&server, &login)).await);
        } else {
            login.refused(403, "M_USER_DEACTIVATED");
        }
    }
}

#[tokio::test]
async fn there_are_no_third_party_identifiers() {
    let server = open_server().await;
    let alice = register(&server, "alice").await;
    let told: Value = alice.get(["account", "3pid"]).await.ok();
    assert_eq!(told, json!({ "threepids": [] }));
    get(&server, "account/3pid").await.refused(401, "M_MISSING_TOKEN");
}
