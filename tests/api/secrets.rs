//! The secrets that the tests of accounts use, so that a search through the logs knows what to
//! look for.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use serde_json::json;
use tertulia::{Registration, Secret};

use crate::people::{client, get, log_in, owner, post, server_where};

/// Every password, token and shared secret that is written down in these tests. Alice's access
/// tokens are found by what they begin with.
pub(crate) const SECRETS: &[&str] = &[
    PASSWORD,
    NEW_PASSWORD,
    WRONG_PASSWORD,
    REGISTRATION_TOKEN,
    SHARED_SECRET,
    "tertulia.YWxpY2U",
];

pub(crate) const PASSWORD: &str = "correct-horse-battery-staple";
pub(crate) const NEW_PASSWORD: &str = "even-better-than-before";
pub(crate) const WRONG_PASSWORD: &str = "this-is-but-a-guess";
pub(crate) const REGISTRATION_TOKEN: &str = "open-sesame-please";
pub(crate) const SHARED_SECRET: &str = "known-to-scripts-only";

/// Everything that is logged, at any level.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Does everything that has to do with secrets, rightly and wrongly.
async fn use_all_secrets() {
    let server = server_where(Registration::Tokens(vec![Secret::new(REGISTRATION_TOKEN)])).await;
    for token in [WRONG_PASSWORD, REGISTRATION_TOKEN] {
        let auth = json!({ "type": "m.login.registration_token", "token": token });
        let body = json!({ "username": "alice", "password": PASSWORD, "auth": auth });
        post(&server, "register", body).await;
    }
    log_in(&server, "alice", WRONG_PASSWORD).await.refused(403, "M_FORBIDDEN");
    let alice = client(&server, &log_in(&server, "alice", PASSWORD).await);
    for password in [WRONG_PASSWORD, PASSWORD] {
        let auth = owner(&alice, password, None);
        let body = json!({ "new_password": NEW_PASSWORD, "auth": auth });
        alice.post(["account", "password"]).json(body).await;
    }
    log_in(&server, "alice", NEW_PASSWORD).await.ok();
    get(&server, &format!("account/whoami?access_token={}", alice.token())).await.ok();
    alice.post(["logout"]).await.ok();
    get(&server, &format!("sync?access_token={}", alice.token())).await;
}

#[tokio::test]
async fn no_log_shows_a_secret() {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    // For all threads: what another test logged first would stay off for one thread alone.
    tracing::subscriber::set_global_default(subscriber).expect("no other test listens");
    use_all_secrets().await;
    let logged = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("login"), "requests are logged: {logged}");
    for secret in SECRETS {
        assert!(!logged.contains(secret), "{secret} in {logged}");
    }
}
