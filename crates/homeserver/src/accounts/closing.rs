//! Closing an account for good.

use ruma::OwnedUserId;
use tertulia_storage::{Command, Partition, Tx};

use super::threepids;
use crate::{
    Error, Result, User, devices, log, presence,
    schema::{ACCOUNTS, ERASED, Entry, PROFILES, STATUSES},
    users,
};

/// What is to become of what the user of a closed account left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remains {
    /// It stays as it is.
    Keep,
    /// The profile goes, and those who come later see none of what the user wrote.
    Erase,
}

impl User {
    /// Closes the account for good: nobody logs in to it again, its name stays taken, all its
    /// sessions end. The user leaves all rooms soon after, also if the server stops meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if that cannot be written. Closing a closed account changes nothing.
    pub async fn deactivate(&self, remains: Remains) -> Result<()> {
        let at = self.core.now().get().into();
        let deactivate = Deactivate { user: self.id.clone(), remains, at };
        let more_devices = self.core.store.write(deactivate).await?.out;
        self.core.learn_if_erased(&self.id).await?;
        presence::forget(&self.core, &self.id).await?;
        if more_devices {
            self.delete_all_devices(None).await?;
        }
        Ok(())
    }
}

/// Closes an account and ends a first page of its sessions; tells whether there may be more.
struct Deactivate {
    user: OwnedUserId,
    remains: Remains,
    at: u64,
}

impl Command for Deactivate {
    type Out = bool;
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<bool> {
        let mut account = match users::active_account(tx, &self.user).await {
            Err(Error::Deactivated) => return Ok(true),
            account => account?,
        };
        account.deactivated = Some(self.at);
        account.password = None;
        let key = (self.user.clone(),);
        let closed = log::record(tx, &Entry::Deactivated { user: self.user.clone() });
        if self.remains == Remains::Erase {
            account.erased = true;
            tx.put(&ERASED, &key, &(closed,));
            tx.delete(&PROFILES, &key);
        }
        tx.put(&ACCOUNTS, &key, &account);
        threepids::release_all(tx, &self.user).await?;
        tx.delete(&STATUSES, &key);
        devices::delete_page(tx, &self.user, None).await
    }
}

#[cfg(test)]
mod tests;
