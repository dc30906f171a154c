//! Removing a user altogether: the account is closed, its user is in no room any more, and no row
//! of the user's own is left but the closed account, which keeps the name, and the notes that the
//! user was removed and erased.
//!
//! What the user said stays in the rooms where it was said, hidden from those who come later. So
//! do uploaded files, which no index finds by who uploaded them.

use ruma::{OwnedRoomId, OwnedUserId, UserId};
use tertulia_storage::{Command, Direction, Partition, Tx};

use super::threepids;
use crate::{
    Error, Homeserver, Result, User,
    account_data::bookmarks,
    events, log, mail, media, presence, receipts,
    schema::{
        ACCOUNT_DATA, ACCOUNT_DATA_CHANGES, ACCOUNTS, DEVICES, DIRECT, DIRECT_LISTED, DIRECT_WITH,
        ERASED, EXPIRING_TOKENS, Entry, FILTER_COUNTS, FILTERS, HIDDEN_REQUESTS, LAST_SEEN,
        LOGIN_TOKENS, MEMBERSHIPS, MembershipKind, OPENID_TOKENS, PROFILES, REFRESH_TOKENS,
        REMOVED_USERS, REQUESTS, REQUESTS_SEEN, RemovedUser, STATUSES, TOKENS, TRANSACTIONS,
    },
    users,
};

/// How many rows of a table one step deletes; there are some, and a commit bears 500.
const STEP: usize = 50;

/// How many rooms are read at a time.
const PAGE: usize = 100;

impl Homeserver {
    /// Removes `user` from this server: closes the account, leaves all rooms, and deletes every
    /// row of the user's own, step by step. An interrupted removal goes on when it is asked for
    /// again. The name is never given out again.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there never was such an account here.
    pub async fn remove_user(&self, user: &UserId) -> Result<()> {
        let store = &self.core.store;
        let at = self.core.now().get().into();
        let user = User::new(self.core.clone(), user.to_owned());
        if store.write(Close { user: user.id.clone(), at }).await?.out {
            return Ok(());
        }
        user.core.learn_if_erased(&user.id).await?;
        presence::forget(&user.core, &user.id).await?;
        user.delete_all_devices(None).await?;
        user.vanish_from_rooms().await?;
        mail::forget_letters(&user.core, &user.id).await?;
        while !store.write(DeleteRows { user: user.id.clone() }).await?.out {}
        Ok(())
    }

    /// Goes on with removals of users that a stop interrupted.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if the store fails.
    pub async fn go_on_removing_users(&self) -> Result<()> {
        let view = self.core.store.view().await?;
        let rows = view.scan(&REMOVED_USERS, &(), Direction::Forward, usize::MAX).await?;
        for ((user,), _) in rows.into_iter().filter(|(_, row)| !row.finished) {
            self.remove_user(&user).await?;
        }
        Ok(())
    }
}

impl User {
    /// Leaves all rooms and deletes what they keep of the user's own.
    async fn vanish_from_rooms(&self) -> Result<()> {
        loop {
            let view = self.core.store.view().await?;
            let prefix = (self.id.clone(),);
            let rooms = view.scan(&MEMBERSHIPS, &prefix, Direction::Forward, PAGE).await?;
            if rooms.is_empty() {
                return Ok(());
            }
            for ((_, room), row) in rooms {
                if !matches!(row.kind, MembershipKind::Leave | MembershipKind::Ban) {
                    self.leave_if_possible(&room).await?;
                }
                let at = self.core.now().get().into();
                let vanish = || Vanish { user: self.id.clone(), room: room.clone(), at };
                while !self.core.store.write(vanish()).await?.out {}
            }
        }
    }

    async fn leave_if_possible(&self, room: &OwnedRoomId) -> Result<()> {
        match self.room(room).leave(None).await {
            Err(Error::Storage(error)) => Err(error.into()),
            Err(error) => {
                tracing::info!(%error, user = %self.id, %room, "a room keeps a removed user");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Closes an account that is to be removed; tells whether all of it is gone already.
struct Close {
    user: OwnedUserId,
    at: u64,
}

impl Command for Close {
    type Out = bool;
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<bool> {
        let key = (self.user.clone(),);
        if let Some(note) = tx.get_guarded(&REMOVED_USERS, &key).await? {
            return Ok(note.finished);
        }
        let account = tx.get_guarded(&ACCOUNTS, &key).await?;
        let mut account = account.ok_or(Error::NotFound("user"))?;
        account.deactivated = account.deactivated.or(Some(self.at));
        if tx.get_guarded(&ERASED, &key).await?.is_none() {
            let closed = log::record(tx, &Entry::Deactivated { user: self.user.clone() });
            tx.put(&ERASED, &key, &(closed,));
        }
        account.password = None;
        (account.admin, account.erased) = (false, true);
        threepids::release_all(tx, &self.user).await?;
        tx.put(&ACCOUNTS, &key, &account);
        tx.put(&REMOVED_USERS, &key, &RemovedUser { at: self.at, finished: false });
        Ok(false)
    }
}

/// Deletes a step of what a room keeps of a user's own; tells whether it was the last. It is
/// written in the room's lane, where those rows are.
struct Vanish {
    user: OwnedUserId,
    room: OwnedRoomId,
    at: u64,
}

impl Command for Vanish {
    type Out = bool;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<bool> {
        let key = (self.user.clone(), self.room.clone());
        tx.guard(&MEMBERSHIPS, &key);
        let own = (self.room.clone(), self.user.clone());
        let is_last = receipts::delete_page(tx, &self.room, &self.user, STEP).await? < STEP
            && tx.delete_all(&TRANSACTIONS, &own, STEP).await?;
        if is_last {
            events::void_request(tx, &self.room, &self.user, self.at).await?;
            tx.delete(&MEMBERSHIPS, &key);
        }
        Ok(is_last)
    }
}

/// Deletes a step of a user's rows; tells whether it was the last.
struct DeleteRows {
    user: OwnedUserId,
}

impl Command for DeleteRows {
    type Out = bool;
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<bool> {
        let key = (self.user.clone(),);
        let note = tx.get_guarded(&REMOVED_USERS, &key).await?.ok_or(Error::NotFound("user"))?;
        users::delist(tx, &self.user).await?;
        if !bookmarks::delete_page(tx, &self.user).await? {
            return Ok(false);
        }
        let finished = tx.delete_all(&PROFILES, &key, STEP).await?
            && tx.delete_all(&ACCOUNT_DATA, &key, STEP).await?
            && tx.delete_all(&ACCOUNT_DATA_CHANGES, &key, STEP).await?
            && tx.delete_all(&FILTERS, &key, STEP).await?
            && tx.delete_all(&FILTER_COUNTS, &key, STEP).await?
            && tx.delete_all(&LAST_SEEN, &key, STEP).await?
            && tx.delete_all(&TOKENS, &key, STEP).await?
            && tx.delete_all(&EXPIRING_TOKENS, &key, STEP).await?
            && tx.delete_all(&REFRESH_TOKENS, &key, STEP).await?
            && tx.delete_all(&LOGIN_TOKENS, &key, STEP).await?
            && tx.delete_all(&OPENID_TOKENS, &key, STEP).await?
            && tx.delete_all(&STATUSES, &key, STEP).await?
            && tx.delete_all(&DIRECT, &key, STEP).await?
            && tx.delete_all(&DIRECT_WITH, &key, STEP).await?
            && tx.delete_all(&DIRECT_LISTED, &key, STEP).await?
            && tx.delete_all(&REQUESTS, &key, STEP).await?
            && tx.delete_all(&HIDDEN_REQUESTS, &key, STEP).await?
            && tx.delete_all(&REQUESTS_SEEN, &key, STEP).await?
            && tx.delete_all(&DEVICES, &key, STEP).await?;
        if finished {
            media::forget_use(tx, &self.user).await?;
            tx.put(&REMOVED_USERS, &key, &RemovedUser { finished, ..note });
        }
        Ok(finished)
    }
}

#[cfg(test)]
mod tests;
