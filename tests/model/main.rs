//! Laws that hold for every history, tried on random ones. A failure prints its seed.
//!
//! A tenth of the histories is tried by default, all of them where `TERTULIA_LAWS` is `all`, and
//! one alone where `TERTULIA_SEED` names it.

mod dice;
mod seeds;
mod sync;
