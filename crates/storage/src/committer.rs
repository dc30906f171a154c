//! The one thread that writes: it merges what all lanes want committed and syncs once for all of them.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    Batch, Commit, Durability, Error, Local, Place, Position, Reach, Receipt, Result, Rows, Topic,
    Write,
    chunks::seal,
    codec::resolve,
    format::{self, META},
    local::{Settled, Shared},
    table::corrupt,
};

/// So many bytes of commits are merged into one write; what is left waits for the next.
const MERGED_BYTES: usize = 8_000_000;
/// So many written rows are remembered for guards; a snapshot older than all of them conflicts.
const REMEMBERED_ROWS: usize = 1 << 14;

/// How many commits in one write make a crowd: more are expected soon.
const CROWD: usize = 3;
/// How long the first commit of a crowd waits for the others, so that all share one sync.
const CROWD_WAITS: Duration = Duration::from_micros(150);

/// What the committer is told.
pub(crate) enum Order {
    Commit(Commit, oneshot::Sender<Result<Receipt>>),
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

/// Which rows were written by which version, as far back as it is remembered.
#[derive(Default)]
struct Written {
    hasher: RandomState,
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
    fn note(&mut self, row: &[u8], version: u64) {
        let hash = self.hasher.hash_one(row);
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

    fn changed_since(&self, row: &[u8], version: u64) -> bool {
        version < self.forgotten
            || self
                .versions
                .get(&self.hasher.hash_one(row))
                .is_some_and(|written| *written > version)
    }
}

/// The thread's own state.
struct Desk<L> {
    local: L,
    shared: Arc<Shared>,
    position: Position,
    version: u64,
    written: Written,
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
    replies: Vec<(oneshot::Sender<Result<Receipt>>, Receipt)>,
    /// Those who are refused. They are told when what they lost against can be read: one who tries
    /// again at once would otherwise see the same rows, and lose once more.
    refused: Vec<(oneshot::Sender<Result<Receipt>>, Error)>,
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

    fn merge(
        &mut self,
        commit: Commit,
        reply: oneshot::Sender<Result<Receipt>>,
        merged: &mut Merged,
    ) {
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
            self.written.note(&row, self.version);
            merged.bytes += row.len() + value.as_ref().map_or(0, bytes::Bytes::len);
            merged.batch.push((row, value));
        }
        merged.replies.push((reply, Receipt { first }));
    }

    fn conflict(&self, commit: &Commit) -> Option<Error> {
        let changed = |row: &Vec<u8>| self.written.changed_since(row, commit.version);
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
                self.shared.publish(Settled {
                    rows: self.local.snapshot(),
                    position,
                    version: self.version,
                });
                for (reply, receipt) in merged.replies {
                    let _ = reply.send(Ok(receipt));
                }
                merged.topics.sort_unstable();
                merged.topics.dedup();
                self.shared.bell.ring(&merged.topics);
            }
            Err(error) => self.break_off(&error, merged.replies),
        }
    }

    /// After a failed write nobody knows what is on the disk, so nothing is acknowledged or written any more.
    fn break_off(
        &mut self,
        error: &Error,
        replies: Vec<(oneshot::Sender<Result<Receipt>>, Receipt)>,
    ) {
        let reason = format!("a write failed: {error}");
        tracing::error!(%reason, "the store is read-only until it is restarted");
        for (reply, _) in replies {
            let _ = reply.send(Err(Error::ReadOnly { reason: reason.clone() }));
        }
        self.broken = Some(reason);
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
    use super::{CROWD, Merged, REMEMBERED_ROWS, Written};
    use crate::{Position, Receipt};

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
        written.note(b"row", 3);
        written.note(b"row", 5);
        written.note(b"other", 6);
        assert!(written.changed_since(b"row", 2) && written.changed_since(b"row", 4));
        assert!(!written.changed_since(b"row", 5) && !written.changed_since(b"never", 0));
    }

    #[test]
    fn a_snapshot_older_than_memory_counts_as_overtaken() {
        let mut written = Written::default();
        written.note(b"row", 1);
        for n in 0..REMEMBERED_ROWS as u64 {
            written.note(&n.to_be_bytes(), n + 2);
        }
        assert!(written.changed_since(b"never", 0), "nobody knows any more");
        assert!(!written.changed_since(b"row", 1));
        assert_eq!(written.versions.len(), REMEMBERED_ROWS);
    }
}
