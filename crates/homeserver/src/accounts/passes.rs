//! Tokens that stand for their user for one purpose and a short time: one logs in to another device
//! with a login token, once; an OpenID token tells a service who the user is.

use std::time::Duration;

use ruma::OwnedUserId;
use tertulia_storage::{Command, Direction, Partition, Table, Tx};

use crate::{
    AccessToken, Error, Homeserver, NewDevice, Result, Secret, Session, User,
    devices::{Opening, token},
    schema::{LOGIN_TOKENS, OPENID_TOKENS},
    users::{self, Standing},
};

/// How many passes of a kind a user may have at a time. The one that ends first gives way.
pub(super) const MOST: usize = 16;

/// A token that stands for its user for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// What is shown to whoever asks.
    pub token: Secret,
    /// How long it is good.
    pub lifetime: Duration,
}

/// What a pass is for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Login,
    OpenId,
}

impl Purpose {
    /// Where passes are written.
    const fn table(self) -> &'static Table<(OwnedUserId, [u8; 32]), (u64,)> {
        match self {
            Self::Login => &LOGIN_TOKENS,
            Self::OpenId => &OPENID_TOKENS,
        }
    }

    /// How long a pass is good: for a login as long as the specification recommends.
    const fn lifetime(self) -> Duration {
        match self {
            Self::Login => Duration::from_secs(2 * 60),
            Self::OpenId => Duration::from_secs(60 * 60),
        }
    }
}

impl User {
    /// A token with which another client logs in as this user, once and soon.
    ///
    /// # Errors
    ///
    /// [`Error::Deactivated`] if the account was closed.
    pub async fn login_token(&self) -> Result<Pass> {
        self.pass(Purpose::Login).await
    }

    /// A token that tells a service who this user is, and serves for nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::Deactivated`] if the account was closed.
    pub async fn openid_token(&self) -> Result<Pass> {
        self.pass(Purpose::OpenId).await
    }

    async fn pass(&self, purpose: Purpose) -> Result<Pass> {
        let lifetime = purpose.lifetime();
        let token = token::mint(&self.id, &*self.core.random);
        let (user, hash) = (self.id.clone(), token::hash(&token));
        let now: u64 = self.core.now().get().into();
        self.core.store.write(Give { purpose, user, hash, now }).await?;
        Ok(Pass { token, lifetime })
    }
}

impl Homeserver {
    /// Logs in with a token of [`User::login_token`], which is worth nothing afterwards.
    ///
    /// # Errors
    ///
    /// [`Error::WrongLoginToken`], [`Error::Deactivated`], or [`Error::Locked`].
    pub async fn login_with_token(
        &self,
        token: &str,
        device: NewDevice,
    ) -> Result<(Session, AccessToken)> {
        let (user, hash) = token::read(token, self.name()).ok_or(Error::WrongLoginToken)?;
        let opening = Opening::new(&self.core, &user, device)?;
        let now = self.core.now().get().into();
        let login = LoginWithToken { user, hash, now, opening: opening.clone() };
        let standing = self.core.store.write(login).await?.out;
        Ok(opening.done(self, standing))
    }

    /// Who gave a service this token of [`User::openid_token`].
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] if nobody did, its time is over, or the account was closed.
    pub async fn openid_user(&self, token: &str) -> Result<OwnedUserId> {
        let (user, hash) = token::read(token, self.name()).ok_or(Error::UnknownToken)?;
        let view = self.core.store.view().await?;
        let until = view.get(&OPENID_TOKENS, &(user.clone(), hash)).await?;
        let (until,) = until.ok_or(Error::UnknownToken)?;
        let account = users::account(&view, &user).await?;
        let is_open = account.is_some_and(|account| account.deactivated.is_none());
        if is_open && u64::from(self.core.now().get()) < until {
            Ok(user)
        } else {
            Err(Error::UnknownToken)
        }
    }
}

/// Gives a user a pass, and takes back those whose time is over or that are too many.
struct Give {
    purpose: Purpose,
    user: OwnedUserId,
    hash: [u8; 32],
    now: u64,
}

impl Command for Give {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        users::active_account(tx, &self.user).await?;
        let table = self.purpose.table();
        let mut known = tx.scan(table, &(self.user.clone(),), Direction::Forward, MOST + 1).await?;
        known.sort_by_key(|(_, (until,))| *until);
        let too_many = (known.len() + 1).saturating_sub(MOST);
        for (number, (key, (until,))) in known.iter().enumerate() {
            if number < too_many || *until <= self.now {
                tx.delete(table, key);
            }
        }
        let lifetime = self.purpose.lifetime().as_millis().try_into().unwrap_or(u64::MAX);
        let until = self.now.saturating_add(lifetime);
        tx.put(table, &(self.user.clone(), self.hash), &(until,));
        Ok(())
    }
}

/// Opens a session in exchange for a login token; tells how its user stands.
struct LoginWithToken {
    user: OwnedUserId,
    hash: [u8; 32],
    now: u64,
    opening: Opening,
}

impl Command for LoginWithToken {
    type Out = Standing;
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<Standing> {
        let key = (self.user.clone(), self.hash);
        let until = tx.get_guarded(&LOGIN_TOKENS, &key).await?;
        let is_good = until.is_some_and(|(until,)| self.now < until);
        if !is_good {
            return Err(Error::WrongLoginToken);
        }
        let account = users::open_account(tx, &self.user).await?;
        tx.delete(&LOGIN_TOKENS, &key);
        self.opening.write(tx).await?;
        Ok(Standing::of(&account))
    }
}

#[cfg(test)]
mod tests;
