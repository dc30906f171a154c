//! E-mail addresses of users, and how somebody proves that one is theirs.

use tertulia_storage::{Field, Reader, ValueError, Writer, record};

use super::unknown;

/// What somebody proves for that an e-mail address is theirs. A proof for one thing is none for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proving {
    /// To register with it.
    Registration,
    /// To set the password of the account that has it.
    Password,
    /// To add it to an account.
    Addition,
    /// To have it instead of the addresses that an account had.
    Change,
}

impl Proving {
    const ALL: [Self; 4] = [Self::Registration, Self::Password, Self::Addition, Self::Change];
}

impl Field for Proving {
    fn write(&self, out: &mut Writer) {
        out.byte(*self as u8);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        let tag = input.byte()?;
        Self::ALL.get(usize::from(tag)).copied().ok_or_else(|| unknown("kind of proof", tag))
    }
}

/// A session in which somebody proves that an e-mail address is theirs. Neither the code nor the link of its
/// mail is here: both follow from its ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreepidSession {
    /// What makes its ID another than that of the session that was here before.
    pub word: String,
    /// What for.
    pub proving: Proving,
    /// The address, in its normal form.
    pub address: String,
    /// The SHA-256 of the client secret.
    pub secret: [u8; 32],
    /// The greatest attempt to have a mail sent.
    pub attempt: u64,
    /// When it began, in milliseconds since 1970.
    pub created: u64,
    /// Whether it can never be validated: it only looks like one, so that nobody learns which addresses the
    /// server knows.
    pub hollow: bool,
    /// How many wrong codes were tried.
    pub wrong: u32,
    /// When the address was proven, in milliseconds since 1970.
    pub validated: Option<u64>,
}

record!(ThreepidSession = 1 {
    word, proving, address, secret, attempt, created, hollow, wrong, validated
});

/// An e-mail address of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRow {
    /// When it was proven to be the user's, in milliseconds since 1970.
    pub validated: u64,
    /// When it was added, in milliseconds since 1970.
    pub added: u64,
}

record!(AddressRow = 1 { validated, added });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::golden::check;

    #[test]
    fn sessions_keep_their_form() {
        let session = ThreepidSession {
            word: "w".to_owned(),
            proving: Proving::Password,
            address: "a@x".to_owned(),
            secret: [7; 32],
            attempt: 1,
            created: 1_000,
            hollow: false,
            wrong: 0,
            validated: None,
        };
        let secret = [7; 32];
        check(
            &session,
            [&b"\x01\x01w\x01\x03a@x"[..], &secret, b"\x01\xe8\x07\x00\x00\x00"].concat(),
        );
        let later = ThreepidSession { hollow: true, wrong: 5, validated: Some(2_000), ..session };
        let end = b"\x01\xe8\x07\x01\x05\x01\xd0\x0f";
        check(&later, [&b"\x01\x01w\x01\x03a@x"[..], &secret, end].concat());
    }

    #[test]
    fn addresses_keep_their_form() {
        check(&AddressRow { validated: 1_000, added: 2_000 }, b"\x01\xe8\x07\xd0\x0f");
    }

    #[test]
    fn every_kind_of_proof_has_its_number() {
        for (number, proving) in Proving::ALL.into_iter().enumerate() {
            assert_eq!(proving as usize, number);
        }
        assert!(Proving::read(&mut Reader::new(&[4])).is_err());
    }
}
