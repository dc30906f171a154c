//! Who may register, and what they have to show for it.

use super::interaction::{Flow, Stage};
use crate::{Error, Homeserver, Registration, Result, schema::Proving};

const EMAIL: Stage = Stage::Email(Proving::Registration);

/// The ways to register where everyone may.
const OPEN: &[Flow] = &[&[Stage::Dummy]];
/// As [`OPEN`], where one may prove an e-mail address at once.
const OPEN_WITH_MAIL: &[Flow] = &[&[Stage::Dummy], &[EMAIL]];
const BY_EMAIL: &[Flow] = &[&[EMAIL]];
const BY_TOKEN: &[Flow] = &[&[Stage::RegistrationToken]];
// No flow is the beginning of another, which could then never be finished.
const BY_TOKEN_WITH_MAIL: &[Flow] =
    &[&[Stage::RegistrationToken], &[EMAIL, Stage::RegistrationToken]];

/// The same where documents have to be accepted first.
const TERMS_OPEN: &[Flow] = &[&[Stage::Terms, Stage::Dummy]];
const TERMS_OPEN_WITH_MAIL: &[Flow] = &[&[Stage::Terms, Stage::Dummy], &[Stage::Terms, EMAIL]];
const TERMS_BY_EMAIL: &[Flow] = &[&[Stage::Terms, EMAIL]];
const TERMS_BY_TOKEN: &[Flow] = &[&[Stage::Terms, Stage::RegistrationToken]];
const TERMS_BY_TOKEN_WITH_MAIL: &[Flow] =
    &[&[Stage::Terms, Stage::RegistrationToken], &[Stage::Terms, EMAIL, Stage::RegistrationToken]];

impl Homeserver {
    /// The ways to be allowed to register.
    ///
    /// # Errors
    ///
    /// [`Error::RegistrationClosed`] if nobody may.
    pub fn registration_flows(&self) -> Result<&'static [Flow]> {
        let has_terms = !self.core.settings.terms.is_empty();
        let flows = match (&self.core.settings.registration, self.sends_mail(), has_terms) {
            (Registration::Closed, ..) => return Err(Error::RegistrationClosed),
            (Registration::Open, false, false) => OPEN,
            (Registration::Open, true, false) => OPEN_WITH_MAIL,
            (Registration::Open, false, true) => TERMS_OPEN,
            (Registration::Open, true, true) => TERMS_OPEN_WITH_MAIL,
            (Registration::Email, _, false) => BY_EMAIL,
            (Registration::Email, _, true) => TERMS_BY_EMAIL,
            (Registration::Tokens(_), false, false) => BY_TOKEN,
            (Registration::Tokens(_), true, false) => BY_TOKEN_WITH_MAIL,
            (Registration::Tokens(_), false, true) => TERMS_BY_TOKEN,
            (Registration::Tokens(_), true, true) => TERMS_BY_TOKEN_WITH_MAIL,
        };
        Ok(flows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&[Flow]; 10] = [
        OPEN,
        OPEN_WITH_MAIL,
        BY_EMAIL,
        BY_TOKEN,
        BY_TOKEN_WITH_MAIL,
        TERMS_OPEN,
        TERMS_OPEN_WITH_MAIL,
        TERMS_BY_EMAIL,
        TERMS_BY_TOKEN,
        TERMS_BY_TOKEN_WITH_MAIL,
    ];

    #[test]
    fn no_flow_is_the_beginning_of_another() {
        for flows in ALL {
            for (n, flow) in flows.iter().enumerate() {
                let mut others = flows.iter().enumerate().filter(|(m, _)| *m != n);
                assert!(!others.any(|(_, other)| other.starts_with(flow)), "{flows:?}");
            }
        }
    }
}
