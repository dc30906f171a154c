//! Making an account oneself: all that the server's owner asks for, in one step.

use super::{
    NewAccount,
    interaction::{Flow, Stage},
    proof::Credential,
};
use crate::{AccessToken, Error, Homeserver, Result, Secret, Session};

/// An account that somebody makes themself, with what they show for it.
#[derive(Clone, Debug, Default)]
pub struct SignUp {
    /// The account. Nobody makes an administrator or a guest of themself: what is said of that is passed over.
    pub account: NewAccount,
    /// What the mail of the account's [`email`](NewAccount::email) said, unless that was shown before.
    pub code: Option<Secret>,
    /// Whether the documents of [`Settings::terms`](crate::Settings::terms) are accepted.
    pub terms_accepted: bool,
    /// A word that allows to register.
    pub registration_token: Option<Secret>,
}

impl SignUp {
    /// The flow that it can pass. An address that is given is to be the user's, and so to be proven, also where
    /// nobody needs one.
    fn flow(&self, flows: &[Flow]) -> Result<Flow> {
        let has_email = |flow: &Flow| flow.iter().any(|stage| matches!(stage, Stage::Email(_)));
        let gives_email = self.account.email.is_some();
        let fits = flows.iter().copied().find(|flow| has_email(flow) == gives_email);
        match fits.or(flows.first().copied()) {
            Some(flow) if gives_email && !has_email(&flow) => Err(Error::NoMail),
            Some(flow) => Ok(flow),
            None => Err(Error::RegistrationClosed),
        }
    }

    /// What is shown in a stage, if anything is.
    fn credential(&self, stage: Stage) -> Option<Credential> {
        match stage {
            Stage::Dummy => Some(Credential::Dummy),
            Stage::Terms => self.terms_accepted.then_some(Credential::Terms),
            Stage::RegistrationToken => {
                self.registration_token.clone().map(Credential::RegistrationToken)
            }
            // It is looked at by itself, as it can fail in several ways.
            Stage::Email(_) | Stage::Password => None,
        }
    }
}

/// What is wrong where a stage is not passed.
fn refusal(stage: Stage) -> Error {
    match stage {
        Stage::Terms => Error::TermsNotAccepted,
        Stage::Email(_) => Error::AddressNotProven,
        Stage::RegistrationToken => Error::WrongRegistrationToken,
        Stage::Password | Stage::Dummy => Error::RegistrationClosed,
    }
}

impl Homeserver {
    /// The ways to be allowed to make this account for oneself, where that is not in vain: what is wrong with the
    /// name or the password is said before anybody proves anything.
    ///
    /// # Errors
    ///
    /// [`Error::RegistrationClosed`], or what [`Homeserver::available`], [`Homeserver::check_new_password`] and
    /// [`User::set_profile_field`](crate::User::set_profile_field) have against it.
    pub async fn may_register(&self, account: &NewAccount) -> Result<&'static [Flow]> {
        let flows = self.registration_flows()?;
        if let Some(name) = &account.name {
            self.available(name).await?;
        }
        if let Some(password) = &account.password {
            self.check_new_password(password.reveal())?;
        }
        super::first_profile(account.display_name.as_deref())?;
        Ok(flows)
    }

    /// Makes an account for one who shows at once all that is asked for here, and logs in to it. An address that is
    /// proven stays so for a while if something else is wrong, so that they can mend that and try again.
    ///
    /// # Errors
    ///
    /// Those of [`Homeserver::may_register`], of [`Homeserver::submit_code`] and of [`Homeserver::register`];
    /// [`Error::TermsNotAccepted`], [`Error::AddressNotProven`], [`Error::MailNotDelivered`] or
    /// [`Error::WrongRegistrationToken`] for what is missing, and [`Error::NoMail`] for an address where none can be proven.
    pub async fn sign_up(&self, wish: SignUp) -> Result<(Session, AccessToken)> {
        let flows = self.may_register(&wish.account).await?;
        for stage in wish.flow(flows)? {
            self.pass(*stage, &wish).await?;
        }
        self.register(NewAccount { admin: false, guest: false, ..wish.account }).await
    }

    async fn pass(&self, stage: Stage, wish: &SignUp) -> Result<()> {
        if let (Stage::Email(proving), Some(proof)) = (stage, &wish.account.email) {
            if let Some(code) = &wish.code {
                self.submit_code(proof, code).await?;
            }
            return self.check_proof(proof, proving).await;
        }
        let credential = wish.credential(stage).ok_or_else(|| refusal(stage))?;
        let passed = self.check_credential(credential, stage, None).await?;
        passed.map(drop).map_err(|_| refusal(stage))
    }
}

#[cfg(test)]
mod tests;
