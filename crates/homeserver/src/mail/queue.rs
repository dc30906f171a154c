//! What becomes of letters that were posted.

use std::{ops::Bound, sync::Arc};

use parking_lot::Mutex;
use ruma::UserId;
use tertulia_storage::{Command, Direction, Partition, Tx, View};

use crate::{
    Error, MailError, Result,
    core::Core,
    schema::{LetterRow, MAIL_QUEUE, UNDELIVERED_MAIL},
};

/// The first pause before a letter is tried again, in milliseconds; each is twice the one before.
const FIRST_PAUSE_MS: u64 = 30_000;
/// The longest pause.
const LONGEST_PAUSE_MS: u64 = 60 * 60_000;
/// The longest pause of a letter that is for nothing after a quarter of an hour.
const LONGEST_PROVING_PAUSE_MS: u64 = 2 * 60_000;
/// For how long a letter that proves nothing is tried.
const PATIENCE_MS: u64 = 2 * 24 * 60 * 60_000;
/// How often it is tried at least, however long the server was off or a clock was wrong.
const LEAST_TRIES: u32 = 10;
/// How many letters may wait before nobody is sent another code.
pub(crate) const MOST_WAITING: usize = 10_000;
/// How often the letters are counted at most, in milliseconds.
const COUNTED_EVERY_MS: u64 = 1_000;
/// How many rows are gone through at once.
const PAGE: usize = 100;

/// When a letter is tried next, and what tells it apart from others.
pub(crate) type LetterKey = (u64, u64);

/// Why a letter was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Its code is not good any more.
    Late,
    /// Whoever delivers mail did not.
    Mail(MailError),
}

/// What becomes of a letter that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was sent.
    Sent,
    /// It is tried again at this time.
    Again(u64),
    /// It is tried again at this time, which is too late for the session that it was posted for.
    AgainWithout(u64),
    /// It came to nothing.
    Lost,
}

impl LetterRow {
    /// Whether it would come too late.
    pub(crate) fn is_late(&self, now: u64) -> bool {
        self.kind.proves() && self.ends <= now
    }

    fn pause(&self) -> u64 {
        let pause = FIRST_PAUSE_MS << self.tries.min(10);
        pause.min(if self.session.is_some() { LONGEST_PROVING_PAUSE_MS } else { LONGEST_PAUSE_MS })
    }

    /// What becomes of it now that it was tried.
    pub(crate) fn fate(&self, outcome: &Result<(), Failure>, now: u64) -> Fate {
        let again = now.saturating_add(self.pause());
        let has_waited = now.saturating_sub(self.posted) >= PATIENCE_MS;
        match outcome {
            Ok(()) => Fate::Sent,
            Err(Failure::Late | Failure::Mail(MailError::Permanent(_))) => Fate::Lost,
            Err(Failure::Mail(MailError::Temporary(_))) if self.kind.proves() => {
                if self.ends <= again { Fate::Lost } else { Fate::Again(again) }
            }
            Err(_) if has_waited && self.tries.saturating_add(1) >= LEAST_TRIES => Fate::Lost,
            // At the same time as the session of a letter that proves something, and so the same to see.
            Err(_) if self.session.is_some() && self.ends <= again => Fate::AgainWithout(again),
            Err(_) => Fate::Again(again),
        }
    }
}

/// When a letter of the queue is to be tried. One that would wait for longer than any does was put there
/// before somebody set the clock back.
pub(crate) fn is_due(key: LetterKey, now: u64) -> bool {
    key.0 <= now || key.0 > now.saturating_add(LONGEST_PAUSE_MS)
}

/// Where letters are written once they are posted.
fn partition() -> Partition {
    Partition::of("mail", "")
}

/// Notes what became of a letter.
pub(crate) struct Settle {
    pub(crate) key: LetterKey,
    pub(crate) fate: Fate,
}

impl Command for Settle {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition()
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let Some(mut letter) = tx.get_guarded(&MAIL_QUEUE, &self.key).await? else {
            // It was forgotten meanwhile.
            return Ok(());
        };
        tx.delete(&MAIL_QUEUE, &self.key);
        // It is read for all alike, so that the work does not tell whether an address is known.
        let session = (letter.session.clone().unwrap_or_default(),);
        let was_undelivered = tx.get(&UNDELIVERED_MAIL, &session).await?.is_some();
        match self.fate {
            _ if letter.session.is_none() => {}
            Fate::Again(_) => {}
            Fate::Sent if was_undelivered => tx.delete(&UNDELIVERED_MAIL, &session),
            Fate::Sent => {}
            Fate::AgainWithout(_) | Fate::Lost => {
                tx.put(&UNDELIVERED_MAIL, &session, &(letter.ends,));
            }
        }
        if let Fate::Again(due) | Fate::AgainWithout(due) = self.fate {
            letter.tries = letter.tries.saturating_add(1);
            letter.session = letter.session.filter(|_| matches!(self.fate, Fate::Again(_)));
            tx.put(&MAIL_QUEUE, &(due, self.key.1), &letter);
        }
        Ok(())
    }
}

/// Whether the mail of a session came to nothing, so that nobody can know its code.
pub(crate) async fn is_undelivered(view: &View, session: &str) -> Result<bool> {
    Ok(view.get(&UNDELIVERED_MAIL, &(session.to_owned(),)).await?.is_some())
}

/// How many letters wait: as many as were counted last, and all that were posted for sessions since. It is never
/// too few, but for notices, which are never refused; and it is counted again only when it would be too many.
#[derive(Default)]
struct Waiting(Mutex<Option<Counted>>);

#[derive(Clone, Copy, Debug)]
struct Counted {
    letters: usize,
    at: u64,
}

impl Waiting {
    /// Takes a place, if there is one; nothing if that has to be counted first.
    fn take(&self, now: u64) -> Option<bool> {
        let mut counted = self.0.lock();
        let counted = counted.as_mut()?;
        if counted.letters < MOST_WAITING {
            counted.letters += 1;
            return Some(true);
        }
        (now.saturating_sub(counted.at) < COUNTED_EVERY_MS).then_some(false)
    }
}

/// Takes a place in the queue for one more letter; tells whether there was one. What is not needed is given back by
/// [`give_place_back`].
pub(crate) async fn take_place(core: &Core) -> Result<bool> {
    let waiting = core.local::<Waiting>();
    let now = core.steady().get().into();
    if let Some(taken) = waiting.take(now) {
        return Ok(taken);
    }
    let view = core.store.view().await?;
    let all = view.scan(&MAIL_QUEUE, &(), Direction::Forward, MOST_WAITING).await?;
    *waiting.0.lock() = Some(Counted { letters: all.len(), at: now });
    Ok(waiting.take(now).unwrap_or(false))
}

/// Gives back the place of a letter that was not posted.
pub(crate) fn give_place_back(core: &Core) {
    if let Some(counted) = core.local::<Waiting>().0.lock().as_mut() {
        counted.letters = counted.letters.saturating_sub(1);
    }
}

/// Makes all that waits due: an operator who has mended something starts the server again, and need
/// not wait.
pub(crate) async fn hasten(core: &Core) -> Result<()> {
    let now = core.steady().get().into();
    while core.store.write(Hasten { now }).await?.out == PAGE {}
    Ok(())
}

/// Makes a page of what waits due; tells how many letters that were.
struct Hasten {
    now: u64,
}

impl Command for Hasten {
    type Out = usize;
    type Error = Error;

    fn partition(&self) -> Partition {
        partition()
    }

    async fn run(&self, tx: &mut Tx) -> Result<usize> {
        let last_due = (self.now, u64::MAX);
        let from = Bound::Excluded(&last_due);
        let waiting = tx.scan_from(&MAIL_QUEUE, &(), from, Direction::Forward, PAGE).await?;
        for (key, letter) in &waiting {
            tx.guard(&MAIL_QUEUE, key);
            tx.delete(&MAIL_QUEUE, key);
            tx.put(&MAIL_QUEUE, &(self.now, key.1), letter);
        }
        Ok(waiting.len())
    }
}

/// Forgets all letters about `user` that were not sent yet.
pub(crate) async fn forget_letters(core: &Arc<Core>, user: &UserId) -> Result<()> {
    let mut last = None;
    loop {
        let view = core.store.view().await?;
        let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let page = view.scan_from(&MAIL_QUEUE, &(), from, Direction::Forward, PAGE).await?;
        let is_last = page.len() < PAGE;
        last = page.last().map(|(key, _)| *key);
        let about = page.into_iter().filter(|(_, letter)| letter.user.as_deref() == Some(user));
        let keys: Vec<_> = about.map(|(key, _)| key).collect();
        if !keys.is_empty() {
            core.store.write(Forget { keys }).await?;
            // One that was being sent may have taken another place meanwhile.
            last = None;
        } else if is_last {
            return Ok(());
        }
    }
}

/// Forgets letters.
pub(crate) struct Forget {
    pub(crate) keys: Vec<LetterKey>,
}

impl Command for Forget {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition()
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        self.keys.iter().for_each(|key| tx.delete(&MAIL_QUEUE, key));
        Ok(())
    }
}

/// Forgets that the mail of sessions came to nothing.
pub(crate) struct ForgetUndelivered {
    pub(crate) sessions: Vec<String>,
}

impl Command for ForgetUndelivered {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition()
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        self.sessions.iter().for_each(|session| tx.delete(&UNDELIVERED_MAIL, &(session.clone(),)));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
