//! Followers: what goes on behind the log, each at its own pace, with a cursor that says how far it came.

use std::{ops::Bound, sync::Arc};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::{
    Command, Direction, Durability, Error, Partition, Position, Result, Store, Table, Topic, Tx,
    Value, View,
    format::{FOLLOWER, META},
    table::corrupt,
};

/// Something that goes through the log, entry by entry, and never misses one: push, search, federation.
///
/// Each page of entries is first handled, which may go outside, and then written about. The cursor moves in the same
/// commit as those writes, so that rows come to be exactly once, and what leaves the server at most once more for
/// each crash. These commits are not synced themselves: a crash repeats them.
pub trait Follower: Send + Sync + 'static {
    /// Names the cursor. Never give a name to another follower.
    const NAME: &'static str;
    /// The log that it follows: entries by shard and position.
    const LOG: Table<(u16, Position), Self::Entry>;
    /// The shard of the log that it follows. An embedded store has one.
    const SHARD: u16 = 0;
    /// The most entries of a page; choose it so that one commit bears what is written about them.
    const PAGE: usize = 100;
    /// Where it begins when it is first run.
    const START: Start = Start::Beginning;

    /// An entry of the log.
    type Entry: Value + Send + Sync + 'static;
    /// What handling a page found out, for writing.
    type Work: Send + Sync + 'static;
    /// What ends it.
    type Error: From<Error> + Send + 'static;

    /// Deals with a page of entries, outside of any transaction. `view` shows the store as it is settled now. The
    /// page is empty when there is nothing but the place to begin at to be noted.
    fn handle(
        &self,
        view: &View,
        page: Vec<(Position, Self::Entry)>,
    ) -> impl Future<Output = Result<Self::Work, Self::Error>> + Send;

    /// Writes what came of the page, together with the cursor.
    fn write(
        &self,
        tx: &mut Tx,
        work: &Self::Work,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = (tx, work);
        async { Ok(()) }
    }
}

/// Where a follower begins that has no cursor yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first entry of the log.
    Beginning,
    /// With the first entry after it was first run.
    Now,
}

impl View {
    /// How far the follower of this name came; `None` if it never ran.
    pub async fn cursor(&self, name: &str) -> Result<Option<Position>> {
        let key = cursor_key(name);
        let Some(stored) = self.get(&META, &key).await? else {
            return Ok(None);
        };
        let number = <[u8; 8]>::try_from(&*stored);
        let number = number
            .map_err(|_| corrupt(META.name(), &META.row(&key), "the cursor is not a position"))?;
        Ok(Some(Position::new(u64::from_be_bytes(number))))
    }
}

fn cursor_key(name: &str) -> (String, String) {
    (FOLLOWER.to_owned(), name.to_owned())
}

impl Store {
    /// Runs a follower until `stop` is cancelled or it fails. Whatever is being handled is finished first.
    pub async fn follow<F: Follower>(
        &self,
        follower: F,
        stop: CancellationToken,
    ) -> Result<(), F::Error> {
        let follower = Arc::new(follower);
        let mut watch = self.watch([Topic::LOG]);
        while !stop.is_cancelled() {
            if !self.follow_page(&follower).await? {
                tokio::select! {
                    () = watch.changed() => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        Ok(())
    }

    /// Takes a follower one page further; false if there was nothing to do.
    pub async fn follow_page<F: Follower>(&self, follower: &Arc<F>) -> Result<bool, F::Error> {
        let view = self.view().await?;
        let stored = view.cursor(F::NAME).await?;
        let from = match (stored, F::START) {
            (Some(cursor), _) => cursor,
            (None, Start::Beginning) => Position::ZERO,
            (None, Start::Now) => view.settled(),
        };
        let (after, settled) = ((F::SHARD, from), (F::SHARD, view.settled()));
        let (start, end) = (Bound::Excluded(&after), Bound::Included(&settled));
        let page = view.range(&F::LOG, start, end, Direction::Forward, F::PAGE).await?;
        // A log may have fewer rows than positions: behind the last of them nothing is missed.
        let to = match page.last() {
            Some(((_, last), _)) if page.len() >= F::PAGE => *last,
            _ => view.settled(),
        };
        if stored == Some(to) {
            return Ok(false);
        }
        let found_any = !page.is_empty();
        let page = page.into_iter().map(|((_, position), entry)| (position, entry)).collect();
        let work = follower.handle(&view, page).await?;
        self.write(Advance { follower: follower.clone(), work, stored, to }).await?;
        Ok(found_any)
    }
}

/// Writes what came of a page and moves the cursor.
struct Advance<F: Follower> {
    follower: Arc<F>,
    work: F::Work,
    stored: Option<Position>,
    to: Position,
}

impl<F: Follower> Command for Advance<F> {
    type Out = ();
    type Error = F::Error;

    fn partition(&self) -> Partition {
        Partition::of("follower", F::NAME)
    }

    fn durability(&self) -> Durability {
        Durability::Relaxed
    }

    async fn run(&self, tx: &mut Tx) -> Result<(), F::Error> {
        // Two that run under one name would both write about the same entries.
        tx.guard(&META, &cursor_key(F::NAME));
        if tx.cursor(F::NAME).await? != self.stored {
            return Err(Error::Conflict.into());
        }
        self.follower.write(tx, &self.work).await?;
        let cursor = Bytes::copy_from_slice(&self.to.get().to_be_bytes());
        tx.put(&META, &cursor_key(F::NAME), &cursor);
        Ok(())
    }
}
