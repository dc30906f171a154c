//! The RocksDB engine of Tertulia: one directory, one process, little memory.
//!
//! Everything that makes a store an engine (transactions, positions, merged commits) comes from
//! [`tertulia_storage::LocalEngine`]; this crate adds the options, the reads and the files.

#![deny(missing_docs)]

mod cursor;
mod engine;
mod error;
mod files;
mod options;
mod rows;
mod wal;

pub use engine::{Figures, RocksEngine, RocksLocal};
pub use error::OpenError;
pub use options::Options;
