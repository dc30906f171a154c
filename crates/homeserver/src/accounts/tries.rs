//! How often something of one account or one address may be tried, wherever the tries come from.

use std::{collections::HashMap, hash::Hash};

use parking_lot::Mutex;
use ruma::MilliSecondsSinceUnixEpoch;

/// Of how many it is known how often they were tried.
const MOST_KEYS: usize = 10_000;

/// What was tried lately, of each `K`. One more is granted every `REGAINED_MS` milliseconds.
#[derive(Debug)]
pub(super) struct Tries<K, const REGAINED_MS: u64>(Mutex<HashMap<K, Tried>>);

impl<K, const REGAINED_MS: u64> Default for Tries<K, REGAINED_MS> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// How many were counted when the last one was.
#[derive(Clone, Copy, Debug)]
struct Tried {
    count: u32,
    last: u64,
}

impl Tried {
    fn count_at(self, now: u64, regained_ms: u64) -> u32 {
        let regained = now.saturating_sub(self.last) / regained_ms;
        self.count.saturating_sub(u32::try_from(regained).unwrap_or(u32::MAX))
    }
}

impl<K: Hash + Eq + Clone, const REGAINED_MS: u64> Tries<K, REGAINED_MS> {
    /// Whether one of `key` may be tried, of which there may be `most` at once.
    pub(super) fn may(&self, key: &K, most: u32, now: MilliSecondsSinceUnixEpoch) -> bool {
        let tried = self.0.lock().get(key).copied();
        tried.is_none_or(|tried| tried.count_at(now.get().into(), REGAINED_MS) < most)
    }

    /// Notes one.
    pub(super) fn note(&self, key: &K, now: MilliSecondsSinceUnixEpoch) {
        self.take(key, u32::MAX, now);
    }

    /// Notes one, if it [may](Self::may) be tried; tells whether.
    pub(super) fn take(&self, key: &K, most: u32, now: MilliSecondsSinceUnixEpoch) -> bool {
        let now = now.get().into();
        let mut all = self.0.lock();
        if all.len() >= MOST_KEYS {
            all.retain(|_, tried| tried.count_at(now, REGAINED_MS) > 0);
        }
        // Whoever tries so many is slowed down by the rates of networks.
        if all.len() >= MOST_KEYS {
            all.clear();
        }
        let before = all.get(key).map_or(0, |tried| tried.count_at(now, REGAINED_MS));
        let granted = before < most;
        if granted {
            all.insert(key.clone(), Tried { count: before.saturating_add(1), last: now });
        }
        granted
    }

    /// Takes back one that was noted.
    pub(super) fn give_back(&self, key: &K) {
        if let Some(tried) = self.0.lock().get_mut(key) {
            tried.count = tried.count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::{OwnedUserId, UInt, UserId, owned_user_id};

    use super::*;

    const REGAINED_MS: u64 = 30_000;

    type OfUsers = Tries<OwnedUserId, REGAINED_MS>;

    fn at(milliseconds: u64) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(UInt::try_from(milliseconds).unwrap())
    }

    #[test]
    fn so_many_may_be_tried_and_then_one_has_to_wait() {
        let (tries, alice, bob) =
            (OfUsers::default(), owned_user_id!("@alice:x"), owned_user_id!("@bob:x"));
        for _ in 0..3 {
            assert!(tries.may(&alice, 3, at(0)));
            tries.note(&alice, at(0));
        }
        assert!(!tries.may(&alice, 3, at(0)));
        assert!(tries.may(&bob, 3, at(0)), "others are not to blame");
        assert!(!tries.may(&alice, 3, at(REGAINED_MS - 1)));
        assert!(tries.may(&alice, 3, at(REGAINED_MS)));
        tries.note(&alice, at(REGAINED_MS));
        assert!(!tries.may(&alice, 3, at(REGAINED_MS)));
        assert!(tries.may(&alice, 3, at(100 * REGAINED_MS)));
    }

    #[test]
    fn what_is_taken_is_counted_unless_it_is_given_back() {
        let (tries, alice) = (OfUsers::default(), owned_user_id!("@alice:x"));
        assert!(tries.take(&alice, 2, at(0)));
        assert!(tries.take(&alice, 2, at(0)));
        assert!(!tries.take(&alice, 2, at(0)));
        tries.give_back(&alice);
        assert!(tries.take(&alice, 2, at(0)));
        assert!(!tries.take(&alice, 2, at(REGAINED_MS - 1)), "a refusal does not begin anew");
        assert!(tries.take(&alice, 2, at(REGAINED_MS)));
    }

    #[test]
    fn keys_are_bounded_in_number() {
        let tries = OfUsers::default();
        let user = |n: usize| UserId::parse(format!("@u{n}:x")).unwrap();
        for n in 0..MOST_KEYS {
            tries.note(&user(n), at(0));
        }
        tries.note(&owned_user_id!("@late:x"), at(REGAINED_MS - 1));
        assert_eq!(tries.0.lock().len(), 1);
        for n in 0..MOST_KEYS {
            tries.note(&user(n), at(3 * REGAINED_MS));
        }
        assert!(tries.0.lock().len() <= MOST_KEYS);
    }
}
