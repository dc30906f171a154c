//! Accounts by e-mail, and the telephone numbers and identity servers that there are not.

use http::Method;
use serde_json::{Value, json};
use tertulia_testkit::{Client, Path, code_in};

use super::{PASSWORD, Story, proved};
use crate::{endpoints::Endpoint, served::NEVER, witness::Witness};

pub(super) async fn chapter(witness: &Witness) {
    let story = Story::begin(witness).await;
    let alice = register(&story).await;
    log_in(&story).await;
    alice.get(["account", "3pid"]).await.ok();
    let alice = reset(&story, &alice).await;
    change(&story, &alice).await;
    sign_up(&story).await;
    never(&story, &alice).await;
}

/// Asks for a mail, and tells the session and its code.
async fn ask(story: &Story, path: Path, email: &str) -> (Value, String) {
    let wish = json!({ "client_secret": "secret", "email": email, "send_attempt": 1 });
    let asked = story.call(Method::POST, path).json(wish).await.ok();
    let submit = "https://matrix.example.org/_tertulia/client/v1/email/submit";
    assert_eq!(asked["submit_url"], submit);
    (asked["sid"].clone(), code_in(&story.mailbox.take(email).await))
}

/// A session in which the address is proven by the code of its mail.
async fn prove(story: &Story, path: Path, email: &str) -> Value {
    let (sid, code) = ask(story, path, email).await;
    let submit = async |code: &str| {
        let shown = json!({ "sid": sid, "client_secret": "secret", "token": code });
        story.call(Method::POST, Path::own(["email", "submit"])).json(shown).await
    };
    submit("none").await.refused(400, "M_TOKEN_INCORRECT");
    submit(&code).await.ok();
    sid
}

fn stage(sid: &Value) -> Value {
    let shown = json!({ "sid": sid, "client_secret": "secret" });
    json!({ "type": "m.login.email.identity", "threepid_creds": shown })
}

async fn register(story: &Story) -> Client {
    let path = || ["register", "email", "requestToken"].into();
    let sid = prove(story, path(), "alice@example.org").await;
    let body = json!({ "username": "alice", "password": PASSWORD });
    let call = || story.call(Method::POST, ["register"]);
    let session = proved(call, body, stage(&sid)).await.ok();
    // The address is known now; who asks is not told so.
    let wish = json!({ "client_secret": "x", "email": "alice@example.org", "send_attempt": 1 });
    story.call(Method::POST, path()).json(wish).await.ok();
    story.client(&session)
}

async fn log_in(story: &Story) {
    let identifier = json!({
        "type": "m.id.thirdparty", "medium": "email", "address": "alice@example.org",
    });
    let login = |identifier: Value, password: &str| {
        let body =
            json!({ "type": "m.login.password", "identifier": identifier, "password": password });
        story.call(Method::POST, ["login"]).json(body)
    };
    login(identifier.clone(), PASSWORD).await.ok();
    login(identifier, "wrong").await.refused(403, "M_FORBIDDEN");
    login(json!({ "type": "m.id.user", "user": "Alice@example.org" }), PASSWORD).await.ok();
}

/// Sets the password without the old one, by the link of the mail.
async fn reset(story: &Story, alice: &Client) -> Client {
    let path = ["account", "password", "email", "requestToken"];
    let wish =
        json!({ "client_secret": "secret", "email": "alice@example.org", "send_attempt": 1 });
    let sid = story.call(Method::POST, path).json(wish).await.ok()["sid"].clone();
    let mail = story.mailbox.take("alice@example.org").await;
    let link = mail.text.split_whitespace().find(|word| word.contains("token="));
    let link = link.and_then(|link| link.strip_prefix("https://matrix.example.org"));
    let link = link.expect("a link to this server").to_owned();
    let token = link.split("token=").nth(1).expect("a token").to_owned();
    let page = story.call(Method::GET, link).await;
    assert_eq!(page.status, 200);
    let confirm = async |token: &str| {
        let shown = json!({ "session": sid, "token": token });
        story.call(Method::POST, Path::own(["email", "confirm"])).json(shown).await
    };
    confirm("none").await.refused(400, "M_TOKEN_INCORRECT");
    confirm(&token).await.ok();
    let new = json!({ "new_password": PASSWORD });
    let call = || story.call(Method::POST, ["account", "password"]);
    proved(call, new, stage(&sid)).await.ok();
    alice.get(["account", "whoami"]).await.refused(401, "M_UNKNOWN_TOKEN");
    story.log_in(alice).await
}

async fn change(story: &Story, alice: &Client) {
    let path = ["account", "3pid", "email", "requestToken"].into();
    let sid = prove(story, path, "other@example.org").await;
    let add = json!({ "sid": sid, "client_secret": "secret" });
    let call = || alice.post(["account", "3pid", "add"]);
    proved(call, add.clone(), super::password(alice)).await.ok();
    proved(call, add, super::password(alice)).await.refused(403, "M_THREEPID_AUTH_FAILED");
    let old = json!({ "medium": "email", "address": "alice@example.org" });
    alice.post(["account", "3pid", "unbind"]).json(old.clone()).await.ok();
    alice.post(["account", "3pid", "delete"]).json(old.clone()).await.ok();
    alice.post(["account", "3pid", "delete"]).json(old).await.refused(400, "M_THREEPID_NOT_FOUND");
}

/// The whole of registering in one request.
async fn sign_up(story: &Story) {
    let path = ["register", "email", "requestToken"].into();
    let (sid, code) = ask(story, path, "erin@example.org").await;
    let sign_up = async |code: &str, secret: &str| {
        let email = json!({ "sid": sid, "client_secret": secret, "token": code });
        let wish = json!({
            "username": "erin", "nickname": "Erin 艾琳", "password": PASSWORD, "email": email,
            "refresh_token": true,
        });
        story.call(Method::POST, Path::own(["register"])).json(wish).await
    };
    sign_up(&code, "other").await.refused(400, "M_INVALID_PARAM");
    sign_up("none", "secret").await.refused(400, "M_TOKEN_INCORRECT");
    let session = sign_up(&code, "secret").await.ok();
    let erin = story.client(&session);
    sign_up(&code, "secret").await.refused(400, "M_USER_IN_USE");
    let shown = erin.get(["profile", erin.id()]).await.ok();
    assert_eq!(shown["displayname"], "Erin 艾琳");
    assert_eq!(
        erin.get(["account", "3pid"]).await.ok()["threepids"][0]["address"],
        "erin@example.org"
    );
    replace(story, &erin).await;
}

/// Another address instead of the one that there was.
async fn replace(story: &Story, erin: &Client) {
    let wish = json!({ "client_secret": "s", "email": "erin@home.example", "send_attempt": 1 });
    let asked = erin.own(Method::POST, ["account", "email", "requestToken"]).json(wish).await.ok();
    let code = code_in(&story.mailbox.take("erin@home.example").await);
    let put = async |code: &str, password: &str| {
        let email = json!({ "sid": asked["sid"], "client_secret": "s", "token": code });
        let change = json!({ "email": email, "password": password });
        erin.own(Method::PUT, ["account", "email"]).json(change).await
    };
    put(&code, "wrong").await.refused(403, "M_FORBIDDEN");
    put("none", PASSWORD).await.refused(400, "M_TOKEN_INCORRECT");
    put(&code, PASSWORD).await.ok();
    put(&code, PASSWORD).await.refused(400, "M_INVALID_PARAM");
    let notice = story.mailbox.take("erin@example.org").await;
    assert!(notice.text.contains("another e-mail address"), "{}", notice.text);
}

/// What is understood, and refused to everybody.
async fn never(story: &Story, alice: &Client) {
    let session = json!({
        "client_secret": "s", "sid": "s", "id_server": "example.org", "id_access_token": "t",
        "country": "ES", "phone_number": "600000000", "send_attempt": 1,
    });
    let mut body = session.clone();
    body["three_pid_creds"] = session;
    for (name, status, code) in NEVER {
        let Endpoint { method, path, .. } = Endpoint::named(name);
        let call = story.call(method, path).token(alice.token());
        call.json(body.clone()).await.refused(status, code);
    }
}
