//! What the store keeps of mail that is on its way.

use ruma::OwnedUserId;
use tertulia_storage::{Field, Reader, ValueError, Writer, record};

use super::unknown;

/// What a mail is about. What stands in it follows from that when it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterKind {
    /// Proves an address with which somebody wants to register.
    ProveToRegister,
    /// Proves an address by which somebody who forgot the password wants another.
    ProveToReset,
    /// Proves an address that a user wants to add to the account.
    ProveToAdd,
    /// Proves an address that is to replace another of the account.
    ProveToChange,
    /// Tells the owner of an address that somebody tried to make it theirs.
    AlreadyKnown,
    /// Tells the owner of an address that no account here has it, whose password could be set.
    Unknown,
    /// Tells the owner of an address that another has replaced it.
    AddressChanged,
    /// Tells the owner of an address that the account's password was set by it.
    PasswordReset,
}

impl LetterKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::ProveToRegister,
        Self::ProveToReset,
        Self::ProveToAdd,
        Self::ProveToChange,
        Self::AlreadyKnown,
        Self::Unknown,
        Self::AddressChanged,
        Self::PasswordReset,
    ];
}

impl Field for LetterKind {
    fn write(&self, out: &mut Writer) {
        out.byte(*self as u8);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        let tag = input.byte()?;
        Self::ALL.get(usize::from(tag)).copied().ok_or_else(|| unknown("kind of letter", tag))
    }
}

/// A language that the server writes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese, in simplified characters.
    Chinese,
}

impl Field for Language {
    fn write(&self, out: &mut Writer) {
        out.byte(*self as u8);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        match input.byte()? {
            0 => Ok(Self::English),
            1 => Ok(Self::Chinese),
            tag => Err(unknown("language", tag)),
        }
    }
}

/// A mail that is on its way: what it is about, never what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRow {
    /// What it is about.
    pub kind: LetterKind,
    /// To whom it goes.
    pub address: String,
    /// The session of proving an address that it was posted for, even if it proves nothing. It is told
    /// if the letter comes to nothing in time.
    pub session: Option<String>,
    /// When the session ends, in milliseconds since 1970, and the code and the link are not good any more.
    pub ends: u64,
    /// In which language it is written.
    pub language: Language,
    /// When it was posted, in milliseconds since 1970.
    pub posted: u64,
    /// Whose account it is about, if it is about one.
    pub user: Option<OwnedUserId>,
    /// How often it was tried in vain.
    pub tries: u32,
}
record!(LetterRow = 1 { kind, address, session, ends, language, posted, user, tries });

#[cfg(test)]
mod tests {
    use ruma::owned_user_id;

    use super::*;
    use crate::schema::golden::check;

    #[test]
    fn letters_are_stored_as_they_were_first_released() {
        let letter = LetterRow {
            kind: LetterKind::ProveToReset,
            address: "a@x".to_owned(),
            session: Some("s".to_owned()),
            ends: 301,
            language: Language::Chinese,
            posted: 300,
            user: Some(owned_user_id!("@a:x")),
            tries: 2,
        };
        check(&letter, b"\x01\x01\x03a@x\x01\x01s\xad\x02\x01\xac\x02\x01\x04@a:x\x02");
        let kind = LetterKind::PasswordReset;
        let bare = LetterRow { kind, session: None, ends: 0, user: None, tries: 0, ..letter };
        check(&bare, b"\x01\x07\x03a@x\x00\x00\x01\xac\x02\x00\x00");
    }

    #[test]
    fn every_kind_has_its_number() {
        for (number, kind) in LetterKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
        let later = [LetterKind::ALL.len() as u8];
        assert!(LetterKind::read(&mut Reader::new(&later)).is_err());
        assert!(Language::read(&mut Reader::new(&[2])).is_err());
    }
}
