//! Lanes: the commands of one partition, one after the other, many to a commit.
//!
//! A lane runs what has gathered on one transaction, each command seeing the writes of those before it. The writes of
//! a command that fails are taken back; the others are committed together. So sixty senders in one room pay for one
//! sync, and none is retried. A lane that has nothing to do does not exist.

use std::{
    any::Any,
    collections::{HashMap, VecDeque, hash_map::Entry},
    panic::AssertUnwindSafe,
    sync::Arc,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    Command, Committed, Durability, Engine, Error, Receipt, Result, Tx, chunks::LargeTables,
    topics::hash,
};

/// How often a batch is run before its commands are told that they conflict.
const ATTEMPTS: usize = 8;
/// How many commands may wait in one lane.
const WAITING: usize = 10_000;

/// What a command changes rows of: a room, a user, a destination. Commands of one partition run one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Partition(u64);

impl Partition {
    /// The partition of one thing of a kind: `Partition::of("room", room_id.as_str())`.
    pub fn of(kind: &str, id: &str) -> Self {
        Self(hash(kind, id))
    }
}

/// All lanes that have something to do.
#[derive(Default)]
pub(crate) struct Lanes {
    waiting: Mutex<HashMap<Partition, VecDeque<Box<dyn Job>>>>,
}

/// What lanes work with.
pub(crate) struct Floor {
    pub engine: Arc<dyn Engine>,
    pub large: Arc<LargeTables>,
    pub lanes: Lanes,
    pub durability: Durability,
}

impl Lanes {
    /// Queues a job; true if its lane has to be started.
    fn add(&self, partition: Partition, job: Box<dyn Job>) -> bool {
        match self.waiting.lock().entry(partition) {
            Entry::Vacant(lane) => {
                lane.insert(VecDeque::from([job]));
                true
            }
            Entry::Occupied(mut lane) if lane.get().len() < WAITING => {
                lane.get_mut().push_back(job);
                false
            }
            Entry::Occupied(_) => {
                job.finish(Err(Error::Busy));
                false
            }
        }
    }

    /// Moves what has gathered to `jobs`; false, and the lane is gone, if there is nothing left to do.
    fn gather(&self, partition: Partition, jobs: &mut VecDeque<Box<dyn Job>>) -> bool {
        let mut waiting = self.waiting.lock();
        if let Some(lane) = waiting.get_mut(&partition) {
            jobs.append(lane);
        }
        if jobs.is_empty() {
            waiting.remove(&partition);
        }
        !jobs.is_empty()
    }
}

/// Queues a command and says what came of it. It runs to its end also if the future is dropped meanwhile.
pub(crate) async fn run<C: Command>(
    floor: &Arc<Floor>,
    command: C,
    running: TaskTrackerToken,
) -> Result<Committed<C::Out>, C::Error> {
    let (reply, outcome) = oneshot::channel();
    let partition = command.partition();
    let job = Run { command, outcome: None, reply, _running: running };
    if floor.lanes.add(partition, Box::new(job)) {
        tokio::spawn(Lane { floor: floor.clone(), partition, ended: false }.work());
    }
    outcome.await.unwrap_or_else(|_| Err(Error::Closed.into()))
}

/// A running lane.
struct Lane {
    floor: Arc<Floor>,
    partition: Partition,
    /// Whether it is gone from the map; the one there now is another.
    ended: bool,
}

/// If the runtime goes away, those who wait are told, and the next command may start the lane anew.
impl Drop for Lane {
    fn drop(&mut self) {
        if !self.ended {
            let jobs = self.floor.lanes.waiting.lock().remove(&self.partition);
            drop(jobs);
        }
    }
}

impl Lane {
    async fn work(mut self) {
        let mut jobs = VecDeque::new();
        while self.floor.lanes.gather(self.partition, &mut jobs) {
            let (done, receipt) = self.commit(&mut jobs).await;
            for job in jobs.drain(..done) {
                job.finish(receipt.clone());
            }
        }
        self.ended = true;
    }

    /// Commits as many of the jobs as one commit bears, and says how many.
    async fn commit(&self, jobs: &mut VecDeque<Box<dyn Job>>) -> (usize, Result<Receipt>) {
        let mut done = 1;
        for _ in 0..ATTEMPTS {
            let snapshot = match self.floor.engine.begin().await {
                Ok(snapshot) => snapshot,
                Err(error) => return (done, Err(error)),
            };
            let mut tx = Tx::new(snapshot, self.floor.large.clone());
            let durability;
            (done, durability) = run_batch(jobs, &mut tx).await;
            match self.settle(tx, durability).await {
                Err(Error::Conflict) => {}
                result => return (done, result),
            }
        }
        (done, Err(Error::Conflict))
    }

    async fn settle(&self, tx: Tx, durability: Durability) -> Result<Receipt> {
        if tx.is_idle() {
            let first = tx.settled().next();
            self.floor.engine.bell().ring(&tx.own.topics);
            return Ok(Receipt { first });
        }
        // A position must not be told before it is on the disk, whoever took it.
        let wanted = if tx.own.positions > 0 { Durability::Synced } else { durability };
        self.floor.engine.commit(tx.into_commit(wanted.min(self.floor.durability))).await
    }
}

/// Runs jobs until all have run or one does not fit in with those before it. Says how many ran, and the strongest
/// durability that one of them asks for.
async fn run_batch(jobs: &mut VecDeque<Box<dyn Job>>, tx: &mut Tx) -> (usize, Durability) {
    let mut durability = Durability::Relaxed;
    for (n, job) in jobs.iter_mut().enumerate() {
        tx.mark();
        let kept = job.run(tx).await;
        if !kept {
            tx.undo();
        } else if let Err(error) = tx.fits() {
            tx.undo();
            if n > 0 {
                return (n, durability);
            }
            job.refuse(error);
        } else {
            durability = durability.max(job.durability());
        }
    }
    (jobs.len(), durability)
}

/// A command in its lane, whatever its type.
trait Job: Send {
    /// Runs the command, perhaps again; true if its writes are to be kept.
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, bool>;
    /// The command's outcome is this error after all.
    fn refuse(&mut self, error: Error);
    fn durability(&self) -> Durability;
    /// Tells whoever waits: what the command returned if the commit succeeded, or else why it did not.
    fn finish(self: Box<Self>, receipt: Result<Receipt>);
}

struct Run<C: Command> {
    command: C,
    outcome: Option<Result<C::Out, C::Error>>,
    reply: oneshot::Sender<Result<Committed<C::Out>, C::Error>>,
    /// Keeps the store from shutting down before the command is done, whoever still waits for it.
    _running: TaskTrackerToken,
}

impl<C: Command> Job for Run<C> {
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, bool> {
        Box::pin(async {
            let ran = AssertUnwindSafe(async {
                let out = self.command.run(tx).await?;
                tx.check().await?;
                Ok(out)
            });
            let outcome =
                ran.catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&*panic).into()));
            let kept = outcome.is_ok();
            self.outcome = Some(outcome);
            kept
        })
    }

    fn refuse(&mut self, error: Error) {
        self.outcome = Some(Err(error.into()));
    }

    fn durability(&self) -> Durability {
        self.command.durability()
    }

    fn finish(self: Box<Self>, receipt: Result<Receipt>) {
        let result = match (receipt, self.outcome) {
            (Ok(receipt), Some(outcome)) => outcome.map(|out| Committed::new(out, receipt)),
            (Ok(_), None) => Err(Error::Closed.into()),
            (Err(error), _) => Err(error.into()),
        };
        // Whoever asked may have gone.
        let _ = self.reply.send(result);
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let words = panic.downcast_ref::<String>().cloned();
    let words = words.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    Error::Panicked(words.unwrap_or_else(|| "without words".into()))
}
