//! The ports to the outside: what the server asks of the world it runs in.

mod blobs;
mod files;
mod mailer;

use std::{
    fmt::Debug,
    sync::LazyLock,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use ruma::MilliSecondsSinceUnixEpoch;

pub use blobs::{Blobs, FoundBlob, Incoming, MemoryBlobs, Pieces};
pub use files::FileBlobs;
pub(crate) use files::read_file;
pub use mailer::{Mail, MailError, Mailer};

use crate::schema::Language;

/// Time. Tests drive it.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The present.
    fn now(&self) -> MilliSecondsSinceUnixEpoch;

    /// What has passed since some moment before this process began to ask. Unlike [`Clock::now`] it
    /// does not leap when somebody sets the machine's clock. A clock that nobody sets need not
    /// tell the two apart.
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.now().get().into())
    }

    /// Ends when `duration` has passed.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's own time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch::now()
    }

    fn elapsed(&self) -> Duration {
        static FIRST_ASKED: LazyLock<Instant> = LazyLock::new(Instant::now);
        FIRST_ASKED.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Chance: where identifiers, tokens and salts come from. Tests seed it.
pub trait Random: Debug + Send + Sync + 'static {
    /// Fills `bytes` with bytes nobody can guess.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        rand::Rng::fill_bytes(&mut rand::rng(), bytes);
    }
}

impl dyn Random {
    /// A word of `length` letters and digits.
    pub fn word(&self, length: usize) -> String {
        const LETTERS: &[u8; 62] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut word = String::with_capacity(length);
        let mut bytes = [0; 32];
        while word.len() < length {
            self.fill(&mut bytes);
            // Bytes beyond the last whole multiple of 62 would favour the first letters.
            let fair = bytes.iter().filter(|byte| **byte < 248);
            word.extend(fair.map(|byte| char::from(LETTERS[usize::from(byte % 62)])));
        }
        word.truncate(length);
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_the_length_asked_for_and_only_letters_and_digits() {
        let random: &dyn Random = &SystemRandom;
        for length in [0, 1, 18, 100] {
            let word = random.word(length);
            assert_eq!(word.len(), length);
            assert!(word.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{word}");
        }
        assert_ne!(random.word(18), random.word(18));
    }
}
