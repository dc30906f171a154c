//! Users and rooms in the numbers that a scenario needs, made as fast as the server lets us.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::api::{Account, Registration, log_in};
use crate::client::{Client, Result};

/// How many requests of the preparation are under way at once.
pub(crate) const AT_ONCE: usize = 16;

/// Who makes users, at which server, by which way.
#[derive(Clone, Debug)]
pub struct Recruiter {
    client: Client,
    registration: Registration,
    /// Keeps the names of two programs at one server apart.
    tag: u32,
    /// How many names were given.
    names: Arc<AtomicU64>,
}

/// The password of all users.
const PASSWORD: &str = "correct horse battery";

impl Recruiter {
    /// Makes users at the client's server.
    pub fn new(client: Client, registration: Registration) -> Recruiter {
        Recruiter { client, registration, tag: rand::random(), names: Arc::default() }
    }

    /// The server's client, as nobody.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A name that nobody has.
    pub fn name(&self) -> String {
        format!("bench-{:08x}-{}", self.tag, self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// Registers a user of this name.
    pub async fn register(&self, name: &str) -> Result<Account> {
        self.registration.register(&self.client, name, PASSWORD).await
    }

    /// Logs one of the users in once more, with a new device.
    pub async fn log_in(&self, user: &str) -> Result<Account> {
        log_in(&self.client, user, PASSWORD).await
    }

    /// Registers `count` users.
    pub async fn users(&self, count: usize) -> anyhow::Result<Vec<Account>> {
        let register = |_| async {
            let name = self.name();
            let account = patiently(|| self.register(&name)).await;
            account.with_context(|| format!("registering {name}"))
        };
        many(count, "users", register).await
    }

    /// Logs the users in `count` times, each in turn, with new devices.
    pub async fn log_ins(&self, users: &[Account], count: usize) -> anyhow::Result<Vec<Account>> {
        let log_in = |number: usize| async move {
            let user = &users[number % users.len()].user;
            patiently(|| self.log_in(user)).await.with_context(|| format!("logging in {user}"))
        };
        many(count, "logins", log_in).await
    }
}

/// Makes something `count` times, some at once; what was made stands in order.
pub async fn many<T, F: Future<Output = anyhow::Result<T>>>(
    count: usize,
    what: &'static str,
    make: impl Fn(usize) -> F,
) -> anyhow::Result<Vec<T>> {
    let bar = progress(count as u64, what);
    let made = stream::iter(0..count).map(make).buffered(AT_ONCE).inspect(|_| bar.inc(1));
    let made = made.try_collect().await;
    bar.finish_and_clear();
    made
}

/// Creates `count` rooms that all of `members` are in; the first of them creates.
pub async fn rooms(members: &[Account], count: usize) -> anyhow::Result<Vec<String>> {
    let create = |_| async {
        let room = room(&members[0]).await?;
        for member in &members[1..] {
            join(member, &room).await?;
        }
        anyhow::Ok(room)
    };
    many(count, "rooms", create).await
}

/// Creates one room for all of `members`, who join side by side.
pub async fn large_room(members: &[Account]) -> anyhow::Result<String> {
    let room = room(&members[0]).await?;
    many(members.len() - 1, "joins", |number| join(&members[number + 1], &room)).await?;
    Ok(room)
}

/// What a scenario asks for when it creates a room: anybody may join.
pub fn open_room() -> Value {
    json!({ "preset": "public_chat", "visibility": "private", "name": "A room to measure in" })
}

async fn room(creator: &Account) -> anyhow::Result<String> {
    let body = open_room();
    patiently(|| creator.create_room(&body)).await.context("creating a room")
}

async fn join(member: &Account, room: &str) -> anyhow::Result<()> {
    patiently(|| member.join(room)).await.context("joining a room")
}

/// Makes a request again as often as the server says that it came too early.
pub async fn patiently<T, F: Future<Output = Result<T>>>(
    mut request: impl FnMut() -> F,
) -> Result<T> {
    loop {
        match request().await {
            Err(error) if error.retry_after().is_some() => {
                tokio::time::sleep(error.retry_after().unwrap_or_default()).await;
            }
            answer => return answer,
        }
    }
}

/// A bar that shows how far work has come, on a terminal.
pub fn progress(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>24} {bar:40} {pos}/{len} {per_sec} {eta}");
    let bar = ProgressBar::new(length).with_message(what);
    bar.with_style(style.expect("the template is well formed"))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::client::Error;

    fn limited(status: u16) -> Error {
        let body = json!({ "retry_after_ms": 1 });
        Error::Refused {
            path: String::new(),
            status,
            code: String::new(),
            message: String::new(),
            body,
        }
    }

    fn recruiter() -> Recruiter {
        Recruiter::new(Client::new("http://127.0.0.1:1"), Registration::Open)
    }

    #[test]
    fn nobody_is_given_a_name_twice() {
        let (one, other) = (recruiter(), recruiter());
        let names = [one.name(), one.clone().name(), one.name(), other.name()];
        assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), 4, "{names:?}");
    }

    #[tokio::test]
    async fn what_is_made_stands_in_order() {
        let make = |number: usize| async move {
            for _ in number..40 {
                tokio::task::yield_now().await;
            }
            anyhow::Ok(number)
        };
        assert_eq!(many(40, "numbers", make).await.unwrap(), Vec::from_iter(0..40));
    }

    #[tokio::test]
    async fn what_cannot_be_made_ends_the_making() {
        let make = |number: usize| async move {
            anyhow::ensure!(number != 3, "not {number}");
            Ok(())
        };
        assert_eq!(many(40, "numbers", make).await.unwrap_err().to_string(), "not 3");
    }

    #[tokio::test]
    async fn a_limited_request_is_made_again() {
        let calls = Cell::new(0);
        let answer = patiently(|| {
            calls.set(calls.get() + 1);
            let call = calls.get();
            async move { if call < 3 { Err(limited(429)) } else { Ok(call) } }
        });
        assert_eq!(answer.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_refused_request_is_not_made_again() {
        let calls = Cell::new(0);
        let answer = patiently(|| {
            calls.set(calls.get() + 1);
            async { Err::<(), _>(limited(403)) }
        });
        assert!(answer.await.is_err());
        assert_eq!(calls.get(), 1);
    }
}
