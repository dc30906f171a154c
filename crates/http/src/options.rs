//! What an operator decides about the HTTP side.

use std::num::NonZeroU32;

use ruma::{OwnedServerName, api::client::discovery::discover_support::Contact, serde::Base64};

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
    /// Whom users of this server turn to. Told in `/.well-known/matrix/support`, which is not found
    /// while neither contacts nor a page are set.
    pub support: Support,
    /// The public ed25519 key of the policy server on this machine. Told in
    /// `/.well-known/matrix/policy_server`, which is not found without it.
    pub policy_server_key: Option<Base64>,
    /// How often each action may be repeated.
    pub rate_limits: RateLimits,
    /// Whether a reverse proxy in front of this server writes `X-Forwarded-For`. Its last address
    /// is then taken for the client's.
    pub trust_forwarded_for: bool,
    /// How many requests of one address may wait for their answers at a time; `None` for as many
    /// as come. This machine's own address has no bound.
    pub requests_at_once: Option<NonZeroU32>,
}

/// Whom users of a server turn to.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Support {
    /// Those who can be asked, each with an address.
    pub contacts: Vec<Contact>,
    /// A page that helps.
    pub page: Option<String>,
}
