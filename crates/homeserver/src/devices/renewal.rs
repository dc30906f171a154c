//! Sessions whose access tokens expire, and how their clients get others ("Refreshing access
//! tokens").
//!
//! Whoever shows a refresh token is offered a new pair of tokens. The first token of an offered pair
//! that is used makes the pair the session's own; the pair before it and all other offers are dead
//! then. So a client whose answer was lost can ask again, and a session never has two lines of
//! tokens that go on.

use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use tertulia_storage::{Command, Partition, Tx, View};

use super::token::{self, AccessToken, TokenHash};
use crate::{
    Error, Homeserver, Result,
    schema::{DEVICES, DeviceRow, EXPIRING_TOKENS, ExpiringToken, REFRESH_TOKENS, TokenPair},
    users,
};

/// How many pairs are on offer at a time. The oldest gives way.
const OFFERS: usize = 2;

/// A user's device.
type DeviceKey = (OwnedUserId, OwnedDeviceId);

impl Homeserver {
    /// The next access token of the session that `refresh_token` renews. The refresh token can be
    /// shown again until this access token, or the refresh token that comes with it, is used.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] if it renews nothing, or not any more; [`Error::Locked`].
    pub async fn refresh(&self, refresh_token: &str) -> Result<AccessToken> {
        let (user, shown) = token::read(refresh_token, self.name()).ok_or(Error::UnknownToken)?;
        let lifetime = self.core.settings.access_token_lifetime;
        let token = AccessToken::mint(&user, &*self.core.random, Some(lifetime));
        let (pair, lifetime) = token.pair().expect("it was made to expire");
        let now: u64 = self.core.steady().get().into();
        let renew = Renew { user, shown, pair, expires: now.saturating_add(lifetime) };
        self.core.store.write(renew).await?;
        Ok(token)
    }

    /// The device whose session an access token that expires proves. One that was on offer is the
    /// session's own from now on.
    pub(super) async fn take_up(
        &self,
        view: &View,
        user: &UserId,
        access: TokenHash,
    ) -> Result<OwnedDeviceId> {
        let token = view.get(&EXPIRING_TOKENS, &(user.to_owned(), access)).await?;
        let token = token.ok_or(Error::UnknownToken)?;
        if token.expires <= self.core.steady().get().into() {
            return Err(Error::ExpiredToken);
        }
        if !token.in_use {
            self.core.store.write(TakeUp { user: user.to_owned(), access }).await?;
        }
        Ok(token.device)
    }
}

/// Writes a pair of a device, which it has or which is offered to it.
pub(super) fn put(tx: &mut Tx, key: &DeviceKey, pair: TokenPair, expires: u64, in_use: bool) {
    let (user, device) = key.clone();
    let token = ExpiringToken { device: device.clone(), expires, in_use };
    tx.put(&EXPIRING_TOKENS, &(user.clone(), pair.access), &token);
    tx.put(&REFRESH_TOKENS, &(user, pair.refresh), &(device,));
}

/// Takes back pairs of a user.
pub(super) fn delete(tx: &mut Tx, user: &UserId, pairs: impl IntoIterator<Item = TokenPair>) {
    for pair in pairs {
        tx.delete(&EXPIRING_TOKENS, &(user.to_owned(), pair.access));
        tx.delete(&REFRESH_TOKENS, &(user.to_owned(), pair.refresh));
    }
}

/// Makes the offered pair that `is_meant` the device's own. All its other pairs are dead.
async fn adopt(
    tx: &mut Tx,
    key: &DeviceKey,
    row: DeviceRow,
    is_meant: impl Fn(&TokenPair) -> bool,
) -> Result<DeviceRow> {
    let chosen = row.offered.iter().copied().find(is_meant).ok_or(Error::UnknownToken)?;
    let token = tx.get(&EXPIRING_TOKENS, &(key.0.clone(), chosen.access)).await?;
    let expires = token.ok_or(Error::UnknownToken)?.expires;
    let own = row.refresh.map(|refresh| TokenPair { access: row.token, refresh });
    let others = row.offered.iter().copied().filter(|pair| *pair != chosen);
    delete(tx, &key.0, others.chain(own));
    put(tx, key, chosen, expires, true);
    Ok(DeviceRow {
        token: chosen.access,
        refresh: Some(chosen.refresh),
        offered: Vec::new(),
        ..row
    })
}

/// Offers a pair to whoever shows a refresh token.
struct Renew {
    user: OwnedUserId,
    shown: TokenHash,
    pair: TokenPair,
    expires: u64,
}

impl Command for Renew {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let device = tx.get(&REFRESH_TOKENS, &(self.user.clone(), self.shown)).await?;
        let (device,) = device.ok_or(Error::UnknownToken)?;
        users::open_account(tx, &self.user).await?;
        let key = (self.user.clone(), device);
        let mut row = tx.get_guarded(&DEVICES, &key).await?.ok_or(Error::UnknownToken)?;
        if row.refresh != Some(self.shown) {
            row = adopt(tx, &key, row, |pair| pair.refresh == self.shown).await?;
        }
        if row.offered.len() == OFFERS {
            let oldest = row.offered.remove(0);
            delete(tx, &self.user, [oldest]);
        }
        row.offered.push(self.pair);
        put(tx, &key, self.pair, self.expires, false);
        tx.put(&DEVICES, &key, &row);
        Ok(())
    }
}

/// Makes the pair of an offered access token that was used the session's own.
struct TakeUp {
    user: OwnedUserId,
    access: TokenHash,
}

impl Command for TakeUp {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let token = tx.get(&EXPIRING_TOKENS, &(self.user.clone(), self.access)).await?;
        let token = token.ok_or(Error::UnknownToken)?;
        let key = (self.user.clone(), token.device);
        let row = tx.get_guarded(&DEVICES, &key).await?.ok_or(Error::UnknownToken)?;
        // Several requests may be the first at once.
        if row.token != self.access {
            let row = adopt(tx, &key, row, |pair| pair.access == self.access).await?;
            tx.put(&DEVICES, &key, &row);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
