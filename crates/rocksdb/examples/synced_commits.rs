//! What a synced commit costs, one of the floors in docs/performance.md: `cargo run --release -p tertulia-rocksdb --example synced_commits -- DIRECTORY`.

#![allow(clippy::print_stdout, reason = "a program tells its figures")]

#[path = "../../storage/examples/commits/load.rs"]
mod load;

use std::error::Error;
use std::path::PathBuf;

use tertulia_rocksdb::{Options, RocksEngine};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("say which directory to write to")?;
    let directory = PathBuf::from(directory);
    let empty = RocksEngine::open(directory.join("one-by-one"), Options::default())?;
    load::one_by_one(&empty, "rocksdb", 10_000).await?;
    let engine = RocksEngine::open(directory.join("many"), Options::default())?;
    load::run(engine.clone(), "rocksdb", 100_000).await?;
    engine.compact()?;
    println!("{:?}", engine.figures()?);
    Ok(())
}
