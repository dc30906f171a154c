//! What every module needs and none owns.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::Arc,
    time::Duration,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::RwLock;
use ruma::{MilliSecondsSinceUnixEpoch, OwnedServerName, OwnedUserId, ServerName, UInt, UserId};
use sha2::Sha256;
use tertulia_protocol::Signer;
use tertulia_storage::Store;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Blobs, Clock, Error, Mailer, Random, Result, Settings};

/// What every module needs and none owns.
pub(crate) struct Core {
    pub(crate) name: OwnedServerName,
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) signer: Arc<Signer>,
    pub(crate) clock: Arc<dyn Clock>,
    /// What the clock showed when the server began, and what had passed then.
    pub(crate) began: (MilliSecondsSinceUnixEpoch, Duration),
    pub(crate) random: Arc<dyn Random>,
    pub(crate) blobs: Arc<dyn Blobs>,
    /// Who delivers mail; without one, none is sent.
    pub(crate) mailer: Option<Arc<dyn Mailer>>,
    /// What keys of the server are made of.
    pub(crate) seed: Seed,
    /// The tasks of the server; `stop` ends them.
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) locals: Locals,
}

impl Core {
    pub(crate) fn now(&self) -> MilliSecondsSinceUnixEpoch {
        self.clock.now()
    }

    /// What time it would be if nobody had set the clock since the server began: for how long ago
    /// something was, in memory. Never goes back, and is not for anyone outside to see.
    pub(crate) fn steady(&self) -> MilliSecondsSinceUnixEpoch {
        let passed = self.clock.elapsed().saturating_sub(self.began.1).as_millis();
        let passed = u64::try_from(passed).ok().and_then(|passed| UInt::try_from(passed).ok());
        let now = self.began.0.0.saturating_add(passed.unwrap_or(UInt::MAX));
        MilliSecondsSinceUnixEpoch(now)
    }

    pub(crate) fn is_local(&self, server: &ServerName) -> bool {
        server == self.name
    }

    /// The memory of a module that needs some: one value of each type, made when first asked for.
    pub(crate) fn local<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.locals.get()
    }
}

/// The secret bytes of which the signing key is made, and of which each purpose has a key of its own.
pub(crate) struct Seed([u8; 32]);

impl Seed {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What only this server can make of `message`, different for each `purpose`: HMAC-SHA256 with a
    /// key that is itself the HMAC of the purpose.
    pub(crate) fn derive(&self, purpose: &str, message: &str) -> [u8; 32] {
        hmac(&hmac(&self.0, purpose), message)
    }
}

fn hmac(key: &[u8; 32], message: &str) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    hmac.update(message.as_bytes());
    hmac.finalize().into_bytes().into()
}

/// One value of each type.
#[derive(Default)]
pub(crate) struct Locals {
    values: RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Locals {
    fn get<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let kind = TypeId::of::<T>();
        if let Some(value) = self.values.read().get(&kind) {
            return downcast(value.clone());
        }
        let mut values = self.values.write();
        downcast(values.entry(kind).or_insert_with(|| Arc::new(T::default())).clone())
    }
}

fn downcast<T: Send + Sync + 'static>(value: Arc<dyn Any + Send + Sync>) -> Arc<T> {
    value.downcast().expect("values are kept under their own type")
}

/// A running homeserver. Cheap to clone; every clone is the same server.
///
/// ```
/// use tertulia::{Error, Homeserver, MemoryEngine};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> tertulia::Result<()> {
/// let server = Homeserver::start("example.org", MemoryEngine::default()).await?;
/// let alice = server.create_user("alice").await?;
/// assert_eq!(alice.id(), "@alice:example.org");
/// assert!(matches!(server.user("bob").await, Err(Error::NotFound(_))));
/// server.shutdown().await;
/// # Ok(()) }
/// ```
///
/// It has tasks of its own, which go on until [`Homeserver::shutdown`], and not only as long as there
/// is a handle: a server that is merely dropped lives on in the background and keeps its store open
/// until the async runtime ends. Nothing that was acknowledged is lost by that, just as by a crash; but
/// the store cannot be opened again meanwhile, and what is done in the background is interrupted.
///
/// Whatever begins with a server, such as [`User`] and [`Room`](crate::Room), holds it: after a shutdown
/// those handles answer with errors, and the store's files are free once the last of them is dropped.
#[derive(Clone)]
pub struct Homeserver {
    pub(crate) core: Arc<Core>,
}

/// A local user, as the one who acts. Cheap to clone.
///
/// ```
/// # async fn act(server: tertulia::Homeserver) -> tertulia::Result<()> {
/// let alice = server.user("alice").await?;
/// alice.set_nickname(Some("Alice")).await?;
/// for device in alice.devices().await? {
///     println!("{}: {:?}", device.id, device.last_seen_from);
/// }
/// for room in alice.joined_rooms().await? {
///     alice.room(&room).send_text("I am called Alice now").await?;
/// }
/// # Ok(()) }
/// ```
///
/// What a user may do is judged wherever it is done. That a user was suspended is seen by handles that were
/// asked for after that.
#[derive(Clone)]
pub struct User {
    pub(crate) core: Arc<Core>,
    pub(crate) id: OwnedUserId,
    suspended: bool,
}

impl User {
    /// The user as the server itself lets them act: for what was decided before, and goes on.
    pub(crate) fn new(core: Arc<Core>, id: OwnedUserId) -> Self {
        Self { core, id, suspended: false }
    }

    /// The user as they act by themselves, suspended or not.
    pub(crate) fn acting(core: Arc<Core>, id: OwnedUserId, suspended: bool) -> Self {
        Self { core, id, suspended }
    }

    /// Refuses what one may not do who is suspended: to speak, to meet others, to change how one looks
    /// (client-server API, "Account suspension"). To read, to leave and to take back what one said is left.
    pub(crate) fn refuse_suspended(&self) -> Result<()> {
        if self.suspended { Err(Error::Suspended) } else { Ok(()) }
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// The user's ID.
    pub fn id(&self) -> &UserId {
        &self.id
    }
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("User").field(&self.id).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_a_key_of_its_own() {
        // key=$(printf 'code' | openssl dgst -sha256 -mac hmac -macopt hexkey:0707…07)
        // printf 'session' | openssl dgst -sha256 -mac hmac -macopt hexkey:$key
        let seed = Seed::new([7; 32]);
        let made = seed.derive("code", "session");
        assert_eq!(made[..4], [0x7b, 0xa3, 0xb3, 0xdc]);
        assert_ne!(made, seed.derive("link", "session"));
        assert_ne!(made, seed.derive("code", "another"));
        assert_ne!(made, Seed::new([8; 32]).derive("code", "session"));
    }

    #[test]
    fn each_type_has_one_value() {
        let locals = Locals::default();
        *locals.get::<RwLock<u8>>().write() = 3;
        *locals.get::<RwLock<String>>().write() = "three".to_owned();
        assert_eq!(*locals.get::<RwLock<u8>>().read(), 3);
        assert_eq!(*locals.get::<RwLock<String>>().read(), "three");
    }
}
