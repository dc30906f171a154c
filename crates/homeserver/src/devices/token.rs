//! Access tokens: how one is made, and what the server keeps of it.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use ruma::{OwnedUserId, ServerName, UserId};
use sha2::{Digest as _, Sha256};

use crate::Random;

/// What every token begins with, so that one that leaked is recognised by scanners.
const MARK: &str = "tertulia";

/// The secret part of a token, in bytes.
const SECRET: usize = 32;

/// What the server keeps of a token: nobody can make the token from it.
pub(crate) type TokenHash = [u8; 32];

/// What a client shows to prove its session: `tertulia.USER.SECRET`.
///
/// It names its user, so that it is looked up among that user's rows. It is never stored and
/// never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(String);

impl AccessToken {
    /// A new token of `user`, which nobody can guess.
    pub(crate) fn mint(user: &UserId, random: &dyn Random) -> Self {
        let mut secret = [0; SECRET];
        random.fill(&mut secret);
        let user = BASE64.encode(user.localpart());
        Self(format!("{MARK}.{user}.{}", BASE64.encode(secret)))
    }

    /// The token as the client gets it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of the token.
    pub(crate) fn hash(&self) -> TokenHash {
        Sha256::digest(&self.0).into()
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
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(…)")
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
            let token = AccessToken::mint(user, &SystemRandom);
            let (named, hash) =
                AccessToken::read(token.reveal(), server_name!("example.org")).unwrap();
            assert_eq!(named, user);
            assert_eq!(hash, token.hash());
        }
    }

    #[test]
    fn a_token_needs_no_escaping_in_a_query() {
        let user = user_id!("@a/b+c=d:example.org");
        let token = AccessToken::mint(user, &SystemRandom);
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        assert!(token.reveal().bytes().all(unreserved), "{}", token.reveal());
    }

    #[test]
    fn no_two_tokens_are_alike() {
        let user = user_id!("@alice:example.org");
        let first = AccessToken::mint(user, &SystemRandom);
        let second = AccessToken::mint(user, &SystemRandom);
        assert_ne!(first, second);
        assert_ne!(first.hash(), second.hash());
    }

    #[test]
    fn what_is_no_token_is_not_read() {
        let token = AccessToken::mint(user_id!("@alice:example.org"), &SystemRandom);
        let cut = &token.reveal()[..token.reveal().len() - 4];
        let spaced = format!(" {}", token.reveal());
        for text in ["", "tertulia", "tertulia..", "tertulia.YWxpY2U.", "secret", cut, &spaced] {
            assert_eq!(AccessToken::read(text, server_name!("example.org")), None, "{text:?}");
        }
    }

    #[test]
    fn debug_does_not_tell_the_token() {
        let token = AccessToken::mint(user_id!("@alice:example.org"), &SystemRandom);
        assert_eq!(format!("{token:?}"), "AccessToken(…)");
    }
}
