use std::sync::Arc;

/// The result of a storage operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in storage, in words for whoever runs the server.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another commit changed a row that this one guarded, again and again.
    #[error("the write met concurrent ones too often; try again")]
    Conflict,
    /// A stored row does not read as its table says it should.
    #[error("table {table} is corrupt at key {key}: {reason}")]
    Corrupt {
        /// The table's name.
        table: String,
        /// The key, readable as far as it is text.
        key: String,
        /// What is wrong with the row.
        reason: String,
    },
    /// A write or sync failed earlier; until a restart nothing can be written.
    #[error("the store is read-only until it is restarted, because {reason}")]
    ReadOnly {
        /// What failed first.
        reason: String,
    },
    /// More than a key, a value or a commit may hold.
    #[error("{what} of {size} is too large: at most {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size in bytes, or its number.
        size: usize,
        /// The most there may be.
        limit: usize,
    },
    /// The store was written by a newer program.
    #[error(
        "the store has format {found}, this program knows formats up to {known}: use a newer version of it"
    )]
    NewerFormat {
        /// The format number found.
        found: u32,
        /// The newest this program knows.
        known: u32,
    },
    /// The store is none, or its format row is damaged.
    #[error("this is no store that can be opened: {0}")]
    Unreadable(String),
    /// So many commands wait in this lane that another would never be in time.
    #[error("too many writes wait for the same thing; try again later")]
    Busy,
    /// The store is being shut down.
    #[error("the store is shut down")]
    Closed,
    /// A command panicked; nothing of it was written.
    #[error("a command panicked: {0}")]
    Panicked(String),
    /// The engine itself failed.
    #[error("the storage engine failed: {0}")]
    Engine(Arc<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps the error of an engine.
    pub fn engine(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Engine(Arc::from(error.into()))
    }
}

/// A key as a reader of logs may want it: text where it is text.
pub(crate) fn readable(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}
