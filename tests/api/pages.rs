//! Pages for clients that do not know a way to log in or to prove something.

use http::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tertulia::{PasswordCost, Registration, Secret, Terms, TermsText};
use tertulia_http::Rate;
use tertulia_testkit::{Answered, TestServer, code_in};

use crate::{
    people::{challenged, client, is_logged_in, log_in, open_server, post, register, server_where},
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
    for stage in [
        "m.login.dummy",
        "m.login.password",
        "m.login.registration_token",
        "m.login.email.identity",
    ] {
        let page = server.call(Method::GET, path(stage)).query("session", "s").await;
        assert_eq!(page.status, 200, "{stage}");
        assert_eq!(page.headers[CONTENT_TYPE], HTML);
        server.call(Method::GET, path(stage)).await.refused(400, "M_MISSING_PARAM");
    }
    // There is nothing to accept here.
    for stage in ["m.login.recaptcha", "m.login.terms"] {
        let unknown = server.call(Method::GET, path(stage)).query("session", "s");
        unknown.await.refused(404, "M_NOT_FOUND");
        fill(&server, stage, json!({ "session": "s" })).await.refused(404, "M_NOT_FOUND");
    }
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

/// A server that asks for a proven address and for the acceptance of a document.
async fn careful_server() -> TestServer {
    let builder = TestServer::builder().settings(|settings| {
        let (name, url) = ("Terms & more".to_owned(), "https://example.org/terms".to_owned());
        settings.registration = Registration::Email;
        settings.password_cost = PasswordCost::LEAST;
        settings.terms = vec![Terms {
            id: "terms_of_service".to_owned(),
            version: "1.0".to_owned(),
            translations: [("en".to_owned(), TermsText { name, url })].into(),
        }];
    });
    builder.start().await
}

/// The session that a challenge opened.
fn session_of(challenge: &Answered) -> String {
    challenge.json()["session"].as_str().unwrap().to_owned()
}

const EMAIL: &str = "m.login.email.identity";

/// Passes the stage by the page's two steps, with a code; tells the session of the address.
async fn prove_by_page(server: &TestServer, session: &str, email: &str) -> Value {
    let form = json!({ "session": session, "email": email, "send_attempt": 1 });
    let sid = fill(server, EMAIL, form).await.ok()["sid"].clone();
    let code = code_in(&server.mailbox().take(email).await);
    let shown = |code: &str| json!({ "session": session, "sid": sid, "token": code });
    fill(server, EMAIL, shown("")).await.refused(403, "M_FORBIDDEN");
    fill(server, EMAIL, shown("none")).await.refused(400, "M_TOKEN_INCORRECT");
    fill(server, EMAIL, shown(&code)).await.ok();
    sid
}

#[tokio::test]
async fn terms_are_accepted_and_an_address_is_proven_on_pages() {
    let server = careful_server().await;
    let mut body = json!({ "username": "alice", "password": PASSWORD });
    let told = post(&server, "register", body.clone()).await.json();
    let session = told["session"].as_str().unwrap();
    let page = server.call(Method::GET, path("m.login.terms")).query("session", session).await;
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(page.contains(r#"href="https://example.org/terms""#), "{page}");
    assert!(page.contains("Terms &amp; more"), "{page}");
    let wish = json!({ "session": session, "email": "alice@example.org", "send_attempt": 1 });
    fill(&server, EMAIL, wish.clone()).await.refused(403, "M_FORBIDDEN");
    fill(&server, "m.login.terms", json!({ "session": "none" })).await.refused(403, "M_FORBIDDEN");
    fill(&server, "m.login.terms", json!({ "session": session })).await.ok();
    prove_by_page(&server, session, "alice@example.org").await;
    fill(&server, EMAIL, wish).await.refused(403, "M_FORBIDDEN");
    body["auth"] = json!({ "session": session });
    let alice = client(&server, &post(&server, "register", body.clone()).await);
    let told = alice.get(["account", "3pid"]).await.ok();
    assert_eq!(told["threepids"][0]["address"], "alice@example.org");
    body["username"] = json!("bob");
    assert_eq!(post(&server, "register", body).await.status, 401, "a proof is used once");
}

#[tokio::test]
async fn an_address_on_a_page_is_proven_for_what_the_session_needs() {
    let server = open_server().await;
    let told = post(&server, "register", json!({ "username": "a", "password": PASSWORD })).await;
    prove_by_page(&server, &session_of(&told), "alice@example.org").await;
    let auth = json!({ "session": session_of(&told) });
    let body = json!({ "username": "a", "password": PASSWORD, "auth": auth });
    client(&server, &post(&server, "register", body).await);
    // Nobody is logged in who has forgotten the password.
    let mut body = json!({ "new_password": NEW_PASSWORD });
    let session = session_of(&post(&server, "account/password", body.clone()).await);
    let sid = prove_by_page(&server, &session, "alice@example.org").await;
    // The session of the address is for those who know the session that it is for.
    let other = session_of(&post(&server, "account/password", body.clone()).await);
    let stolen = json!({ "session": other, "sid": sid });
    fill(&server, EMAIL, stolen).await.refused(403, "M_FORBIDDEN");
    body["auth"] = json!({ "session": session });
    post(&server, "account/password", body).await.ok();
    log_in(&server, "a", NEW_PASSWORD).await.ok();
}

#[tokio::test]
async fn pages_send_no_more_mail_than_the_endpoints() {
    let builder = TestServer::builder().settings(|settings| {
        settings.registration = Registration::Open;
    });
    let rate = Some(Rate::new(1, 0.0));
    let server = builder.options(|options| options.rate_limits.mail = rate).start().await;
    let session = session_of(&post(&server, "register", json!({})).await);
    let form = |email: &str| json!({ "session": session, "email": email, "send_attempt": 1 });
    fill(&server, EMAIL, form("a@example.org")).await.ok();
    fill(&server, EMAIL, form("b@example.org")).await.refused(429, "M_LIMIT_EXCEEDED");
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
