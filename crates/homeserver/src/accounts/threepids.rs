//! E-mail addresses ("Account management", "Third-party IDs"): somebody asks for a mail, and shows its code or
//! opens its link; the session in which that happened then lets them register with the address, set the
//! password of the account that has it, or add it to their own.
//!
//! A session is for one address, one client secret and one thing to do. It is [`session`] that decides what
//! becomes of it; [`request`] and [`submit`] write that down; [`addresses`] spends it.
//!
//! With [`Settings::hide_known_addresses`](crate::Settings::hide_known_addresses) nobody learns which addresses
//! the server knows: who asks for a code gets a session in any case, which is *hollow* where it could lead to
//! nothing, and a mail tells the owner of the address why. A request costs the same reads, writes and hashes
//! either way.

mod addresses;
mod id;
mod request;
mod session;
mod submit;

pub use addresses::EmailAddress;
pub use request::CodeRequest;

pub(super) use addresses::{claim_first, owner, release_all, spend_claimed};

use crate::Secret;

/// A session in which somebody proved that an e-mail address is theirs, as its client tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailProof {
    /// The session's ID.
    pub session: String,
    /// The word with which its client began it.
    pub client_secret: Secret,
}

#[cfg(test)]
mod abuse;
#[cfg(test)]
pub(super) mod tests;
