//! What administrators take from users for a while, and what they may know of them ("Account
//! moderation", "Server administration").

use ruma::{OwnedUserId, UserId};
use tertulia_storage::{Command, Partition, Tx};

use crate::{
    Device, Error, Result, User, log,
    schema::{ACCOUNTS, Account, Entry},
    users,
};

/// What may be taken from a user, and given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restriction {
    /// To do anything at all but to log out.
    Lock,
    /// To speak, to meet others, and to change how one looks.
    Suspension,
}

impl Restriction {
    fn holds(self, account: &Account) -> bool {
        match self {
            Self::Lock => account.locked,
            Self::Suspension => account.suspended,
        }
    }

    fn set(self, account: &mut Account, holds: bool) {
        match self {
            Self::Lock => account.locked = holds,
            Self::Suspension => account.suspended = holds,
        }
    }
}

impl User {
    /// Restricts `target`, or takes that back.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] if this user is no administrator or `target` is one, be it the same;
    /// [`Error::Invalid`] if `target` is another server's user; [`Error::NotFound`] if there is no
    /// such account or it was closed.
    pub async fn restrict(&self, target: &UserId, what: Restriction, holds: bool) -> Result<()> {
        self.check_may_moderate(target).await?;
        let restrict = Restrict { target: target.to_owned(), what, holds };
        self.core.store.write(restrict).await?;
        Ok(())
    }

    /// Whether `target` is restricted.
    ///
    /// # Errors
    ///
    /// As [`User::restrict`]; but administrators may ask about themselves.
    pub async fn is_restricted(&self, target: &UserId, what: Restriction) -> Result<bool> {
        self.check_may_moderate(target).await?;
        let account = users::account(&self.core.store.view().await?, target).await?;
        let account = account.filter(|account| account.deactivated.is_none());
        let account = account.ok_or(Error::NotFound("user"))?;
        if account.admin && target != self.id {
            return Err(no_equals());
        }
        Ok(what.holds(&account))
    }

    /// The devices of `target`, where and when they called last: for the same user and for
    /// administrators.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] for everybody else.
    pub async fn devices_of(&self, target: &UserId) -> Result<Vec<Device>> {
        if target != self.id {
            self.check_may_moderate(target).await?;
            let account = users::account(&self.core.store.view().await?, target).await?;
            account.ok_or(Error::NotFound("user"))?;
        }
        Self::new(self.core.clone(), target.to_owned()).devices().await
    }

    /// Asked before anything is said about the account, so that nobody else learns who exists.
    async fn check_may_moderate(&self, target: &UserId) -> Result<()> {
        if !self.is_admin().await? {
            return Err(Error::Forbidden("you are no administrator of this server".to_owned()));
        }
        if self.core.is_local(target.server_name()) {
            Ok(())
        } else {
            Err(Error::Invalid("the user, who is of another server,"))
        }
    }
}

fn no_equals() -> Error {
    Error::Forbidden("administrators do not restrict each other or themselves".to_owned())
}

/// Restricts a user, or takes that back.
struct Restrict {
    target: OwnedUserId,
    what: Restriction,
    holds: bool,
}

impl Command for Restrict {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.target)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let account = users::active_account(tx, &self.target).await;
        let mut account = account.map_err(|error| match error {
            Error::Deactivated => Error::NotFound("user"),
            other => other,
        })?;
        if account.admin {
            return Err(no_equals());
        }
        if self.what.holds(&account) == self.holds {
            return Ok(());
        }
        self.what.set(&mut account, self.holds);
        log::record(tx, &Entry::Restricted { user: self.target.clone() });
        tx.put(&ACCOUNTS, &(self.target.clone(),), &account);
        // Whoever waits for news is told what became of the session.
        tx.wake(log::user_topic(&self.target));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
