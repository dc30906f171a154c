//! Tertulia's instruments that look from outside: what the load generator, the crash rig and the test with real clients share.
//!
//! Everything here speaks the standard client-server API only, so that it can be pointed at any homeserver by URL; what it
//! knows of the server's process it reads from `/proc`.

pub mod api;
pub mod client;
pub mod compare;
pub mod crowd;
pub mod floors;
pub mod ledger;
pub mod listener;
pub mod measure;
pub mod measurement;
pub mod plan;
pub mod process;
pub mod report;
pub mod scenario;
pub mod server;
pub mod shared_secret;
pub mod soak;
pub mod target;
#[cfg(test)]
mod testing;
pub mod timeline;
