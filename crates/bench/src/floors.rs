//! What a machine can do at best: what no homeserver in Rust that signs, hashes, serves HTTP and syncs can fall below.
//!
//! The floor of the storage engine is no part of this, so that the load generator builds without one: it is the example
//! `synced_commits` of `tertulia-rocksdb`.

use std::fmt;
use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use axum::Router;
use axum::routing::get;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey, verify_batch};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::client::Client;
use crate::report::{Machine, time};

/// The bytes that are signed and hashed: about those of a message in its canonical form.
const SIGNED: [u8; 800] = [b'x'; 800];
/// How many signatures are verified together.
const BATCH: usize = 64;
/// What a database writes at least, to make a commit durable.
const BLOCK: [u8; 4096] = [b'x'; 4096];
/// An event as a server stores and tells it, of 350 bytes.
const EVENT: &str = r#"{"content":{"body":"..................................................................................","msgtype":"m.text"},"event_id":"$0123456789012345678901234567890123456789012","origin_server_ts":1767225600000,"room_id":"!0123456789012345678901234567890123456789012","sender":"@somebody:example.org","type":"m.room.message","unsigned":{"age":1}}"#;

/// What one thing costs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Floor {
    /// The thing.
    pub what: String,
    /// The time that it takes, in microseconds.
    pub time: f64,
    /// The CPU time of the thread that does it, in microseconds.
    pub cpu: f64,
}

/// The floors of a machine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Floors {
    /// The machine.
    pub machine: Machine,
    /// Its floors.
    pub floors: Vec<Floor>,
}

impl Floors {
    /// Finds them all, each by so many repetitions. A file is written to `directory` and removed again.
    pub async fn find(directory: &Path, times: u32) -> anyhow::Result<Floors> {
        let mut floors = vec![http(times).await?];
        floors.extend(signatures(times)?);
        floors.push(repeat("SHA-256 of 800 bytes", times, || Sha256::digest(black_box(SIGNED))));
        floors.push(json(times)?);
        floors.push(synced_write(directory, (times / 20).max(1))?);
        Ok(Floors { machine: Machine::this(), floors })
    }
}

/// Does a thing again and again in this thread.
fn repeat<T>(what: &str, times: u32, mut thing: impl FnMut() -> T) -> Floor {
    let (began, used) = (Instant::now(), thread_cpu());
    for _ in 0..times {
        black_box(thing());
    }
    floor(what, times, began.elapsed(), thread_cpu() - used)
}

fn floor(what: &str, times: u32, took: Duration, cpu: Duration) -> Floor {
    let each = |sum: Duration| sum.as_secs_f64() * 1e6 / f64::from(times);
    Floor { what: what.to_owned(), time: each(took), cpu: each(cpu) }
}

fn thread_cpu() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.cast_unsigned(), u32::try_from(used.tv_nsec).unwrap_or_default())
}

/// A request through axum on loopback, over one connection: the round trip, and the CPU time of the server alone.
async fn http(times: u32) -> anyhow::Result<Floor> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel();
    let server = thread::spawn(move || serve(listener, stopped));
    let client = Client::new(&url);
    client.get_bytes("/").await?;
    let began = Instant::now();
    for _ in 0..times {
        client.get_bytes("/").await?;
    }
    let took = began.elapsed();
    drop(stop);
    let cpu = server.join().map_err(|_| anyhow!("the server of the test panicked"))??;
    Ok(floor("HTTP request through axum on loopback", times, took, cpu))
}

/// Serves until told to stop; the answer is the CPU time that this took.
fn serve(
    listener: std::net::TcpListener,
    stopped: oneshot::Receiver<()>,
) -> anyhow::Result<Duration> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        let router = Router::new().route("/", get(async || "{}"));
        tokio::select! {
            served = async { axum::serve(listener, router).await } => served?,
            _ = stopped => {}
        }
        anyhow::Ok(thread_cpu())
    })
}

fn signatures(times: u32) -> anyhow::Result<[Floor; 3]> {
    let key = SigningKey::from_bytes(&[7; 32]);
    let (public, signature) = (key.verifying_key(), key.sign(&SIGNED));
    public.verify(&SIGNED, &signature).context("a signature does not verify")?;
    let (messages, signatures, keys): (Vec<&[u8]>, Vec<Signature>, Vec<VerifyingKey>) =
        (vec![&SIGNED; BATCH], vec![signature; BATCH], vec![public; BATCH]);
    verify_batch(&messages, &signatures, &keys).context("a batch does not verify")?;
    let batches = (times / BATCH as u32).max(1);
    let batch = repeat("", batches, || verify_batch(&messages, &signatures, &keys));
    Ok([
        repeat("ed25519: sign", times, || key.sign(black_box(&SIGNED))),
        repeat("ed25519: verify", times, || public.verify(black_box(&SIGNED), &signature)),
        Floor {
            what: format!("ed25519: verify, in batches of {BATCH}"),
            time: batch.time / BATCH as f64,
            cpu: batch.cpu / BATCH as f64,
        },
    ])
}

fn json(times: u32) -> anyhow::Result<Floor> {
    let turn = || anyhow::Ok(serde_json::from_str::<Value>(black_box(EVENT))?.to_string());
    turn().context("the event is no JSON")?;
    Ok(repeat("JSON: parse and print an event of 350 bytes", times, turn))
}

/// What the disk takes for a durable commit, whatever the engine.
fn synced_write(directory: &Path, times: u32) -> anyhow::Result<Floor> {
    let path = directory.join(format!("tertulia-bench-{}", std::process::id()));
    let write = || {
        let mut file = File::create(&path)?;
        let mut append = || file.write_all(&BLOCK).and_then(|()| file.sync_data());
        append()?;
        let mut outcome = Ok(());
        let floor = repeat("synced append of 4 KiB to a file", times, || {
            outcome = append().and(std::mem::replace(&mut outcome, Ok(())));
        });
        outcome.map(|()| floor)
    };
    let floor = write().with_context(|| format!("writing {}", path.display()));
    // If it could not be made, it need not be removed.
    let _ = std::fs::remove_file(&path);
    floor
}

impl fmt::Display for Floors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n\n| floor | time | CPU |\n|---|--:|--:|", self.machine)?;
        self.floors.iter().try_for_each(|Floor { what, time: took, cpu }| {
            writeln!(f, "| {what} | {} | {} |", time(*took), time(*cpu))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_machine_has_floors() {
        let directory = tempfile::tempdir().unwrap();
        let found = Floors::find(directory.path(), 20).await.unwrap();
        assert_eq!(found.floors.len(), 7);
        for floor in &found.floors {
            assert!(floor.time > 0.0 && floor.cpu <= floor.time * 2.0 + 1_000.0, "{floor:?}");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(found.to_string().contains("| SHA-256 of 800 bytes | "), "{found}");
    }

    #[test]
    fn a_directory_that_is_not_there_has_no_floor() {
        let error = synced_write(Path::new("/nowhere/at/all"), 1).unwrap_err();
        assert!(format!("{error:#}").contains("/nowhere/at/all"), "{error:#}");
    }

    #[test]
    fn an_event_has_the_length_that_is_told() {
        assert_eq!(EVENT.len(), 350);
    }

    #[test]
    fn a_floor_is_what_one_of_many_took() {
        let floor = floor("x", 4, Duration::from_micros(10), Duration::from_micros(2));
        assert_eq!((floor.time, floor.cpu), (2.5, 0.5));
    }
}
