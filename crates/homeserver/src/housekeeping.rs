//! Housekeeping: what is old enough is forgotten, in pages, by one task of the server.
//!
//! Age is counted in hours that the server has *lived*: it sleeps for an hour, and then notes how
//! far the log was. A clock that jumps, and any time that the server was off, makes nothing old; a
//! stop in between loses less than an hour of age. So nothing expires early.
//!
//! What expires has a [`Job`] in [`JOBS`]. A job that was interrupted goes on where it was.
//!
//! | what expires | who removes it |
//! |---|---|
//! | `TRANSACTIONS` | the job `transactions`; removing the room or the user |
//! | `LOGIN_TOKENS` | the job `login_tokens`; whoever logs in with one |
//! | `OPENID_TOKENS` | the job `openid_tokens` |
//! | `THREEPID_SESSIONS` | the job `threepid_sessions`; whoever uses what was proven |
//! | `PENDING_MEDIA`, and its part of `MEDIA_USE` | the job `pending_media`; the upload |
//! | `EXPIRING_TOKENS`, `REFRESH_TOKENS` | the end of their session, whose three pairs at most may be renewed at any time |
//! | `DEVICES`, `TOKENS`, `LAST_SEEN` | nothing but the end of the session |
//! | `CLOSED_TO_GUESTS`, `REOPENED_ROOMS`, `UPGRADES`, `GENERATIONS` | those who do what is noted there |
//! | `MAIL_QUEUE` | the follower `mail`, or the job `mail_queue` where there is none any more; removing the user |
//! | `UNDELIVERED_MAIL` | the job `undelivered_mail`; a later mail of the session |
//! | `REQUESTS` that do not wait any more | the job `requests`; their users, who dismiss them |
//! | `OPEN_REQUESTS`, `HIDDEN_REQUESTS` | the answer; removing the room or the user |
//! | `HOURS`, `JOB_CURSORS` | housekeeping itself |
//!
//! Proofs of who one is, nonces, wrong passwords, typing and presence expire in memory.

mod forget;
mod mails;
mod passes;
mod requests;
mod threepids;
mod transactions;
mod uploads;

use std::{ops::Bound, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tertulia_storage::{Command, Direction, Key, Partition, Position, Table, Tx, Value, View};

use crate::{
    Error, Homeserver, Result,
    core::Core,
    schema::{HOURS, JOB_CURSORS, LOGIN_TOKENS, OPENID_TOKENS},
};

/// How many rows a job looks at in one page.
const PAGE: usize = 400;
/// How long an hour is.
const HOUR: Duration = Duration::from_secs(60 * 60);
/// How long the house is left alone between two pages.
const PAUSE: Duration = Duration::from_millis(50);
/// How many lived hours are remembered; no job asks for more.
const REMEMBERED: u64 = 7 * 24;
/// How many hours without a row are deleted in one step.
const STEP: usize = 50;
/// For how long what has ended by the clock is kept: so far may the clock have been wrong.
const GRACE_MS: u64 = 24 * 60 * 60_000;

/// Ends with where the next page begins; none is behind the last one.
type Looking = BoxFuture<'static, Result<Option<Bytes>>>;

/// Something that is forgotten when it is old.
struct Job {
    /// Its name in [`JOB_CURSORS`], which never changes.
    name: &'static str,
    /// For how many lived hours things are kept at least.
    keep: u64,
    /// After how many hours it begins anew.
    every: u64,
    /// Does a page of it, and tells where the next one begins.
    page: fn(Arc<Core>, Page) -> Looking,
}

/// One page of a job.
struct Page {
    /// What was written up to here is old enough.
    up_to: Position,
    /// Where it begins; none is the first.
    from: Option<Bytes>,
}

impl Page {
    /// The rows of the page, and where the next one begins; none if this is the last.
    async fn rows<K: Key, V: Value>(
        &self,
        view: &View,
        table: &Table<K, V>,
    ) -> Result<(Vec<(K, V)>, Option<Bytes>)> {
        // A cursor that cannot be read begins from the start: nothing is lost by looking twice.
        let from = self.from.as_ref().and_then(|from| K::decode(from).ok());
        let from = from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let rows = view.scan_from(table, &(), from, Direction::Forward, PAGE).await?;
        let next = rows.last().filter(|_| rows.len() == PAGE).map(|(key, _)| key.encode().into());
        Ok((rows, next))
    }
}

/// All that expires in the store. What lives in memory only is bounded where it lives.
const JOBS: [Job; 8] = [
    Job {
        name: "transactions",
        keep: 24,
        every: 6,
        page: |core, page| Box::pin(transactions::page(core, page)),
    },
    Job {
        name: "login_tokens",
        keep: 0,
        every: 1,
        page: |core, page| Box::pin(passes::page(core, page, &LOGIN_TOKENS)),
    },
    Job {
        name: "openid_tokens",
        keep: 0,
        every: 1,
        page: |core, page| Box::pin(passes::page(core, page, &OPENID_TOKENS)),
    },
    Job {
        name: "threepid_sessions",
        keep: 0,
        every: 1,
        page: |core, page| Box::pin(threepids::page(core, page)),
    },
    Job {
        name: "pending_media",
        keep: 0,
        every: 1,
        page: |core, page| Box::pin(uploads::page(core, page)),
    },
    Job {
        name: "mail_queue",
        keep: 0,
        every: 24,
        page: |core, page| Box::pin(mails::page_of_queue(core, page)),
    },
    Job {
        name: "undelivered_mail",
        keep: 0,
        every: 1,
        page: |core, page| Box::pin(mails::page_of_undelivered(core, page)),
    },
    Job {
        name: "requests",
        keep: 0,
        every: 24,
        page: |core, page| Box::pin(requests::page(core, page)),
    },
];

/// What ended by the clock before this has ended, even if somebody has set the clock since the server
/// began, or a day before. In milliseconds since 1970.
fn certainly_over(core: &Core) -> u64 {
    let now: u64 = core.now().min(core.steady()).get().into();
    now.saturating_sub(GRACE_MS)
}

/// Keeps house until the server stops.
pub(crate) async fn live(server: Homeserver) {
    let core = server.core.clone();
    loop {
        tokio::select! {
            () = core.clock.sleep(HOUR) => {}
            () = core.stop.cancelled() => return,
        }
        tokio::select! {
            kept = server.keep_house() => if let Err(error) = kept {
                tracing::warn!(%error, "what is old was not forgotten; the next hour tries again");
            },
            () = core.stop.cancelled() => return,
        }
    }
}

impl Homeserver {
    /// Notes that the server has lived for another hour, and forgets what is old. The server does so
    /// by itself every hour, unless [`Settings::housekeeping`](crate::Settings::housekeeping) says no.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if the store fails.
    pub async fn keep_house(&self) -> Result<()> {
        let at = self.core.store.settled();
        let hour = self.core.store.write(NextHour { at }).await?.out;
        for job in &JOBS {
            self.do_job(job, hour).await?;
        }
        Ok(())
    }

    async fn do_job(&self, job: &Job, hour: u64) -> Result<()> {
        let view = self.core.store.view().await?;
        let mut from = view.get(&JOB_CURSORS, &(job.name.to_owned(),)).await?;
        let begins = hour.is_multiple_of(job.every);
        let Some(old) = hour.checked_sub(job.keep).filter(|_| begins || from.is_some()) else {
            return Ok(());
        };
        let Some((up_to,)) = view.get(&HOURS, &(old,)).await? else {
            return Ok(());
        };
        drop(view);
        loop {
            let page = Page { up_to, from: from.map(|(from,)| from) };
            let next = (job.page)(self.core.clone(), page).await?;
            let note = NoteCursor { job: job.name, cursor: next.clone() };
            self.core.store.write(note).await?;
            let Some(next) = next else {
                return Ok(());
            };
            from = Some((next,));
            self.core.clock.sleep(PAUSE).await;
        }
    }
}

/// Where the rows of housekeeping are written.
fn partition() -> Partition {
    Partition::of("server", "housekeeping")
}

/// Notes how far the log was in the next hour, and tells its number.
struct NextHour {
    at: Position,
}

impl Command for NextHour {
    type Out = u64;
    type Error = Error;

    fn partition(&self) -> Partition {
        partition()
    }

    async fn run(&self, tx: &mut Tx) -> Result<u64> {
        let last = tx.scan(&HOURS, &(), Direction::Backward, 1).await?;
        let hour = last.first().map_or(0, |((hour,), _)| hour + 1);
        tx.put(&HOURS, &(hour,), &(self.at,));
        let first = tx.scan(&HOURS, &(), Direction::Forward, STEP).await?;
        for (key, _) in first.into_iter().filter(|((old,), _)| old + REMEMBERED < hour) {
            tx.delete(&HOURS, &key);
        }
        Ok(hour)
    }
}

/// Notes where a job goes on, or that it is done.
struct NoteCursor {
    job: &'static str,
    cursor: Option<Bytes>,
}

impl Command for NoteCursor {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition()
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.job.to_owned(),);
        match &self.cursor {
            Some(cursor) => tx.put(&JOB_CURSORS, &key, &(cursor.clone(),)),
            None => tx.delete(&JOB_CURSORS, &key),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
