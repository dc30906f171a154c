//! What a commit costs without a disk: `cargo run --release -p tertulia-storage --example commits`.

#![allow(clippy::print_stdout, reason = "a program tells its figures")]

mod load;

use tertulia_storage::{MemoryEngine, Result};

#[tokio::main]
async fn main() -> Result<()> {
    load::one_by_one(&MemoryEngine::default(), "memory", 100_000).await?;
    load::run(MemoryEngine::default(), "memory", 100_000).await
}
