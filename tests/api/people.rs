//! People with passwords, for the tests of accounts.

use http::Method;
use serde_json::{Value, json};
use tertulia::{PasswordCost, Registration};
use tertulia_testkit::{Answered, Call, Client, TestServer};

use crate::secrets::PASSWORD;

/// A server where people register so, and passwords cost nothing.
pub(crate) async fn server_where(registration: Registration) -> TestServer {
    let builder = TestServer::builder().settings(|settings| {
        settings.registration = registration;
        settings.password_cost = PasswordCost::LEAST;
    });
    builder.start().await
}

/// A server where everyone may register.
pub(crate) async fn open_server() -> TestServer {
    server_where(Registration::Open).await
}

pub(crate) fn post(server: &TestServer, path: &str, body: Value) -> Call {
    server.call(Method::POST, format!("/_matrix/client/v3/{path}")).json(body)
}

pub(crate) fn get(server: &TestServer, path: &str) -> Call {
    server.call(Method::GET, format!("/_matrix/client/v3/{path}"))
}

/// Registers with [`PASSWORD`] at once, as most clients of open servers do.
pub(crate) async fn register(server: &TestServer, name: &str) -> Client {
    let body = json!({
        "auth": { "type": "m.login.dummy" },
        "username": name,
        "password": PASSWORD,
    });
    client(server, &post(server, "register", body).await)
}

pub(crate) async fn log_in(server: &TestServer, name: &str, password: &str) -> Answered {
    let identifier = json!({ "type": "m.id.user", "user": name });
    let body =
        json!({ "type": "m.login.password", "identifier": identifier, "password": password });
    post(server, "login", body).await
}

/// The client that got this answer to a registration or login.
pub(crate) fn client(server: &TestServer, answer: &Answered) -> Client {
    let body = answer.ok();
    let text = |key: &str| body[key].as_str().unwrap_or_else(|| panic!("no {key}")).to_owned();
    let user = text("user_id").try_into().unwrap();
    Client::new(server.router(), user, text("device_id").into(), text("access_token"))
}

/// Whether the client's token is still good.
pub(crate) async fn is_logged_in(client: &Client) -> bool {
    let answer = client.get(["account", "whoami"]).await;
    if answer.status == 200 {
        return true;
    }
    answer.refused(401, "M_UNKNOWN_TOKEN");
    false
}

/// The proof that a client is its account's owner.
pub(crate) fn owner(client: &Client, password: &str, session: Option<&str>) -> Value {
    json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": client.id() },
        "password": password,
        "session": session,
    })
}

/// The session of a challenge that asks for a password.
pub(crate) fn challenged(answer: &Answered) -> String {
    let body = answer.json();
    assert_eq!(answer.status, 401, "{body}");
    assert_eq!(body["flows"][0], json!({ "stages": ["m.login.password"] }));
    body["session"].as_str().unwrap().to_owned()
}
