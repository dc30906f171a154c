//! What an operator decides about the HTTP side.

use ruma::OwnedServerName;

use crate::RateLimits;

/// What an operator decides about the HTTP side. The defaults suit a server on its own machine.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// Where clients reach this server, such as `https://matrix.example.org`. Told in
    /// `/.well-known/matrix/client`, which is not found without it.
    pub public_base_url: Option<String>,
    /// Where other servers reach this one, such as `matrix.example.org:443`. Told in
    /// `/.well-known/matrix/server`, which is not found without it.
    pub delegated_server: Option<OwnedServerName>,
    /// How often each action may be repeated.
    pub rate_limits: RateLimits,
    /// Whether a reverse proxy in front of this server writes `X-Forwarded-For`. Its last address
    /// is then taken for the client's.
    pub trust_forwarded_for: bool,
}
