//! Chance that repeats itself.

use parking_lot::Mutex;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tertulia::Random;

/// Chance that repeats itself: the same seed gives the same tokens, salts and IDs.
#[derive(Debug)]
pub struct SeededRandom(Mutex<StdRng>);

impl SeededRandom {
    /// The chance of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64) -> [u8; 16] {
        let mut bytes = [0; 16];
        SeededRandom::new(seed).fill(&mut bytes);
        bytes
    }

    #[test]
    fn a_seed_is_a_fate() {
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
