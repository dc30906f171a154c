use std::sync::Arc;

use tokio_util::task::TaskTracker;

use crate::{
    Durability, Engine, Error, Partition, Position, Receipt, Result, StoreOptions, Topic, Tx, View,
    Watch,
    chunks::LargeTables,
    format,
    lane::{self, Floor, Lanes},
};

/// One write to the store, as a value: what it reads, decides and puts down.
///
/// `run` may be called more than once, so it does nothing but read and write through `tx`: no network, no clock, no
/// chance. What has to be random or timed is a field of the command.
pub trait Command: Send + Sync + 'static {
    /// What it returns once it is committed.
    type Out: Send + 'static;
    /// Why it may refuse.
    type Error: From<Error> + Send + 'static;

    /// Whose rows it changes; commands of one partition run one after the other.
    fn partition(&self) -> Partition;

    /// What must have reached the disk before the command counts as done. A command that takes positions is always
    /// synced.
    fn durability(&self) -> Durability {
        Durability::Synced
    }

    /// Reads, decides and writes. If it returns an error, nothing of it is written.
    fn run(&self, tx: &mut Tx) -> impl Future<Output = Result<Self::Out, Self::Error>> + Send;
}

/// What a command returned, and which positions it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the command returned; positions in it may be promises.
    pub out: T,
    receipt: Receipt,
}

impl<T> Committed<T> {
    pub(crate) fn new(out: T, receipt: Receipt) -> Self {
        Self { out, receipt }
    }

    /// The position that the command knew as `position`.
    pub fn at(&self, position: Position) -> Position {
        position.resolved(self.receipt.first)
    }
}

/// The way into storage. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    floor: Arc<Floor>,
    writes: TaskTracker,
}

impl Store {
    /// Opens what the engine holds: an empty store is begun, an older one is upgraded, and a newer or damaged one is
    /// refused and left as it is.
    pub async fn open(engine: impl Engine, options: StoreOptions) -> Result<Self> {
        let floor = Floor {
            engine: Arc::new(engine),
            large: Arc::new(LargeTables::default()),
            lanes: Lanes::default(),
            durability: options.durability,
        };
        let store = Self { floor: Arc::new(floor), writes: TaskTracker::new() };
        format::open(&store, &options).await?;
        format::load_large(&store.view().await?, &store.floor.large).await?;
        Ok(store)
    }

    /// The newest settled state, to read from.
    pub async fn view(&self) -> Result<View> {
        Ok(View::new(self.floor.engine.begin().await?))
    }

    /// Runs a command in its lane and returns when it is committed.
    ///
    /// If the caller stops waiting, the command still takes place as a whole, or not at all.
    pub async fn write<C: Command>(&self, command: C) -> Result<Committed<C::Out>, C::Error> {
        if self.writes.is_closed() {
            return Err(Error::Closed.into());
        }
        lane::run(&self.floor, command, self.writes.token()).await
    }

    /// The newest position that anyone may be told of.
    pub fn settled(&self) -> Position {
        self.floor.engine.bell().settled()
    }

    /// Watches topics from now on: subscribe, read, and only then wait.
    pub fn watch(&self, topics: impl IntoIterator<Item = Topic>) -> Watch {
        self.floor.engine.bell().watch(topics)
    }

    /// Wakes those who watch a topic of what is not stored: typing, presence.
    pub fn wake(&self, topic: Topic) {
        self.floor.engine.bell().ring(&[topic]);
    }

    /// Refuses new commands, lets those that were queued finish, and brings everything to the disk.
    pub async fn shutdown(&self) {
        self.writes.close();
        self.writes.wait().await;
        if let Err(error) = self.floor.engine.close().await {
            tracing::error!(%error, "the last writes may not have reached the disk");
        }
    }
}
