//! Guests: people who have a look without a name and a password, and may become members later
//! ("Guest Access").

use ruma::OwnedUserId;
use tertulia_storage::{Command, Partition, Tx};

use super::{EmailProof, threepids};
use crate::{
    AccessToken, Error, Homeserver, NewAccount, NewDevice, Result, Secret, Session,
    devices::Opening,
    schema::ACCOUNTS,
    users::{self, Standing},
};

impl Homeserver {
    /// Lets a guest in. Guests have one device; it is not theirs to choose its ID.
    ///
    /// # Errors
    ///
    /// [`Error::NoGuests`] if none may come.
    pub async fn register_guest(&self, device: NewDevice) -> Result<(Session, AccessToken)> {
        if !self.core.settings.allow_guests {
            return Err(Error::NoGuests);
        }
        let device = NewDevice { id: None, ..device };
        self.register(NewAccount { guest: true, device, ..NewAccount::default() }).await
    }

    /// The session of a guest who would become a member and keeps the name.
    ///
    /// # Errors
    ///
    /// Those of [`Homeserver::authenticate`]; [`Error::Forbidden`] if the token is no guest's, or
    /// the guest is called otherwise.
    pub async fn guest(&self, token: &str, name: Option<&str>) -> Result<Session> {
        let session = self.authenticate(token).await?;
        let forbidden = |words: &str| Err(Error::Forbidden(words.to_owned()));
        if !session.standing().guest {
            return forbidden("the user is no guest");
        }
        if name != Some(session.id().localpart()) {
            return forbidden("a guest keeps the user name");
        }
        Ok(session)
    }
}

impl Session {
    /// Makes the guest whose session this is a member, who logs in at once and has the e-mail address that was
    /// proven, if one was.
    ///
    /// # Errors
    ///
    /// [`Error::WeakPassword`], [`Error::Busy`], [`Error::Forbidden`] if the user is no guest any more, or what
    /// is wrong with the address as for [`Homeserver::register`].
    pub async fn become_member(
        &self,
        password: Option<&Secret>,
        email: Option<EmailProof>,
        device: NewDevice,
    ) -> Result<(Self, AccessToken)> {
        let server = Homeserver { core: self.core.clone() };
        let password = match password {
            Some(password) => Some(server.hash(password.reveal()).await?),
            None => None,
        };
        let opening = Opening::new(&self.core, &self.id, device)?;
        let user = self.id.clone();
        let now = self.core.steady().get().into();
        let upgrade = Upgrade { user, password, email, now, opening: opening.clone() };
        let standing = self.core.store.write(upgrade).await?.out;
        Ok(opening.done(&server, standing))
    }
}

/// Makes a guest a member and opens a session; tells how the user stands.
struct Upgrade {
    user: OwnedUserId,
    password: Option<String>,
    email: Option<EmailProof>,
    now: u64,
    opening: Opening,
}

impl Command for Upgrade {
    type Out = Standing;
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<Standing> {
        let mut account = users::open_account(tx, &self.user).await?;
        if !account.guest {
            return Err(Error::Forbidden("the user is no guest any more".to_owned()));
        }
        account.guest = false;
        account.password = self.password.clone();
        tx.put(&ACCOUNTS, &(self.user.clone(),), &account);
        threepids::claim_first(tx, &self.user, self.email.as_ref(), self.now).await?;
        self.opening.write(tx).await?;
        Ok(Standing::of(&account))
    }
}

#[cfg(test)]
mod tests;
