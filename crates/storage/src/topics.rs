//! Waking those who wait for something to change.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Position;

/// Something that can be waited for: a room, a user's queue.
///
/// It is only a hash, so that a wake-up may come early, doubled or for another topic; it carries no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(u64);

impl Topic {
    /// Every new log entry.
    pub const LOG: Self = Self(0);

    /// The topic of one thing of a kind: `Topic::of("room", room_id.as_str())`.
    pub fn of(kind: &str, id: &str) -> Self {
        Self(hash(kind, id))
    }
}

/// FNV-1a over both with a byte between that text never holds: the same on every node and in every version.
pub(crate) fn hash(kind: &str, id: &str) -> u64 {
    let bytes = kind.bytes().chain([0xFF]).chain(id.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Knows how far the log is settled, and who waits for what.
#[derive(Debug, Default)]
pub struct Bell {
    settled: AtomicU64,
    waiting: Mutex<HashMap<Topic, Vec<Arc<Notify>>>>,
}

impl Bell {
    /// The newest position that anyone may be told of.
    pub fn settled(&self) -> Position {
        Position::new(self.settled.load(Ordering::Acquire))
    }

    /// The log is settled up to here; never goes back.
    pub fn settle(&self, position: Position) {
        if self.advance(position) {
            self.ring(&[Topic::LOG]);
        }
    }

    /// Settles without waking anyone; true if those who watch [`Topic::LOG`] are to be woken.
    pub(crate) fn advance(&self, position: Position) -> bool {
        self.settled.fetch_max(position.get(), Ordering::AcqRel) < position.get()
    }

    /// Wakes everyone who watches one of the topics.
    pub fn ring(&self, topics: &[Topic]) {
        if topics.is_empty() {
            return;
        }
        let waiting = self.waiting.lock();
        for waiter in topics.iter().filter_map(|topic| waiting.get(topic)).flatten() {
            waiter.notify_one();
        }
    }

    /// Watches topics from now on.
    pub fn watch(self: &Arc<Self>, topics: impl IntoIterator<Item = Topic>) -> Watch {
        let mut watch = Watch { bell: self.clone(), waiter: Arc::default(), topics: Vec::new() };
        watch.set(topics);
        watch
    }
}

/// Waits for topics. Subscribe, read, and only then wait: what changed meanwhile ends the wait at once.
#[derive(Debug)]
pub struct Watch {
    bell: Arc<Bell>,
    waiter: Arc<Notify>,
    topics: Vec<Topic>,
}

impl Watch {
    /// Returns when one of the topics was rung since the last call, or since the watch began.
    pub async fn changed(&mut self) {
        self.waiter.notified().await;
    }

    /// Watches these topics from now on and no others.
    pub fn set(&mut self, topics: impl IntoIterator<Item = Topic>) {
        let mut topics: Vec<_> = topics.into_iter().collect();
        topics.sort_unstable();
        topics.dedup();
        let mut waiting = self.bell.waiting.lock();
        for topic in self.topics.iter().filter(|topic| topics.binary_search(topic).is_err()) {
            leave(&mut waiting, topic, &self.waiter);
        }
        for topic in topics.iter().filter(|topic| self.topics.binary_search(topic).is_err()) {
            waiting.entry(*topic).or_default().push(self.waiter.clone());
        }
        self.topics = topics;
    }
}

fn leave(waiting: &mut HashMap<Topic, Vec<Arc<Notify>>>, topic: &Topic, waiter: &Arc<Notify>) {
    let Some(waiters) = waiting.get_mut(topic) else {
        return;
    };
    waiters.retain(|other| !Arc::ptr_eq(other, waiter));
    if waiters.is_empty() {
        waiting.remove(topic);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut waiting = self.bell.waiting.lock();
        for topic in &self.topics {
            leave(&mut waiting, topic, &self.waiter);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn topics_are_the_same_on_every_node() {
        assert_eq!(Topic::of("room", "!r:x"), Topic(0x585d_ec31_5bde_52fa));
        assert_ne!(Topic::of("room", "a"), Topic::of("user", "a"));
        assert_ne!(Topic::of("a", "bc"), Topic::of("ab", "c"));
    }

    #[test]
    fn what_rang_before_the_wait_ends_it() {
        let bell = Arc::new(Bell::default());
        let topic = Topic::of("room", "a");
        let mut watch = bell.watch([topic]);
        bell.ring(&[topic]);
        bell.ring(&[topic]);
        assert!(watch.changed().now_or_never().is_some());
        assert!(watch.changed().now_or_never().is_none(), "several rings are one");
    }

    #[test]
    fn a_watch_that_is_gone_leaves_nothing_behind() {
        let bell = Arc::new(Bell::default());
        let topics = ["a", "b", "c"].map(|id| Topic::of("room", id));
        let mut watch = bell.watch(topics);
        let other = bell.watch([topics[0], topics[0]]);
        watch.set([topics[1]]);
        assert_eq!(bell.waiting.lock().len(), 2);
        drop((watch, other));
        assert!(bell.waiting.lock().is_empty());
    }

    #[test]
    fn the_log_is_rung_when_it_grows_and_never_shrinks() {
        let bell = Arc::new(Bell::default());
        let mut watch = bell.watch([Topic::LOG]);
        bell.settle(Position::new(5));
        assert!(watch.changed().now_or_never().is_some());
        bell.settle(Position::new(5));
        bell.settle(Position::new(3));
        assert!(watch.changed().now_or_never().is_none());
        assert_eq!(bell.settled(), Position::new(5));
    }
}
