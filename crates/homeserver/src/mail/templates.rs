//! What stands in mail: templates that an operator can replace, one by one.
//!
//! There are three for each language: the subject, the text, and the text as HTML. Each is asked with
//! the kind of the letter. They are tried with every kind when the server starts, so that a mistake is
//! found by whoever made it.

use std::{fmt, fs, path::Path};

use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::{
    Error, Result,
    schema::{Language, LetterKind},
};

/// The largest template, in bytes.
const LARGEST: u64 = 256 * 1024;

/// The templates that the server has of its own, by the names that files which replace them have.
const BUILT_IN: [(&str, &str); 6] = [
    ("en.subject.txt", include_str!("templates/en.subject.txt")),
    ("en.txt", include_str!("templates/en.txt")),
    ("en.html", include_str!("templates/en.html")),
    ("zh.subject.txt", include_str!("templates/zh.subject.txt")),
    ("zh.txt", include_str!("templates/zh.txt")),
    ("zh.html", include_str!("templates/zh.html")),
];

/// What a mail says, but for how the templates say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words<'a> {
    pub(super) kind: LetterKind,
    pub(super) language: Language,
    pub(super) server: &'a str,
    pub(super) address: &'a str,
    pub(super) user: Option<&'a str>,
    pub(super) code: Option<&'a str>,
    pub(super) link: Option<&'a str>,
    pub(super) minutes: u64,
}

/// What stands in a mail.
#[derive(PartialEq, Eq)]
pub(super) struct Written {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

/// The templates of mail. Values are escaped in HTML.
pub struct MailTemplates {
    environment: Environment<'static>,
}

impl fmt::Debug for MailTemplates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailTemplates").finish_non_exhaustive()
    }
}

impl Default for MailTemplates {
    fn default() -> Self {
        Self::of(|_| Ok(None)).expect("the templates of the server itself are right")
    }
}

impl MailTemplates {
    /// The server's own templates, but for those that stand in `folder` under the same names:
    /// `en.subject.txt`, `en.txt`, `en.html`, and the same with `zh`.
    ///
    /// # Errors
    ///
    /// [`Error::MailTemplates`] if the folder cannot be read, holds none of these, or one that has another
    /// name, is no template, or hides the code from those who must type it.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        check_names(folder)?;
        Self::of(|name| read(&folder.join(name)))
    }

    fn of(replacement: impl Fn(&str) -> Result<Option<String>>) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, own) in BUILT_IN {
            let source = replacement(name)?.unwrap_or_else(|| own.to_owned());
            environment.add_template_owned(name, source).map_err(|error| wrong(name, &error))?;
        }
        let templates = Self { environment };
        templates.try_all()?;
        Ok(templates)
    }

    /// What stands in a mail that is to say this.
    pub(super) fn write(&self, words: &Words<'_>) -> Result<Written> {
        let language = tag(words.language);
        let values = values(words);
        let subject = self.render(&format!("{language}.subject.txt"), &values)?;
        Ok(Written {
            subject: one_line(&subject),
            text: self.render(&format!("{language}.txt"), &values)?,
            html: self.render(&format!("{language}.html"), &values)?,
        })
    }

    fn render(&self, name: &str, values: &Value) -> Result<String> {
        let template = self.environment.get_template(name).map_err(|error| wrong(name, &error))?;
        template.render(values.clone()).map_err(|error| wrong(name, &error))
    }

    fn try_all(&self) -> Result<()> {
        let (code, link) = ("271828", "https://example.org/confirm?token=31415926");
        for language in [Language::English, Language::Chinese] {
            for kind in LetterKind::ALL {
                for link in [None, Some(link)] {
                    let (code, link) =
                        if kind.proves() { (Some(code), link) } else { (None, None) };
                    let (server, address, user) =
                        ("example.org", "a@example.org", "@a:example.org");
                    for user in [None, Some(user)] {
                        let minutes = 15;
                        self.try_out(&Words {
                            kind,
                            language,
                            server,
                            address,
                            user,
                            code,
                            link,
                            minutes,
                        })?;
                    }
                }
            }
        }
        Ok(())
    }

    fn try_out(&self, words: &Words<'_>) -> Result<()> {
        let (language, written) = (tag(words.language), self.write(words)?);
        let kind = word(words.kind);
        if written.subject.is_empty() {
            let name = format!("{language}.subject.txt");
            return Err(Error::MailTemplates(format!(
                "{name} makes no subject for the kind {kind:?}"
            )));
        }
        let Some(code) = words.code else {
            return Ok(());
        };
        if written.subject.contains(code) {
            let name = format!("{language}.subject.txt");
            return Err(Error::MailTemplates(format!(
                "{name} shows the code, where servers log it"
            )));
        }
        for (ending, text) in [("txt", &written.text), ("html", &written.html)] {
            if !text.contains(code) {
                let name = format!("{language}.{ending}");
                return Err(Error::MailTemplates(format!(
                    "{name} hides the code of the kind {kind:?}"
                )));
            }
        }
        Ok(())
    }
}

/// Which templates a language has.
fn tag(language: Language) -> &'static str {
    match language {
        Language::English => "en",
        Language::Chinese => "zh",
    }
}

/// What templates call a kind.
fn word(kind: LetterKind) -> &'static str {
    match kind {
        LetterKind::ProveToRegister => "register",
        LetterKind::ProveToReset => "reset",
        LetterKind::ProveToAdd => "add",
        LetterKind::ProveToChange => "change",
        LetterKind::AlreadyKnown => "known",
        LetterKind::Unknown => "unknown",
        LetterKind::AddressChanged => "changed",
        LetterKind::PasswordReset => "password",
    }
}

/// What templates are told. What is not there is there as nothing, so that they can ask for it.
fn values(words: &Words<'_>) -> Value {
    context! {
        kind => word(words.kind),
        server => words.server,
        address => words.address,
        user => words.user.unwrap_or_default(),
        code => words.code.unwrap_or_default(),
        link => words.link.unwrap_or_default(),
        minutes => words.minutes,
    }
}

/// A text without what would end a line, or turn it around.
fn one_line(text: &str) -> String {
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn wrong(name: &str, error: &minijinja::Error) -> Error {
    Error::MailTemplates(format!("{name}: {error}"))
}

/// Refuses a folder with a template whose name says that nobody would ever use it.
fn check_names(folder: &Path) -> Result<()> {
    let unread =
        |error| Error::MailTemplates(format!("{} is not readable: {error}", folder.display()));
    let mut found = false;
    for entry in fs::read_dir(folder).map_err(unread)? {
        let name = entry.map_err(unread)?.file_name();
        let name = name.to_string_lossy();
        let is_known = BUILT_IN.iter().any(|(known, _)| *known == name);
        found |= is_known;
        if !is_known && (name.ends_with(".txt") || name.ends_with(".html")) {
            return Err(Error::MailTemplates(format!(
                "{name} is the name of none; they are called {}",
                names()
            )));
        }
    }
    if found {
        return Ok(());
    }
    let folder = folder.display();
    Err(Error::MailTemplates(format!("there are none in {folder}; they are called {}", names())))
}

fn names() -> String {
    BUILT_IN.map(|(name, _)| name).join(", ")
}

/// The text of a file, if there is such a file.
fn read(file: &Path) -> Result<Option<String>> {
    let failed =
        |reason: &dyn fmt::Display| Error::MailTemplates(format!("{}: {reason}", file.display()));
    match fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&error)),
        Ok(metadata) if metadata.len() > LARGEST => Err(failed(&"it is too large")),
        Ok(_) => fs::read_to_string(file).map(Some).map_err(|error| failed(&error)),
    }
}

#[cfg(test)]
mod tests;
