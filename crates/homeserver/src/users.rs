//! Users: who has an account here, under which name.

mod carried;
mod listed;
mod name;

use ruma::{OwnedUserId, UserId};
use tertulia_storage::{Partition, Tx, View};

use crate::{
    Error, Homeserver, Result, User,
    schema::{ACCOUNTS, Account},
};

pub(crate) use carried::{carried, note_carried};
pub(crate) use listed::delist;
pub(crate) use name::{existing_id, new_id};

/// Where everything of a user is written.
pub(crate) fn partition(user: &UserId) -> Partition {
    Partition::of("user", user.as_str())
}

/// The account of `user`, unless there is none or it was closed. The commit fails if it changes.
pub(crate) async fn active_account(tx: &Tx, user: &UserId) -> Result<Account> {
    let account = tx.get_guarded(&ACCOUNTS, &(user.to_owned(),)).await?;
    let account = account.ok_or(Error::NotFound("user"))?;
    if account.deactivated.is_some() { Err(Error::Deactivated) } else { Ok(account) }
}

/// As [`active_account`], of one who would begin or renew a session.
pub(crate) async fn open_account(tx: &Tx, user: &UserId) -> Result<Account> {
    let account = active_account(tx, user).await?;
    if account.locked { Err(Error::Locked) } else { Ok(account) }
}

/// What a user may do: guests may do little ("Guest Access"), and administrators may have taken
/// something from the user for now ("Account moderation").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The user is a guest: one without a name and a password of their own.
    pub guest: bool,
    /// The user can do nothing but log out.
    pub locked: bool,
    /// The user may not speak, meet others or change how they look.
    pub suspended: bool,
}

impl Standing {
    /// That of the user of an account.
    pub(crate) fn of(account: &Account) -> Self {
        Self { guest: account.guest, locked: account.locked, suspended: account.suspended }
    }
}

/// How the user stands.
pub(crate) async fn standing(view: &View, user: &UserId) -> Result<Standing> {
    Ok(account(view, user).await?.as_ref().map(Standing::of).unwrap_or_default())
}

/// Refuses what would be written of a user whose account was closed: nobody would ever delete it.
pub(crate) async fn refuse_closed(tx: &Tx, user: &UserId) -> Result<()> {
    let account = tx.get_guarded(&ACCOUNTS, &(user.to_owned(),)).await?;
    match account.and_then(|account| account.deactivated) {
        Some(_) => Err(Error::Deactivated),
        None => Ok(()),
    }
}

/// The account of `user`, closed or not.
pub(crate) async fn account(view: &View, user: &UserId) -> Result<Option<Account>> {
    Ok(view.get(&ACCOUNTS, &(user.to_owned(),)).await?)
}

impl Homeserver {
    /// The user called `name`: a whole ID, or its part before the colon.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such account here, [`Error::Deactivated`] if it was
    /// closed.
    pub async fn user(&self, name: &str) -> Result<User> {
        let id = existing_id(name, self.name()).ok_or(Error::NotFound("user"))?;
        match account(&self.core.store.view().await?, &id).await? {
            None => Err(Error::NotFound("user")),
            Some(account) if account.deactivated.is_some() => Err(Error::Deactivated),
            Some(account) => Ok(User::acting(self.core.clone(), id, account.suspended)),
        }
    }

    /// The ID that a new user called `name` would get. It is not kept for anyone.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUserName`], or [`Error::UserNameTaken`].
    pub async fn available(&self, name: &str) -> Result<OwnedUserId> {
        let id = new_id(name, self.name())?;
        match account(&self.core.store.view().await?, &id).await? {
            Some(_) => Err(Error::UserNameTaken),
            None => Ok(id),
        }
    }
}

impl User {
    /// Whether the user may administer the server.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if the account cannot be read.
    pub async fn is_admin(&self) -> Result<bool> {
        let account = account(&self.core.store.view().await?, &self.id).await?;
        Ok(account.is_some_and(|account| account.admin && account.deactivated.is_none()))
    }
}
