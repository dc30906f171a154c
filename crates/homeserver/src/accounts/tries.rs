//! How often the password of one account may be guessed at, wherever the guesses come from.

use std::collections::HashMap;

use parking_lot::Mutex;
use ruma::{MilliSecondsSinceUnixEpoch, OwnedUserId, UserId};

/// After how long one more may be wrong.
const REGAINED_MS: u64 = 30_000;
/// Of how many accounts it is known how many were wrong.
const MOST_ACCOUNTS: usize = 10_000;

/// The passwords that were wrong lately, of each account.
#[derive(Debug, Default)]
pub(super) struct Tries(Mutex<HashMap<OwnedUserId, Wrong>>);

/// How many were wrong when the last one was.
#[derive(Clone, Copy, Debug)]
struct Wrong {
    count: u32,
    last: u64,
}

impl Wrong {
    fn count_at(self, now: u64) -> u32 {
        let regained = now.saturating_sub(self.last) / REGAINED_MS;
        self.count.saturating_sub(u32::try_from(regained).unwrap_or(u32::MAX))
    }
}

impl Tries {
    /// Whether a password of `user` may be tried, of which `most` may be wrong at once.
    pub(super) fn may(&self, user: &UserId, most: u32, now: MilliSecondsSinceUnixEpoch) -> bool {
        let wrong = self.0.lock().get(user).copied();
        wrong.is_none_or(|wrong| wrong.count_at(now.get().into()) < most)
    }

    /// Notes that one was wrong.
    pub(super) fn wrong(&self, user: &UserId, now: MilliSecondsSinceUnixEpoch) {
        let now = now.get().into();
        let mut all = self.0.lock();
        if all.len() >= MOST_ACCOUNTS {
            all.retain(|_, wrong| wrong.count_at(now) > 0);
        }
        // Whoever guesses at so many accounts is slowed down by the rates of addresses.
        if all.len() >= MOST_ACCOUNTS {
            all.clear();
        }
        let before = all.get(user).map_or(0, |wrong| wrong.count_at(now));
        all.insert(user.to_owned(), Wrong { count: before.saturating_add(1), last: now });
    }
}

#[cfg(test)]
mod tests {
    use ruma::{UInt, user_id};

    use super::*;

    fn at(milliseconds: u64) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(UInt::try_from(milliseconds).unwrap())
    }

    #[test]
    fn so_many_may_be_wrong_and_then_one_has_to_wait() {
        let (tries, alice, bob) = (Tries::default(), user_id!("@alice:x"), user_id!("@bob:x"));
        for _ in 0..3 {
            assert!(tries.may(alice, 3, at(0)));
            tries.wrong(alice, at(0));
        }
        assert!(!tries.may(alice, 3, at(0)));
        assert!(tries.may(bob, 3, at(0)), "others are not to blame");
        assert!(!tries.may(alice, 3, at(REGAINED_MS - 1)));
        assert!(tries.may(alice, 3, at(REGAINED_MS)));
        tries.wrong(alice, at(REGAINED_MS));
        assert!(!tries.may(alice, 3, at(REGAINED_MS)));
        assert!(tries.may(alice, 3, at(100 * REGAINED_MS)));
    }

    #[test]
    fn accounts_are_bounded_in_number() {
        let tries = Tries::default();
        let user = |n: usize| UserId::parse(format!("@u{n}:x")).unwrap();
        for n in 0..MOST_ACCOUNTS {
            tries.wrong(&user(n), at(0));
        }
        tries.wrong(user_id!("@late:x"), at(REGAINED_MS - 1));
        assert_eq!(tries.0.lock().len(), 1);
        for n in 0..MOST_ACCOUNTS {
            tries.wrong(&user(n), at(3 * REGAINED_MS));
        }
        assert!(tries.0.lock().len() <= MOST_ACCOUNTS);
    }
}
