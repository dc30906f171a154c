//! The port to those who deliver mail.

use std::fmt;

use futures_util::future::BoxFuture;

use super::Language;

/// A mail as it goes out.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// To whom.
    pub to: String,
    /// What it is about, in a line. It holds no secret.
    pub subject: String,
    /// What stands in it, for readers of plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// The language of all that.
    pub language: Language,
    /// What tells it apart from any other mail in the world, without angle brackets. A mail that is
    /// delivered twice, as may happen if the server stops meanwhile, has the same each time.
    pub message_id: String,
}

/// It holds what proves that somebody owns an address, so nothing of it is shown.
impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}

/// Why a mail was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// It may go better later, for instance when whoever delivers is reached again.
    #[error("for now: {0}")]
    Temporary(String),
    /// It will never be delivered, for instance as nobody has the address.
    #[error("for good: {0}")]
    Permanent(String),
}

/// Who delivers mail.
pub trait Mailer: fmt::Debug + Send + Sync + 'static {
    /// Hands `mail` on. It ends within minutes, and those who give up waiting drop the future.
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_mail_is_shown_but_its_name() {
        let secret = || "secret".to_owned();
        let mail = Mail {
            to: secret(),
            subject: secret(),
            text: secret(),
            html: secret(),
            language: Language::English,
            message_id: "1@x".to_owned(),
        };
        let shown = format!("{mail:?}");
        assert!(shown.contains("1@x") && !shown.contains("secret"), "{shown}");
    }
}
