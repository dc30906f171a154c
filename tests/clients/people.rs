//! Who uses which client: one that others published, our own API, or both with one account.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tertulia_bench::api::{Account, Registration, log_in};
use tertulia_bench::client::{self, Client as Http};
use tertulia_tests::program::Program;
use tokio::time::timeout;

use crate::client::Client;
use crate::install::Script;

pub const PASSWORD: &str = "correct horse battery";
/// How long a client may take for what it is told, or wait for what it is to see. On a machine that has nothing else to do it is
/// less than a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one sync may wait, in milliseconds.
const HELD: u32 = 20_000;
const OWN: &str = "/_tertulia/client/v1";

/// A client that others published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nio,
    Sdk,
}

impl Kind {
    pub const ALL: [Kind; 2] = [Kind::Nio, Kind::Sdk];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Nio => "matrix-nio",
            Kind::Sdk => "matrix-js-sdk",
        }
    }

    /// What its users are called here.
    pub fn short(self) -> &'static str {
        match self {
            Kind::Nio => "nio",
            Kind::Sdk => "sdk",
        }
    }
}

/// The clients that there are, and the server that they find.
#[derive(Debug)]
pub struct Cast<'a> {
    pub program: &'a Program,
    pub nio: &'a Script,
    pub sdk: &'a Script,
}

impl Cast<'_> {
    /// Starts a client that nobody is logged in at. `name` is that of its log.
    fn client(&self, kind: Kind, name: &str) -> anyhow::Result<Client> {
        let script = match kind {
            Kind::Nio => self.nio,
            Kind::Sdk => self.sdk,
        };
        let log = self.program.file(&format!("{name}.log"));
        Client::start(script.command(&self.program.url()), kind.name(), &log)
    }

    /// Somebody new who uses a client that others published, and our own API beside it.
    pub async fn person(&self, kind: Kind, name: &str) -> anyhow::Result<Person> {
        let client = self.client(kind, name)?;
        let user = client.ask("register", credentials(name)).await?;
        let own = Own(log_in(&self.http(), name, PASSWORD).await?);
        ensure!(own.id() == user, "{name} is {user} and {}", own.id());
        Ok(Person { client, own })
    }

    /// One more client that somebody uses. `name` is that of its log.
    pub async fn device(&self, kind: Kind, of: &Own, name: &str) -> anyhow::Result<Client> {
        let client = self.client(kind, name)?;
        let user = client.ask("log_in", credentials(of.id())).await?;
        ensure!(of.id() == user, "{} logged in as {user}", of.id());
        Ok(client)
    }

    /// Somebody new who uses nothing but our own API.
    pub async fn own(&self, name: &str) -> anyhow::Result<Own> {
        Ok(Own(Registration::Open.register(&self.http(), name, PASSWORD).await?))
    }

    fn http(&self) -> Http {
        Http::new(&self.program.url())
    }
}

fn credentials(name: &str) -> Value {
    json!({ "name": name, "password": PASSWORD })
}

/// Somebody who uses a client that others published, and our own API beside it.
#[derive(Debug)]
pub struct Person {
    pub client: Client,
    pub own: Own,
}

impl Person {
    pub fn id(&self) -> &str {
        self.own.id()
    }

    /// Has their client do something, or wait for something.
    pub async fn order(&self, command: &str, with: Value) -> anyhow::Result<Value> {
        order(&self.client, command, with).await
    }

    /// The same where the answer is a text.
    pub async fn ask(&self, command: &str, with: Value) -> anyhow::Result<String> {
        let answer = self.order(command, with).await?;
        answer.as_str().map(str::to_owned).with_context(|| format!("{command} gave {answer}"))
    }
}

/// Has a client do something, or wait for something, in bounded time.
pub async fn order(client: &Client, command: &str, with: Value) -> anyhow::Result<Value> {
    let what = format!("{command} {with}");
    timeout(PATIENCE, client.order(command, with))
        .await
        .unwrap_or_else(|_| bail!("it did not come to that in {PATIENCE:?}"))
        .context(what)
}

/// Somebody's session of our own API, as a chat application has it.
#[derive(Clone, Debug)]
pub struct Own(pub Account);

impl Own {
    pub fn id(&self) -> &str {
        &self.0.user
    }

    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        Ok(self.0.client.get(&format!("{OWN}{path}"), query).await?)
    }

    pub async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        Ok(self.0.client.post(&format!("{OWN}{path}"), &body).await?)
    }

    pub async fn put(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        Ok(self.0.client.put(&format!("{OWN}{path}"), &body).await?)
    }

    pub async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        Ok(self.0.client.delete(&format!("{OWN}{path}")).await?)
    }

    /// What one type of the user's account data is; nothing, if it was never set.
    pub async fn account_data(&self, kind: &str) -> anyhow::Result<Value> {
        let path = format!("/_matrix/client/v3/user/{}/account_data/{kind}", self.id());
        match self.0.client.get(&path, &[]).await {
            Err(client::Error::Refused { status: 404, .. }) => Ok(json!({})),
            content => Ok(content?),
        }
    }

    /// Waits until one type of the user's account data is as wished, as syncs tell it.
    pub async fn await_account_data(
        &self,
        kind: &str,
        wished: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let waiting = async {
            let mut since = None;
            loop {
                let update = self.0.sync(since.as_deref(), None, HELD).await?;
                let news = update.account_data.events.into_iter().rev();
                let news = news.filter(|item| item.kind == kind).map(|item| item.content).next();
                // What was never set is not told at first.
                let news = news.or_else(|| since.is_none().then(|| json!({})));
                if let Some(content) = news.filter(|content| wished(content)) {
                    return Ok(content);
                }
                since = Some(update.next_batch);
            }
        };
        let found = timeout(PATIENCE, waiting).await;
        let now = self.account_data(kind).await?;
        found.unwrap_or_else(|_| bail!("{}: {kind} stays {now}", self.id()))
    }
}

/// The newest request of one to another is of this kind and state, on the page of who asks and on that of who is asked. Its ID there.
pub async fn request(
    asker: &Own,
    asked: &Own,
    kind: &str,
    reason: Option<&str>,
    states: [&str; 2],
) -> anyhow::Result<String> {
    let mut id = String::new();
    let pages = [(asker, asked, "/requests/sent"), (asked, asker, "/requests/received")];
    for ((whose, other, page), state) in pages.into_iter().zip(states) {
        let page = whose.get(page, &[("limit", "200")]).await?;
        let all = page["requests"].as_array().context("a page has requests")?;
        let newest = all.iter().find(|request| request["user_id"] == other.id());
        let newest = newest.with_context(|| format!("{} has no such request", whose.id()))?;
        let is_so = newest["kind"] == kind
            && newest["state"] == state
            && reason.is_none_or(|reason| newest["reason"] == reason);
        ensure!(is_so, "for {} it is {newest}, and should be {kind} and {state}", whose.id());
        id = newest["id"].as_str().context("a request has an ID")?.to_owned();
    }
    Ok(id)
}
