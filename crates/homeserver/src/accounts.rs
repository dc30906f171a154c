//! Accounts: making them. Logging in, passwords, closing, removing and profiles stand in the
//! submodules.

mod closing;
mod face;
mod guests;
mod interaction;
mod login;
mod moderation;
mod nonces;
mod passes;
mod password;
mod policy;
mod profile;
mod proof;
mod removal;
mod session;
mod sign_up;
mod threepids;
mod tries;
mod turn;

use parking_lot::Mutex;
use ruma::OwnedUserId;
use tertulia_storage::{Command, Json, Partition, Tx};

use self::{nonces::Nonces, password::Hashing};
use crate::{
    AccessToken, Error, Homeserver, NewDevice, Result, Secret, Session, User,
    devices::Opening,
    log,
    schema::{ACCOUNTS, Account, Entry, PROFILES, Profile},
    users::{self, Standing},
};

pub use closing::Remains;
pub use interaction::{Flow, Operation, Proven, Stage};
pub use login::OtherSessions;
pub use moderation::Restriction;
pub use passes::Pass;
pub use profile::ProfileField;
pub use proof::{Attempt, Challenge, Credential, Proof};
pub use sign_up::SignUp;
pub use threepids::{CodeRequest, EmailAddress, EmailProof};
pub use turn::TurnCredentials;

/// An account to be made.
#[derive(Clone, Debug, Default)]
pub struct NewAccount {
    /// The user name; without one, one is made.
    pub name: Option<String>,
    /// The password; without one, nobody can log in with a password.
    pub password: Option<Secret>,
    /// What the user is called; nothing but the user name, without it.
    pub display_name: Option<String>,
    /// Whether the user may administer the server.
    pub admin: bool,
    /// The session in which an e-mail address was proven that the user is to have. It is over then.
    pub email: Option<EmailProof>,
    /// Whether it is for a guest, who may do little.
    pub guest: bool,
    /// The device of the first session, where one is opened.
    pub device: NewDevice,
}

impl From<&str> for NewAccount {
    fn from(name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..Self::default() }
    }
}

impl NewAccount {
    /// Lets the user log in with this password.
    #[must_use]
    pub fn with_password(self, password: impl Into<String>) -> Self {
        Self { password: Some(Secret::new(password)), ..self }
    }

    /// Calls the user so.
    #[must_use]
    pub fn with_display_name(self, name: impl Into<String>) -> Self {
        Self { display_name: Some(name.into()), ..self }
    }
}

impl Homeserver {
    /// Makes an account and logs in to it. Whether people may register, and choose such a password,
    /// is not asked here; see [`Homeserver::sign_up`].
    ///
    /// # Errors
    ///
    /// Those of [`Homeserver::create_user`].
    pub async fn register(&self, account: impl Into<NewAccount>) -> Result<(Session, AccessToken)> {
        let account = account.into();
        let id = self.choose_id(account.name.as_deref()).await?;
        let opening = Opening::new(&self.core, &id, account.device.clone())?;
        let register = self.prepare(id, &account, Some(opening.clone())).await?;
        let standing = Standing::of(&register.account);
        self.core.store.write(register).await?;
        Ok(opening.done(self, standing))
    }

    /// Makes an account without logging in to it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUserName`], [`Error::UserNameTaken`], [`Error::WeakPassword`], what is wrong with
    /// the display name (see [`User::set_profile_field`]), or [`Error::Busy`] if too many passwords
    /// wait to be hashed. Where an e-mail address is to be the user's, [`Error::AddressNotProven`] or
    /// [`Error::EmailInUse`].
    pub async fn create_user(&self, account: impl Into<NewAccount>) -> Result<User> {
        let account = account.into();
        let id = self.choose_id(account.name.as_deref()).await?;
        let register = self.prepare(id.clone(), &account, None).await?;
        self.core.store.write(register).await?;
        Ok(User::new(self.core.clone(), id))
    }

    /// The user of this name, with an account that is made if there is none: for a program that knows its
    /// users by itself, and for its bots. Of an account that is there already, nothing changes.
    ///
    /// # Errors
    ///
    /// [`Error::Deactivated`] if the account was closed, and those of [`Homeserver::create_user`].
    pub async fn ensure_user(&self, account: impl Into<NewAccount>) -> Result<User> {
        let account = account.into();
        let Some(name) = account.name.clone() else { return self.create_user(account).await };
        match self.user(&name).await {
            Err(Error::NotFound(_)) => match self.create_user(account).await {
                // Somebody else was faster.
                Err(Error::UserNameTaken) => self.user(&name).await,
                created => created,
            },
            known => known,
        }
    }

    async fn choose_id(&self, name: Option<&str>) -> Result<OwnedUserId> {
        match name {
            // Asked before the password is hashed, which is dear; the command asks again.
            Some(name) => self.available(name).await,
            None => users::new_id(&self.core.random.word(12), self.name()),
        }
    }

    async fn prepare(
        &self,
        id: OwnedUserId,
        given: &NewAccount,
        opening: Option<Opening>,
    ) -> Result<Register> {
        let profile = first_profile(given.display_name.as_deref())?;
        let password = match &given.password {
            Some(password) => Some(self.hash(password.reveal()).await?),
            None => None,
        };
        let account = Account {
            created: self.core.now().get().into(),
            password,
            admin: given.admin,
            deactivated: None,
            erased: false,
            locked: false,
            suspended: false,
            guest: given.guest,
        };
        let email = given.email.clone();
        let now = self.core.steady().get().into();
        Ok(Register { id, account, profile, email, now, opening })
    }

    /// Whether a user may choose this password. It is asked where users choose, and not where
    /// whoever administers the server makes an account for somebody.
    ///
    /// # Errors
    ///
    /// [`Error::WeakPassword`] or [`Error::ShortPassword`], which say why not.
    pub fn check_new_password(&self, password: &str) -> Result<()> {
        password::check_new(password, self.core.settings.min_password_length)
    }

    async fn hash(&self, password: &str) -> Result<String> {
        let hashing = self.core.local::<Hashing>();
        hashing.hash(password, self.core.settings.password_cost, &*self.core.random).await
    }
}

/// What a new user tells everyone.
fn first_profile(display_name: Option<&str>) -> Result<Profile> {
    let Some(name) = display_name else { return Ok(Profile::new()) };
    let field = ProfileField::DISPLAY_NAME;
    let kept = field.check(name.into())?;
    Ok(kept.map(|name| (field.as_str().to_owned(), name)).into_iter().collect())
}

/// The nonces of this server.
#[derive(Default)]
struct GivenNonces(Mutex<Nonces>);

impl Homeserver {
    /// A word that [`Homeserver::spend_nonce`] knows once, within a minute.
    pub fn nonce(&self) -> String {
        let nonce = self.core.random.word(32);
        let nonces = self.core.local::<GivenNonces>();
        nonces.0.lock().give(nonce.clone(), self.core.steady());
        nonce
    }

    /// Whether `nonce` was given out within the last minute and not spent yet. Now it is spent.
    pub fn spend_nonce(&self, nonce: &str) -> bool {
        self.core.local::<GivenNonces>().0.lock().spend(nonce, self.core.steady())
    }
}

/// Makes an account, with a first session if one is to be opened.
struct Register {
    id: OwnedUserId,
    account: Account,
    profile: Profile,
    email: Option<EmailProof>,
    now: u64,
    opening: Option<Opening>,
}

impl Command for Register {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.id)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.id.clone(),);
        if tx.get_guarded(&ACCOUNTS, &key).await?.is_some() {
            return Err(Error::UserNameTaken);
        }
        tx.put(&ACCOUNTS, &key, &self.account);
        if !self.profile.is_empty() {
            tx.put(&PROFILES, &key, &Json(self.profile.clone()));
        }
        threepids::claim_first(tx, &self.id, self.email.as_ref(), self.now).await?;
        // The user directory hears of new users by their profile.
        log::record(tx, &Entry::Profile { user: self.id.clone() });
        match &self.opening {
            Some(opening) => opening.write(tx).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
