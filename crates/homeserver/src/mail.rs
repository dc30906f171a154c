//! Mail: what proves that somebody owns an address, and what tells them of their account.
//!
//! Whoever has something to tell posts a [`Letter`] in the commit of what it is about. The queue holds
//! what a letter is about, never its text: the code and the link in it are derived from the session
//! when it is sent ([`code`], [`link_token`]), with keys that only this server has, so that neither
//! lies on a disk. The follower `mail` sends what is in the queue.

mod queue;
#[cfg(feature = "smtp")]
mod smtp;
mod templates;

use std::sync::OnceLock;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ruma::OwnedUserId;
use tertulia_storage::Tx;

#[cfg(test)]
pub(crate) use self::queue::MOST_WAITING;
pub(crate) use self::queue::{
    Failure, Fate, Forget, ForgetUndelivered, LetterKey, Settle, forget_letters, give_place_back,
    hasten, is_due, is_undelivered, take_place,
};
#[cfg(feature = "smtp")]
pub use self::smtp::{Encryption, Smtp, SmtpError, SmtpServer};
pub use self::templates::MailTemplates;
use self::templates::Words;
pub(crate) use crate::schema::{Language, LetterKind};
use crate::{
    Homeserver, Mail, Result, Secret,
    core::Core,
    log,
    schema::{LetterRow, MAIL_QUEUE},
};

/// For how long the code and the link of a session are good, in milliseconds from when it began. A letter
/// that holds them is not sent later.
pub(crate) const CODE_LIFETIME_MS: u64 = 15 * 60_000;

/// Where the link in a mail leads, below the server's public base URL.
pub(crate) const LINK_PATH: &str = "/_tertulia/client/v1/email/confirm";

/// How many languages a client's list is read for.
const MOST_LANGUAGES: usize = 30;

impl LetterKind {
    /// Whether such a letter holds a code and a link, so that it is for nothing when it comes late.
    pub(crate) fn proves(self) -> bool {
        matches!(
            self,
            Self::ProveToRegister | Self::ProveToReset | Self::ProveToAdd | Self::ProveToChange
        )
    }
}

impl Language {
    /// The best for one who wishes so (`Accept-Language`, RFC 9110, section 12.5.4), or English.
    pub fn of(accept_language: Option<&str>) -> Self {
        let wishes = accept_language.unwrap_or_default().split(',').take(MOST_LANGUAGES);
        let known = wishes.filter_map(wish).filter(|(_, weight)| *weight > 0.0);
        // Of those that are wished for alike, the first.
        let best = known.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map(|(language, _)| language).unwrap_or_default()
    }
}

/// A language of a client's list that the server knows, and how much it is wished for.
fn wish(entry: &str) -> Option<(Language, f32)> {
    let mut parts = entry.split(';').map(str::trim);
    let tag = parts.next()?;
    let language = match tag.split('-').next()?.to_ascii_lowercase().as_str() {
        "en" => Language::English,
        "zh" => Language::Chinese,
        _ => return None,
    };
    let weight = parts.find_map(|part| part.strip_prefix("q="));
    let weight = weight.map_or(Some(1.0), |weight| weight.parse::<f32>().ok());
    weight.filter(|weight| (0.0..=1.0).contains(weight)).map(|weight| (language, weight))
}

/// A mail that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    /// What it is about.
    pub(crate) kind: LetterKind,
    /// To whom it goes.
    pub(crate) address: String,
    /// The session that it is posted for, if it is for one. Letters that prove something hold its code and
    /// its link; all others do not, and yet the session is told what becomes of them, so that it looks as
    /// any other.
    pub(crate) session: Option<String>,
    /// When the session ends; without it, [`CODE_LIFETIME_MS`] after the letter is posted.
    pub(crate) ends: Option<u64>,
    /// In which language it is written.
    pub(crate) language: Language,
    /// Whose account it is about, if it is about one. It is named in the mail.
    pub(crate) user: Option<OwnedUserId>,
    /// When it is posted ([`Core::steady`]), in milliseconds since 1970.
    pub(crate) posted: u64,
    /// What tells it apart from those of the same time.
    pub(crate) number: u64,
}

impl Letter {
    /// A letter of now, to be posted by a command.
    pub(crate) fn new(
        core: &Core,
        kind: LetterKind,
        address: impl Into<String>,
        language: Language,
    ) -> Self {
        let mut number = [0; 8];
        core.random.fill(&mut number);
        Self {
            kind,
            address: address.into(),
            session: None,
            ends: None,
            language,
            user: None,
            posted: core.steady().get().into(),
            number: u64::from_be_bytes(number),
        }
    }

    /// For a session that ends then.
    pub(crate) fn proving(mut self, session: impl Into<String>, ends: u64) -> Self {
        (self.session, self.ends) = (Some(session.into()), Some(ends));
        self
    }

    /// About an account.
    pub(crate) fn about(mut self, user: impl Into<OwnedUserId>) -> Self {
        self.user = Some(user.into());
        self
    }
}

/// Puts a letter into the queue, whatever the partition of the command is: nobody else writes its row
/// before it is there.
pub(crate) fn post(tx: &mut Tx, letter: &Letter) {
    let ends = letter.ends.unwrap_or(letter.posted.saturating_add(CODE_LIFETIME_MS));
    let row = LetterRow {
        kind: letter.kind,
        address: letter.address.clone(),
        session: letter.session.clone(),
        ends,
        language: letter.language,
        posted: letter.posted,
        user: letter.user.clone(),
        tries: 0,
    };
    tx.put(&MAIL_QUEUE, &(letter.posted, letter.number), &row);
    tx.wake(log::mail_topic());
}

/// The six digits that the mail of a session holds, for people to type.
pub(crate) fn code(core: &Core, session: &str) -> Secret {
    let bytes = core.seed.derive("mail code", session);
    let number = u64::from_be_bytes(bytes[..8].try_into().expect("there are 32 bytes"));
    // Of the numbers there are, 10⁶ divides all but 2⁻⁴⁴, so that no code is likelier than another.
    Secret::new(format!("{:06}", number % 1_000_000))
}

/// What the link in the mail of a session proves that it was opened with.
pub(crate) fn link_token(core: &Core, session: &str) -> Secret {
    Secret::new(BASE64_URL_SAFE_NO_PAD.encode(core.seed.derive("mail link", session)))
}

/// The link that a mail holds, if people know where the server is: it opens a page of the server with the
/// session's ID and its [`link_token`].
fn link(core: &Core, session: &str) -> Option<Secret> {
    let base = core.settings.public_base_url.as_ref()?.trim_end_matches('/');
    let token = link_token(core, session);
    // IDs of sessions are words of letters and digits, which a URL takes as they are.
    Some(Secret::new(format!("{base}{LINK_PATH}?session={session}&token={}", token.reveal())))
}

/// The templates that this server writes mail by.
#[derive(Default)]
struct Loaded(OnceLock<MailTemplates>);

impl Homeserver {
    /// Reads the templates of mail, so that what is wrong with them is known at the start.
    pub(crate) fn load_mail_templates(&self) -> Result<()> {
        if let Some(folder) = &self.core.settings.mail_templates {
            let templates = MailTemplates::from_folder(folder)?;
            self.core.local::<Loaded>().0.get_or_init(|| templates);
        }
        Ok(())
    }
}

/// A letter as it goes out at `now`. `number` tells it apart from those of the same time.
pub(crate) fn write(core: &Core, row: &LetterRow, number: u64, now: u64) -> Result<Mail> {
    // What is derived is derived of all alike, so that the work does not tell whether an address is known.
    let session = row.session.as_deref().unwrap_or_default();
    let code = Some(code(core, session)).filter(|_| row.kind.proves());
    let link = link(core, session).filter(|_| row.kind.proves());
    let loaded = core.local::<Loaded>();
    let templates = loaded.0.get_or_init(MailTemplates::default);
    let written = templates.write(&Words {
        kind: row.kind,
        language: row.language,
        server: core.name.as_str(),
        address: &row.address,
        user: row.user.as_ref().map(|user| user.as_str()),
        code: code.as_ref().map(Secret::reveal),
        link: link.as_ref().map(Secret::reveal),
        minutes: row.ends.saturating_sub(now).div_ceil(60_000),
    })?;
    Ok(Mail {
        to: row.address.clone(),
        subject: written.subject,
        text: written.text,
        html: written.html,
        language: row.language,
        message_id: message_id(core, row.posted, number),
    })
}

/// The most characters of a reason that are worth a log line.
const LONGEST_REASON: usize = 300;

/// An address for logs, in which it does not stand in full.
pub(crate) fn masked(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    // Of a short one, one letter would tell most of it.
    let first = local.chars().next().filter(|_| local.chars().count() > 2);
    format!("{}…@{domain}", first.map(String::from).unwrap_or_default())
}

/// Why a letter was not sent, for logs: without what stands in the mail, and without addresses, either
/// of which whoever refuses a mail may repeat.
pub(crate) fn without_secrets(core: &Core, letter: &LetterRow, reason: &str) -> String {
    let session = letter.session.as_ref();
    let secrets = session.map(|session| [code(core, session), link_token(core, session)]);
    let mut reason = reason.to_owned();
    for secret in secrets.iter().flatten() {
        reason = reason.replace(secret.reveal(), "…");
    }
    let is_around = |letter: char| "<>()[]{}:;,.'\"".contains(letter);
    let words = reason.split_whitespace().map(|word| match word.contains('@') {
        true => masked(word.trim_matches(is_around)),
        false => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ").chars().take(LONGEST_REASON).collect()
}

/// The same each time for one letter.
fn message_id(core: &Core, posted: u64, number: u64) -> String {
    let bytes = core.seed.derive("mail id", &format!("{posted} {number}"));
    let unique = BASE64_URL_SAFE_NO_PAD.encode(&bytes[..18]);
    format!("{unique}@{}", core.name.host())
}

impl Homeserver {
    /// Whether this server can send mail, and so let people prove that an address is theirs.
    pub fn sends_mail(&self) -> bool {
        self.core.mailer.is_some()
    }
}

#[cfg(test)]
mod tests;
