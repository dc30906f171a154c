//! What an operator can choose, and what holds when nothing was chosen.
//!
//! Defaults are overridden by a TOML file, and that by environment variables. A setting exists only where two good
//! operators would choose differently; `config.example.toml` explains each.

mod check;
#[cfg(test)]
mod example;
mod load;
mod names;
mod print;
mod secret;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use ruma::{OwnedServerName, OwnedUserId, RoomVersionId, owned_server_name, owned_user_id};
use serde::{Deserialize, Serialize};
use tertulia::JsonObject;

pub(crate) use self::{
    check::check,
    load::{Loaded, load},
    print::print,
    secret::Secret,
};

/// All settings of one server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The part of all Matrix identifiers after the colon. It can never change once a store exists.
    pub(crate) server_name: OwnedServerName,
    /// Where clients reach this server, if it is not known from the listeners.
    pub(crate) public_base_url: Option<String>,
    /// A page for users who need help.
    pub(crate) support_page: Option<String>,
    /// Whom users and others turn to.
    pub(crate) support_contacts: Vec<SupportContact>,
    /// Where the store, media files and signing keys lie.
    pub(crate) data_directory: PathBuf,
    /// Whether requests that come too often are refused.
    pub(crate) rate_limits: bool,
    /// Whether a reverse proxy in front of the server says in `X-Forwarded-For` where requests come from.
    pub(crate) trust_forwarded_for: bool,
    /// Whether users are told how present those are with whom they share a room.
    pub(crate) presence: bool,
    /// How many connections, and how many requests at once, one address may have; as many as it likes with 0.
    pub(crate) connections_per_address: u32,
    /// Where the server listens; each listener serves everything.
    pub(crate) listeners: Vec<Listener>,
    /// Who may make an account.
    pub(crate) registration: Registration,
    /// What holds for those who have logged in.
    pub(crate) sessions: Sessions,
    /// What helps calls through firewalls.
    pub(crate) turn: Turn,
    /// How mail is sent.
    pub(crate) mail: Mail,
    /// What carries calls of many, best first: each has a `type`, and what else that asks for.
    pub(crate) rtc_transports: Vec<JsonObject>,
    /// What new rooms are like.
    pub(crate) rooms: Rooms,
    /// What becomes of requests to be friends, to come into groups, to be let in.
    pub(crate) requests: Requests,
    /// Who finds rooms and users.
    pub(crate) directory: Directory,
    /// What passwords are like, and what hashing one costs.
    pub(crate) passwords: Passwords,
    /// What may be uploaded.
    pub(crate) media: Media,
    /// How data is kept.
    pub(crate) storage: Storage,
    /// What is logged, and how.
    pub(crate) logs: Logs,
}

/// One address the server listens on: HTTPS with a certificate, plain HTTP without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listener {
    /// An IP address and a port.
    pub(crate) address: SocketAddr,
    /// A PEM file with the certificate and those that lead to its authority.
    #[serde(default)]
    pub(crate) certificate: Option<PathBuf>,
    /// A PEM file with the certificate's private key.
    #[serde(default)]
    pub(crate) key: Option<PathBuf>,
}

/// Who may make an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    /// The rule for clients.
    pub(crate) mode: Mode,
    /// That open registration is meant, although others than this machine reach the server.
    pub(crate) open_to_others: bool,
    /// Whether people may come in as guests, with neither a name nor a password.
    pub(crate) guests: bool,
    /// Whether nobody learns which e-mail addresses the server knows.
    pub(crate) hide_known_addresses: bool,
    /// What a client has to know when the mode is `token`.
    pub(crate) token: Option<Secret>,
    /// What those who register have to accept.
    pub(crate) terms: Vec<Document>,
    /// What a script has to know that makes accounts at `/_synapse/admin/v1/register`; off without it.
    pub(crate) shared_secret: Option<Secret>,
}

/// A document that has to be accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    /// What programs call it.
    pub(crate) id: String,
    /// Which of its versions it is.
    pub(crate) version: String,
    /// Where it stands, by the codes of languages.
    pub(crate) translations: BTreeMap<String, Translation>,
}

/// A document in one language.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Translation {
    /// What people call it.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) url: String,
}

/// Somebody to turn to, by at least one of the ways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SupportContact {
    /// What for.
    pub(crate) role: SupportRole,
    /// By e-mail.
    #[serde(default)]
    pub(crate) email_address: Option<String>,
    /// As a Matrix user, who may be of another server.
    #[serde(default)]
    pub(crate) matrix_id: Option<OwnedUserId>,
}

/// What one turns to somebody for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SupportRole {
    /// Anything.
    Admin,
    /// What is better not told to everybody, such as holes in the server's walls.
    Security,
}

/// What holds for those who have logged in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sessions {
    /// How long an access token is good whose client can get the next one by itself, in minutes.
    pub(crate) access_token_minutes: u32,
}

/// What becomes of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requests {
    /// For how many days a request stays on its pages that does not wait any more.
    pub(crate) keep_days: u32,
}

/// A TURN server, which helps calls through firewalls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Turn {
    /// Where it is; there is none without.
    pub(crate) uris: Vec<String>,
    /// What it shares with this server, so that it knows users whom this server sends.
    pub(crate) secret: Option<Secret>,
    /// The name that it knows all users by, where it shares no secret.
    pub(crate) username: Option<String>,
    /// The password that goes with the name.
    pub(crate) password: Option<Secret>,
}

/// A server that takes mail, and what goes to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mail {
    /// Where it is; no mail is sent without.
    pub(crate) host: Option<String>,
    /// Its port, if that is not the usual one.
    pub(crate) port: Option<u16>,
    /// How the connection is encrypted.
    pub(crate) encryption: Encryption,
    /// The name that it knows this server by.
    pub(crate) username: Option<String>,
    /// The password that goes with the name.
    pub(crate) password: Option<Secret>,
    /// Whom mail comes from.
    pub(crate) from: Option<String>,
    /// A PEM file of authorities that are trusted beside those of this machine.
    pub(crate) authorities: Option<PathBuf>,
    /// A folder of templates that replace what stands in mail.
    pub(crate) templates: Option<PathBuf>,
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encryption {
    /// It begins in clear, and goes on encrypted or not at all.
    #[default]
    Starttls,
    /// From the first byte.
    Tls,
    /// Not at all, on this machine.
    None,
}

/// How clients may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Anyone who reaches the server.
    Open,
    /// Whoever proves that an e-mail address is theirs.
    Email,
    /// Whoever knows the token.
    Token,
    /// Nobody; `tertulia admin create-user` makes accounts.
    Closed,
}

/// What new rooms are like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rooms {
    /// The room version of a room whose creator names none.
    pub(crate) default_version: RoomVersionId,
}

/// Who finds rooms and users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Directory {
    /// Who may put rooms into the public room directory.
    pub(crate) publishers: Publishers,
    /// Whether those without an account may read the public room directory.
    pub(crate) open: bool,
    /// Whether users find all others, and not only those whom they can meet in rooms.
    pub(crate) all_users: bool,
}

/// Who may put a room into the public room directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Publishers {
    /// Those who may set the room's main alias.
    Moderators,
    /// Administrators of the server.
    Admins,
}

/// What passwords are like, and the cost of one Argon2id password hash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Passwords {
    /// How many characters a password has at least that somebody chooses.
    pub(crate) minimum_length: u32,
    /// Memory that one hash fills, in KiB.
    pub(crate) memory_kib: u32,
    /// How often it is filled.
    pub(crate) iterations: u32,
}

/// What may be uploaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Media {
    /// The largest file, in MiB.
    pub(crate) max_upload_mib: u64,
    /// What all files of one user may take, in MiB; 0 is no bound.
    pub(crate) max_mib_per_user: u64,
}

/// How data is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storage {
    /// When a write counts as done.
    pub(crate) commits: Commits,
    /// Memory for parts of the store that were read lately, in MiB.
    pub(crate) cache_mib: usize,
}

/// When a write counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Commits {
    /// When the disk has it.
    Synced,
    /// When the operating system has it: faster, and a power failure can lose the last seconds.
    Relaxed,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logs {
    /// The form of a line.
    pub(crate) format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`; also per module, as in `info,tertulia=debug`.
    pub(crate) level: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server_name: owned_server_name!("localhost"),
            public_base_url: None,
            support_page: None,
            support_contacts: Vec::new(),
            data_directory: "./data".into(),
            rate_limits: true,
            trust_forwarded_for: false,
            presence: true,
            connections_per_address: 500,
            listeners: vec![Listener {
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8008)),
                certificate: None,
                key: None,
            }],
            registration: Registration::default(),
            sessions: Sessions { access_token_minutes: 60 },
            turn: Turn::default(),
            mail: Mail::default(),
            rtc_transports: Vec::new(),
            rooms: Rooms { default_version: RoomVersionId::V12 },
            requests: Requests { keep_days: 90 },
            directory: Directory {
                publishers: Publishers::Moderators,
                open: true,
                all_users: false,
            },
            // What OWASP's cheat sheet on password storage recommends for Argon2id.
            passwords: Passwords { minimum_length: 8, memory_kib: 19_456, iterations: 2 },
            media: Media { max_upload_mib: 50, max_mib_per_user: 0 },
            storage: Storage { commits: Commits::Synced, cache_mib: 16 },
            logs: Logs { format: LogFormat::Text, level: "info".to_owned() },
        }
    }
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            mode: Mode::Closed,
            open_to_others: false,
            guests: false,
            hide_known_addresses: true,
            token: None,
            terms: Vec::new(),
            shared_secret: None,
        }
    }
}

impl Settings {
    /// Settings in which everything optional is there, so that their names are all the names there are.
    fn sample() -> Self {
        let file = || Some(Secret::File { file: "secret".into() });
        let mut settings =
            Self { public_base_url: Some("https://example.org".to_owned()), ..Self::default() };
        settings.listeners[0].certificate = Some("certificate.pem".into());
        settings.listeners[0].key = Some("key.pem".into());
        settings.registration.token = file();
        settings.registration.shared_secret = file();
        settings.registration.terms = vec![Document {
            id: "terms_of_service".to_owned(),
            version: "1.0".to_owned(),
            translations: BTreeMap::new(),
        }];
        settings.support_page = Some("https://example.org/help".to_owned());
        settings.turn.uris = vec!["turn:turn.example.org".to_owned()];
        settings.turn.secret = file();
        settings.turn.username = Some("tertulia".to_owned());
        settings.turn.password = file();
        settings.mail = Mail {
            host: Some("mail.example.org".to_owned()),
            port: Some(587),
            encryption: Encryption::Starttls,
            username: Some("tertulia".to_owned()),
            password: file(),
            from: Some("Example <noreply@example.org>".to_owned()),
            authorities: Some("authorities.pem".into()),
            templates: Some("mail".into()),
        };
        settings.support_contacts = vec![SupportContact {
            role: SupportRole::Admin,
            email_address: Some("admin@example.org".to_owned()),
            matrix_id: Some(owned_user_id!("@admin:example.org")),
        }];
        settings
    }

    /// Whether someone who is not on this machine can reach a listener, be it through a proxy.
    pub(crate) fn reachable_by_others(&self) -> bool {
        self.trust_forwarded_for
            || self.listeners.iter().any(|listener| !listener.address.ip().is_loopback())
    }
}
