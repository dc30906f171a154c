//! Passwords as proof: logging in with one, and changing it.

use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use tertulia_protocol::Email;
use tertulia_storage::{Command, Partition, Tx};

use super::{EmailProof, passes::MOST as PASSES, password::Hashing, threepids, tries::Tries};
use crate::{
    AccessToken, Error, Homeserver, Language, NewDevice, Result, Secret, Session, User,
    devices::{self, Opening},
    mail::{self, Letter, LetterKind},
    schema::{ACCOUNTS, LOGIN_TOKENS, Proving},
    users::{self, Standing},
};

/// Whose other sessions end when a password changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtherSessions {
    /// All go on.
    Keep,
    /// All end.
    End,
    /// All end but the one on this device.
    EndExcept(OwnedDeviceId),
}

/// The passwords that were wrong lately, of each user, and of each e-mail address that is nobody's: else one
/// could tell by them which address is somebody's.
type WrongPasswords = Tries<String, 30_000>;

impl Homeserver {
    /// Logs in with a password. `user` is a whole user ID, its first part, or an e-mail address of the user.
    ///
    /// # Errors
    ///
    /// [`Error::WrongPassword`], whether the user exists or not; [`Error::Deactivated`] or
    /// [`Error::Locked`], for those who know the password;
    /// [`Error::Busy`] if too many passwords wait to be checked, or too many of the account's were
    /// wrong lately.
    pub async fn login(
        &self,
        user: &str,
        password: &str,
        device: NewDevice,
    ) -> Result<(Session, AccessToken)> {
        let checked = self.check_account(user, password).await?;
        let opening = Opening::new(&self.core, &checked.user, device)?;
        let login = Login { checked, opening: opening.clone() };
        let standing = self.core.store.write(login).await?.out;
        Ok(opening.done(self, standing))
    }

    /// The user whose name and password these are.
    pub(super) async fn check_password(&self, user: &str, password: &str) -> Result<OwnedUserId> {
        Ok(self.check_account(user, password).await?.user)
    }

    async fn check_account(&self, user: &str, password: &str) -> Result<Checked> {
        let (name, view) = (user, self.core.store.view().await?);
        let user = match users::existing_id(name, self.name()) {
            Some(user) => Some(user),
            None => threepids::owner(&view, name).await?,
        };
        let counted = match &user {
            Some(user) => Some(user.to_string()),
            None => Email::parse(name).ok().map(|email| email.as_str().to_owned()),
        };
        let (tries, now) = (self.core.local::<WrongPasswords>(), self.core.steady());
        let most = self.core.settings.wrong_passwords;
        if let (Some(counted), Some(most)) = (&counted, most)
            && !tries.may(counted, most.get(), now)
        {
            return Err(Error::Busy);
        }
        let account = match &user {
            Some(user) => users::account(&view, user).await?,
            None => None,
        };
        drop(view);
        let closed = account.as_ref().is_some_and(|account| account.deactivated.is_some());
        let kept = account.and_then(|account| account.password);
        let hashing = self.core.local::<Hashing>();
        let (cost, random) = (self.core.settings.password_cost, &*self.core.random);
        // Checked even where nothing is kept: the time must not tell which accounts exist.
        let right = hashing.verify(password, kept.clone(), cost, random).await?;
        match (user, kept) {
            _ if closed => Err(Error::Deactivated),
            (Some(user), Some(kept)) if right => Ok(Checked { user, kept }),
            _ => {
                counted.iter().for_each(|counted| tries.note(counted, now));
                Err(Error::WrongPassword)
            }
        }
    }

    /// Gives the user whose e-mail address was proven in a session another password, as
    /// [`User::set_password_by_email`] does; tells who that is.
    ///
    /// # Errors
    ///
    /// Those of [`User::set_password_by_email`].
    pub async fn reset_password_by_email(
        &self,
        proof: &EmailProof,
        password: &str,
        others: OtherSessions,
        language: Language,
    ) -> Result<User> {
        let owner = self.find_owner(proof, Proving::Password).await?;
        let owner = owner.ok().flatten().ok_or(Error::AddressNotProven)?;
        let user = User::new(self.core.clone(), owner);
        user.set_password_by_email(proof, password, others, language).await?;
        Ok(user)
    }

    /// Gives the user called `name` another password and ends all their sessions, as an
    /// administrator does for someone who forgot theirs.
    ///
    /// # Errors
    ///
    /// Those of [`Homeserver::user`] and [`User::set_password`].
    pub async fn reset_password(&self, name: &str, password: &str) -> Result<()> {
        self.user(name).await?.set_password(password, OtherSessions::End).await
    }
}

impl User {
    /// Lets pass who knows the user's password, as before anything that a stolen access token is not to do.
    ///
    /// # Errors
    ///
    /// Those of [`Homeserver::login`].
    pub async fn confirm_password(&self, password: &Secret) -> Result<()> {
        let server = Homeserver { core: self.core.clone() };
        server.check_password(self.id.as_str(), password.reveal()).await.map(drop)
    }

    /// Gives the user another password. The old one is worth nothing afterwards, not even to
    /// those who are logging in with it right now.
    ///
    /// # Errors
    ///
    /// Those of [`Homeserver::check_new_password`], [`Error::Busy`] if too many passwords wait to be
    /// hashed, or [`Error::Deactivated`].
    pub async fn set_password(&self, password: &str, others: OtherSessions) -> Result<()> {
        self.change_password(password, others, None).await
    }

    /// As [`User::set_password`], for one who has shown that an e-mail address of the user is theirs. The session
    /// in which that was is over then, and a mail in `language` tells of it.
    ///
    /// # Errors
    ///
    /// Those of [`User::set_password`], and [`Error::AddressNotProven`].
    pub async fn set_password_by_email(
        &self,
        proof: &EmailProof,
        password: &str,
        others: OtherSessions,
        language: Language,
    ) -> Result<()> {
        let letter = Letter::new(&self.core, LetterKind::PasswordReset, "", language);
        let letter = letter.about(self.id.clone());
        let now = self.core.steady().get().into();
        let by_email = ByEmail { proof: proof.clone(), now, letter };
        self.change_password(password, others, Some(by_email)).await
    }

    async fn change_password(
        &self,
        password: &str,
        others: OtherSessions,
        by_email: Option<ByEmail>,
    ) -> Result<()> {
        let server = Homeserver { core: self.core.clone() };
        server.check_new_password(password)?;
        let hash = server.hash(password).await?;
        let except = match &others {
            OtherSessions::EndExcept(device) => Some(device.clone()),
            OtherSessions::Keep | OtherSessions::End => None,
        };
        let end_others = others != OtherSessions::Keep;
        let (user, except_for) = (self.id.clone(), except.clone());
        let set = SetPassword { user, hash, end_others, except: except_for, by_email };
        if self.core.store.write(set).await?.out {
            self.delete_all_devices(except.as_deref()).await?;
        }
        Ok(())
    }
}

/// What a right password proves: that it was `kept` that it fitted.
struct Checked {
    user: OwnedUserId,
    kept: String,
}

/// Opens a session, if the password that was checked is still the account's; tells how its
/// user stands.
struct Login {
    checked: Checked,
    opening: Opening,
}

impl Command for Login {
    type Out = Standing;
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.checked.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<Standing> {
        let account = users::open_account(tx, &self.checked.user).await?;
        if account.password.as_ref() != Some(&self.checked.kept) {
            return Err(Error::WrongPassword);
        }
        self.opening.write(tx).await?;
        Ok(Standing::of(&account))
    }
}

/// Sets a password and ends a first page of other sessions; tells whether there may be more.
struct SetPassword {
    user: OwnedUserId,
    hash: String,
    end_others: bool,
    except: Option<OwnedDeviceId>,
    /// What lets it be set, where that is not the old one.
    by_email: Option<ByEmail>,
}

/// That an e-mail address of the user was proven.
struct ByEmail {
    proof: EmailProof,
    now: u64,
    /// What tells the owner of the address.
    letter: Letter,
}

impl ByEmail {
    /// Ends the session that proves it, and tells the owner.
    async fn spend(&self, tx: &mut Tx, user: &UserId) -> Result<()> {
        let (owner, address) = threepids::spend_claimed(tx, &self.proof, self.now).await?;
        if owner != user {
            return Err(Error::AddressNotProven);
        }
        mail::post(tx, &Letter { address, ..self.letter.clone() });
        Ok(())
    }
}

impl Command for SetPassword {
    type Out = bool;
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<bool> {
        let mut account = users::active_account(tx, &self.user).await?;
        if let Some(by_email) = &self.by_email {
            by_email.spend(tx, &self.user).await?;
        }
        account.password = Some(self.hash.clone());
        tx.put(&ACCOUNTS, &(self.user.clone(),), &account);
        if self.end_others {
            tx.delete_all(&LOGIN_TOKENS, &(self.user.clone(),), PASSES).await?;
            return devices::delete_page(tx, &self.user, self.except.as_deref()).await;
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
