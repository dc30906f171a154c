//! From settings to a homeserver.

use std::{num::NonZeroU32, time::Duration};

use anyhow::Context as _;
use ruma::api::client::discovery::discover_support::{Contact, ContactRole};
use tertulia::{FileBlobs, Homeserver, PasswordCost, TermsText, TurnServer, TurnUsers};
use tertulia_http::{Places, RateLimits};
use tertulia_rocksdb::RocksEngine;
use tertulia_storage::{Durability, StoreOptions};

use crate::{
    mail,
    settings::{
        Commits, Directory, Document, Mode, Publishers, Secret, Settings, SupportContact,
        SupportRole, Translation, Turn,
    },
};

/// The homeserver that the settings describe, on the data in its directory, which is made if need be.
pub(crate) async fn homeserver(settings: &Settings) -> anyhow::Result<Homeserver> {
    let directory = &settings.data_directory;
    let storage = storage(settings);
    let options = tertulia_rocksdb::Options {
        cache: settings.storage.cache_mib << 20,
        format: Some(storage.format),
        synced: storage.durability == Durability::Synced,
        ..tertulia_rocksdb::Options::default()
    };
    let engine = RocksEngine::open(directory.join("store"), options)?;
    let media = directory.join("media");
    let blobs = FileBlobs::open(&media)
        .await
        .with_context(|| format!(
            "media files cannot be kept in {}, which has to be a directory that this user can write in",
            media.display()
        ))?;
    let mut homeserver = Homeserver::builder(settings.server_name.as_str())?
        .settings(library(settings)?)
        .storage(storage)
        .blobs(blobs);
    if let Some(smtp) = mail::smtp(&settings.mail)? {
        homeserver = homeserver.mailer(smtp);
    }
    Ok(homeserver.start(engine).await?)
}

/// What the library wants to know.
fn library(settings: &Settings) -> anyhow::Result<tertulia::Settings> {
    let mut library = tertulia::Settings::default();
    library.default_room_version = settings.rooms.default_version.clone();
    library.max_upload_size = settings.media.max_upload_mib << 20;
    library.max_media_per_user = match settings.media.max_mib_per_user {
        0 => None,
        mib => Some(mib << 20),
    };
    library.registration = registration(settings)?;
    library.terms = settings.registration.terms.iter().map(terms).collect();
    library.allow_guests = settings.registration.guests;
    library.hide_known_addresses = settings.registration.hide_known_addresses;
    library.turn = turn(&settings.turn)?;
    library.rtc_transports.clone_from(&settings.rtc_transports);
    let minutes = u64::from(settings.sessions.access_token_minutes);
    library.access_token_lifetime = Duration::from_secs(60 * minutes);
    let days = u64::from(settings.requests.keep_days);
    library.requests_kept = Duration::from_secs(24 * 60 * 60 * days);
    library.directory = directory(&settings.directory);
    library.presence = settings.presence;
    library.public_base_url.clone_from(&settings.public_base_url);
    library.mail_templates.clone_from(&settings.mail.templates);
    library.registration_shared_secret =
        settings.registration.shared_secret.as_ref().map(reveal).transpose()?;
    if !settings.rate_limits {
        library.wrong_passwords = None;
    }
    let passwords = &settings.passwords;
    library.min_password_length = passwords.minimum_length as usize;
    library.password_cost = PasswordCost::new(passwords.memory_kib, passwords.iterations, 1)
        .context("passwords cannot be hashed at the cost that `passwords` says")?;
    Ok(library)
}

fn directory(directory: &Directory) -> tertulia::Directory {
    tertulia::Directory {
        publishers: match directory.publishers {
            Publishers::Moderators => tertulia::Publishers::Moderators,
            Publishers::Admins => tertulia::Publishers::Admins,
        },
        open: directory.open,
        all_users: directory.all_users,
    }
}

/// How long what a client shows to a TURN server is good: as long as a call may take.
const TURN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

fn turn(turn: &Turn) -> anyhow::Result<Option<TurnServer>> {
    let users = match (&turn.secret, &turn.username, &turn.password) {
        (Some(secret), ..) => TurnUsers::Shared(reveal(secret)?),
        (None, Some(name), Some(password)) => {
            TurnUsers::One { username: name.clone(), password: reveal(password)? }
        }
        _ => return Ok(None),
    };
    Ok(Some(TurnServer { uris: turn.uris.clone(), users, lifetime: TURN_LIFETIME }))
}

fn registration(settings: &Settings) -> anyhow::Result<tertulia::Registration> {
    Ok(match settings.registration.mode {
        Mode::Open => tertulia::Registration::Open,
        Mode::Email => tertulia::Registration::Email,
        Mode::Token => {
            let tokens = settings.registration.token.iter().map(reveal);
            tertulia::Registration::Tokens(tokens.collect::<Result<_, _>>()?)
        }
        Mode::Closed => tertulia::Registration::Closed,
    })
}

fn terms(document: &Document) -> tertulia::Terms {
    let text = |text: &Translation| TermsText { name: text.name.clone(), url: text.url.clone() };
    let translations = document.translations.iter();
    tertulia::Terms {
        id: document.id.clone(),
        version: document.version.clone(),
        translations: translations
            .map(|(language, in_it)| (language.clone(), text(in_it)))
            .collect(),
    }
}

fn reveal(secret: &Secret) -> anyhow::Result<tertulia::Secret> {
    secret.reveal().map(tertulia::Secret::new)
}

fn storage(settings: &Settings) -> StoreOptions {
    let durability = match settings.storage.commits {
        Commits::Synced => Durability::Synced,
        Commits::Relaxed => Durability::Relaxed,
    };
    StoreOptions { durability, ..StoreOptions::default() }
}

/// What the HTTP side wants to know.
pub(crate) fn http_options(settings: &Settings) -> tertulia_http::Options {
    let mut options = tertulia_http::Options::default();
    options.public_base_url = settings.public_base_url.clone();
    options.support.page = settings.support_page.clone();
    options.support.contacts = settings.support_contacts.iter().map(contact).collect();
    options.trust_forwarded_for = settings.trust_forwarded_for;
    options.requests_at_once = NonZeroU32::new(settings.connections_per_address);
    if !settings.rate_limits {
        options.rate_limits = RateLimits::off();
    }
    options
}

/// A contact as it is told.
fn contact(contact: &SupportContact) -> Contact {
    let role = match contact.role {
        SupportRole::Admin => ContactRole::Admin,
        SupportRole::Security => ContactRole::Security,
    };
    let mut told = Contact::with_email_address(role, String::new());
    told.email_address = contact.email_address.clone();
    told.matrix_id = contact.matrix_id.clone();
    told
}

/// How many connections an address may have; behind a proxy all connections are the proxy's.
pub(crate) fn places(settings: &Settings) -> Option<Places> {
    let most = NonZeroU32::new(settings.connections_per_address)?;
    (!settings.trust_forwarded_for).then(|| Places::new(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings whose data lie in a folder of their own.
    fn settings(folder: &tempfile::TempDir) -> Settings {
        Settings { data_directory: folder.path().join("data"), ..Settings::default() }
    }

    #[tokio::test]
    async fn a_store_belongs_to_one_server_name() {
        let folder = tempfile::tempdir().unwrap();
        homeserver(&settings(&folder)).await.unwrap().shutdown().await;
        let other =
            Settings { server_name: "example.org".try_into().unwrap(), ..settings(&folder) };
        let error = homeserver(&other).await.err().unwrap().to_string();
        assert!(error.contains("localhost"), "{error}");
        assert_eq!(error.lines().count(), 1);
    }

    #[test]
    fn registration_is_as_the_settings_say() {
        let mut settings = Settings::default();
        assert_eq!(library(&settings).unwrap().registration, tertulia::Registration::Closed);
        settings.registration.mode = Mode::Open;
        assert_eq!(library(&settings).unwrap().registration, tertulia::Registration::Open);
        settings.registration.mode = Mode::Email;
        assert_eq!(library(&settings).unwrap().registration, tertulia::Registration::Email);
        settings.registration.mode = Mode::Token;
        settings.registration.token = Some(Secret::Text("a".to_owned()));
        let tokens = tertulia::Registration::Tokens(vec![tertulia::Secret::new("a")]);
        assert_eq!(library(&settings).unwrap().registration, tokens);
    }

    #[test]
    fn what_the_settings_say_reaches_those_who_act_on_it() {
        let mut settings = Settings::default();
        settings.rooms.default_version = ruma::RoomVersionId::V10;
        settings.registration.shared_secret = Some(Secret::Text("b".to_owned()));
        settings.storage.commits = Commits::Relaxed;
        settings.rate_limits = false;
        settings.media.max_upload_mib = 2;
        settings.presence = false;
        settings.media.max_mib_per_user = 3;
        settings.registration.guests = true;
        settings.registration.hide_known_addresses = false;
        let (name, url) = ("条款".to_owned(), "https://example.org/terms".to_owned());
        settings.registration.terms = vec![Document {
            id: "terms".to_owned(),
            version: "2".to_owned(),
            translations: [("zh".to_owned(), Translation { name, url })].into(),
        }];
        settings.support_page = Some("https://example.org/help".to_owned());
        let uris = vec!["turn:a".to_owned()];
        let secret = Some(Secret::Text("c".to_owned()));
        settings.turn = Turn { uris: uris.clone(), secret, ..Turn::default() };
        settings.sessions.access_token_minutes = 5;
        settings.passwords.minimum_length = 12;
        settings.directory =
            Directory { publishers: Publishers::Admins, open: false, all_users: true };
        settings.public_base_url = Some("https://example.org".to_owned());
        settings.mail.templates = Some("mail".into());
        let library = library(&settings).unwrap();
        assert_eq!(library.public_base_url, settings.public_base_url);
        assert_eq!(library.mail_templates, settings.mail.templates);
        assert_eq!(library.default_room_version, ruma::RoomVersionId::V10);
        assert_eq!(library.registration_shared_secret, Some(tertulia::Secret::new("b")));
        assert_eq!(library.max_upload_size, 2 * 1024 * 1024);
        assert!(!library.presence);
        assert_eq!(library.max_media_per_user, Some(3 * 1024 * 1024));
        assert_eq!(library.wrong_passwords, None);
        assert_eq!(library.min_password_length, 12);
        let publishers = tertulia::Publishers::Admins;
        let directory = tertulia::Directory { publishers, open: false, all_users: true };
        assert_eq!(library.directory, directory);
        assert!(library.allow_guests);
        assert!(!library.hide_known_addresses);
        let terms = &library.terms[0];
        assert_eq!((&*terms.id, &*terms.version), ("terms", "2"));
        assert_eq!(terms.translations["zh"].name, "条款");
        assert_eq!(library.access_token_lifetime, Duration::from_secs(300));
        let users = TurnUsers::Shared(tertulia::Secret::new("c"));
        let turn = TurnServer { uris, users, lifetime: TURN_LIFETIME };
        assert_eq!(library.turn, Some(turn));
        assert_eq!(http_options(&settings).support.page, settings.support_page);
        assert_eq!(storage(&settings).durability, Durability::Relaxed);
        assert_eq!(http_options(&settings).rate_limits, RateLimits::off());
        assert_ne!(http_options(&Settings::default()).rate_limits, RateLimits::off());
    }

    #[test]
    fn a_turn_server_may_know_all_users_by_one_name() {
        let uris = vec!["turn:a".to_owned()];
        let password = Some(Secret::Text("b".to_owned()));
        let username = Some("everybody".to_owned());
        let named = Turn { uris: uris.clone(), secret: None, username, password };
        let password = tertulia::Secret::new("b");
        let users = TurnUsers::One { username: "everybody".to_owned(), password };
        let expected = TurnServer { uris, users, lifetime: TURN_LIFETIME };
        assert_eq!(turn(&named).unwrap(), Some(expected));
        assert_eq!(turn(&Turn::default()).unwrap(), None);
    }

    #[test]
    fn contacts_are_told_as_the_specification_has_them() {
        let mut settings = Settings::default();
        assert!(http_options(&settings).support.contacts.is_empty());
        let id = ruma::owned_user_id!("@admin:example.org");
        for (role, email_address, matrix_id) in [
            (SupportRole::Admin, Some("admin@example.org".to_owned()), None),
            (SupportRole::Security, None, Some(id)),
        ] {
            settings.support_contacts.push(SupportContact { role, email_address, matrix_id });
        }
        let told = serde_json::to_value(http_options(&settings).support.contacts).unwrap();
        let expected = serde_json::json!([
            { "role": "m.role.admin", "email_address": "admin@example.org" },
            { "role": "m.role.security", "matrix_id": "@admin:example.org" },
        ]);
        assert_eq!(told, expected);
    }

    #[test]
    fn connections_are_counted_unless_a_proxy_makes_them() {
        let mut settings = Settings::default();
        assert!(places(&settings).is_some());
        assert_eq!(http_options(&settings).requests_at_once, NonZeroU32::new(500));
        settings.trust_forwarded_for = true;
        assert!(places(&settings).is_none());
        assert!(http_options(&settings).requests_at_once.is_some());
        settings = Settings { connections_per_address: 0, ..Settings::default() };
        assert!(places(&settings).is_none());
        assert!(http_options(&settings).requests_at_once.is_none());
    }

    #[test]
    fn the_defaults_are_the_library_s_own() {
        let (ours, theirs) =
            (library(&Settings::default()).unwrap(), tertulia::Settings::default());
        assert_eq!(ours.default_room_version, theirs.default_room_version);
        assert_eq!(ours.max_upload_size, theirs.max_upload_size);
        assert_eq!(ours.max_media_per_user, theirs.max_media_per_user);
        assert_eq!(ours.registration, theirs.registration);
        assert_eq!(ours.hide_known_addresses, theirs.hide_known_addresses);
        assert_eq!(ours.terms, theirs.terms);
        assert_eq!(ours.requests_kept, theirs.requests_kept);
        assert_eq!(ours.directory, theirs.directory);
        assert_eq!(ours.presence, theirs.presence);
        assert_eq!(ours.access_token_lifetime, theirs.access_token_lifetime);
        assert_eq!((ours.allow_guests, ours.turn), (theirs.allow_guests, theirs.turn));
        assert_eq!(ours.password_cost, theirs.password_cost);
        assert_eq!(storage(&Settings::default()).durability, StoreOptions::default().durability);
        let cache = Settings::default().storage.cache_mib << 20;
        assert_eq!(cache, tertulia_rocksdb::Options::default().cache);
    }
}
