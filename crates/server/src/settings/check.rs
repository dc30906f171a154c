//! What settings must be together, beyond each being of its kind.

use std::collections::HashSet;

use anyhow::{Context as _, bail, ensure};
use ruma::RoomVersionId;
use tertulia::JsonObject;

use super::{Document, Listener, Mode, Settings, SupportContact, Translation, Turn};
use crate::{mail, telemetry, tls::Tls};

/// Refuses settings with which a server could not run, or would surprise its operator.
pub(crate) fn check(settings: &Settings) -> anyhow::Result<()> {
    ensure!(
        !settings.listeners.is_empty(),
        "there is no listener: name at least one address in `listeners`"
    );
    settings.listeners.iter().try_for_each(check_listener)?;
    check_addresses(&settings.listeners)?;
    check_registration(settings)?;
    check_turn(&settings.turn)?;
    mail::check(settings)?;
    settings.rtc_transports.iter().try_for_each(check_transport)?;
    settings.support_contacts.iter().try_for_each(check_contact)?;
    check_room_version(&settings.rooms.default_version)?;
    check_costs(settings)?;
    telemetry::levels(&settings.logs.level)?;
    if let Some(url) = &settings.public_base_url {
        let is_web = url.starts_with("http://") || url.starts_with("https://");
        ensure!(is_web, "`public_base_url` is {url:?}, and has to begin with http:// or https://");
    }
    Ok(())
}

fn check_listener(listener: &Listener) -> anyhow::Result<()> {
    ensure!(
        listener.certificate.is_some() == listener.key.is_some(),
        "the listener on {} has only one of `certificate` and `key`: HTTPS needs both, plain HTTP none",
        listener.address,
    );
    Tls::of(listener).with_context(|| {
        format!(
            "`certificate` and `key` of the listener on {} have to be PEM files that go together",
            listener.address
        )
    })?;
    Ok(())
}

/// Port 0 is any that is free, so it may be asked for more than once.
fn check_addresses(listeners: &[Listener]) -> anyhow::Result<()> {
    let mut taken = HashSet::new();
    for address in listeners.iter().map(|listener| listener.address) {
        ensure!(
            address.port() == 0 || taken.insert(address),
            "two `listeners` have the `address` {address}: give each its own"
        );
    }
    Ok(())
}

fn check_registration(settings: &Settings) -> anyhow::Result<()> {
    let registration = &settings.registration;
    if registration.mode == Mode::Open
        && settings.reachable_by_others()
        && !registration.open_to_others
    {
        bail!(
            "registration is open and others can reach a listener, so that anyone could make accounts: listen on \
             127.0.0.1 only and without a proxy (`trust_forwarded_for`), set `registration.mode` to \"token\", or, if \
             it is meant, set `registration.open_to_others`"
        );
    }
    let needs_token = registration.mode == Mode::Token && registration.token.is_none();
    ensure!(
        !needs_token,
        "`registration.mode` is \"token\", so `registration.token` has to be set"
    );
    if registration.mode == Mode::Email {
        ensure!(
            settings.mail.host.is_some(),
            "`registration.mode` is \"email\", so the server has to send mail: set `mail.host` and `mail.from`"
        );
        ensure!(
            settings.public_base_url.is_some(),
            "`registration.mode` is \"email\", so `public_base_url` has to be set: mail holds links to this server"
        );
    }
    check_terms(&registration.terms)?;
    for secret in registration.token.iter().chain(&registration.shared_secret) {
        secret.reveal()?;
    }
    Ok(())
}

fn check_terms(terms: &[Document]) -> anyhow::Result<()> {
    let mut ids = HashSet::new();
    for Document { id, version, translations } in terms {
        ensure!(
            !id.is_empty() && !version.is_empty(),
            "one of `registration.terms` has an empty `id` or `version`: programs tell documents apart by them"
        );
        ensure!(
            ids.insert(id),
            "two of `registration.terms` have the `id` {id:?}: give each its own"
        );
        ensure!(
            !translations.is_empty(),
            "`registration.terms` has no `translations` of {id:?}: say what it is called and where it stands, such as \
             translations = {{ en = {{ name = \"Terms\", url = \"https://example.org/terms\" }} }}"
        );
        translations.iter().try_for_each(check_translation)?;
    }
    Ok(())
}

fn check_translation((language, text): (&String, &Translation)) -> anyhow::Result<()> {
    // Clients are told the version beside the languages.
    let is_language = !language.is_empty()
        && language != "version"
        && language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    ensure!(
        is_language,
        "`registration.terms.translations` has {language:?}, which is no language, such as \"en\""
    );
    ensure!(
        !text.name.is_empty(),
        "`registration.terms.translations` has an empty `name` for {language:?}"
    );
    let url = &text.url;
    let is_web = url.starts_with("http://") || url.starts_with("https://");
    ensure!(
        is_web,
        "`registration.terms.translations` has the `url` {url:?}, which has to begin with http:// or https://"
    );
    Ok(())
}

fn check_turn(turn: &Turn) -> anyhow::Result<()> {
    let Turn { uris, secret, username, password } = turn;
    ensure!(
        username.is_some() == password.is_some(),
        "`turn` has only one of `username` and `password`: they go together"
    );
    ensure!(
        secret.is_none() || username.is_none(),
        "`turn` has both a `secret` and a `username`: a TURN server knows users by the one or by the other"
    );
    let is_known = secret.is_some() || username.is_some();
    ensure!(
        uris.is_empty() != is_known,
        "`turn` has only one of `uris` and `secret` (or `username` and `password`): a TURN server needs a place and \
         what it knows users by"
    );
    for uri in uris {
        let is_turn = uri.starts_with("turn:") || uri.starts_with("turns:");
        ensure!(is_turn, "`turn.uris` has {uri:?}, and all have to begin with turn: or turns:");
    }
    ensure!(
        username.as_deref() != Some(""),
        "`turn.username` is empty: leave it out or give it a value"
    );
    secret.iter().chain(password).try_for_each(|secret| secret.reveal().map(drop))
}

fn check_transport(transport: &JsonObject) -> anyhow::Result<()> {
    let kind = transport.get("type").and_then(|kind| kind.as_str()).unwrap_or_default();
    ensure!(
        !kind.is_empty(),
        "one of `rtc_transports` has no `type`: name what it is, such as \"livekit\""
    );
    Ok(())
}

fn check_contact(contact: &SupportContact) -> anyhow::Result<()> {
    let SupportContact { email_address, matrix_id, .. } = contact;
    ensure!(
        email_address.is_some() || matrix_id.is_some(),
        "one of `support_contacts` has neither `email_address` nor `matrix_id`: nobody could turn to it"
    );
    if let Some(address) = email_address {
        let is_written = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
        let is_one =
            address.rsplit_once('@').is_some_and(|(name, at)| is_written(name) && is_written(at));
        ensure!(
            is_one,
            "`support_contacts.email_address` is {address:?}, which is no e-mail address"
        );
    }
    Ok(())
}

fn check_room_version(version: &RoomVersionId) -> anyhow::Result<()> {
    let known = version.as_str().parse::<u8>().is_ok_and(|number| (1..=12).contains(&number));
    ensure!(
        known,
        "`rooms.default_version` is \"{version}\", and this server knows the versions 1 to 12"
    );
    Ok(())
}

fn check_costs(settings: &Settings) -> anyhow::Result<()> {
    let passwords = &settings.passwords;
    check_range("passwords.minimum_length", passwords.minimum_length.into(), 0, 64)?;
    check_range("passwords.memory_kib", passwords.memory_kib.into(), 8, 4 << 20)?;
    check_range("passwords.iterations", passwords.iterations.into(), 1, 1_000)?;
    check_range("media.max_upload_mib", settings.media.max_upload_mib, 1, 1 << 20)?;
    check_range("media.max_mib_per_user", settings.media.max_mib_per_user, 0, 1 << 40)?;
    let minutes = settings.sessions.access_token_minutes;
    check_range("sessions.access_token_minutes", minutes.into(), 1, 366 * 24 * 60)?;
    check_range("storage.cache_mib", settings.storage.cache_mib as u64, 0, 1 << 20)
}

fn check_range(name: &str, value: u64, least: u64, most: u64) -> anyhow::Result<()> {
    ensure!(
        (least..=most).contains(&value),
        "`{name}` is {value}; it has to be between {least} and {most}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{
        super::{Mail, Secret, SupportRole},
        *,
    };

    #[track_caller]
    fn refused(word: &str, change: impl FnOnce(&mut Settings)) {
        let mut settings = Settings::default();
        change(&mut settings);
        let error = format!("{:#}", check(&settings).unwrap_err());
        assert!(error.contains(word), "{error}");
        assert_eq!(error.lines().count(), 1);
    }

    #[track_caller]
    fn accepted(change: impl FnOnce(&mut Settings)) {
        let mut settings = Settings::default();
        change(&mut settings);
        check(&settings).unwrap();
    }

    fn open_on(settings: &mut Settings, address: &str) {
        settings.registration.mode = Mode::Open;
        settings.listeners[0].address = address.parse().unwrap();
    }

    #[test]
    fn the_defaults_are_accepted() {
        accepted(|_| {});
    }

    #[test]
    fn open_registration_that_others_can_reach_has_to_be_meant() {
        for address in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"] {
            refused("registration.open_to_others", |settings| open_on(settings, address));
            accepted(|settings| {
                open_on(settings, address);
                settings.registration.open_to_others = true;
            });
        }
        accepted(|settings| open_on(settings, "127.0.0.1:1"));
        accepted(|settings| open_on(settings, "[::1]:1"));
    }

    #[test]
    fn others_reach_a_listener_behind_a_proxy() {
        refused("registration.open_to_others", |settings| {
            open_on(settings, "127.0.0.1:1");
            settings.trust_forwarded_for = true;
        });
    }

    #[test]
    fn one_listener_that_others_can_reach_is_enough() {
        refused("registration.open_to_others", |settings| {
            settings.listeners.push(settings.listeners[0].clone());
            open_on(settings, "0.0.0.0:1");
        });
    }

    #[test]
    fn registration_by_token_needs_a_token() {
        refused("`registration.token` has to be set", |settings| {
            settings.registration.mode = Mode::Token
        });
        accepted(|settings| {
            settings.registration.mode = Mode::Token;
            settings.registration.token = Some(Secret::Text("a".to_owned()));
        });
    }

    #[test]
    fn registration_by_email_needs_mail_and_a_place_for_its_links() {
        let by_email = |settings: &mut Settings| {
            settings.registration.mode = Mode::Email;
            settings.public_base_url = Some("https://example.org".to_owned());
            settings.mail.host = Some("mail.example.org".to_owned());
            settings.mail.from = Some("Example <noreply@example.org>".to_owned());
        };
        accepted(by_email);
        accepted(|settings| {
            by_email(settings);
            settings.listeners[0].address = "0.0.0.0:1".parse().unwrap();
        });
        refused("set `mail.host` and `mail.from`", |settings| {
            by_email(settings);
            settings.mail = Mail::default();
        });
        refused("\"email\", so `public_base_url` has to be set", |settings| {
            by_email(settings);
            settings.public_base_url = None;
        });
        refused("`mail.from` has to be set", |settings| {
            by_email(settings);
            settings.mail.from = None;
        });
    }

    #[test]
    fn secrets_are_looked_at() {
        refused("cannot be read", |settings| {
            settings.registration.shared_secret =
                Some(Secret::File { file: "/nowhere/at/all".into() });
        });
    }

    #[test]
    fn a_turn_server_needs_a_place_and_a_secret() {
        let secret = || Some(Secret::Text("a".to_owned()));
        refused("`turn` has only one", |settings| settings.turn.secret = secret());
        refused("`turn` has only one", |settings| settings.turn.uris = vec!["turn:a".to_owned()]);
        refused("have to begin with turn:", |settings| {
            settings.turn.uris = vec!["turn:a".to_owned(), "https://b".to_owned()];
            settings.turn.secret = secret();
        });
        accepted(|settings| {
            settings.turn.uris = vec!["turn:a".to_owned(), "turns:b".to_owned()];
            settings.turn.secret = secret();
        });
    }

    #[test]
    fn a_turn_server_knows_users_by_a_secret_or_by_a_name_and_a_password() {
        let word = || Some(Secret::Text("a".to_owned()));
        let named = |name: &str| {
            let name = name.to_owned();
            move |settings: &mut Settings| {
                settings.turn.uris = vec!["turn:a".to_owned()];
                settings.turn.username = Some(name);
                settings.turn.password = Some(Secret::Text("a".to_owned()));
            }
        };
        accepted(named("everybody"));
        refused("`turn.username` is empty", named(""));
        refused("only one of `username` and `password`", |settings| {
            named("everybody")(settings);
            settings.turn.password = None;
        });
        refused("only one of `username` and `password`", |settings| {
            settings.turn.uris = vec!["turn:a".to_owned()];
            settings.turn.password = word();
        });
        refused("both a `secret` and a `username`", |settings| {
            named("everybody")(settings);
            settings.turn.secret = word();
        });
        refused("`turn` has only one", |settings| {
            named("everybody")(settings);
            settings.turn.uris.clear();
        });
        refused("cannot be read", |settings| {
            named("everybody")(settings);
            settings.turn.password = Some(Secret::File { file: "/nowhere/at/all".into() });
        });
    }

    #[test]
    fn a_contact_has_to_be_one_that_somebody_can_turn_to() {
        let contact = |email: Option<&str>, id: Option<&str>| {
            let contact = SupportContact {
                role: SupportRole::Security,
                email_address: email.map(str::to_owned),
                matrix_id: id.map(|id| id.try_into().unwrap()),
            };
            move |settings: &mut Settings| settings.support_contacts.push(contact)
        };
        accepted(contact(Some("admin@example.org"), None));
        accepted(contact(None, Some("@admin:example.org")));
        accepted(contact(Some("a@b"), Some("@admin:example.org")));
        refused("nobody could turn to it", contact(None, None));
        for email in ["", "admin", "@example.org", "admin@", "an admin@example.org", "a@b c"] {
            refused("`support_contacts.email_address`", contact(Some(email), None));
        }
    }

    #[test]
    fn what_has_to_be_accepted_has_a_name_and_a_place() {
        let terms = |id: &str, language: &str, name: &str, url: &str| {
            let text = Translation { name: name.to_owned(), url: url.to_owned() };
            let translations = [(language.to_owned(), text)].into();
            let document = Document { id: id.to_owned(), version: "1".to_owned(), translations };
            move |settings: &mut Settings| settings.registration.terms.push(document.clone())
        };
        let good = || terms("terms", "en", "Terms", "https://example.org/terms");
        accepted(good());
        accepted(|settings| {
            good()(settings);
            terms("privacy", "zh-Hans", "隐私政策", "https://example.org/privacy")(settings);
        });
        refused("two of `registration.terms` have the `id` \"terms\"", |settings| {
            good()(settings);
            good()(settings);
        });
        refused("empty `id`", terms("", "en", "Terms", "https://example.org"));
        refused("no `translations` of \"terms\"", |settings| {
            good()(settings);
            settings.registration.terms[0].translations.clear();
        });
        for language in ["", "version", "en us"] {
            refused("is no language", terms("terms", language, "Terms", "https://example.org"));
        }
        refused("empty `name`", terms("terms", "en", "", "https://example.org"));
        for url in ["", "example.org", "javascript:alert(1)"] {
            refused("has to begin with http", terms("terms", "en", "Terms", url));
        }
    }

    #[test]
    fn what_carries_calls_has_a_type() {
        let transport = |json: serde_json::Value| {
            let transport = json.as_object().unwrap().clone();
            move |settings: &mut Settings| settings.rtc_transports.push(transport)
        };
        let url = "https://livekit.example.org";
        accepted(transport(serde_json::json!({ "type": "livekit", "livekit_service_url": url })));
        for json in [r#"{}"#, r#"{ "type": "" }"#, r#"{ "type": 1 }"#] {
            refused("`rtc_transports`", transport(serde_json::from_str(json).unwrap()));
        }
    }

    #[test]
    fn https_needs_certificate_and_key() {
        refused("needs both", |settings| settings.listeners[0].key = Some("key.pem".into()));
        refused("needs both", |settings| {
            settings.listeners[0].certificate = Some("certificate.pem".into())
        });
    }

    fn speak_https(settings: &mut Settings, certificate: &str, key: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
        settings.listeners[0].certificate = Some(folder.join(certificate));
        settings.listeners[0].key = Some(folder.join(key));
    }

    #[test]
    fn certificate_and_key_have_to_be_there_and_to_go_together() {
        accepted(|settings| speak_https(settings, "first.pem", "first.key.pem"));
        for (certificate, key) in [
            ("nowhere.pem", "first.key.pem"),
            ("first.pem", "nowhere.pem"),
            ("first.key.pem", "first.key.pem"),
            ("first.pem", "first.pem"),
            ("first.pem", "second.key.pem"),
        ] {
            refused("`certificate` and `key` of the listener on 127.0.0.1:8008", |settings| {
                speak_https(settings, certificate, key);
            });
        }
    }

    #[test]
    fn every_listener_has_an_address_of_its_own() {
        let two = |one: &str, other: &str| {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            move |settings: &mut Settings| {
                settings.listeners.push(settings.listeners[0].clone());
                settings.listeners[0].address = one;
                settings.listeners[1].address = other;
            }
        };
        refused(
            "two `listeners` have the `address` 127.0.0.1:1:",
            two("127.0.0.1:1", "127.0.0.1:1"),
        );
        accepted(two("127.0.0.1:1", "127.0.0.1:2"));
        accepted(two("127.0.0.1:1", "[::1]:1"));
        accepted(two("127.0.0.1:0", "127.0.0.1:0"));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        refused("logs.level", |settings| settings.logs.level = "loud".to_owned());
        refused("listener", |settings| settings.listeners.clear());
        refused("versions 1 to 12", |settings| {
            settings.rooms.default_version = "13".try_into().unwrap()
        });
        refused("public_base_url", |settings| {
            settings.public_base_url = Some("example.org".to_owned())
        });
        refused("minimum_length", |settings| settings.passwords.minimum_length = 65);
        refused("memory_kib", |settings| settings.passwords.memory_kib = 1);
        refused("iterations", |settings| settings.passwords.iterations = 0);
        refused("max_upload_mib", |settings| settings.media.max_upload_mib = 0);
        refused("between 1 and 1048576", |settings| settings.media.max_upload_mib = 1 << 44);
        refused("max_mib_per_user", |settings| settings.media.max_mib_per_user = 1 << 44);
        refused("access_token_minutes", |settings| settings.sessions.access_token_minutes = 0);
        refused("access_token_minutes", |settings| {
            settings.sessions.access_token_minutes = u32::MAX
        });
        refused("cache_mib", |settings| settings.storage.cache_mib = usize::MAX);
        refused("memory_kib", |settings| settings.passwords.memory_kib = u32::MAX);
    }
}
