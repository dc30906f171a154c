//! Mail: from settings to what delivers it.

use std::fs;

use anyhow::{Context as _, bail, ensure};
use tertulia::{MailTemplates, Smtp, SmtpServer};

use crate::settings::{Encryption, Mail, Settings};

/// What delivers mail, if a server is named that takes it.
pub(crate) fn smtp(mail: &Mail) -> anyhow::Result<Option<Smtp>> {
    let Some(host) = &mail.host else {
        return Ok(None);
    };
    let Some(from) = &mail.from else {
        bail!(
            "`mail.from` has to be set: whom mail comes from, such as \"Example <noreply@example.org>\""
        );
    };
    let mut server = SmtpServer::new(host, from);
    server.port = mail.port;
    server.encryption = match mail.encryption {
        Encryption::Starttls => tertulia::Encryption::StartTls,
        Encryption::Tls => tertulia::Encryption::Tls,
        Encryption::None => tertulia::Encryption::None,
    };
    server.login = match (&mail.username, &mail.password) {
        (Some(name), Some(password)) => {
            Some((name.clone(), tertulia::Secret::new(password.reveal()?)))
        }
        (None, None) => None,
        _ => bail!("`mail` has only one of `username` and `password`: they go together"),
    };
    server.authorities = match &mail.authorities {
        Some(file) => Some(fs::read(file).with_context(|| {
            format!("`mail.authorities` is {}, which cannot be read", file.display())
        })?),
        None => None,
    };
    Ok(Some(Smtp::new(server).context("mail cannot be sent as `mail` says")?))
}

/// Refuses settings by which no mail could be sent, or not what people need.
pub(crate) fn check(settings: &Settings) -> anyhow::Result<()> {
    let mail = &settings.mail;
    if smtp(mail)?.is_none() {
        // An operator who has set anything of it wants mail to be sent.
        let none = Mail::default();
        ensure!(*mail == none, "`mail.host` has to be set, as something else of `mail` is");
        return Ok(());
    }
    ensure!(
        settings.public_base_url.is_some(),
        "`public_base_url` has to be set, as `mail.host` is: mail holds links to this server"
    );
    if let Some(folder) = &mail.templates {
        MailTemplates::from_folder(folder)
            .with_context(|| format!("`mail.templates` is {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::Secret;

    fn settings() -> Settings {
        let public_base_url = Some("https://example.org".to_owned());
        let mut settings = Settings { public_base_url, ..Settings::default() };
        settings.mail.host = Some("mail.example.org".to_owned());
        settings.mail.from = Some("Example <noreply@example.org>".to_owned());
        settings
    }

    #[track_caller]
    fn refused(word: &str, change: impl FnOnce(&mut Settings)) {
        let mut settings = settings();
        change(&mut settings);
        let error = format!("{:#}", check(&settings).unwrap_err());
        assert!(error.contains(word), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }

    #[track_caller]
    fn accepted(change: impl FnOnce(&mut Settings)) {
        let mut settings = settings();
        change(&mut settings);
        check(&settings).unwrap();
    }

    #[test]
    fn nothing_is_sent_unless_a_server_is_named() {
        assert!(smtp(&Mail::default()).unwrap().is_none());
        check(&Settings::default()).unwrap();
        accepted(|_| {});
        assert!(smtp(&settings().mail).unwrap().is_some());
        refused("`mail.host` has to be set", |settings| settings.mail.host = None);
    }

    #[test]
    fn what_mail_needs_has_to_be_there() {
        refused("`mail.from` has to be set", |settings| settings.mail.from = None);
        refused("nobody whom mail can come from", |settings| {
            settings.mail.from = Some("example.org".to_owned());
        });
        refused("`public_base_url` has to be set", |settings| settings.public_base_url = None);
        refused("only one of `username` and `password`", |settings| {
            settings.mail.username = Some("tertulia".to_owned());
        });
        refused("cannot be read", |settings| {
            settings.mail.username = Some("tertulia".to_owned());
            settings.mail.password = Some(Secret::File { file: "/nowhere/at/all".into() });
        });
        accepted(|settings| {
            settings.mail.username = Some("tertulia".to_owned());
            settings.mail.password = Some(Secret::Text("a".to_owned()));
        });
    }

    #[test]
    fn only_this_machine_is_told_anything_in_clear() {
        refused("only mail to this one may go without encryption", |settings| {
            settings.mail.encryption = Encryption::None;
        });
        accepted(|settings| {
            settings.mail.encryption = Encryption::None;
            settings.mail.host = Some("127.0.0.1".to_owned());
        });
        accepted(|settings| settings.mail.encryption = Encryption::Tls);
    }

    #[test]
    fn certificates_and_templates_are_looked_at() {
        let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
        accepted(|settings| settings.mail.authorities = Some(certificates.join("first.pem")));
        refused("`mail.authorities` is /nowhere", |settings| {
            settings.mail.authorities = Some("/nowhere".into());
        });
        let folder = tempfile::tempdir().unwrap();
        refused("`mail.templates` is", |settings| {
            settings.mail.templates = Some(folder.path().to_owned());
        });
        fs::write(folder.path().join("en.txt"), "{{ kind }}").unwrap();
        refused("en.txt hides the code", |settings| {
            settings.mail.templates = Some(folder.path().to_owned());
        });
        fs::write(folder.path().join("en.txt"), "{{ code }}").unwrap();
        accepted(|settings| settings.mail.templates = Some(folder.path().to_owned()));
    }
}
