//! What people do during a soak.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt as _;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::api::{Account, Registration};
use crate::client::{Client, Result};

const USERS: usize = 60;
const ROOMS: usize = 12;
/// How many rooms each user is in.
const ROOMS_EACH: usize = 4;
/// How many of the users wait for what is new.
const SYNCING: usize = 20;
/// How many messages are under way at most.
const SENDERS: u32 = 16;
/// How often somebody leaves a room and comes back.
const COMING_AND_GOING: Duration = Duration::from_millis(500);
/// How often a file goes up and down.
const FILES: Duration = Duration::from_secs(3);
const FILE_SIZE: usize = 100_000;

/// People at work, until it is ended.
pub(super) struct Life {
    tasks: JoinSet<()>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    /// Counts what failed; people go on.
    fn note<T>(&self, done: Result<T>) -> Option<T> {
        if done.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        done.ok()
    }
}

/// Users, rooms, and who is where.
struct World {
    users: Vec<Account>,
    rooms: Vec<String>,
    counts: Arc<Counts>,
}

/// In which rooms the user of this number is: each room has as many users as any other.
fn rooms_of(user: usize) -> impl Iterator<Item = usize> {
    (0..ROOMS_EACH).map(move |n| (user + n * ROOMS / ROOMS_EACH) % ROOMS)
}

impl Life {
    /// Makes users and rooms, and lets them begin.
    pub(super) async fn begin(url: &str, rate: u32) -> Result<Self> {
        let counts = Arc::<Counts>::default();
        let world = Arc::new(World::new(url, counts.clone()).await?);
        let mut tasks = JoinSet::new();
        for n in 0..SENDERS {
            let pace = Duration::from_secs(1) * SENDERS / rate.max(1);
            tasks.spawn(talk(world.clone(), n, pace));
        }
        for user in 0..SYNCING {
            tasks.spawn(listen(world.clone(), user));
        }
        tasks.spawn(come_and_go(world.clone()));
        tasks.spawn(exchange_files(world));
        Ok(Self { tasks, counts })
    }

    /// How many messages were sent.
    pub(super) fn sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }

    /// Everyone goes, in the middle of what they do. Tells how much was sent, and how much failed.
    pub(super) async fn end(mut self) -> (u64, u64) {
        self.tasks.shutdown().await;
        (self.sent(), self.counts.failed.load(Ordering::Relaxed))
    }
}

impl World {
    async fn new(url: &str, counts: Arc<Counts>) -> Result<Self> {
        let mut world = Self { users: Vec::new(), rooms: Vec::new(), counts };
        for n in 0..USERS {
            // Each has connections of their own.
            let client = Client::new(url);
            let name = format!("user{n}");
            world.users.push(Registration::Open.register(&client, &name, "soak it all").await?);
        }
        for n in 0..ROOMS {
            let body = json!({ "preset": "public_chat", "name": format!("room {n}") });
            world.rooms.push(world.users[n].create_room(&body).await?);
        }
        for (n, user) in world.users.iter().enumerate() {
            for room in rooms_of(n) {
                user.join(&world.rooms[room]).await?;
            }
        }
        Ok(world)
    }

    /// Some user, with a room in which the user is, most of the time.
    fn somebody(&self) -> (&Account, &str) {
        let mut rng = rand::rng();
        let user = rng.random_range(0..USERS);
        let room = rooms_of(user).nth(rng.random_range(0..ROOMS_EACH)).unwrap_or_default();
        (&self.users[user], &self.rooms[room])
    }
}

/// Sends a message at every beat. Beats that were missed are made up for.
async fn talk(world: Arc<World>, sender: u32, pace: Duration) {
    let mut beats = interval(pace);
    beats.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for n in 0_u64.. {
        beats.tick().await;
        let (user, room) = world.somebody();
        let content = json!({ "msgtype": "m.text", "body": "a".repeat(100) });
        let transaction = format!("t{sender}.{n}");
        match user.send(room, "m.room.message", &transaction, &content).await {
            Ok(_) => drop(world.counts.sent.fetch_add(1, Ordering::Relaxed)),
            // Whoever is on the way out and in again cannot speak.
            Err(error) if error.code() == Some("M_FORBIDDEN") => {}
            failed => drop(world.counts.note(failed)),
        }
    }
}

/// Waits for what is new, over and over.
async fn listen(world: Arc<World>, user: usize) {
    let mut since: Option<String> = None;
    loop {
        let update = world.users[user].sync(since.as_deref(), None, 30_000).await;
        match world.counts.note(update) {
            Some(update) => since = Some(update.next_batch),
            None => sleep(Duration::from_secs(1)).await,
        }
    }
}

/// Somebody leaves a room and comes back, again and again.
async fn come_and_go(world: Arc<World>) {
    let mut beats = interval(COMING_AND_GOING);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        let (user, room) = world.somebody();
        world.counts.note(user.leave(room).await);
        world.counts.note(user.join(room).await);
    }
}

async fn exchange_files(world: Arc<World>) {
    let mut beats = interval(FILES);
    let file = Bytes::from(vec![7; FILE_SIZE]);
    loop {
        beats.tick().await;
        let uploaded = world.somebody().0.upload("application/octet-stream", file.clone()).await;
        if let Some(uri) = world.counts.note(uploaded) {
            world.counts.note(world.somebody().0.download(&uri).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_equally_full() {
        let mut members = [0; ROOMS];
        for user in 0..USERS {
            let rooms: Vec<_> = rooms_of(user).collect();
            assert!(rooms.iter().enumerate().all(|(n, room)| !rooms[..n].contains(room)));
            rooms.into_iter().for_each(|room| members[room] += 1);
        }
        assert!(members.iter().all(|members| *members == USERS * ROOMS_EACH / ROOMS));
    }

    #[tokio::test]
    async fn people_need_a_server() {
        assert!(Life::begin("http://127.0.0.1:1", 1).await.is_err());
    }

    #[test]
    fn what_fails_is_counted() {
        let counts = Counts::default();
        assert_eq!(counts.note(Ok(7)), Some(7));
        let reason = serde_json::from_str::<u8>("").unwrap_err();
        let odd = crate::client::Error::Odd { path: String::new(), reason };
        assert_eq!(counts.note::<u8>(Err(odd)), None);
        assert_eq!(counts.failed.into_inner(), 1);
    }
}
