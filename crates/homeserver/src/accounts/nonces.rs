//! Words that may be used once: they keep a signed request from being sent twice.

use std::collections::VecDeque;

use ruma::MilliSecondsSinceUnixEpoch;

/// How long a nonce may be used.
const LIFETIME_MS: u64 = 60_000;

/// How many nonces may be unused at a time. The oldest gives way.
const MOST: usize = 1_000;

/// The nonces that were given out and not used yet, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Nonces(VecDeque<(String, u64)>);

impl Nonces {
    /// Gives out `nonce`.
    pub(crate) fn give(&mut self, nonce: String, now: MilliSecondsSinceUnixEpoch) {
        self.forget_old(now);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((nonce, now.get().into()));
    }

    /// Whether `nonce` was given out and not used yet; from now on it is.
    pub(crate) fn spend(&mut self, nonce: &str, now: MilliSecondsSinceUnixEpoch) -> bool {
        self.forget_old(now);
        let place = self.0.iter().position(|(given, _)| given == nonce);
        place.and_then(|place| self.0.remove(place)).is_some()
    }

    fn forget_old(&mut self, now: MilliSecondsSinceUnixEpoch) {
        let now = u64::from(now.get());
        while self.0.front().is_some_and(|(_, given)| now.saturating_sub(*given) >= LIFETIME_MS) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(milliseconds.try_into().unwrap())
    }

    #[test]
    fn a_nonce_is_good_once() {
        let mut nonces = Nonces::default();
        nonces.give("one".to_owned(), at(0));
        assert!(nonces.spend("one", at(1)));
        assert!(!nonces.spend("one", at(2)));
        assert!(!nonces.spend("never given", at(2)));
    }

    #[test]
    fn a_nonce_ends_after_a_minute() {
        let mut nonces = Nonces::default();
        nonces.give("early".to_owned(), at(0));
        nonces.give("late".to_owned(), at(1));
        assert!(!nonces.spend("early", at(LIFETIME_MS)));
        assert!(nonces.spend("late", at(LIFETIME_MS)));
    }

    #[test]
    fn nonces_are_bounded_in_number() {
        let mut nonces = Nonces::default();
        for number in 0..=MOST {
            nonces.give(number.to_string(), at(0));
        }
        assert_eq!(nonces.0.len(), MOST);
        assert!(!nonces.spend("0", at(0)));
        assert!(nonces.spend("1", at(0)));
        assert!(nonces.spend(&MOST.to_string(), at(0)));
    }
}
