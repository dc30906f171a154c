//! Races: sixty-four callers want the same thing at once. One of them wins, and the others are told so as the
//! specification has it, in a thousand interleavings that are drawn from seeds.
//!
//! A failure names its seed; `TERTULIA_SEED=7 cargo test -p tertulia-tests --test races NAME` runs that one alone.

mod friends;
mod membership;
mod names;
mod refresh;
mod schedule;
mod sending;
