//! Accounts by e-mail.

use std::{collections::BTreeMap, time::Duration};

use http::{Method, StatusCode, header::ACCEPT_LANGUAGE};
use serde_json::{Value, json};
use tertulia::{MailError, PasswordCost, Registration, Settings, Terms, TermsText};
use tertulia_http::Rate;
use tertulia_testkit::{Answered, Call, Client, Path, TestServer, code_in};

use crate::{
    people::{challenged, client, is_logged_in, log_in, owner, post},
    secrets::{NEW_PASSWORD, PASSWORD, WRONG_PASSWORD},
};

const ALICE: &str = "alice@example.org";

async fn server() -> TestServer {
    server_with(|_| {}).await
}

async fn server_with(change: impl FnOnce(&mut Settings)) -> TestServer {
    let builder = TestServer::builder().settings(|settings| {
        settings.registration = Registration::Email;
        settings.password_cost = PasswordCost::LEAST;
        settings.public_base_url = Some("https://example.org".to_owned());
        change(settings);
    });
    builder.start().await
}

fn wish(email: &str) -> Value {
    json!({ "client_secret": "secret", "email": email, "send_attempt": 1 })
}

/// What somebody writes who shows what a mail said.
fn shown(sid: &Value, token: &str) -> Value {
    json!({ "sid": sid, "client_secret": "secret", "token": token })
}

fn stage(sid: &Value) -> Value {
    let shown = json!({ "sid": sid, "client_secret": "secret" });
    json!({ "type": "m.login.email.identity", "threepid_creds": shown })
}

fn submit(server: &TestServer, sid: &Value, token: &str) -> Call {
    server.call(Method::POST, Path::own(["email", "submit"])).json(shown(sid, token))
}

/// A session in which the address is proven.
async fn prove(server: &TestServer, what: &str, email: &str) -> Value {
    let asked = post(server, &format!("{what}/email/requestToken"), wish(email)).await.ok();
    let code = code_in(&server.mailbox().take(email).await);
    submit(server, &asked["sid"], &code).await.ok();
    asked["sid"].clone()
}

/// A user who has registered with an address.
async fn user(server: &TestServer, name: &str, email: &str) -> Client {
    let sid = prove(server, "register", email).await;
    let body = json!({ "username": name, "password": PASSWORD, "auth": stage(&sid) });
    client(server, &post(server, "register", body).await)
}

async fn reset(server: &TestServer, mut body: Value) -> Answered {
    let sid = prove(server, "account/password", ALICE).await;
    body["auth"] = stage(&sid);
    post(server, "account/password", body).await
}

#[tokio::test]
async fn where_an_address_is_needed_one_registers_once_it_is_proven() {
    let server = server().await;
    let mut body = json!({ "username": "alice", "password": PASSWORD });
    let told = post(&server, "register", body.clone()).await.json();
    assert_eq!(told["flows"], json!([{ "stages": ["m.login.email.identity"] }]));
    let asked = post(&server, "register/email/requestToken", wish("Alice@Example.ORG")).await.ok();
    body["auth"] = stage(&asked["sid"]);
    body["auth"]["session"] = told["session"].clone();
    // A client may ask again and again whether the link was opened meanwhile.
    for _ in 0..3 {
        let refused = post(&server, "register", body.clone()).await.refused(401, "M_FORBIDDEN");
        assert_eq!(refused["session"], told["session"]);
    }
    for auth in [json!({ "type": "m.login.dummy" }), json!({ "type": "m.login.email.identity" })] {
        let other = json!({ "username": "alice", "password": PASSWORD, "auth": auth });
        post(&server, "register", other).await.refused(401, "M_FORBIDDEN");
    }
    let code = code_in(&server.mailbox().take(ALICE).await);
    submit(&server, &asked["sid"], &code).await.ok();
    let alice = client(&server, &post(&server, "register", body.clone()).await);
    let told = alice.get(["account", "3pid"]).await.ok();
    assert_eq!(told["threepids"][0]["address"], ALICE);
    assert_eq!(told["threepids"][0]["medium"], "email");
    body["username"] = json!("bob");
    post(&server, "register", body).await.refused(401, "M_FORBIDDEN");
}

#[tokio::test]
async fn one_logs_in_by_an_address_however_the_client_writes_it() {
    let server = server().await;
    user(&server, "alice", ALICE).await;
    for login in [
        json!({ "identifier": { "type": "m.id.thirdparty", "medium": "email", "address": ALICE } }),
        json!({ "identifier": { "type": "m.id.user", "user": "ALICE@example.org" } }),
        json!({ "medium": "email", "address": ALICE }),
        json!({ "user": ALICE }),
    ] {
        let log_in = |password: &str| {
            let mut login = login.clone();
            login["type"] = json!("m.login.password");
            login["password"] = json!(password);
            post(&server, "login", login)
        };
        assert_eq!(log_in(PASSWORD).await.ok()["user_id"], "@alice:example.org", "{login}");
        log_in(WRONG_PASSWORD).await.refused(403, "M_FORBIDDEN");
    }
    let phone = json!({
        "type": "m.login.password", "password": PASSWORD,
        "identifier": { "type": "m.id.thirdparty", "medium": "msisdn", "address": ALICE },
    });
    post(&server, "login", phone).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_password_that_is_set_by_mail_ends_sessions_and_open_polls() {
    let server = server().await;
    let alice = user(&server, "alice", ALICE).await;
    let since = alice.sync(None).await["next_batch"].as_str().unwrap().to_owned();
    let poll = alice.get(["sync"]).query("since", &since).query("timeout", "30000");
    let poll = tokio::spawn(async move { poll.await });
    server.clock().sleepers(1).await;
    reset(&server, json!({ "new_password": NEW_PASSWORD })).await.ok();
    poll.await.unwrap().refused(401, "M_UNKNOWN_TOKEN");
    assert!(!is_logged_in(&alice).await);
    log_in(&server, ALICE, PASSWORD).await.refused(403, "M_FORBIDDEN");
    log_in(&server, ALICE, NEW_PASSWORD).await.ok();
    let mail = server.mailbox().take(ALICE).await;
    assert!(mail.text.contains("password"), "{}", mail.subject);
}

#[tokio::test]
async fn other_sessions_go_on_if_that_is_wished_for() {
    let server = server().await;
    let alice = user(&server, "alice", ALICE).await;
    let keep = json!({ "new_password": NEW_PASSWORD, "logout_devices": false });
    reset(&server, keep).await.ok();
    assert!(is_logged_in(&alice).await);
}

#[tokio::test]
async fn one_who_is_logged_in_may_set_the_password_by_mail_and_only_their_own() {
    let server = server().await;
    let (alice, desk) = (user(&server, "alice", ALICE).await, log_in(&server, ALICE, PASSWORD));
    let desk = client(&server, &desk.await);
    let bob = user(&server, "bob", "bob@example.org").await;
    let sid = prove(&server, "account/password", ALICE).await;
    let body = json!({ "new_password": NEW_PASSWORD, "auth": stage(&sid) });
    let call = |client: &Client| client.post(["account", "password"]).json(body.clone());
    call(&bob).await.refused(403, "M_FORBIDDEN");
    call(&alice).await.ok();
    assert!(is_logged_in(&alice).await);
    assert!(!is_logged_in(&desk).await);
    log_in(&server, "bob", PASSWORD).await.ok();
}

#[tokio::test]
async fn a_session_to_register_sets_no_password_and_the_other_way_round() {
    let server = server().await;
    user(&server, "alice", ALICE).await;
    let to_register = prove(&server, "register", "new@example.org").await;
    let body = json!({ "new_password": NEW_PASSWORD, "auth": stage(&to_register) });
    post(&server, "account/password", body).await.refused(401, "M_FORBIDDEN");
    for what in ["account/password", "account/3pid"] {
        let email = if what == "account/3pid" { "other@example.org" } else { ALICE };
        let sid = prove(&server, what, email).await;
        let body = json!({ "username": "eve", "password": PASSWORD, "auth": stage(&sid) });
        post(&server, "register", body).await.refused(401, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn addresses_are_added_with_the_password_and_the_last_one_stays() {
    let server = server().await;
    let alice = user(&server, "alice", ALICE).await;
    let sid = prove(&server, "account/3pid", "a@home.example").await;
    let add = json!({ "sid": sid, "client_secret": "secret" });
    let challenge = alice.post(["account", "3pid", "add"]).json(add.clone()).await;
    let with = |password: &str| {
        let mut add = add.clone();
        add["auth"] = owner(&alice, password, Some(&challenged(&challenge)));
        alice.post(["account", "3pid", "add"]).json(add)
    };
    with(WRONG_PASSWORD).await.refused(401, "M_FORBIDDEN");
    with(PASSWORD).await.ok();
    let delete = |email: &str| {
        let body = json!({ "medium": "email", "address": email });
        alice.post(["account", "3pid", "delete"]).json(body)
    };
    let done = delete(ALICE).await.ok();
    assert_eq!(done, json!({ "id_server_unbind_result": "no-support" }));
    delete(ALICE).await.refused(400, "M_THREEPID_NOT_FOUND");
    delete("A@home.example").await.refused(403, "M_THREEPID_DENIED");
    user(&server, "bob", ALICE).await;
}

#[tokio::test]
async fn known_and_unknown_addresses_look_the_same_unless_that_is_not_wished_for() {
    for hides in [true, false] {
        let server = server_with(|settings| settings.hide_known_addresses = hides).await;
        let alice = user(&server, "alice", ALICE).await;
        for (what, email, code) in [
            ("register", ALICE, "M_THREEPID_IN_USE"),
            ("account/3pid", ALICE, "M_THREEPID_IN_USE"),
            ("account/password", "nobody@example.org", "M_THREEPID_NOT_FOUND"),
        ] {
            let asked = post(&server, &format!("{what}/email/requestToken"), wish(email)).await;
            if hides {
                let mail = server.mailbox().take(email).await;
                assert!(!mail.text.contains("token="), "{}", mail.text);
                let sid = &asked.ok()["sid"];
                submit(&server, sid, "000000").await.refused(400, "M_TOKEN_INCORRECT");
            } else {
                asked.refused(400, code);
            }
        }
        assert!(is_logged_in(&alice).await);
    }
}

#[tokio::test]
async fn mail_is_in_the_language_of_who_asks_and_so_is_the_page() {
    let server = server().await;
    for (language, greeting) in [("zh-CN,zh;q=0.9", "验证码"), ("fr, en", "code")] {
        let email = format!("{}@example.org", &language[..2]);
        let asked = post(&server, "register/email/requestToken", wish(&email));
        let sid = asked.header(ACCEPT_LANGUAGE, language).await.ok()["sid"].clone();
        let mail = server.mailbox().take(&email).await;
        assert!(mail.text.contains(greeting), "{}", mail.text);
        let link = mail.text.split_whitespace().find(|word| word.contains("token=")).unwrap();
        let link = link.strip_prefix("https://example.org").unwrap().to_owned();
        for _ in 0..2 {
            let page = server.call(Method::GET, link.clone());
            let page = page.header(ACCEPT_LANGUAGE, language).await;
            assert_eq!(page.status, StatusCode::OK);
            let is_chinese = String::from_utf8_lossy(&page.body).contains("邮箱");
            assert_eq!(is_chinese, language.starts_with("zh"));
        }
        // Whoever only looked at it has proven nothing.
        let body = json!({ "username": "alice", "password": PASSWORD, "auth": stage(&sid) });
        post(&server, "register", body).await.refused(401, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn codes_end_after_five_guesses_and_after_fifteen_minutes() {
    let server = server().await;
    let ask = async |email: &str| {
        let asked = post(&server, "register/email/requestToken", wish(email)).await.ok();
        (asked["sid"].clone(), code_in(&server.mailbox().take(email).await))
    };
    let (sid, code) = ask(ALICE).await;
    for n in 0..5 {
        let guess = if code == format!("00000{n}") { "000009" } else { &format!("00000{n}") };
        submit(&server, &sid, guess).await.refused(400, "M_TOKEN_INCORRECT");
    }
    submit(&server, &sid, &code).await.refused(400, "M_SESSION_EXPIRED");
    let (sid, code) = ask("bob@example.org").await;
    server.clock().advance(Duration::from_secs(15 * 60));
    submit(&server, &sid, &code).await.refused(400, "M_SESSION_EXPIRED");
    submit(&server, &json!("none"), &code).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn networks_and_addresses_are_sent_only_so_many_mails() {
    let builder = TestServer::builder().settings(|settings| {
        settings.registration = Registration::Open;
    });
    let rate = Some(Rate::new(7, 0.0));
    let server = builder.options(|options| options.rate_limits.mail = rate).start().await;
    let ask = |secret: usize, email: &str| {
        let mut wish = wish(email);
        wish["client_secret"] = json!(format!("s{secret}"));
        post(&server, "register/email/requestToken", wish)
    };
    for n in 0..5 {
        ask(n, ALICE).await.ok();
    }
    ask(5, ALICE).await.refused(429, "M_LIMIT_EXCEEDED");
    ask(6, "bob@example.org").await.ok();
    ask(7, "carol@example.org").await.refused(429, "M_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn documents_are_accepted_before_one_registers() {
    let server = server_with(|settings| {
        let (name, url) = ("Terms".to_owned(), "https://example.org/terms".to_owned());
        settings.registration = Registration::Open;
        settings.terms = vec![Terms {
            id: "terms_of_service".to_owned(),
            version: "1.0".to_owned(),
            translations: BTreeMap::from([("en".to_owned(), TermsText { name, url })]),
        }];
    })
    .await;
    let mut body = json!({ "username": "alice", "password": PASSWORD });
    let told = post(&server, "register", body.clone()).await.json();
    assert_eq!(told["flows"][0], json!({ "stages": ["m.login.terms", "m.login.dummy"] }));
    let policy = &told["params"]["m.login.terms"]["policies"]["terms_of_service"];
    assert_eq!(policy["en"]["url"], "https://example.org/terms");
    let mut pass = async |stage: &str| {
        body["auth"] = json!({ "type": stage, "session": told["session"] });
        post(&server, "register", body.clone()).await
    };
    pass("m.login.dummy").await.refused(401, "M_FORBIDDEN");
    assert_eq!(pass("m.login.terms").await.json()["completed"], json!(["m.login.terms"]));
    pass("m.login.dummy").await.ok();
}

#[tokio::test]
async fn where_no_mail_is_sent_nobody_is_asked_for_an_address() {
    let builder = TestServer::builder().without_mail().settings(|settings| {
        settings.registration = Registration::Open;
        settings.password_cost = PasswordCost::LEAST;
    });
    let server = builder.start().await;
    let told = post(&server, "register", json!({ "username": "alice" })).await.json();
    assert_eq!(told["flows"], json!([{ "stages": ["m.login.dummy"] }]));
    for what in ["register", "account/password", "account/3pid"] {
        let asked = post(&server, &format!("{what}/email/requestToken"), wish(ALICE)).await;
        asked.refused(400, "M_THREEPID_MEDIUM_NOT_SUPPORTED");
    }
    let old = server.call(Method::POST, "/_matrix/client/r0/register/email/requestToken");
    old.json(wish(ALICE)).await.refused(400, "M_THREEPID_MEDIUM_NOT_SUPPORTED");
}

/// Has a mail sent to the address that is to replace a user's; tells the session and the code.
async fn ask_to_change(server: &TestServer, user: &Client, email: &str) -> (Value, String) {
    let path = ["account", "email", "requestToken"];
    let asked = user.own(Method::POST, path).json(wish(email)).await.ok();
    let submit = "https://example.org/_tertulia/client/v1/email/submit";
    assert_eq!(asked["submit_url"], submit);
    (asked["sid"].clone(), code_in(&server.mailbox().take(email).await))
}

fn change(user: &Client, shown: Value, password: &str) -> Call {
    let change = json!({ "email": shown, "password": password });
    user.own(Method::PUT, ["account", "email"]).json(change)
}

async fn addresses(user: &Client) -> Vec<String> {
    let told = user.get(["account", "3pid"]).await.ok();
    let address = |email: &Value| email["address"].as_str().unwrap().to_owned();
    told["threepids"].as_array().unwrap().iter().map(address).collect()
}

#[tokio::test]
async fn an_address_is_changed_in_one_request_once_the_new_one_is_proven() {
    let server = server().await;
    let alice = user(&server, "alice", ALICE).await;
    let (sid, code) = ask_to_change(&server, &alice, "a@home.example").await;
    change(&alice, shown(&sid, &code), WRONG_PASSWORD).await.refused(403, "M_FORBIDDEN");
    change(&alice, shown(&sid, "x"), PASSWORD).await.refused(400, "M_TOKEN_INCORRECT");
    let without = json!({ "sid": sid, "client_secret": "secret" });
    let unproven = change(&alice, without.clone(), PASSWORD).await;
    unproven.refused(403, "M_THREEPID_AUTH_FAILED");
    assert_eq!(addresses(&alice).await, [ALICE], "until then nothing has changed");
    let call = change(&alice, shown(&sid, &code), PASSWORD).header(ACCEPT_LANGUAGE, "zh");
    assert_eq!(call.await.ok(), json!({}));
    assert_eq!(addresses(&alice).await, ["a@home.example"]);
    let notice = server.mailbox().take(ALICE).await;
    assert!(notice.text.contains("@alice:example.org") && notice.text.contains("邮箱"));
    change(&alice, without, PASSWORD).await.refused(403, "M_THREEPID_AUTH_FAILED");
    log_in(&server, ALICE, PASSWORD).await.refused(403, "M_FORBIDDEN");
    log_in(&server, "a@home.example", PASSWORD).await.ok();
    // Others may have the old one now.
    user(&server, "bob", ALICE).await;
}

#[tokio::test]
async fn sessions_of_the_endpoint_of_matrix_change_an_address_as_well() {
    let server = server().await;
    let alice = user(&server, "alice", ALICE).await;
    let sid = prove(&server, "account/3pid", "a@home.example").await;
    change(&alice, json!({ "sid": sid, "client_secret": "secret" }), PASSWORD).await.ok();
    assert_eq!(addresses(&alice).await, ["a@home.example"]);
    for what in ["register", "account/password"] {
        let email = if what == "register" { "new@example.org" } else { "a@home.example" };
        let sid = prove(&server, what, email).await;
        let other = change(&alice, json!({ "sid": sid, "client_secret": "secret" }), PASSWORD);
        other.await.refused(403, "M_THREEPID_AUTH_FAILED");
    }
}

#[tokio::test]
async fn nobody_changes_to_an_address_of_somebody_else() {
    for hides in [true, false] {
        let server = server_with(|settings| settings.hide_known_addresses = hides).await;
        let alice = user(&server, "alice", ALICE).await;
        let bob = user(&server, "bob", "bob@example.org").await;
        let path = ["account", "email", "requestToken"];
        let asked = bob.own(Method::POST, path).json(wish(ALICE)).await;
        if hides {
            let sid = &asked.ok()["sid"];
            assert!(!server.mailbox().take(ALICE).await.text.contains("token="));
            let refused = change(&bob, shown(sid, "000000"), PASSWORD).await;
            refused.refused(400, "M_TOKEN_INCORRECT");
        } else {
            asked.refused(400, "M_THREEPID_IN_USE");
        }
        // Nor does one who proves it first get it twice.
        let (sid, code) = ask_to_change(&server, &bob, "new@example.org").await;
        let (other, other_code) = {
            let mut wish = wish("new@example.org");
            wish["client_secret"] = json!("other");
            let asked = alice.own(Method::POST, path).json(wish).await.ok();
            (asked["sid"].clone(), code_in(&server.mailbox().take("new@example.org").await))
        };
        change(&bob, shown(&sid, &code), PASSWORD).await.ok();
        let mut late = shown(&other, &other_code);
        late["client_secret"] = json!("other");
        change(&alice, late, PASSWORD).await.refused(400, "M_THREEPID_IN_USE");
        assert_eq!(addresses(&alice).await, [ALICE]);
    }
}

#[tokio::test]
async fn guesses_at_the_password_there_count_as_any_others() {
    let server = server_with(|settings| settings.wrong_passwords = 3.try_into().ok()).await;
    let alice = user(&server, "alice", ALICE).await;
    let (sid, code) = ask_to_change(&server, &alice, "a@home.example").await;
    for _ in 0..3 {
        change(&alice, shown(&sid, &code), WRONG_PASSWORD).await.refused(403, "M_FORBIDDEN");
    }
    change(&alice, shown(&sid, &code), PASSWORD).await.refused(429, "M_LIMIT_EXCEEDED");
    log_in(&server, "alice", PASSWORD).await.refused(429, "M_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn an_account_has_only_so_many_mails_sent() {
    let server = server().await;
    let alice = user(&server, "alice", ALICE).await;
    let ask = |n: usize| {
        let path = ["account", "email", "requestToken"];
        alice.own(Method::POST, path).json(wish(&format!("a{n}@home.example")))
    };
    for n in 0..5 {
        ask(n).await.ok();
    }
    ask(5).await.refused(429, "M_LIMIT_EXCEEDED");
}

/// Asks again and again until the answer is another than that the address is not proven: what becomes of a mail is
/// noted after its server has refused it.
async fn settled(call: impl Fn() -> Call) -> Answered {
    loop {
        let answered = call().await;
        if !answered.json()["error"].as_str().is_some_and(|words| words.contains("not proven")) {
            return answered;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_waits_for_a_mail_that_nobody_takes_is_told_whether_the_address_is_known_or_not() {
    let server = server().await;
    let alice = user(&server, "alice", ALICE).await;
    server.mailbox().fail(MailError::Permanent("nobody is called so".to_owned()));
    for email in [ALICE, "nobody@example.org"] {
        let asked = post(&server, "register/email/requestToken", wish(email)).await.ok();
        let sid = &asked["sid"];
        let shown = || json!({ "sid": sid, "client_secret": "secret" });
        let sign_up = settled(|| {
            let wish = json!({ "username": "bob", "password": PASSWORD, "email": shown() });
            server.call(Method::POST, Path::own(["register"])).json(wish)
        });
        sign_up.await.refused(400, "ORG.TERTULIA.MAIL_NOT_DELIVERED");
        let submitted = submit(&server, sid, "000000").await;
        submitted.refused(400, "ORG.TERTULIA.MAIL_NOT_DELIVERED");
        let body = json!({ "username": "bob", "password": PASSWORD, "auth": stage(sid) });
        let told = post(&server, "register", body).await.refused(401, "M_FORBIDDEN");
        assert_eq!(
            told["error"],
            "the mail could not be delivered; ask for another, or give another address"
        );
        let asked = post(&server, "account/3pid/email/requestToken", wish(email)).await.ok();
        let shown = json!({ "sid": asked["sid"], "client_secret": "secret" });
        settled(|| change(&alice, shown.clone(), PASSWORD))
            .await
            .refused(400, "ORG.TERTULIA.MAIL_NOT_DELIVERED");
    }
    // Another mail comes through.
    server.mailbox().fail(None);
    let mut again = wish("nobody@example.org");
    again["send_attempt"] = json!(2);
    let asked = post(&server, "register/email/requestToken", again).await.ok();
    let code = code_in(&server.mailbox().take("nobody@example.org").await);
    submit(&server, &asked["sid"], &code).await.ok();
}
