//! Access tokens: how one is made, and what the server keeps of it.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use ruma::{OwnedUserId, ServerName, UserId};
use sha2::{Digest as _, Sha256};

use crate::{Random, Secret, schema::TokenPair};

/// What every token begins with, so that one that leaked is recognised by scanners.
const MARK: &str = "tertulia";

/// The secret part of a token, in bytes.
const SECRET: usize = 32;

/// What the server keeps of a token: nobody can make the token from it.
pub(crate) type TokenHash = [u8; 32];

/// A new token of `user`, which nobody can guess: `tertulia.USER.SECRET`. It names its user, so
/// that it is looked up among that user's rows.
pub(crate) fn mint(user: &UserId, random: &dyn Random) -> Secret {
    let mut secret = [0; SECRET];
    random.fill(&mut secret);
    let user = BASE64.encode(user.localpart());
    Secret::new(format!("{MARK}.{user}.{}", BASE64.encode(secret)))
}

/// What is kept of a token.
pub(crate) fn hash(token: &Secret) -> TokenHash {
    Sha256::digest(token.reveal()).into()
}

/// The user that `text` names, and what is kept of `text`, if it has the form of a token of
/// `server`. That says nothing about whether the token was ever given out.
pub(crate) fn read(text: &str, server: &ServerName) -> Option<(OwnedUserId, TokenHash)> {
    let (user, secret) = text.strip_prefix(MARK)?.strip_prefix('.')?.split_once('.')?;
    let well_formed = BASE64.decode(secret).is_ok_and(|bytes| bytes.len() == SECRET);
    let localpart = String::from_utf8(BASE64.decode(user).ok()?).ok()?;
    let id = UserId::parse(format!("@{localpart}:{server}")).ok()?;
    well_formed.then(|| (id, Sha256::digest(text).into()))
}

/// What a client shows to prove its session. It is never stored and never shown by `Debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    token: Secret,
    renewal: Option<Renewal>,
}

/// How long an access token is good for, and how its client gets the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// What [`Homeserver::refresh`](crate::Homeserver::refresh) takes for the next access token.
    pub refresh_token: Secret,
    /// How long the access token proves its session.
    pub lifetime: Duration,
}

impl AccessToken {
    /// A new token of `user`. Where it has a `lifetime`, one to renew it with comes along.
    pub(crate) fn mint(user: &UserId, random: &dyn Random, lifetime: Option<Duration>) -> Self {
        let renewal =
            lifetime.map(|lifetime| Renewal { refresh_token: mint(user, random), lifetime });
        Self { token: mint(user, random), renewal }
    }

    /// The token as the client gets it.
    pub fn reveal(&self) -> &str {
        self.token.reveal()
    }

    /// How it is renewed, where it expires.
    pub fn renewal(&self) -> Option<&Renewal> {
        self.renewal.as_ref()
    }

    /// What is kept of the token.
    pub(crate) fn hash(&self) -> TokenHash {
        hash(&self.token)
    }

    /// What is kept of the token and the one that renews it, and for how many milliseconds it is
    /// good, where it expires.
    pub(crate) fn pair(&self) -> Option<(TokenPair, u64)> {
        let renewal = self.renewal.as_ref()?;
        let pair = TokenPair { access: self.hash(), refresh: hash(&renewal.refresh_token) };
        let lifetime = renewal.lifetime.as_millis().try_into().unwrap_or(u64::MAX);
        Some((pair, lifetime))
    }
}

#[cfg(test)]
mod tests {
    use ruma::{server_name, user_id};

    use super::*;
    use crate::SystemRandom;

    #[test]
    fn a_token_names_its_user() {
        for user in [user_id!("@alice:example.org"), user_id!("@a.b_c=d-e/f+g:example.org")] {
            let token = AccessToken::mint(user, &SystemRandom, None);
            let (named, hash) = read(token.reveal(), server_name!("example.org")).unwrap();
            assert_eq!(named, user);
            assert_eq!(hash, token.hash());
        }
    }

    #[test]
    fn a_token_needs_no_escaping_in_a_query() {
        let user = user_id!("@a/b+c=d:example.org");
        let token = AccessToken::mint(user, &SystemRandom, None);
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        assert!(token.reveal().bytes().all(unreserved), "{}", token.reveal());
    }

    #[test]
    fn no_two_tokens_are_alike() {
        let user = user_id!("@alice:example.org");
        let first = AccessToken::mint(user, &SystemRandom, None);
        let second = AccessToken::mint(user, &SystemRandom, None);
        assert_ne!(first, second);
        assert_ne!(first.hash(), second.hash());
    }

    #[test]
    fn what_is_no_token_is_not_read() {
        let token = AccessToken::mint(user_id!("@alice:example.org"), &SystemRandom, None);
        let cut = &token.reveal()[..token.reveal().len() - 4];
        let spaced = format!(" {}", token.reveal());
        for text in ["", "tertulia", "tertulia..", "tertulia.YWxpY2U.", "secret", cut, &spaced] {
            assert_eq!(read(text, server_name!("example.org")), None, "{text:?}");
        }
    }

    #[test]
    fn debug_tells_no_token() {
        let hour = Duration::from_secs(3_600);
        let token = AccessToken::mint(user_id!("@alice:example.org"), &SystemRandom, Some(hour));
        let shown = format!("{token:?}");
        assert!(!shown.contains(MARK), "{shown}");
        let renewal = token.renewal().unwrap();
        assert_eq!(renewal.lifetime, hour);
        assert_ne!(renewal.refresh_token.reveal(), token.reveal());
    }
}
