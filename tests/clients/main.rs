//! `cargo xtask clients`: two clients published by others talk through the real program, which is killed meanwhile.
//!
//! Beside this file lie the two clients, `nio_client.py` on matrix-nio and `sdk_client.mjs` on matrix-js-sdk: programs that
//! obey commands in JSON lines. The story that they act in is in `story.rs`.
#![allow(clippy::print_stdout, reason = "a program that tells how far it is")]

mod client;
mod install;
mod story;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tertulia_tests::program::Program;
use tokio::time::timeout;

use crate::client::Client;
use crate::story::Story;

/// The whole story takes seconds; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(180);

/// Has two real clients talk through the server.
#[derive(Parser)]
struct Arguments {
    /// The server's program
    #[arg(long)]
    server: PathBuf,
    /// Where the clients are installed, and where data and logs lie
    #[arg(long)]
    home: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { server, home } = Arguments::parse();
    let home = std::path::absolute(home)?;
    fs::create_dir_all(&home)?;
    let (nio, sdk) = install::install(&home).context("installing the clients")?;
    let world = home.join("world");
    if world.exists() {
        fs::remove_dir_all(&world)?;
    }
    let program = Program::settle(&server, &world, "")?;
    let alice = Client::start(
        nio.command(&program.url()),
        "alice, on matrix-nio",
        &world.join("alice.log"),
    )?;
    let bob = Client::start(
        sdk.command(&program.url()),
        "bob, on matrix-js-sdk",
        &world.join("bob.log"),
    )?;
    let story = Story::begin(&program, alice, bob).await?;
    let outcome = timeout(PATIENCE, story.tell()).await;
    let outcome =
        outcome.with_context(|| format!("the story did not end within {PATIENCE:?}")).flatten();
    outcome.with_context(|| format!("the logs are in {}", world.display()))
}
