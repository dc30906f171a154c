//! A story in which every endpoint that is served is called at least once with success. Whatever is answered meanwhile is
//! held against the schemas.

mod accounts;
mod data;
mod emails;
mod favourites;
mod finding;
mod friends;
mod groups;
mod media;
mod order;
mod requests;
mod rooms;
mod syncing;
mod talk;

use std::time::Duration;

use axum::Router;
use http::{Method, StatusCode};
use ruma::serde::Base64;
use serde_json::{Value, json};
use tertulia::{Homeserver, NewAccount, PasswordCost, Registration, Secret, TurnServer, TurnUsers};
use tertulia_testkit::{Answered, Call, Client, MailBox, Path, TestServer, TestServerBuilder};

use crate::{
    served::{refusal, served},
    witness::Witness,
};

/// A server whose answers are watched.
struct Story {
    router: Router,
    server: Homeserver,
    mailbox: MailBox,
}

const PASSWORD: &str = "correct horse battery";

/// A server as the story needs it.
fn builder() -> TestServerBuilder {
    TestServer::builder()
        .options(|options| {
            options.public_base_url = Some("https://matrix.example.org".to_owned());
            options.delegated_server = "matrix.example.org:443".try_into().ok();
            options.support.page = Some("https://example.org/help".to_owned());
            let key = "6yhHGKhCiXTSEN2ksjV7kX/N6rBQZ3Xb+M7LlC6NS+s";
            options.policy_server_key = Some(Base64::parse(key).expect("a key"));
        })
        .settings(|settings| {
            settings.registration = Registration::Open;
            settings.public_base_url = Some("https://matrix.example.org".to_owned());
            settings.password_cost = PasswordCost::LEAST;
            let users = TurnUsers::Shared(Secret::new("calls"));
            let uris = vec!["turn:turn.example.org".to_owned()];
            let lifetime = Duration::from_secs(3_600);
            settings.turn = Some(TurnServer { uris, users, lifetime });
        })
}

impl Story {
    /// A new server, of which `witness` sees all.
    async fn begin(witness: &Witness) -> Self {
        let server = builder().start().await;
        let router = witness.before(server.router());
        let mailbox = server.mailbox().clone();
        Self { router, server: server.homeserver().clone(), mailbox }
    }

    /// A request of nobody.
    fn call(&self, method: Method, path: impl Into<Path>) -> Call {
        Call::new(self.router.clone(), method, path)
    }

    fn client(&self, session: &Value) -> Client {
        let text = |key: &str| session[key].as_str().expect("a session").to_owned();
        let user = text("user_id").try_into().expect("a user ID");
        Client::new(self.router.clone(), user, text("device_id").into(), text("access_token"))
    }

    /// One who registers as people do.
    async fn user(&self, name: &str) -> Client {
        let body = json!({ "username": name, "password": PASSWORD });
        let call = || self.call(Method::POST, ["register"]);
        let session = proved(call, body, json!({ "type": "m.login.dummy" })).await.ok();
        self.client(&session)
    }

    /// One who may administer the server, whom nobody becomes by the specification.
    async fn administrator(&self, name: &str) -> Client {
        let password = Some(Secret::new(PASSWORD));
        let account = NewAccount { password, admin: true, ..name.into() };
        self.server.create_user(account).await.expect("an account");
        let login = json!({ "type": "m.login.password", "user": name, "password": PASSWORD });
        self.client(&self.call(Method::POST, ["login"]).json(login).await.ok())
    }

    /// Another session of a user.
    async fn log_in(&self, user: &Client) -> Client {
        let identifier = json!({ "type": "m.id.user", "user": user.id() });
        let body =
            json!({ "type": "m.login.password", "identifier": identifier, "password": PASSWORD });
        self.client(&self.call(Method::POST, ["login"]).json(body).await.ok())
    }
}

/// A call that has to be proved: it is refused at first, and done with `auth` in the session that was told.
async fn proved(call: impl Fn() -> Call, mut body: Value, mut auth: Value) -> Answered {
    let challenge = call().json(body.clone()).await;
    assert_eq!(challenge.status, StatusCode::UNAUTHORIZED);
    auth["session"] = challenge.json()["session"].clone();
    body["auth"] = auth;
    call().json(body).await
}

/// The proof that one is the user.
fn password(user: &Client) -> Value {
    let identifier = json!({ "type": "m.id.user", "user": user.id() });
    json!({ "type": "m.login.password", "identifier": identifier, "password": PASSWORD })
}

#[tokio::test]
async fn every_answer_is_as_the_specification_has_it() {
    let witness = Witness::default();
    accounts::chapter(&witness).await;
    data::chapter(&witness).await;
    emails::chapter(&witness).await;
    media::chapter(&witness).await;
    rooms::chapter(&witness).await;
    order::chapter(&witness).await;
    finding::chapter(&witness).await;
    talk::chapter(&witness).await;
    friends::chapter(&witness).await;
    groups::chapter(&witness).await;
    requests::chapter(&witness).await;
    favourites::chapter(&witness).await;
    syncing::chapter(&witness).await;
    let complaints = witness.complaints();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n\n"));
    let server = TestServer::start().await;
    let unseen = served(&server).await.into_iter().map(ToString::to_string);
    let done = |name: &String| match refusal(name) {
        Some((status, _)) => StatusCode::from_u16(status).expect("a status"),
        None => StatusCode::OK,
    };
    let unseen: Vec<_> = unseen.filter(|name| !witness.saw(name, done(name))).collect();
    assert!(unseen.is_empty(), "never called with success:\n{}\n", unseen.join("\n"));
}
