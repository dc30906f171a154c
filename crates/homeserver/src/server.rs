//! Starting and stopping a homeserver.

use std::sync::Arc;

use bytes::Bytes;
use ruma::{OwnedServerName, ServerName};
use tertulia_protocol::Signer;
use tertulia_storage::{Command, Engine, Partition, Store, StoreOptions, Tx};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Blobs, Clock, Error, Mailer, MemoryBlobs, Random, Result, Settings, SystemClock, SystemRandom,
    core::{Core, Homeserver, Locals, Seed},
    schema::SERVER,
};

/// A homeserver to be.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> tertulia::Result<()> {
/// use tertulia::{Homeserver, MemoryBlobs, MemoryEngine, Registration, Settings};
///
/// let mut settings = Settings::default();
/// settings.registration = Registration::Open;
/// let server = Homeserver::builder("example.org")?
///     .settings(settings)
///     .blobs(MemoryBlobs::default())
///     .start(MemoryEngine::default())
///     .await?;
/// # server.shutdown().await;
/// # Ok(()) }
/// ```
pub struct Builder {
    name: OwnedServerName,
    settings: Settings,
    storage: StoreOptions,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    blobs: Arc<dyn Blobs>,
    mailer: Option<Arc<dyn Mailer>>,
}

impl Homeserver {
    /// A homeserver to be, named `name`: the part behind the colon of all its identifiers.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if `name` is no server name.
    pub fn builder(name: &str) -> Result<Builder> {
        let name = ServerName::parse(name).map_err(|_| Error::Invalid("the server name"))?;
        Ok(Builder {
            name: name.to_owned(),
            settings: Settings::default(),
            storage: StoreOptions::default(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            blobs: Arc::new(MemoryBlobs::default()),
            mailer: None,
        })
    }

    /// Starts a homeserver named `name` on `engine`, with everything else as usual.
    ///
    /// # Errors
    ///
    /// Those of [`Homeserver::builder`] and [`Builder::start`].
    pub async fn start(name: &str, engine: impl Engine) -> Result<Self> {
        Self::builder(name)?.start(engine).await
    }

    /// The server's name.
    pub fn name(&self) -> &ServerName {
        &self.core.name
    }

    /// What the server's owner decided.
    pub fn settings(&self) -> &Settings {
        &self.core.settings
    }

    /// Ends when [`Homeserver::shutdown`] was called.
    pub async fn stopping(&self) {
        self.core.stop.cancelled().await;
    }

    /// Answers whoever waits with what there is, as the first step of stopping; all else goes on.
    pub fn stop_waiting(&self) {
        self.core.stop.cancel();
    }

    /// Stops the server: whoever waits is answered, queued commits finish, and no task is left when this
    /// returns. Shutting down again does nothing.
    ///
    /// Handles that are left can still read; what they would write is refused. The store can be opened
    /// again once they are dropped.
    pub async fn shutdown(&self) {
        self.core.stop.cancel();
        self.core.tasks.close();
        self.core.tasks.wait().await;
        self.core.store.shutdown().await;
    }
}

impl Builder {
    /// Decides differently from the defaults.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// How the store keeps its promises.
    #[must_use]
    pub fn storage(mut self, storage: StoreOptions) -> Self {
        self.storage = storage;
        self
    }

    /// Uses another time than the machine's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Uses another chance than the operating system's.
    #[must_use]
    pub fn random(mut self, random: impl Random) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// Keeps uploaded files here; otherwise they are in memory, and gone with the process. No two
    /// stores may share a place: each deletes what it knows nothing of
    /// ([`Homeserver::mend_media`]).
    #[must_use]
    pub fn blobs(mut self, blobs: impl Blobs) -> Self {
        self.blobs = Arc::new(blobs);
        self
    }

    /// Delivers mail in this way; otherwise the server sends none, and nobody can prove an address.
    #[must_use]
    pub fn mailer(mut self, mailer: impl Mailer) -> Self {
        self.mailer = Some(Arc::new(mailer));
        self
    }

    /// Starts the server on `engine`, which is empty or was this server's before.
    ///
    /// # Errors
    ///
    /// [`Error::OtherServer`] if the store belongs to another name, [`Error::Storage`] if it
    /// cannot be opened, [`Error::MailTemplates`] if a template of mail is wrong.
    pub async fn start(self, engine: impl Engine) -> Result<Homeserver> {
        let store = Store::open(engine, self.storage).await?;
        let (signer, seed) = load_signer(&store, &self.name, &*self.random).await?;
        let core = Core {
            name: self.name,
            settings: self.settings,
            store,
            signer: Arc::new(signer),
            began: (self.clock.now(), self.clock.elapsed()),
            clock: self.clock,
            random: self.random,
            blobs: self.blobs,
            mailer: self.mailer,
            seed,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            locals: Locals::default(),
        };
        let server = Homeserver { core: Arc::new(core) };
        server.load_mail_templates()?;
        server.core.recall_erased().await?;
        server.core.recall_statuses().await?;
        server.follow_log();
        Ok(server)
    }
}

/// What the server's first signing key is called, behind `ed25519:`.
const KEY_VERSION: &str = "1";

/// The server's name and signing key; both are written down at the first start.
async fn load_signer(
    store: &Store,
    name: &ServerName,
    random: &dyn Random,
) -> Result<(Signer, Seed)> {
    let mut seed = [0; 32];
    random.fill(&mut seed);
    let fresh = FirstStart { name: name.to_owned(), key: Bytes::copy_from_slice(&seed) };
    let (owner, key) = store.write(fresh).await?.out;
    if owner != name.as_bytes() {
        return Err(Error::OtherServer(String::from_utf8_lossy(&owner).into_owned()));
    }
    let seed = <[u8; 32]>::try_from(&*key).map_err(|_| Error::Invalid("the stored signing key"))?;
    let signer = Signer::from_seed(name.to_owned(), &seed, KEY_VERSION)
        .map_err(|_| Error::Invalid("the stored signing key"))?;
    Ok((signer, Seed::new(seed)))
}

/// Makes the store this server's, unless it is somebody's already; tells whose it is.
struct FirstStart {
    name: OwnedServerName,
    key: Bytes,
}

impl Command for FirstStart {
    type Out = (Bytes, Bytes);
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("server", "")
    }

    async fn run(&self, tx: &mut Tx) -> Result<(Bytes, Bytes)> {
        let (name_key, key_key) = (("name".to_owned(),), ("key".to_owned(),));
        if let Some(owner) = tx.get_guarded(&SERVER, &name_key).await? {
            let key = tx.get(&SERVER, &key_key).await?;
            return Ok((owner, key.ok_or(Error::Invalid("a store without a signing key"))?));
        }
        let name = Bytes::copy_from_slice(self.name.as_bytes());
        tx.put(&SERVER, &name_key, &name);
        tx.put(&SERVER, &key_key, &self.key);
        Ok((name, self.key.clone()))
    }
}

#[cfg(test)]
mod tests;
