//! What a session of proving an address is called: where its row is, and a word drawn by chance.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tertulia_protocol::Email;
use tertulia_storage::Partition;

use crate::{
    Secret,
    schema::{Proving, ThreepidSession},
};

/// How many letters the word has.
pub(super) const WORD: usize = 16;

/// Where a session's row is.
pub(super) type SessionKey = ([u8; 16], [u8; 16]);

/// Where the sessions of an address are, and all its counts.
pub(super) type AddressKey = [u8; 16];

/// Where the session is in which `email` is proven for something by one who knows the secret.
pub(super) fn key(email: &Email, proving: Proving, secret: &[u8; 32]) -> SessionKey {
    let client = digest(&[&[proving as u8], secret]);
    (first_half(&digest(&[email.as_str().as_bytes()])), first_half(&client))
}

/// Where everything of an address's sessions is written.
pub(super) fn partition(address: &AddressKey) -> Partition {
    Partition::of("address", &BASE64.encode(address))
}

/// The ID of the session at `key`.
pub(super) fn name(key: &SessionKey, word: &str) -> String {
    format!("{}.{word}", BASE64.encode([key.0, key.1].concat()))
}

/// Where the session with this ID would be, and its word.
pub(super) fn read(id: &str) -> Option<(SessionKey, &str)> {
    let (key, word) = id.split_once('.')?;
    // A text that is too long is not even decoded.
    let bytes = BASE64.decode(key.get(..43).filter(|short| *short == key)?).ok()?;
    let (address, client) = bytes.split_at_checked(16)?;
    Some(((address.try_into().ok()?, client.try_into().ok()?), word))
}

/// Whether `session`, which is at its place, has this word.
pub(super) fn is_called(session: &ThreepidSession, word: &str) -> bool {
    session.word == word
}

/// Whether this is the client secret of `session`. It takes as long if it is not.
pub(super) fn is_secret_of(session: &ThreepidSession, client_secret: &Secret) -> bool {
    is_hash_of(session, &secret(client_secret.reveal()))
}

/// As [`is_secret_of`], of what is kept of a client secret.
pub(super) fn is_hash_of(session: &ThreepidSession, secret: &[u8; 32]) -> bool {
    secret.ct_eq(&session.secret).into()
}

/// What is kept of a client secret.
pub(super) fn secret(client_secret: &str) -> [u8; 32] {
    digest(&[client_secret.as_bytes()])
}

/// Every hash that is made here, so that a test can count them.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    #[cfg(test)]
    super::tests::HASHES.with(|hashes| hashes.set(hashes.get() + 1));
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}

fn first_half(digest: &[u8; 32]) -> [u8; 16] {
    digest[..16].try_into().expect("a hash has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_its_session() {
        let email = Email::parse("alice@example.org").unwrap();
        let key = key(&email, Proving::Password, &secret("s"));
        let id = name(&key, "word");
        assert_eq!(read(&id), Some((key, "word")));
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".=_-".contains(&byte);
        assert!(id.len() < 255 && id.bytes().all(allowed), "{id}");
    }

    #[test]
    fn each_address_purpose_and_secret_has_its_own_session() {
        let email = |text: &str| Email::parse(text).unwrap();
        let own = key(&email("a@x.org"), Proving::Password, &secret("s"));
        assert_eq!(own, key(&email("A@X.ORG"), Proving::Password, &secret("s")));
        let another = key(&email("b@x.org"), Proving::Password, &secret("s"));
        assert_ne!(own.0, another.0);
        for other in [
            key(&email("a@x.org"), Proving::Registration, &secret("s")),
            key(&email("a@x.org"), Proving::Password, &secret("t")),
        ] {
            assert_eq!(own.0, other.0);
            assert_ne!(own.1, other.1);
        }
    }

    #[test]
    fn what_is_no_id_is_not_read() {
        let good = name(&([1; 16], [2; 16]), "w");
        for bad in ["", ".", "a.b", "no point", &good[..20], &format!("A{good}"), &"€".repeat(40)]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
