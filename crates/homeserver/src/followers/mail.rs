//! Sends the mail that was posted. It is the only one to write to the queue what was posted already.
//!
//! Few letters are on their way at once. If the server stops between sending one and noting that, it is
//! sent again, with the same message ID.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tertulia_storage::Direction;

use crate::{
    MailError, Mailer, Result,
    core::Core,
    log,
    mail::{self, Failure, Fate, LetterKey, Settle},
    schema::{LetterRow, MAIL_QUEUE},
};

/// How many letters are on their way at once.
const AT_ONCE: usize = 4;
/// For how long one may be on its way, whatever whoever delivers it does.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Sends until the server stops, or the store fails.
pub(super) async fn follow(core: Arc<Core>) {
    let Some(mailer) = core.mailer.clone() else {
        return;
    };
    let post = Post { core, mailer };
    if let Err(error) = post.run().await {
        tracing::error!(%error, "no mail is sent until the next start");
    }
}

struct Post {
    core: Arc<Core>,
    mailer: Arc<dyn Mailer>,
}

/// Letters that are on their way.
#[derive(Default)]
struct Underway<'a> {
    letters: FuturesUnordered<BoxFuture<'a, (LetterKey, Result<()>)>>,
    keys: HashSet<LetterKey>,
}

impl Post {
    async fn run(&self) -> Result<()> {
        let mut posted = self.core.store.watch([log::mail_topic()]);
        mail::hasten(&self.core).await?;
        let mut underway = Underway::default();
        loop {
            let pause = self.send_what_is_due(&mut underway).await?;
            tokio::select! {
                () = self.core.stop.cancelled() => return Ok(()),
                Some((key, settled)) = underway.letters.next() => {
                    underway.keys.remove(&key);
                    settled?;
                }
                () = posted.changed() => {}
                () = self.sleep(pause) => {}
            }
        }
    }

    /// Ends never without a time.
    async fn sleep(&self, pause: Option<Duration>) {
        match pause {
            Some(pause) => self.core.clock.sleep(pause).await,
            None => std::future::pending().await,
        }
    }

    /// Sends as many letters as may be on their way; tells when the next is due, if it could be sent
    /// then.
    async fn send_what_is_due<'a>(
        &'a self,
        underway: &mut Underway<'a>,
    ) -> Result<Option<Duration>> {
        if underway.keys.len() >= AT_ONCE {
            return Ok(None);
        }
        let view = self.core.store.view().await?;
        let first = view.scan(&MAIL_QUEUE, &(), Direction::Forward, 2 * AT_ONCE).await?;
        let now = self.core.steady().get().into();
        for (key, letter) in first {
            if underway.keys.len() >= AT_ONCE {
                return Ok(None);
            }
            if underway.keys.contains(&key) {
                continue;
            }
            if !mail::is_due(key, now) {
                return Ok(Some(Duration::from_millis(key.0 - now)));
            }
            underway.keys.insert(key);
            underway.letters.push(Box::pin(async move { (key, self.deliver(key, &letter).await) }));
        }
        Ok(None)
    }

    /// Tries to send a letter, and notes what became of it.
    async fn deliver(&self, key: LetterKey, letter: &LetterRow) -> Result<()> {
        let outcome = self.send(key, letter).await;
        let fate = letter.fate(&outcome, self.core.steady().get().into());
        if let Err(failure) = &outcome {
            self.complain(letter, failure, fate);
        }
        self.core.store.write(Settle { key, fate }).await?;
        Ok(())
    }

    async fn send(&self, key: LetterKey, letter: &LetterRow) -> Result<(), Failure> {
        let now = self.core.steady().get().into();
        if letter.is_late(now) {
            return Err(Failure::Late);
        }
        let mail = mail::write(&self.core, letter, key.1, now)
            .map_err(|error| Failure::Mail(MailError::Permanent(error.to_string())))?;
        tokio::select! {
            biased;
            sent = self.mailer.send(mail) => sent.map_err(Failure::Mail),
            () = self.core.clock.sleep(PATIENCE) => {
                let minutes = PATIENCE.as_secs() / 60;
                let reason = format!("it did not come to an end within {minutes} minutes");
                Err(Failure::Mail(MailError::Temporary(reason)))
            }
        }
    }

    /// Says why a letter was not sent, without what may not stand in a log.
    fn complain(&self, letter: &LetterRow, failure: &Failure, fate: Fate) {
        let (kind, to) = (letter.kind, mail::masked(&letter.address));
        let tries = letter.tries + 1;
        let reason = match failure {
            Failure::Late => "its code is not good any more".to_owned(),
            Failure::Mail(error) => mail::without_secrets(&self.core, letter, &error.to_string()),
        };
        match fate {
            Fate::Lost => tracing::warn!(?kind, to, tries, reason, "a mail came to nothing"),
            // Of many tries the first tells the operator, the others only those who look for them.
            _ if letter.tries == 0 => {
                tracing::warn!(?kind, to, reason, "a mail could not be sent and is tried again");
            }
            _ => tracing::info!(?kind, to, tries, reason, "a mail could not be sent again"),
        }
    }
}

#[cfg(test)]
mod tests;
