use std::path::PathBuf;

/// Why a directory cannot be opened as a store, in words that say what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the store in {path} is in use by process {pid}: stop it first, or choose another directory"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process that holds it.
        pid: u32,
    },
    /// The directory cannot be made or written.
    #[error(
        "cannot write in {path} ({source}): make it writable for this user, or choose another directory"
    )]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// RocksDB cannot read what lies there.
    #[error("the store in {path} cannot be opened: {reason}")]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// What RocksDB said.
        reason: String,
    },
}
