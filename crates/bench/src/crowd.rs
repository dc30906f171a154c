//! Users and rooms in the numbers that a scenario needs, made as fast as the server lets us.

use std::future::Future;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::api::{Account, Registration};
use crate::client::{Client, Result};

/// How many requests of the preparation are under way at once.
const AT_ONCE: usize = 16;

/// Who makes users, at which server, by which way.
#[derive(Clone, Debug)]
pub struct Recruiter {
    client: Client,
    registration: Registration,
    /// Keeps the names of two programs at one server apart.
    tag: u32,
}

impl Recruiter {
    /// Makes users at the client's server.
    pub fn new(client: Client, registration: Registration) -> Recruiter {
        Recruiter { client, registration, tag: rand::random() }
    }

    /// Registers `count` users; `group` goes into their names and must not be used twice.
    pub async fn users(&self, group: &str, count: usize) -> anyhow::Result<Vec<Account>> {
        let bar = progress(count as u64, "users");
        let register = |number: usize| {
            let bar = bar.clone();
            async move {
                let name = format!("bench-{:08x}-{group}-{number}", self.tag);
                let account = patiently(|| {
                    self.registration.register(&self.client, &name, "correct horse battery")
                });
                let account = account.await.with_context(|| format!("registering {name}"))?;
                bar.inc(1);
                anyhow::Ok(account)
            }
        };
        let users = stream::iter(0..count).map(register).buffered(AT_ONCE).try_collect().await;
        bar.finish_and_clear();
        users
    }
}

/// Creates `count` rooms that all of `members` are in; the first of them creates.
pub async fn rooms(members: &[Account], count: usize) -> anyhow::Result<Vec<String>> {
    let bar = progress((count * members.len()) as u64, "memberships");
    let create = |_| {
        let bar = bar.clone();
        async move {
            let room = room(&members[0]).await?;
            bar.inc(1);
            for member in &members[1..] {
                join(member, &room).await?;
                bar.inc(1);
            }
            anyhow::Ok(room)
        }
    };
    let rooms = stream::iter(0..count).map(create).buffered(AT_ONCE).try_collect().await;
    bar.finish_and_clear();
    rooms
}

/// Creates one room for all of `members`, who join side by side.
pub async fn large_room(members: &[Account]) -> anyhow::Result<String> {
    let bar = progress(members.len() as u64, "joins");
    let room = &room(&members[0]).await?;
    let enter = |member| {
        let bar = bar.clone();
        async move {
            join(member, room).await?;
            bar.inc(1);
            anyhow::Ok(())
        }
    };
    stream::iter(&members[1..]).map(enter).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    bar.finish_and_clear();
    Ok(room.clone())
}

async fn room(creator: &Account) -> anyhow::Result<String> {
    let body =
        json!({ "preset": "public_chat", "visibility": "private", "name": "A room to measure in" });
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
