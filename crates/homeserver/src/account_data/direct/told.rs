//! What devices have been told of, as far as the server remembers: up to where each asked to go on
//! when it synced.
//!
//! A write and a sync of one device pass each other on their ways: when the sync shows that the device
//! has been told of something, a write that was made before that may still be to come. So what a device
//! was told of counts only after a while.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use quick_cache::sync::Cache;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use tertulia_storage::Position;

use crate::core::Core;

/// Of how many devices it is kept. Of all others it is not known.
const CAPACITY: usize = 20_000;
/// For how long a write may be on its way, in milliseconds.
pub(super) const ON_ITS_WAY: u64 = 10_000;
/// How many syncs of a device are kept. Of more in that time it counts later what they show.
const SYNCS: usize = 8;

struct Told(Cache<(OwnedUserId, OwnedDeviceId), Arc<Mutex<Syncs>>>);

impl Default for Told {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

/// When a device showed that it had been told what happened up to where, oldest first.
#[derive(Debug, Default)]
struct Syncs(VecDeque<(u64, Position)>);

impl Syncs {
    fn note(&mut self, now: u64, position: Position) {
        // The clock may have been set back.
        self.0.iter_mut().for_each(|(at, _)| *at = now.min(*at));
        let is_past = |sync: Option<&(u64, Position)>| sync.is_some_and(|(at, _)| counts(*at, now));
        while is_past(self.0.get(1)) {
            self.0.pop_front();
        }
        if self.0.len() == SYNCS {
            self.0.pop_back();
        }
        self.0.push_back((now, position));
    }

    /// Up to where everything that the device writes `now` was written after it had been told.
    fn known(&self, now: u64) -> Position {
        let fresh = self.0.iter().rev().take_while(|(at, _)| !counts(*at, now)).count();
        // A device that begins anew knows less than before.
        let known = self.0.iter().rev().take(fresh + 1).map(|(_, position)| *position).min();
        known.filter(|_| fresh < self.0.len()).unwrap_or(Position::ZERO)
    }
}

/// Whether a write that comes `now` was made after the sync came.
fn counts(sync: u64, now: u64) -> bool {
    sync.saturating_add(ON_ITS_WAY) <= now
}

/// A device has been told what happened up to `position`; nothing, if there is none.
pub(crate) fn note_told(core: &Core, user: &UserId, device: &DeviceId, position: Option<Position>) {
    let key = (user.to_owned(), device.to_owned());
    let told = core.local::<Told>();
    let syncs = match told.0.get(&key) {
        Some(syncs) => syncs,
        None => {
            let syncs = Arc::<Mutex<Syncs>>::default();
            told.0.insert(key, syncs.clone());
            syncs
        }
    };
    let mut syncs = syncs.lock().unwrap_or_else(PoisonError::into_inner);
    syncs.note(core.now().get().into(), position.unwrap_or(Position::ZERO));
}

/// Up to where a device had been told what happened when it made a write that comes now; where nobody
/// knows, that is nothing.
pub(crate) fn known_to(core: &Core, user: &UserId, device: &DeviceId) -> Position {
    let key = (user.to_owned(), device.to_owned());
    let Some(syncs) = core.local::<Told>().0.get(&key) else { return Position::ZERO };
    let syncs = syncs.lock().unwrap_or_else(PoisonError::into_inner);
    syncs.known(core.now().get().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sync_shows_counts_once_no_older_write_is_on_its_way() {
        let mut syncs = Syncs::default();
        let check = |syncs: &Syncs, now, expected| {
            assert_eq!(syncs.known(now), Position::new(expected), "at {now}");
        };
        check(&syncs, 0, 0);
        syncs.note(1_000, Position::new(5));
        syncs.note(2_000, Position::new(7));
        check(&syncs, 2_000, 0);
        check(&syncs, 10_999, 0);
        check(&syncs, 11_000, 5);
        check(&syncs, 12_000, 7);
        // Whoever begins anew has been told nothing.
        syncs.note(20_000, Position::ZERO);
        check(&syncs, 20_000, 0);
        check(&syncs, 30_000, 0);
        syncs.note(30_000, Position::new(9));
        check(&syncs, 40_000, 9);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_longer() {
        let mut syncs = Syncs::default();
        syncs.note(1 << 40, Position::new(5));
        syncs.note(1_000, Position::new(6));
        assert_eq!(syncs.known(10_999), Position::ZERO);
        assert_eq!(syncs.known(11_000), Position::new(6));
    }

    #[test]
    fn a_device_that_syncs_all_the_time_is_remembered_in_few_places_and_believed_in_the_end() {
        let mut syncs = Syncs::default();
        for n in 0..100_000 {
            syncs.note(n, Position::new(n));
            assert!(syncs.0.len() <= SYNCS);
            let known = syncs.known(n).get();
            assert!(known + ON_ITS_WAY <= n || known == 0, "{known} at {n}");
            assert!(n < 30_000 || known + 3 * ON_ITS_WAY > n, "{known} at {n}");
        }
    }
}
