//! What a fuzzer tries, one function a target: it takes any bytes at all, and panics where something
//! does not hold that must hold for all of them.
//!
//! The program `fuzz` lets AFL++ drive a target (`docs/fuzzing.md`). The tests of this crate run all
//! seeds, the corpora that fuzzing left, and whatever it found, through the same functions.

mod canonical;
mod event;
mod key;
mod request;
mod room;
mod token;

/// One thing to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in `inputs/`.
    pub name: &'static str,
    /// Tries one input.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 5] = [
    Target { name: "event", run: event::run },
    Target { name: "canonical", run: canonical::run },
    Target { name: "request", run: request::run },
    Target { name: "token", run: token::run },
    Target { name: "key", run: key::run },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
