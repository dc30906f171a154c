//! What can go wrong, in words that a reader can act on.

use tertulia_protocol::AppendError;

/// What can go wrong when using a homeserver.
///
/// Matrix error codes are given to these cases by the HTTP layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was asked for does not exist, or may not be seen by who asks.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A name that must be unique is in use.
    #[error("the {0} is taken")]
    Taken(&'static str),
    /// The one who asks may not do or see this.
    #[error("not allowed: {0}")]
    Forbidden(String),
    /// The user is still in the room, and must leave it first.
    #[error("you are still in the room; leave it first")]
    InRoom,
    /// A value is not what it must be.
    #[error("{0} is not valid")]
    Invalid(&'static str),
    /// The event is larger than events may be.
    #[error("the event is too large")]
    TooLarge,
    /// The room version is not one of those this server knows.
    #[error("the room version is not supported")]
    UnsupportedRoomVersion,
    /// The access token is unknown, or its session has ended.
    #[error("the access token is unknown")]
    UnknownToken,
    /// The rules of the room refuse the event.
    #[error(transparent)]
    Refused(#[from] AppendError),
    /// The store belongs to another server.
    #[error("the store belongs to the server {0}; use its name, or another data directory")]
    OtherServer(String),
    /// The store failed, or holds what it should not.
    #[error(transparent)]
    Storage(#[from] tertulia_storage::Error),
    /// A stored event does not read as an event.
    #[error("the stored event {0} does not read as an event")]
    CorruptEvent(String),
}

/// The result of using a homeserver.
pub type Result<T, E = Error> = std::result::Result<T, E>;
