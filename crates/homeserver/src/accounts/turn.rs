//! Credentials for a TURN server, which helps calls through firewalls ("Voice over IP"), and what
//! carries calls of many (MSC4143).

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ruma::UserId;
use sha1::Sha1;
use tertulia_protocol::JsonObject;

use crate::{Homeserver, Secret, TurnUsers, User};

/// What a client shows to a TURN server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnCredentials {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// Where the server is, as `turn:` and `turns:` URIs.
    pub uris: Vec<String>,
    /// How long the credentials are good.
    pub lifetime: Duration,
}

impl Homeserver {
    /// What carries calls of many users, best first: objects with a `type` and what it asks for.
    pub fn rtc_transports(&self) -> &[JsonObject] {
        &self.core.settings.rtc_transports
    }
}

impl User {
    /// What the user shows to this homeserver's TURN server, if it has one.
    pub fn turn_credentials(&self) -> Option<TurnCredentials> {
        let server = self.core.settings.turn.as_ref()?;
        let (username, password) = match &server.users {
            TurnUsers::Shared(secret) => {
                let now = Duration::from_millis(self.core.now().get().into());
                temporary(secret, &self.id, now.saturating_add(server.lifetime))
            }
            TurnUsers::One { username, password } => (username.clone(), password.clone()),
        };
        let (uris, lifetime) = (server.uris.clone(), server.lifetime);
        Some(TurnCredentials { username, password, uris, lifetime })
    }
}

/// A name and a password that are good until a time since 1970, as a TURN server that knows the
/// secret can tell by itself (draft-uberti-behave-turn-rest).
fn temporary(secret: &Secret, user: &UserId, until: Duration) -> (String, Secret) {
    let username = format!("{}:{user}", until.as_secs());
    let mut hmac = Hmac::<Sha1>::new_from_slice(secret.reveal().as_bytes())
        .expect("HMAC takes keys of any length");
    hmac.update(username.as_bytes());
    let password = Secret::new(BASE64_STANDARD.encode(hmac.finalize().into_bytes()));
    (username, password)
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    #[test]
    fn a_password_is_made_of_the_secret_the_time_and_the_user() {
        // printf '1443779631:@user:example.com' | openssl dgst -sha1 -hmac s3cret -binary | base64
        let until = Duration::from_secs(1_443_779_631);
        let secret = Secret::new("s3cret");
        let (username, password) = temporary(&secret, user_id!("@user:example.com"), until);
        assert_eq!(username, "1443779631:@user:example.com");
        assert_eq!(password.reveal(), "b+nhdzZj7TwTkMw3W8IBF2if+Os=");
    }
}
