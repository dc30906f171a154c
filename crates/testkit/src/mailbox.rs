//! Mail that stays in the test.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tertulia::{Mail, MailError, Mailer};
use tokio::sync::watch;

/// Where a server's mail ends up, for a test to read. Clones are the same box.
#[derive(Clone, Debug, Default)]
pub struct MailBox {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    mails: Mutex<Vec<Mail>>,
    failing: Mutex<Option<MailError>>,
    /// How many mails were tried, whatever became of them.
    tried: watch::Sender<usize>,
}

impl MailBox {
    /// All mail that came so far, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.mails.lock().clone()
    }

    /// The mail that came to `address` so far, oldest first.
    pub fn to(&self, address: &str) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.to == address).collect()
    }

    /// Waits until `count` mails were tried since the beginning, whether they came or not.
    ///
    /// # Panics
    ///
    /// Never: the box holds the sender.
    pub async fn tried(&self, count: usize) {
        let mut tried = self.shared.tried.subscribe();
        tried.wait_for(|tried| *tried >= count).await.expect("the box holds the sender");
    }

    /// Takes no mail from now on, for this reason; takes it again for none.
    pub fn fail(&self, error: impl Into<Option<MailError>>) {
        *self.shared.failing.lock() = error.into();
    }

    /// Waits until a mail has come to `address`, takes all that came to it out of the box, and tells
    /// the newest.
    ///
    /// # Panics
    ///
    /// Never: the box holds the sender.
    pub async fn take(&self, address: &str) -> Mail {
        let mut tried = self.shared.tried.subscribe();
        loop {
            tried.borrow_and_update();
            if let Some(mail) = self.take_now(address) {
                return mail;
            }
            tried.changed().await.expect("the box holds the sender");
        }
    }

    fn take_now(&self, address: &str) -> Option<Mail> {
        let mut mails = self.shared.mails.lock();
        let (theirs, others) = mails.drain(..).partition::<Vec<_>, _>(|mail| mail.to == address);
        *mails = others;
        theirs.into_iter().next_back()
    }
}

impl Mailer for MailBox {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>> {
        let failing = self.shared.failing.lock().clone();
        let outcome = failing.map_or(Ok(()), Err);
        if outcome.is_ok() {
            self.shared.mails.lock().push(mail);
        }
        self.shared.tried.send_modify(|tried| *tried += 1);
        Box::pin(async { outcome })
    }
}

/// The six digits that stand in a mail.
///
/// # Panics
///
/// If there are none.
pub fn code_in(mail: &Mail) -> String {
    code_of(&mail.text)
}

/// The six digits that have a line of their own in a text.
pub(crate) fn code_of(text: &str) -> String {
    let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|byte| byte.is_ascii_digit());
    let code = text.lines().map(str::trim).find(is_code);
    code.expect("a mail that proves an address has a code").to_owned()
}
