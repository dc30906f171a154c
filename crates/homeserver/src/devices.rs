//! Devices and their sessions: what an access token proves, and how it ends.

mod renewal;
mod seen;
pub(crate) mod token;

use std::ops::{Bound, Deref};

use ruma::{DeviceId, MilliSecondsSinceUnixEpoch, OwnedDeviceId, OwnedUserId, RoomId, UserId};
use tertulia_storage::{Command, Direction, Partition, Topic, Tx};

use crate::{
    Error, Homeserver, Result, Room, User,
    core::Core,
    log::device_topic,
    schema::{DEVICES, DeviceRow, EXPIRING_TOKENS, LAST_SEEN, Sighting, TOKENS, TokenPair},
    users::{self, Standing},
};

use token::TokenHash;
pub use token::{AccessToken, Renewal};

/// How many devices one commit removes: up to eight rows each, and a commit bears 500.
const PAGE: usize = 50;

/// Where a program acts by itself.
const NO_DEVICE: &str = "";

/// The longest device ID and the longest display name, in bytes.
const LONGEST: usize = 255;

/// A user on one of their devices: what an access token proves. It is a [`User`], too.
///
/// ```
/// # async fn follow(server: tertulia::Homeserver, token: &str) -> tertulia::Result<()> {
/// use tertulia::SyncRequest;
///
/// let session = server.authenticate(token).await?;
/// let news = session.sync(SyncRequest::default()).await?;
/// let later = SyncRequest { since: Some(news.next_batch), ..SyncRequest::default() };
/// println!("{} is told {:?}", session.id(), session.sync(later).await?);
/// session.logout().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    user: User,
    device: OwnedDeviceId,
    /// None where the program itself acts, which needs to show nothing.
    token: Option<TokenHash>,
    standing: Standing,
}

/// A device as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name among its user's devices.
    pub id: OwnedDeviceId,
    /// What its user calls it.
    pub display_name: Option<String>,
    /// When it was last heard of.
    pub last_seen: Option<MilliSecondsSinceUnixEpoch>,
    /// Where it last called from.
    pub last_seen_from: Option<String>,
}

/// The device that a new session is to be on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewDevice {
    /// Its ID. A known one gets a new session in place of its old one; without one, one is made.
    pub id: Option<OwnedDeviceId>,
    /// What it is called if it is new.
    pub display_name: Option<String>,
    /// Whether its client knows how to renew a session: then its access tokens expire, and
    /// [`Homeserver::refresh`] gives others.
    pub renewable: bool,
}

impl Homeserver {
    /// Whose session an access token is. Whether the user may do everything just now is for whoever
    /// asks to look at: see [`Session::standing`].
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] if it is nobody's, or not any more; [`Error::ExpiredToken`] if its
    /// session goes on and needs another.
    pub async fn authenticate(&self, token: &str) -> Result<Session> {
        let (user, token) = token::read(token, self.name()).ok_or(Error::UnknownToken)?;
        let view = self.core.store.view().await?;
        let device = match view.get(&TOKENS, &(user.clone(), token)).await? {
            Some((device,)) => device,
            None => self.take_up(&view, &user, token).await?,
        };
        let standing = users::standing(&view, &user).await?;
        Ok(Session {
            user: User::acting(self.core.clone(), user, standing.suspended),
            device,
            token: Some(token),
            standing,
        })
    }
}

impl Deref for Session {
    type Target = User;

    fn deref(&self) -> &User {
        &self.user
    }
}

impl Session {
    /// The program itself, as `user`: on no device, and for as long as there is such an account.
    pub(crate) fn of_program(user: User) -> Self {
        Self { user, device: NO_DEVICE.into(), token: None, standing: Standing::default() }
    }

    /// The device that the session is on.
    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// How its user stood when the session was asked for.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The room `id`, with this session's user acting. Events that this session sent have their
    /// transaction IDs there.
    pub fn room(&self, id: &RoomId) -> Room {
        self.user.room(id).on(&self.device)
    }

    /// Whether the session still goes on.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if that cannot be read.
    pub async fn is_valid(&self) -> Result<bool> {
        let view = self.core.store.view().await?;
        let Some(token) = self.token else {
            let account = users::account(&view, &self.id).await?;
            return Ok(account.is_some_and(|account| account.deactivated.is_none()));
        };
        let key = (self.id.clone(), token);
        Ok(view.get(&TOKENS, &key).await?.is_some()
            || view.get(&EXPIRING_TOKENS, &key).await?.is_some())
    }

    /// Nothing while the session goes on and its user may use it.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] once the session has ended, [`Error::Locked`] while its user is locked.
    pub(crate) async fn check_goes_on(&self) -> Result<()> {
        if !self.is_valid().await? {
            return Err(Error::UnknownToken);
        }
        match users::standing(&self.core.store.view().await?, &self.id).await? {
            Standing { locked: true, .. } => Err(Error::Locked),
            _ => Ok(()),
        }
    }

    /// What is woken when the session ends.
    pub(crate) fn topic(&self) -> Topic {
        device_topic(&self.id, &self.device)
    }

    /// Ends the session and forgets its device. Its access token is worth nothing at once.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if that cannot be written.
    pub async fn logout(&self) -> Result<()> {
        self.user.delete_devices(vec![self.device.clone()]).await
    }

    /// Ends all other sessions of the user, and forgets their devices.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if that cannot be written.
    pub async fn logout_others(&self) -> Result<()> {
        self.user.delete_all_devices(Some(&self.device)).await
    }

    /// Ends all sessions of the user, this one too, and forgets all devices.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if that cannot be written.
    pub async fn logout_all(&self) -> Result<()> {
        self.user.delete_all_devices(None).await
    }
}

impl User {
    /// The devices of the user, by their IDs.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if they cannot be read.
    pub async fn devices(&self) -> Result<Vec<Device>> {
        let view = self.core.store.view().await?;
        let prefix = (self.id.clone(),);
        let mut devices = Vec::new();
        let mut last = None;
        loop {
            let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let page = view.scan_from(&DEVICES, &prefix, from, Direction::Forward, PAGE).await?;
            let keys: Vec<_> = page.iter().map(|(key, _)| key.clone()).collect();
            let seen = view.get_many(&LAST_SEEN, &keys).await?;
            let complete = page.len() < PAGE;
            last = keys.into_iter().next_back();
            let page = page.into_iter().zip(seen);
            devices.extend(page.map(|(((_, id), row), seen)| self.show(id, row, seen)));
            if complete {
                return Ok(devices);
            }
        }
    }

    /// One device of the user.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the user has no such device.
    pub async fn find_device(&self, id: &DeviceId) -> Result<Device> {
        let view = self.core.store.view().await?;
        let key = (self.id.clone(), id.to_owned());
        let row = view.get(&DEVICES, &key).await?.ok_or(Error::NotFound("device"))?;
        let seen = view.get(&LAST_SEEN, &key).await?;
        Ok(self.show(key.1, row, seen))
    }

    fn show(&self, id: OwnedDeviceId, row: DeviceRow, written: Option<Sighting>) -> Device {
        let seen = self.core.local::<seen::Seen>().last(&row.token).or(written);
        let (at, from) = seen.map(|seen| (seen.at, seen.from)).unzip();
        Device {
            id,
            display_name: row.display_name,
            last_seen: at.and_then(|at| at.try_into().ok()).map(MilliSecondsSinceUnixEpoch),
            last_seen_from: from,
        }
    }

    /// Calls a device `name`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the user has no such device, [`Error::Invalid`] if the name is too
    /// long.
    pub async fn rename_device(&self, id: &DeviceId, name: String) -> Result<()> {
        check_length(Some(&name), "the display name of the device")?;
        let rename = Rename { user: self.id.clone(), device: id.to_owned(), name };
        self.core.store.write(rename).await?;
        Ok(())
    }

    /// Ends the session on a device, and forgets the device. One that does not exist is gone already.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if that cannot be written.
    pub async fn logout_device(&self, device: &DeviceId) -> Result<()> {
        self.delete_devices(vec![device.to_owned()]).await
    }

    /// Forgets devices and ends their sessions. Those that do not exist are gone already.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if that cannot be written.
    pub async fn delete_devices(&self, devices: Vec<OwnedDeviceId>) -> Result<()> {
        for page in devices.chunks(PAGE) {
            let delete = Delete { user: self.id.clone(), devices: page.to_owned() };
            self.core.store.write(delete).await?;
        }
        Ok(())
    }

    /// Forgets all devices, except one, and ends their sessions.
    pub(crate) async fn delete_all_devices(&self, except: Option<&DeviceId>) -> Result<()> {
        let mut more = true;
        while more {
            let page = DeletePage { user: self.id.clone(), except: except.map(ToOwned::to_owned) };
            more = self.core.store.write(page).await?.out;
        }
        Ok(())
    }
}

/// A session about to be opened. All that chance decides is decided, so that a command may write
/// it twice.
#[derive(Clone)]
pub(crate) struct Opening {
    user: OwnedUserId,
    device: OwnedDeviceId,
    display_name: Option<String>,
    token: AccessToken,
    at: u64,
    /// From when on a token's life is counted.
    steady: u64,
}

impl Opening {
    /// Chooses a token, and a device ID where none is given.
    pub(crate) fn new(core: &Core, user: &UserId, device: NewDevice) -> Result<Self> {
        check_length(device.id.as_ref().map(|id| id.as_str()), "the device ID")?;
        // A device without a name could be reached by no path.
        let id = device.id.filter(|id| !id.as_str().is_empty());
        check_length(device.display_name.as_deref(), "the display name of the device")?;
        let lifetime = device.renewable.then_some(core.settings.access_token_lifetime);
        Ok(Self {
            user: user.to_owned(),
            device: id.unwrap_or_else(|| core.random.word(10).to_ascii_uppercase().into()),
            display_name: device.display_name,
            token: AccessToken::mint(user, &*core.random, lifetime),
            at: core.now().get().into(),
            steady: core.steady().get().into(),
        })
    }

    /// Writes the session; one that was on the device before ends.
    pub(crate) async fn write(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.user.clone(), self.device.clone());
        let (display_name, created) = match tx.get_guarded(&DEVICES, &key).await? {
            Some(known) => {
                end_session(tx, &key, &known);
                (known.display_name, known.created)
            }
            None => (self.display_name.clone(), self.at),
        };
        let token = self.token.hash();
        let pair = self.token.pair();
        let refresh = pair.map(|(pair, _)| pair.refresh);
        let row = DeviceRow { token, display_name, created, refresh, offered: Vec::new() };
        tx.put(&DEVICES, &key, &row);
        match pair {
            Some((pair, lifetime)) => {
                renewal::put(tx, &key, pair, self.steady.saturating_add(lifetime), true)
            }
            None => tx.put(&TOKENS, &(key.0, token), &(key.1,)),
        }
        Ok(())
    }

    /// The session that was written, and what its client shows to prove it; its user
    /// stands so.
    pub(crate) fn done(self, server: &Homeserver, standing: Standing) -> (Session, AccessToken) {
        let user = User::acting(server.core.clone(), self.user, standing.suspended);
        let token = self.token.hash();
        let session = Session { user, device: self.device, token: Some(token), standing };
        (session, self.token)
    }
}

fn check_length(text: Option<&str>, what: &'static str) -> Result<()> {
    match text {
        Some(text) if text.len() > LONGEST => Err(Error::Invalid(what)),
        _ => Ok(()),
    }
}

fn end_session(tx: &mut Tx, key: &(OwnedUserId, OwnedDeviceId), row: &DeviceRow) {
    match row.refresh {
        Some(refresh) => {
            let own = TokenPair { access: row.token, refresh };
            renewal::delete(tx, &key.0, row.offered.iter().copied().chain([own]));
        }
        None => tx.delete(&TOKENS, &(key.0.clone(), row.token)),
    }
    tx.wake(device_topic(&key.0, &key.1));
}

fn delete(tx: &mut Tx, key: &(OwnedUserId, OwnedDeviceId), row: &DeviceRow) {
    end_session(tx, key, row);
    tx.delete(&DEVICES, key);
    tx.delete(&LAST_SEEN, key);
}

/// Forgets up to a page of a user's devices; tells whether there may be more.
pub(crate) async fn delete_page(
    tx: &mut Tx,
    user: &UserId,
    except: Option<&DeviceId>,
) -> Result<bool> {
    let prefix = (user.to_owned(),);
    let page = tx.scan(&DEVICES, &prefix, Direction::Forward, PAGE).await?;
    let more = page.len() == PAGE;
    if except.is_none() {
        tx.wake(device_topic(user, NO_DEVICE.into()));
    }
    for (key, row) in page {
        if except != Some(&*key.1) {
            tx.guard(&DEVICES, &key);
            delete(tx, &key, &row);
        }
    }
    Ok(more)
}

/// Gives a device another name.
struct Rename {
    user: OwnedUserId,
    device: OwnedDeviceId,
    name: String,
}

impl Command for Rename {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.user.clone(), self.device.clone());
        let row = tx.get_guarded(&DEVICES, &key).await?.ok_or(Error::NotFound("device"))?;
        tx.put(&DEVICES, &key, &DeviceRow { display_name: Some(self.name.clone()), ..row });
        Ok(())
    }
}

/// Forgets some devices.
struct Delete {
    user: OwnedUserId,
    devices: Vec<OwnedDeviceId>,
}

impl Command for Delete {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        for device in &self.devices {
            let key = (self.user.clone(), device.clone());
            if let Some(row) = tx.get_guarded(&DEVICES, &key).await? {
                delete(tx, &key, &row);
            }
        }
        Ok(())
    }
}

/// Forgets a page of all devices.
struct DeletePage {
    user: OwnedUserId,
    except: Option<OwnedDeviceId>,
}

impl Command for DeletePage {
    type Out = bool;
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<bool> {
        delete_page(tx, &self.user, self.except.as_deref()).await
    }
}

#[cfg(test)]
mod tests;
