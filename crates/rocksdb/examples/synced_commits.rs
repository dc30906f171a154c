//! What a synced commit costs: `cargo run --release -p tertulia-rocksdb --example synced_commits -- DIRECTORY`.

#![allow(clippy::print_stdout, reason = "a program tells its figures")]

#[path = "../../storage/examples/commits/load.rs"]
mod load;

use std::error::Error;

use tertulia_rocksdb::{Options, RocksEngine};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("say which directory to write to")?;
    let engine = RocksEngine::open(&directory, Options::default())?;
    load::run(engine.clone(), "rocksdb", 100_000).await?;
    engine.compact()?;
    println!("{:?}", engine.figures()?);
    Ok(())
}
