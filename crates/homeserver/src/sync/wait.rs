//! The only place that waits for something to tell.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use ruma::{OwnedDeviceId, OwnedRoomId, OwnedUserId};
use tertulia_storage::{View, Watch, reading_in_place};
use tokio::sync::{OnceCell, Semaphore};

use super::{
    SyncToken, Update, collect,
    joined::Joined,
    news::is_near,
    reading::{Query, Reading},
};
use crate::{
    Homeserver, Result,
    core::Core,
    devices::Session,
    log::{room_topic, user_topic},
    presence, typing,
};

/// How many seats are kept for clients who will be back.
const SEATS: usize = 1_000;

/// What is new for the session since `since`. If that is nothing, waits for it, but no longer
/// than `patience`, and answers at the server's end.
///
/// # Errors
///
/// [`crate::Error::UnknownToken`] once the session has ended, [`crate::Error::Locked`] once its user is
/// locked.
pub(super) async fn next_update(
    session: &Session,
    query: &Query,
    mut since: Option<SyncToken>,
    patience: Duration,
) -> Result<Update> {
    let (core, seats) = (&session.core, session.core.local::<Seats>());
    let waits = since.is_some() && !query.full_state && !patience.is_zero();
    let mut seat = if waits { seats.take(session) } else { None };
    let mut asleep = std::pin::pin!(core.clock.sleep(patience));
    loop {
        let (update, joined, is_first) = update(session, query, since).await?;
        if !waits || is_first || !update.is_empty() || core.stop.is_cancelled() {
            seats.give_back(session, seat);
            return Ok(update);
        }
        since = Some(update.next_batch);
        // Whoever sits down where the room's bell is heard looks once more before waiting.
        let Some(taken) = seat.as_mut().filter(|seat| joined.is(&seat.rooms)) else {
            seat = Some(Seat::choose(session, seat, &joined));
            // The end of the session may have rung before.
            session.check_goes_on().await?;
            continue;
        };
        let _waiting = Waiting::begin(core);
        tokio::select! {
            () = taken.watch.changed() => {}
            () = core.stop.cancelled() => {}
            () = &mut asleep => {
                seats.give_back(session, seat);
                return Ok(update);
            }
        }
        session.check_goes_on().await?;
    }
}

/// What is new, who is where, and whether the client is told everything.
type Told = (Update, Joined, bool);

/// What is new since `since`. To look at all rooms takes so many reads that they are done on a
/// thread which may wait for the disk.
async fn update(session: &Session, query: &Query, since: Option<SyncToken>) -> Result<Told> {
    let settled = session.core.store.settled();
    if since.is_some_and(|since| is_near(since.at, settled)) && !query.full_state {
        return update_here(session, query, since).await;
    }
    let all = session.core.local::<Whole>().0.clone();
    let place = all.acquire_owned().await.expect("nobody closes it");
    let (session, query) = (session.clone(), query.clone());
    let runtime = tokio::runtime::Handle::current();
    let work = move || {
        let _place = place;
        reading_in_place(|| runtime.block_on(update_here(&session, &query, since)))
    };
    tokio::task::spawn_blocking(work).await.map_err(tertulia_storage::Error::engine)?
}

/// How many look at all their rooms at once: no more than there are processors, which is the
/// soonest for all of them, and takes the memory of those few.
struct Whole(Arc<Semaphore>);

impl Default for Whole {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(processors.max(2))))
    }
}

async fn update_here(session: &Session, query: &Query, since: Option<SyncToken>) -> Result<Told> {
    let reading = reading(session, query, since).await?;
    let (update, joined) = collect::update(&reading).await?;
    Ok((update, joined, reading.since.is_none()))
}

/// How many wait.
#[derive(Default)]
struct Waiters(AtomicUsize);

/// One who waits, until this is dropped.
struct Waiting(Arc<Waiters>);

impl Waiting {
    fn begin(core: &Core) -> Self {
        let waiters = core.local::<Waiters>();
        waiters.0.fetch_add(1, Ordering::Relaxed);
        Self(waiters)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Homeserver {
    /// How many syncs wait for something to tell at this moment.
    pub fn waiting_syncs(&self) -> usize {
        self.core.local::<Waiters>().0.load(Ordering::Relaxed)
    }
}

impl Session {
    /// The present, as a token: whoever syncs from there is told only of what happens later. Messages
    /// that wait for the device are told all the same: nobody has seen them yet.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Storage`] if the store fails.
    pub async fn present(&self) -> Result<SyncToken> {
        // None of the device's messages was delivered, so none is deleted.
        Ok(present(&self.core, 0).await?.1)
    }
}

/// What there is, and how far it goes.
async fn present(core: &Core, to_device: u64) -> Result<(View, SyncToken)> {
    // What is in memory is read after the token says how far it was told: told twice is harmless.
    let (fleeting, presence) = (typing::version(core), presence::version(core));
    let view = core.store.view().await?;
    let at = view.settled();
    Ok((view, SyncToken { at, ends: at, to_device, fleeting, presence }))
}

async fn reading<'a>(
    session: &'a Session,
    query: &'a Query,
    since: Option<SyncToken>,
) -> Result<Reading<'a>> {
    let to_device = since.map_or(0, |since| since.to_device);
    let (view, next) = present(&session.core, to_device).await?;
    // A token from beyond the end is from before a backup was restored.
    let since = since.filter(|since| since.at <= next.at);
    let (now, ignored) = (session.core.now(), OnceCell::new());
    Ok(Reading {
        view,
        session,
        query,
        since,
        next,
        now,
        ignored,
        invitations: OnceCell::new(),
        rules: OnceCell::new(),
        data_untouched: OnceLock::new(),
        counted: AtomicUsize::new(0),
    })
}

/// A place where the bells of some rooms are heard, and of the user and device whose it is.
#[derive(Debug)]
struct Seat {
    watch: Watch,
    rooms: Arc<[OwnedRoomId]>,
}

impl Seat {
    fn choose(session: &Session, old: Option<Self>, joined: &Joined) -> Self {
        let rooms = joined.rooms.clone();
        let own = [user_topic(session.id()), session.topic()];
        let topics = rooms.iter().map(|room| room_topic(room)).chain(own);
        let watch = match old {
            Some(Self { mut watch, .. }) => {
                watch.set(topics);
                watch
            }
            None => session.core.store.watch(topics),
        };
        Self { watch, rooms }
    }
}

/// The seats of clients that are between two polls: sitting down in hundreds of rooms at every
/// poll would cost more than the poll.
#[derive(Debug, Default)]
struct Seats {
    free: Mutex<HashMap<(OwnedUserId, OwnedDeviceId), Seat>>,
}

impl Seats {
    fn take(&self, session: &Session) -> Option<Seat> {
        let mut seat = self.free.lock().remove(&key(session))?;
        // What rang until now is read first anyway.
        let _rang = seat.watch.changed().now_or_never();
        Some(seat)
    }

    fn give_back(&self, session: &Session, seat: Option<Seat>) {
        let Some(seat) = seat else { return };
        let mut free = self.free.lock();
        if free.len() >= SEATS {
            free.clear();
        }
        free.insert(key(session), seat);
    }
}

fn key(session: &Session) -> (OwnedUserId, OwnedDeviceId) {
    (session.id().to_owned(), session.device().to_owned())
}
