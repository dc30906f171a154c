//! The one thread that writes: it merges what all lanes want committed and syncs once for all of them.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{runtime::Handle, sync::oneshot};

use crate::{
    Batch, Bell, Commit, Durability, Error, Local, Place, Position, Reach, Receipt, Result, Rows,
    Topic, Write,
    chunks::seal,
    codec::resolve,
    format::{self, META},
    local::Shared,
    table::corrupt,
};

/// So many bytes of commits are merged into one write; what is left waits for the next.
const MERGED_BYTES: usize = 8_000_000;
/// So many written rows are remembered for guards; a snapshot older than all of them conflicts.
const REMEMBERED_ROWS: usize = 1 << 14;

/// How many commits in one write make a crowd: more are expected soon.
const CROWD: usize = 3;
/// How long the first commit of a crowd waits for the others, so that all share one sync.
const CROWD_WAITS: Duration = Duration::from_micros(300);

/// Whom to tell what came of a commit.
type Reply = oneshot::Sender<Result<Receipt>>;

/// What the committer is told.
pub(crate) enum Order {
    Commit(Commit, Reply),
    Close(oneshot::Sender<Result<()>>),
}

impl Order {
    pub(crate) fn refuse(self, error: Error) {
        // Whoever asked may have gone.
        match self {
            Self::Commit(_, reply) => drop(reply.send(Err(error))),
            Self::Close(reply) => drop(reply.send(Err(error))),
        }
    }
}

/// The newest position of a store.
pub(crate) fn stored_position(rows: &dyn Rows) -> Result<Position> {
    let row = META.row(&(format::POSITION.to_owned(), String::new()));
    let Some(Some(stored)) = rows.get(&row, Reach::Disk)? else {
        return Ok(Position::ZERO);
    };
    match stored.first_chunk() {
        Some(number) if stored.len() == 9 => Ok(Position::new(u64::from_be_bytes(*number))),
        _ => Err(corrupt(META.name(), &row, "the newest position is not a number")),
    }
}

/// The handle of the thread. Dropping it lets the thread finish what it was told, and waits for that.
pub(crate) struct Committer {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub(crate) fn start(local: impl Local, shared: Arc<Shared>) -> Result<Self> {
        let (sender, orders) = mpsc::channel();
        let current = shared.current();
        let desk = Desk {
            local,
            shared,
            position: current.position,
            version: current.version,
            written: Written::default(),
            runtime: Handle::try_current().ok(),
            crowded: false,
            broken: None,
        };
        let thread = thread::Builder::new()
            .name("committer".into())
            .spawn(move || desk.work(&orders))
            .map_err(Error::engine)?;
        Ok(Self { orders: Some(sender), thread: Some(thread) })
    }

    pub(crate) fn send(&self, order: Order) {
        let orders =
            self.orders.as_ref().expect("the sender is only taken when the committer is dropped");
        if let Err(mpsc::SendError(order)) = orders.send(order) {
            order.refuse(Error::Closed);
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.orders.take());
        // A panic of the thread was reported when it happened; there is no one to tell here.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Which rows, by their hashes, were written by which version, as far back as it is remembered.
#[derive(Default)]
struct Written {
    versions: HashMap<u64, u64, BuildHasherDefault<Hashed>>,
    order: VecDeque<(u64, u64)>,
    /// Versions up to this one are forgotten.
    forgotten: u64,
}

/// The hash of what is a hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Written {
    fn note(&mut self, hash: u64, version: u64) {
        self.versions.insert(hash, version);
        self.order.push_back((version, hash));
        while self.order.len() > REMEMBERED_ROWS {
            let Some((version, hash)) = self.order.pop_front() else {
                break;
            };
            self.forgotten = version;
            if self.versions.get(&hash) == Some(&version) {
                self.versions.remove(&hash);
            }
        }
    }

    fn changed_since(&self, hash: u64, version: u64) -> bool {
        version < self.forgotten
            || self.versions.get(&hash).is_some_and(|written| *written > version)
    }
}

/// The thread's own state.
struct Desk<L> {
    local: L,
    shared: Arc<Shared>,
    position: Position,
    version: u64,
    written: Written,
    /// Where those who wait for commits mostly run.
    runtime: Option<Handle>,
    /// Whether the last write was shared by many, so that the next may be, too.
    crowded: bool,
    /// Why nothing can be written any more.
    broken: Option<String>,
}

/// Commits on their way into one write.
#[derive(Default)]
struct Merged {
    batch: Batch,
    bytes: usize,
    sync: bool,
    positions: u64,
    topics: Vec<Topic>,
    replies: Vec<(Reply, Receipt)>,
    /// Those who are refused. They are told when what they lost against can be read: one who tries
    /// again at once would otherwise see the same rows, and lose once more.
    refused: Vec<(Reply, Error)>,
}

impl Merged {
    /// Whether so many shared a sync that it is worth waiting for as many again.
    fn is_crowd(&self) -> bool {
        self.sync && self.replies.len() >= CROWD
    }
}

impl<L: Local> Desk<L> {
    fn work(mut self, orders: &mpsc::Receiver<Order>) {
        while let Ok(first) = orders.recv() {
            if self.crowded {
                // Waking up for each of them would cost what is saved.
                thread::sleep(CROWD_WAITS);
            }
            let mut merged = Merged::default();
            let mut next = Some(first);
            let mut closing = None;
            while let Some(order) = next {
                match order {
                    Order::Commit(commit, reply) => self.merge(commit, reply, &mut merged),
                    Order::Close(reply) => closing = Some(reply),
                }
                next = if merged.bytes < MERGED_BYTES && closing.is_none() {
                    orders.try_recv().ok()
                } else {
                    None
                };
            }
            self.crowded = merged.is_crowd();
            let refused = std::mem::take(&mut merged.refused);
            self.write(merged);
            for (reply, error) in refused {
                let _ = reply.send(Err(error));
            }
            if let Some(reply) = closing {
                let _ = reply.send(self.local.sync());
                return;
            }
        }
        // Without an orderly end, too, what was relaxed had better be on the disk; a failure loses no promise.
        if self.broken.is_none() {
            let _ = self.local.sync();
        }
    }

    fn merge(&mut self, commit: Commit, reply: Reply, merged: &mut Merged) {
        let refusal = match &self.broken {
            Some(reason) => Some(Error::ReadOnly { reason: reason.clone() }),
            None => self.conflict(&commit),
        };
        if let Some(error) = refusal {
            merged.refused.push((reply, error));
            return;
        }
        self.version += 1;
        let first = Position::new(self.position.get() + merged.positions + 1);
        merged.positions += commit.positions;
        merged.sync |= commit.durability == Durability::Synced;
        merged.topics.extend(commit.topics);
        for write in commit.writes {
            let (row, value) = settle(write, first);
            let hash = self.shared.unchanged.hash(&row);
            self.shared.unchanged.write(hash, self.version);
            self.written.note(hash, self.version);
            merged.bytes += row.len() + value.as_ref().map_or(0, bytes::Bytes::len);
            merged.batch.push((row, value));
        }
        merged.replies.push((reply, Receipt { first }));
    }

    fn conflict(&self, commit: &Commit) -> Option<Error> {
        let hash = |row: &Vec<u8>| self.shared.unchanged.hash(row);
        let changed = |row| self.written.changed_since(hash(row), commit.version);
        commit.guards.iter().any(changed).then_some(Error::Conflict)
    }

    fn write(&mut self, mut merged: Merged) {
        if merged.replies.is_empty() {
            return;
        }
        let position = Position::new(self.position.get() + merged.positions);
        if position > self.position {
            let row = META.row(&(format::POSITION.to_owned(), String::new()));
            merged.batch.push((row, Some(seal(position.get().to_be_bytes().to_vec()))));
        }
        match self.local.write(merged.batch, merged.sync) {
            Ok(()) => {
                self.position = position;
                let rows = self.local.snapshot();
                if self.shared.publish(rows, position, self.version) {
                    merged.topics.push(Topic::LOG);
                }
                let bell = self.shared.bell.clone();
                News { replies: merged.replies, topics: merged.topics, bell }
                    .spread(self.runtime.as_ref());
            }
            Err(error) => self.break_off(&error, merged.replies),
        }
    }

    /// After a failed write nobody knows what is on the disk, so nothing is acknowledged or written any more.
    fn break_off(&mut self, error: &Error, replies: Vec<(Reply, Receipt)>) {
        let reason = format!("a write failed: {error}");
        tracing::error!(%reason, "the store is read-only until it is restarted");
        for (reply, _) in replies {
            let _ = reply.send(Err(Error::ReadOnly { reason: reason.clone() }));
        }
        self.broken = Some(reason);
    }
}

/// What came of a write, for all who wait for it. Dropping it tells them: so they are told whatever becomes of the
/// task that was to do it.
struct News {
    replies: Vec<(Reply, Receipt)>,
    topics: Vec<Topic>,
    bell: Arc<Bell>,
}

impl News {
    /// Tells them, when there are many from within the runtime: to wake its threads from here costs a system call and
    /// a change of threads for each, from there next to nothing.
    fn spread(self, runtime: Option<&Handle>) {
        match runtime {
            Some(runtime) if self.replies.len() > 1 => drop(runtime.spawn(async { drop(self) })),
            _ => drop(self),
        }
    }
}

impl Drop for News {
    fn drop(&mut self) {
        for (reply, receipt) in self.replies.drain(..) {
            let _ = reply.send(Ok(receipt));
        }
        self.topics.sort_unstable();
        self.topics.dedup();
        self.bell.ring(&self.topics);
    }
}

/// Puts the positions into a write.
fn settle(write: Write, first: Position) -> (Vec<u8>, Option<bytes::Bytes>) {
    let Write { mut row, row_places, value, value_places } = write;
    resolve(&mut row, &row_places, first);
    (
        row,
        value.map(|value| {
            if value_places.is_empty() { value } else { settle_value(value, &value_places, first) }
        }),
    )
}

fn settle_value(value: bytes::Bytes, places: &[Place], first: Position) -> bytes::Bytes {
    let mut value = Vec::from(value);
    resolve(&mut value, places, first);
    value.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;
    use tokio::{runtime::Handle, sync::oneshot};

    use super::{CROWD, Merged, News, REMEMBERED_ROWS, Reply, Written};
    use crate::{Bell, Position, Receipt, Result, Topic};

    type Told = oneshot::Receiver<Result<Receipt>>;

    /// Some who wait for one write, and what each of them waits at.
    fn waiting(number: u64) -> (Vec<(Reply, Receipt)>, Vec<Told>) {
        let pair = |n| {
            let (reply, told) = oneshot::channel();
            ((reply, Receipt { first: Position::new(n) }), told)
        };
        (1..=number).map(pair).unzip()
    }

    async fn hears_of_its_own(told: Vec<Told>) {
        for (n, told) in (1..).zip(told) {
            assert_eq!(told.await.unwrap().unwrap().first, Position::new(n));
        }
    }

    #[tokio::test]
    async fn each_of_many_is_told_of_its_own_commit_and_watchers_are_woken() {
        for number in [1, CROWD as u64] {
            let (bell, topic) = (Arc::<Bell>::default(), Topic::of("room", "a"));
            let mut watch = bell.watch([topic]);
            let (replies, told) = waiting(number);
            News { replies, topics: vec![topic], bell }.spread(Some(&Handle::current()));
            hears_of_its_own(told).await;
            watch.changed().await;
        }
    }

    #[tokio::test]
    async fn a_runtime_that_is_gone_keeps_nobody_waiting() {
        let gone = tokio::task::spawn_blocking(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.handle().clone()
        });
        let (replies, told) = waiting(CROWD as u64);
        let bell = Arc::<Bell>::default();
        News { replies, topics: Vec::new(), bell }.spread(Some(&gone.await.unwrap()));
        hears_of_its_own(told).now_or_never().expect("everyone has been told");
    }

    #[tokio::test]
    async fn without_a_runtime_all_are_told_at_once() {
        let (replies, told) = waiting(CROWD as u64);
        News { replies, topics: Vec::new(), bell: Arc::default() }.spread(None);
        hears_of_its_own(told).now_or_never().expect("everyone has been told");
    }

    fn merged(commits: usize, sync: bool) -> Merged {
        let reply = |_| (tokio::sync::oneshot::channel().0, Receipt { first: Position::ZERO });
        Merged { sync, replies: (0..commits).map(reply).collect(), ..Merged::default() }
    }

    #[test]
    fn only_many_who_need_the_disk_wait_for_each_other() {
        assert!(merged(CROWD, true).is_crowd());
        assert!(!merged(CROWD - 1, true).is_crowd(), "one who is alone is not kept waiting");
        assert!(!merged(CROWD, false).is_crowd());
    }

    #[test]
    fn a_row_changed_if_it_was_written_after_the_snapshot() {
        let mut written = Written::default();
        let (row, other, never) = (1, 2, 3);
        written.note(row, 3);
        written.note(row, 5);
        written.note(other, 6);
        assert!(written.changed_since(row, 2) && written.changed_since(row, 4));
        assert!(!written.changed_since(row, 5) && !written.changed_since(never, 0));
    }

    #[test]
    fn a_snapshot_older_than_memory_counts_as_overtaken() {
        let mut written = Written::default();
        let (row, never) = (u64::MAX, u64::MAX - 1);
        written.note(row, 1);
        for n in 0..REMEMBERED_ROWS as u64 {
            written.note(n, n + 2);
        }
        assert!(written.changed_since(never, 0), "nobody knows any more");
        assert!(!written.changed_since(row, 1));
        assert_eq!(written.versions.len(), REMEMBERED_ROWS);
    }
}
