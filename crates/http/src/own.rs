//! Tertulia's own API, `/_tertulia/client/v1`: what a chat application shows that is no single thing
//! in Matrix. Accounts, messages and media have no second API, but for what takes several requests there and is one
//! page of an application.
//!
//! Its endpoints take tokens, limits, bodies and errors as those of Matrix do. `docs/openapi.yaml`
//! describes them; a test holds the one against the other.

mod accounts;
mod chats;
mod emails;
mod endpoint;
mod favourites;
mod friends;
mod groups;
mod requests;

use serde::Deserialize;

use crate::Routes;

pub(crate) fn routes() -> Routes {
    Routes::new()
        .merge(accounts::routes())
        .merge(chats::routes())
        .merge(emails::routes())
        .merge(favourites::routes())
        .merge(friends::routes())
        .merge(groups::routes())
        .merge(requests::routes())
}

/// How many rows a page is to have; lists have bounds of their own beside.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
struct Limit(usize);

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<u64> for Limit {
    type Error = &'static str;

    fn try_from(limit: u64) -> Result<Self, Self::Error> {
        match usize::try_from(limit) {
            Ok(limit) if limit < 1 << 53 => Ok(Self(limit)),
            _ => Err("a number beyond those of JSON"),
        }
    }
}
