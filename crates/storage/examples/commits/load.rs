//! Commits of a dozen rows, about what sending a message writes: by many writers at once, and one after the other.

use std::time::Instant;

use bytes::Bytes;
use tertulia_storage::{
    Command, Commit, Engine, Error, Partition, Position, Result, Store, StoreOptions, Table, Tx,
    Write,
};

const HEADS: Table<(String,), (u64,)> = Table::new(1, "heads");
const LOG: Table<(Position,), (String,)> = Table::new(2, "log");
const EVENTS: Table<(String, u64), Bytes> = Table::new(3, "events");
const SMALL: Table<(String, u64, u8), (Position,)> = Table::new(4, "small");

struct Send {
    room: String,
}

impl Command for Send {
    type Out = u64;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", &self.room)
    }

    async fn run(&self, tx: &mut Tx) -> Result<u64> {
        let key = (self.room.clone(),);
        let (depth,) = tx.get_guarded(&HEADS, &key).await?.unwrap_or_default();
        let position = tx.next_position();
        tx.put(&HEADS, &key, &(depth + 1,));
        tx.put(&LOG, &(position,), &key);
        tx.put(&EVENTS, &(self.room.clone(), depth), &Bytes::from(vec![b'x'; 600]));
        for n in 0..9 {
            tx.put(&SMALL, &(self.room.clone(), depth, n), &(position,));
        }
        Ok(depth)
    }
}

/// Commits a dozen rows at a time to an empty engine, one synced after the other, and says what a commit cost.
pub async fn one_by_one(engine: &impl Engine, name: &str, commits: u64) -> Result<()> {
    let (begun, used) = (Instant::now(), cpu_micros());
    for number in 0..commits {
        let version = engine.begin().await?.version();
        let writes = (0..12).map(|row| dozenth(number, row)).collect();
        engine.commit(Commit { version, writes, ..Commit::default() }).await?;
    }
    let (took, used) = (begun.elapsed(), cpu_micros() - used);
    println!(
        "{name}, one after the other: {} µs of CPU and {} µs of time a commit",
        used / commits,
        took.as_micros() / u128::from(commits)
    );
    Ok(())
}

/// One of the rows of a commit.
fn dozenth(commit: u64, row: u8) -> Write {
    let address = [&[0, 1], &commit.to_be_bytes()[..], &[row]].concat();
    let value = Some(Bytes::from(vec![b'x'; 100]));
    Write { row: address, row_places: Vec::new(), value, value_places: Vec::new() }
}

/// Lets 16 writers send into 50 rooms, and says what a command cost.
pub async fn run(engine: impl Engine, name: &str, commands: usize) -> Result<()> {
    let store = Store::open(engine, StoreOptions::default()).await?;
    let (begun, used) = (Instant::now(), cpu_micros());
    let writers = (0..16).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0..commands / 16 {
                store
                    .write(Send { room: format!("!room{}:example.org", (writer + n * 7) % 50) })
                    .await?;
            }
            Ok::<_, Error>(())
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no writer panics")?;
    }
    let (took, used) = (begun.elapsed(), cpu_micros() - used);
    println!(
        "{name}: {} µs of CPU and {} µs of time a command",
        used / commands as u64,
        took.as_micros() / commands as u128
    );
    store.shutdown().await;
    Ok(())
}

/// User and system time of this process, in steps of the kernel's hundredth of a second.
fn cpu_micros() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0);
    (ticks(11) + ticks(12)) * 10_000
}
