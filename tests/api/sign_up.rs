//! Making an account in one request.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use tertulia::{PasswordCost, Registration, Secret, Settings, Terms, TermsText};
use tertulia_http::Rate;
use tertulia_testkit::{Call, Path, TestServer, TestServerBuilder, code_in};

use crate::{
    people::{client, is_logged_in, log_in, post},
    profile::UNFIT_NAMES,
    secrets::{PASSWORD, REGISTRATION_TOKEN},
};

const ERIN: &str = "erin@example.org";

fn builder(change: impl FnOnce(&mut Settings)) -> TestServerBuilder {
    TestServer::builder().settings(|settings| {
        settings.registration = Registration::Email;
        settings.password_cost = PasswordCost::LEAST;
        change(settings);
    })
}

fn sign_up(server: &TestServer, body: Value) -> Call {
    server.call(Method::POST, Path::own(["register"])).json(body)
}

/// A session for an address, and the code of its mail.
async fn ask(server: &TestServer, email: &str) -> (Value, String) {
    let wish = json!({ "client_secret": "secret", "email": email, "send_attempt": 1 });
    let asked = post(server, "register/email/requestToken", wish).await.ok();
    (asked["sid"].clone(), code_in(&server.mailbox().take(email).await))
}

fn erin(sid: &Value, token: &str) -> Value {
    let email = json!({ "sid": sid, "client_secret": "secret", "token": token });
    json!({ "username": "erin", "nickname": "Erin 艾琳", "password": PASSWORD, "email": email })
}

#[tokio::test]
async fn name_nickname_password_and_code_are_all_it_takes() {
    let server = builder(|_| {}).start().await;
    let (sid, code) = ask(&server, ERIN).await;
    let mut wish = erin(&sid, &code);
    wish["device_id"] = json!("PHONE");
    wish["initial_device_display_name"] = json!("Erin's phone");
    wish["refresh_token"] = json!(true);
    let told = sign_up(&server, wish).await.ok();
    assert_eq!(told["user_id"], "@erin:example.org");
    assert_eq!(told["device_id"], "PHONE");
    assert!(told["refresh_token"].is_string() && told["expires_in_ms"].is_u64(), "{told}");
    let erin = log_in(&server, ERIN, PASSWORD).await.ok();
    let call = |path: [&str; 3]| server.call(Method::GET, path);
    let shown = call(["profile", "@erin:example.org", "displayname"]).await.ok();
    assert_eq!(shown, json!({ "displayname": "Erin 艾琳" }));
    let token = erin["access_token"].as_str().unwrap();
    let phone = server.call(Method::GET, ["devices", "PHONE"]).token(token).await.ok();
    assert_eq!(phone["display_name"], "Erin's phone");
}

#[tokio::test]
async fn what_was_submitted_before_needs_no_code_and_what_was_not_does() {
    let server = builder(|_| {}).start().await;
    let (sid, code) = ask(&server, ERIN).await;
    let mut wish = erin(&sid, &code);
    wish["email"].as_object_mut().unwrap().remove("token");
    sign_up(&server, wish.clone()).await.refused(403, "M_THREEPID_AUTH_FAILED");
    let shown = json!({ "sid": sid, "client_secret": "secret", "token": code });
    server.call(Method::POST, Path::own(["email", "submit"])).json(shown).await.ok();
    let erin = client(&server, &sign_up(&server, wish).await);
    assert!(is_logged_in(&erin).await);
}

#[tokio::test]
async fn each_thing_that_is_wrong_has_its_error() {
    let server = builder(|_| {}).start().await;
    let (sid, code) = ask(&server, ERIN).await;
    let good = erin(&sid, &code);
    let with = |key: &str, value: Value| {
        let mut wish = good.clone();
        wish[key] = value;
        sign_up(&server, wish)
    };
    with("username", json!("not a name")).await.refused(400, "M_INVALID_USERNAME");
    with("password", json!("short")).await.refused(400, "M_WEAK_PASSWORD");
    with("password", Value::Null).await.refused(400, "M_BAD_JSON");
    with("email", Value::Null).await.refused(403, "M_THREEPID_AUTH_FAILED");
    with("email", json!({ "sid": sid })).await.refused(400, "M_BAD_JSON");
    for nickname in UNFIT_NAMES {
        with("nickname", json!(nickname)).await.refused(400, "M_INVALID_PARAM");
    }
    for (email, status, error) in [
        (
            json!({ "sid": "none", "client_secret": "secret", "token": code }),
            400,
            "M_INVALID_PARAM",
        ),
        (json!({ "sid": sid, "client_secret": "other", "token": code }), 400, "M_INVALID_PARAM"),
        (json!({ "sid": sid, "client_secret": "secret", "token": "x" }), 400, "M_TOKEN_INCORRECT"),
    ] {
        with("email", email).await.refused(status, error);
    }
    sign_up(&server, good.clone()).await.ok();
    sign_up(&server, good).await.refused(400, "M_USER_IN_USE");
}

#[tokio::test]
async fn terms_and_tokens_are_asked_for_as_in_matrix() {
    let server = builder(|settings| {
        let (name, url) = ("Terms".to_owned(), "https://example.org/terms".to_owned());
        settings.registration = Registration::Tokens(vec![Secret::new(REGISTRATION_TOKEN)]);
        settings.terms = vec![Terms {
            id: "terms_of_service".to_owned(),
            version: "1.0".to_owned(),
            translations: BTreeMap::from([("en".to_owned(), TermsText { name, url })]),
        }];
    });
    let server = server.start().await;
    let with = |terms: bool, token: &str| {
        let wish = json!({
            "password": PASSWORD, "terms_accepted": terms, "registration_token": token,
        });
        sign_up(&server, wish)
    };
    with(false, REGISTRATION_TOKEN).await.refused(403, "M_TERMS_NOT_SIGNED");
    with(true, "none").await.refused(403, "M_FORBIDDEN");
    let told = with(true, REGISTRATION_TOKEN).await.ok();
    assert!(told["user_id"].as_str().is_some_and(|id| id.len() > 1), "a name is made: {told}");
}

#[tokio::test]
async fn where_nobody_may_register_nobody_does_in_this_way() {
    let server = builder(|settings| settings.registration = Registration::Closed).start().await;
    let wish = json!({ "username": "erin", "password": PASSWORD });
    sign_up(&server, wish).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn both_ways_to_register_share_one_rate() {
    let builder = builder(|settings| settings.registration = Registration::Open);
    let rate = Some(Rate::new(2, 0.0));
    let server = builder.options(|options| options.rate_limits.registration = rate).start().await;
    let wish = |name: &str| {
        let auth = json!({ "type": "m.login.dummy" });
        json!({ "username": name, "password": PASSWORD, "auth": auth })
    };
    sign_up(&server, wish("a")).await.ok();
    post(&server, "register", wish("b")).await.ok();
    sign_up(&server, wish("c")).await.refused(429, "M_LIMIT_EXCEEDED");
    post(&server, "register", wish("c")).await.refused(429, "M_LIMIT_EXCEEDED");
}
