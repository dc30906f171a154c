//! What an owner of a server decides.

use std::{collections::BTreeMap, fmt, num::NonZeroU32, path::PathBuf, time::Duration};

use argon2::Params;
use ruma::RoomVersionId;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tertulia_protocol::JsonObject;

/// What an owner of a server decides. The defaults are right for most.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The version of rooms whose creator does not name one.
    pub default_room_version: RoomVersionId,
    /// How many events are kept parsed in memory.
    pub cached_events: usize,
    /// The most bytes of an uploaded file.
    pub max_upload_size: u64,
    /// The most bytes that the files of one user may have together; none is no bound.
    pub max_media_per_user: Option<u64>,
    /// Who may make an account by themself.
    pub registration: Registration,
    /// What those who register have to accept.
    pub terms: Vec<Terms>,
    /// Whether nobody learns which e-mail addresses the server knows. Whoever asks for a code is then told that
    /// one was sent, and the owner of the address, by mail, why it was none.
    pub hide_known_addresses: bool,
    /// What signs requests that make accounts past [`Settings::registration`]; none turns them off.
    pub registration_shared_secret: Option<Secret>,
    /// Whether people may come in as guests, without a name and a password.
    pub allow_guests: bool,
    /// How many characters a password has at least that a user chooses.
    pub min_password_length: usize,
    /// How dear it is to try a password.
    pub password_cost: PasswordCost,
    /// How long an access token is good for whose client knows how to get the next one.
    pub access_token_lifetime: Duration,
    /// The TURN server that helps calls through firewalls.
    pub turn: Option<TurnServer>,
    /// What carries calls of many (MSC4143), best first: objects with a `type` and what else it asks for.
    pub rtc_transports: Vec<JsonObject>,
    /// How many wrong passwords an account bears at once, before one has to wait half a minute for
    /// each further one, wherever they come from; `None` for any number.
    pub wrong_passwords: Option<NonZeroU32>,
    /// Whether the server forgets by itself what is old, hour by hour. Otherwise whoever embeds it
    /// calls [`Homeserver::keep_house`](crate::Homeserver::keep_house).
    pub housekeeping: bool,
    /// For how long a request stays on its pages that does not wait any more.
    pub requests_kept: Duration,
    /// Who finds rooms and users.
    pub directory: Directory,
    /// Whether users are told how present those are with whom they share a room.
    pub presence: bool,
    /// Where people reach the server, such as `https://example.org`; without it, mail has codes, but
    /// no links.
    pub public_base_url: Option<String>,
    /// The folder of templates that replace some of what stands in mail; see
    /// [`MailTemplates::from_folder`](crate::MailTemplates::from_folder).
    pub mail_templates: Option<PathBuf>,
}

/// A document that those who register have to accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What it is called by programs, such as `privacy_policy`.
    pub id: String,
    /// Which of its versions it is.
    pub version: String,
    /// Where it stands, by the codes of languages.
    pub translations: BTreeMap<String, TermsText>,
}

/// A document in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermsText {
    /// What people call it.
    pub name: String,
    /// Where it stands.
    pub url: String,
}

/// A TURN server for calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnServer {
    /// Where it is, as `turn:` and `turns:` URIs.
    pub uris: Vec<String>,
    /// Whom it lets in.
    pub users: TurnUsers,
    /// How long credentials are good, or how long clients keep them.
    pub lifetime: Duration,
}

/// Whom a TURN server lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnUsers {
    /// Whoever shows what was made with the secret that it shares with the homeserver.
    Shared(Secret),
    /// One name for all.
    One {
        /// The name.
        username: String,
        /// Its password.
        password: Secret,
    },
}

/// Who finds rooms and users, and who lets them be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Who may put a room into the public room directory, and take it out.
    pub publishers: Publishers,
    /// Whether those without an account may read the public room directory.
    pub open: bool,
    /// Whether users find all others; otherwise those of rooms that are open to all, and those with
    /// whom they share a room.
    pub all_users: bool,
}

/// Who may put a room into the public room directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publishers {
    /// Those who may give the room its main alias.
    Moderators,
    /// The administrators of the server.
    Admins,
}

impl Default for Directory {
    fn default() -> Self {
        Self { publishers: Publishers::Moderators, open: true, all_users: false }
    }
}

/// Who may make an account by themself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Registration {
    /// Everyone.
    Open,
    /// Those who prove that an e-mail address is theirs.
    Email,
    /// Those who know one of these words.
    Tokens(Vec<Secret>),
    /// Nobody.
    #[default]
    Closed,
}

/// How dear it is to try a password: the parameters of argon2id. Passwords that were set at
/// another cost stay good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    memory_kib: u32,
    iterations: u32,
    lanes: u32,
}

impl PasswordCost {
    /// The least there can be: for tests, since it protects nobody.
    pub const LEAST: Self = Self { memory_kib: 8, iterations: 1, lanes: 1 };

    /// So much memory, so many passes over it, in so many lanes. `None` if that is less than
    /// argon2 can do: one pass in one lane, and 8 KiB for each lane.
    pub const fn new(memory_kib: u32, iterations: u32, lanes: u32) -> Option<Self> {
        match Params::new(memory_kib, iterations, lanes, None) {
            Ok(_) => Some(Self { memory_kib, iterations, lanes }),
            Err(_) => None,
        }
    }

    /// The cost as argon2 takes it.
    pub(crate) fn params(self) -> Params {
        Params::new(self.memory_kib, self.iterations, self.lanes, None)
            .expect("a cost is only made of parameters that argon2 takes")
    }
}

/// What OWASP recommends.
impl Default for PasswordCost {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, iterations: 2, lanes: 1 }
    }
}

/// A text that no log may show. Comparing two takes as long whether they are alike or not.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        // Hashes have one length, so that not even the length of the secret is told.
        let (this, that) = (Sha256::digest(&self.0), Sha256::digest(&other.0));
        this.as_slice().ct_eq(that.as_slice()).into()
    }
}

impl Eq for Secret {}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_room_version: RoomVersionId::V12,
            cached_events: 4_000,
            max_upload_size: 50 * 1024 * 1024,
            max_media_per_user: None,
            registration: Registration::default(),
            terms: Vec::new(),
            hide_known_addresses: true,
            registration_shared_secret: None,
            allow_guests: false,
            min_password_length: 8,
            password_cost: PasswordCost::default(),
            wrong_passwords: NonZeroU32::new(60),
            housekeeping: true,
            requests_kept: Duration::from_secs(90 * 24 * 60 * 60),
            directory: Directory::default(),
            access_token_lifetime: Duration::from_secs(60 * 60),
            presence: true,
            public_base_url: None,
            mail_templates: None,
            turn: None,
            rtc_transports: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_registers_unless_that_is_meant() {
        let settings = Settings::default();
        assert_eq!(settings.registration, Registration::Closed);
        assert_eq!(settings.registration_shared_secret, None);
    }

    #[test]
    fn a_secret_is_compared_and_not_shown() {
        let secret = Secret::new("letmein");
        assert_eq!(secret, Secret::new("letmein"));
        for other in ["", "letme", "letmein ", "LETMEIN"] {
            assert_ne!(secret, Secret::new(other), "{other:?}");
        }
        let shown = format!("{:?}", Registration::Tokens(vec![secret]));
        assert!(!shown.contains("letmein"), "{shown}");
    }

    #[test]
    fn a_cost_is_one_that_argon2_can_take() {
        assert_eq!(PasswordCost::new(8, 1, 1), Some(PasswordCost::LEAST));
        assert_eq!(PasswordCost::new(19 * 1024, 2, 1), Some(PasswordCost::default()));
        for (memory_kib, iterations, lanes) in [(7, 1, 1), (8, 0, 1), (8, 1, 0), (15, 1, 2)] {
            assert_eq!(PasswordCost::new(memory_kib, iterations, lanes), None);
        }
        assert_eq!(PasswordCost::LEAST.params().m_cost(), 8);
    }
}
