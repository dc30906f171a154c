//! Pages for clients that do not know a way to log in or to prove something.

use http::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tertulia::{Registration, Secret};
use tertulia_testkit::{Answered, TestServer};

use crate::{
    people::{challenged, client, is_logged_in, open_server, post, register, server_where},
    secrets::{NEW_PASSWORD, PASSWORD, REGISTRATION_TOKEN, WRONG_PASSWORD},
};

fn path(stage: &str) -> String {
    format!("/_matrix/client/v3/auth/{stage}/fallback/web")
}

async fn fill(server: &TestServer, stage: &str, form: Value) -> Answered {
    server.call(Method::POST, path(stage)).json(form).await
}

#[tokio::test]
async fn a_page_is_there_for_each_stage_and_for_the_login() {
    let server = open_server().await;
    for stage in ["m.login.dummy", "m.login.password", "m.login.registration_token"] {
        let page = server.call(Method::GET, path(stage)).query("session", "s").await;
        assert_eq!(page.status, 200, "{stage}");
        assert_eq!(page.headers[CONTENT_TYPE], HTML);
        server.call(Method::GET, path(stage)).await.refused(400, "M_MISSING_PARAM");
    }
    let unknown = server.call(Method::GET, path("m.login.recaptcha")).query("session", "s");
    unknown.await.refused(404, "M_NOT_FOUND");
    let login = server.call(Method::GET, "/_matrix/static/client/login/").await;
    assert_eq!(login.status, 200);
    assert_eq!(login.headers[CONTENT_TYPE], HTML);
}

const HTML: &str = "text/html; charset=utf-8";

#[tokio::test]
async fn one_registers_by_a_page() {
    let tokens = Registration::Tokens(vec![Secret::new(REGISTRATION_TOKEN)]);
    let server = server_where(tokens).await;
    let mut body = json!({ "username": "alice", "password": PASSWORD });
    let told = post(&server, "register", body.clone()).await.json();
    let session = told["session"].as_str().unwrap();
    body["auth"] = json!({ "session": session });
    let refused = post(&server, "register", body.clone()).await;
    assert_eq!(refused.status, 401, "nothing was proved yet");
    let stage = "m.login.registration_token";
    for (session, token, status) in [
        (session, WRONG_PASSWORD, 403),
        ("no-such-session", REGISTRATION_TOKEN, 403),
        (session, REGISTRATION_TOKEN, 200),
        (session, REGISTRATION_TOKEN, 200),
    ] {
        let form = json!({ "session": session, "token": token });
        assert_eq!(fill(&server, stage, form).await.status, status, "{session} {token}");
    }
    fill(&server, stage, json!({ "session": session })).await.refused(403, "M_FORBIDDEN");
    fill(&server, stage, json!({})).await.refused(400, "M_BAD_JSON");
    let alice = client(&server, &post(&server, "register", body.clone()).await);
    assert!(is_logged_in(&alice).await);
    body["username"] = json!("bob");
    assert_eq!(post(&server, "register", body).await.status, 401, "a proof is used once");
}

#[tokio::test]
async fn only_the_own_password_passes_on_a_page() {
    let server = open_server().await;
    let [alice, bob] = [register(&server, "alice").await, register(&server, "bob").await];
    let mut body: Value = json!({ "new_password": NEW_PASSWORD });
    let change = || alice.post(["account", "password"]);
    let session = challenged(&change().json(body.clone()).await);
    let stage = "m.login.password";
    let form = |user: &str, password: &str| json!({ "session": session, "user": user, "password": password });
    for (user, password) in [(bob.id(), PASSWORD), (alice.id(), WRONG_PASSWORD)] {
        fill(&server, stage, form(user, password)).await.refused(403, "M_FORBIDDEN");
    }
    fill(&server, stage, form(alice.id(), PASSWORD)).await.ok();
    body["auth"] = json!({ "session": session });
    bob.post(["account", "password"]).json(body.clone()).await.refused(401, "M_FORBIDDEN");
    change().json(body).await.ok();
}
