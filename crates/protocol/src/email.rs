//! E-mail addresses in the form in which two that mean one mailbox are alike (appendices, "3PID Types").

use std::fmt;

/// The longest address, in bytes: what a mail server takes between `<` and `>` (RFC 5321, 4.5.3.1.3).
const LONGEST: usize = 254;
/// The longest part before the `@`, and the longest label of the domain behind it, in bytes.
const LONGEST_USER: usize = 64;
const LONGEST_LABEL: usize = 63;

/// An e-mail address: a user and a domain, case-folded. It holds nothing that would end a line or a field of a mail's
/// header, so that it can be written there as it is. Mail goes to this form and never to what somebody wrote, as what
/// only folding makes alike may be two mailboxes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

/// Why a text is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEmail {
    /// It is longer than addresses are.
    #[error("an e-mail address has at most 254 bytes, and 64 before the @")]
    TooLong,
    /// It does not have the form `user@domain`, or not exactly once.
    #[error("an e-mail address has the form user@example.org")]
    Form,
    /// The user has characters that need quotes, or dots at odd places.
    #[error("the part of the e-mail address before the @ is not valid")]
    User,
    /// The domain is none.
    #[error("the part of the e-mail address behind the @ is not valid")]
    Domain,
}

impl Email {
    /// Reads what somebody wrote; spaces around it do not count.
    ///
    /// # Errors
    ///
    /// [`BadEmail`]. Quoted users, comments and addresses in brackets are allowed by mail's standards and by nobody
    /// else, and are refused; so are domains that are not written in ASCII.
    pub fn parse(text: &str) -> Result<Self, BadEmail> {
        let text = text.trim_matches(' ');
        if text.len() > LONGEST {
            return Err(BadEmail::TooLong);
        }
        let (user, domain) = text.split_once('@').ok_or(BadEmail::Form)?;
        if domain.contains('@') {
            return Err(BadEmail::Form);
        }
        let user: String = user.chars().flat_map(folded).collect();
        // Folding may have made it longer.
        if user.len() > LONGEST_USER || user.len() + 1 + domain.len() > LONGEST {
            return Err(BadEmail::TooLong);
        }
        if !user.split('.').all(is_atom) {
            return Err(BadEmail::User);
        }
        let domain = domain.to_ascii_lowercase();
        let labels: Vec<_> = domain.split('.').collect();
        if labels.len() < 2 || !labels.into_iter().all(is_label) {
            return Err(BadEmail::Domain);
        }
        Ok(Self(format!("{user}@{domain}")))
    }

    /// Whether somebody who wrote `text` where a user's name is asked for meant an e-mail address. No name and no user
    /// ID has an `@` behind its beginning.
    pub fn is_meant_by(text: &str) -> bool {
        text.trim_matches(' ').find('@').is_some_and(|at| at > 0)
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Addresses are people's, and not for logs.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

/// What full case folding makes of a letter, as far as it differs from making it small.
fn folded(letter: char) -> impl Iterator<Item = char> {
    let (fixed, small) = match letter {
        'ß' | 'ẞ' => ("ss", None),
        'ς' => ("σ", None),
        other => ("", Some(other.to_lowercase())),
    };
    fixed.chars().chain(small.into_iter().flatten())
}

/// Whether `part` may stand between the dots of a user without quotes.
fn is_atom(part: &str) -> bool {
    let allowed = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        ascii if ascii.is_ascii() => "!#$%&'*+-/=?^_`{|}~".contains(ascii),
        other => other.is_alphanumeric(),
    };
    !part.is_empty() && part.chars().all(allowed)
}

/// Whether `label` may stand between the dots of a domain.
fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=LONGEST_LABEL).contains(&label.len())
        && label.bytes().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Result<&str, BadEmail>) {
        let read = Email::parse(text);
        assert_eq!(read.as_ref().map(Email::as_str).map_err(|bad| *bad), expected, "{text:?}");
    }

    #[test]
    fn addresses_of_one_mailbox_are_alike() {
        for text in ["alice@example.org", "Alice@Example.ORG", " alice@example.org  "] {
            check(text, Ok("alice@example.org"));
        }
        check("o'neill+tag_1=x!@a-b.example.org", Ok("o'neill+tag_1=x!@a-b.example.org"));
        check("STRAẞE.Straße@example.org", Ok("strasse.strasse@example.org"));
        check("ΣΊΣΥΦΟΣ@example.org", Ok("σίσυφοσ@example.org"));
        check("σίσυφος@example.org", Ok("σίσυφοσ@example.org"));
        check("张三@example.cn", Ok("张三@example.cn"));
        check("a@xn--bcher-kva.example", Ok("a@xn--bcher-kva.example"));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "alice", "a@b@example.org", "a@example.org@", "@@"] {
            check(text, Err(BadEmail::Form));
        }
        for user in
            ["", ".a", "a.", "a..b", "a b", "\"a\"", "a<b", "a,b", "a(b)", "a:b", "a;b", "a\\b"]
        {
            check(&format!("{user}@example.org"), Err(BadEmail::User));
        }
        for domain in
            ["", "localhost", ".org", "a..org", "example.org.", "-a.org", "a-.org", "a_b.org"]
        {
            check(&format!("a@{domain}"), Err(BadEmail::Domain));
        }
        for domain in ["bücher.example", "[127.0.0.1]", "a b.org", "example.org>", "exa%0amp.le"] {
            check(&format!("a@{domain}"), Err(BadEmail::Domain));
        }
    }

    #[test]
    fn nothing_gets_into_a_header() {
        for evil in ["\r", "\n", "\0", "\t", "\u{85}", "\u{2028}", "\u{202e}", "\u{200b}", "\u{7f}"]
        {
            for text in [
                format!("a{evil}@example.org"),
                format!("{evil}a@example.org"),
                format!("a@{evil}example.org"),
                format!("a@example.org{evil}Bcc: b@example.org"),
                format!("a@example.org{evil}"),
            ] {
                assert!(Email::parse(&text).is_err(), "{text:?}");
            }
        }
    }

    #[test]
    fn addresses_are_bounded_in_length() {
        let long = |user: usize, domain: usize| {
            let labels = "a.".repeat(domain / 2 - 1);
            format!("{}@{labels}{}", "u".repeat(user), "o".repeat(domain - labels.len()))
        };
        assert_eq!(long(64, 189).len(), 254);
        assert!(Email::parse(&long(64, 189)).is_ok());
        check(&long(64, 190), Err(BadEmail::TooLong));
        check(&long(65, 20), Err(BadEmail::TooLong));
        check(&format!("{}@a.org", "ß".repeat(32)), Ok(&format!("{}@a.org", "s".repeat(64))));
        check(&format!("{}@a.org", "İ".repeat(32)), Err(BadEmail::TooLong));
        check(&format!("a@{}.org", "o".repeat(64)), Err(BadEmail::Domain));
    }

    #[test]
    fn a_name_is_told_from_an_address() {
        for address in ["alice@example.org", "a@", " a@b", "张三@x"] {
            assert!(Email::is_meant_by(address), "{address}");
        }
        for name in ["alice", "@alice:example.org", "@a@b", " @alice:example.org", ""] {
            assert!(!Email::is_meant_by(name), "{name}");
        }
    }

    #[test]
    fn debug_tells_no_address() {
        let shown = format!("{:?}", Email::parse("alice@example.org"));
        assert!(!shown.contains("alice"), "{shown}");
    }

    proptest! {
        #[test]
        fn what_was_read_reads_as_itself(text in "[ -~äßςİK]{1,20}@[a-zA-Z0-9.-]{1,20}\\.[a-z]{2}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(Email::parse(email.as_str()), Ok(email));
            }
        }

        #[test]
        fn whatever_is_written_is_read_or_refused(text in "\\PC{0,300}|[\\x00-\\x40]{0,40}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert!(email.as_str().len() <= LONGEST);
                prop_assert!(!email.as_str().contains(|letter: char| letter.is_control() || letter == ' '));
            }
        }
    }
}
