//! `cargo xtask clients`: two clients published by others talk through the real program, which is killed meanwhile.
//!
//! Beside this file lie the two clients, `nio_client.py` on matrix-nio and `sdk_client.mjs` on matrix-js-sdk: programs that
//! obey commands in JSON lines. The story that they act in first is in `story.rs`. In the other chapters (`friends.rs`,
//! `bookmarks.rs`, `groups.rs`) they meet our own API, of which they know nothing. In the last one (`mail.rs`) the program sends mail
//! to a mail server that others published, `smtp_server.py` on aiosmtpd.
#![allow(clippy::print_stdout, reason = "a program that tells how far it is")]

mod bookmarks;
mod client;
mod friends;
mod groups;
mod install;
mod mail;
mod mail_search;
mod mail_server;
mod people;
mod story;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use tertulia_tests::program::Program;
use tokio::time::timeout;

use crate::client::Client;
use crate::install::Script;
use crate::people::Cast;
use crate::story::Story;

/// The whole story takes seconds, and so does each chapter; what takes longer hangs.
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
    /// One chapter alone
    #[arg(long)]
    chapter: Option<Chapter>,
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Chapter {
    Talk,
    Friends,
    Bookmarks,
    Groups,
    Mail,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { server, home, chapter } = Arguments::parse();
    let home = std::path::absolute(home)?;
    fs::create_dir_all(&home)?;
    if chapter == Some(Chapter::Mail) {
        // It needs neither of the clients.
        return bounded(mail::tell(&server, &home.join(Chapter::Mail.name())), &home).await;
    }
    let (nio, sdk) = install::install(&home).context("installing the clients")?;
    for &one in Chapter::value_variants() {
        if chapter.is_none_or(|chapter| chapter == one) {
            let world = home.join(one.name());
            bounded(one.tell(&server, &world, &nio, &sdk), &world).await?;
        }
    }
    Ok(())
}

/// Tells a chapter, whose logs are in `world`, in bounded time.
async fn bounded(
    chapter: impl Future<Output = anyhow::Result<()>>,
    world: &Path,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let told = timeout(PATIENCE, chapter).await;
    let told = told.with_context(|| format!("it did not end within {PATIENCE:?}"));
    told.flatten().with_context(|| format!("the logs are in {}", world.display()))?;
    println!("that took {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

impl Chapter {
    /// What its folder is called.
    fn name(self) -> &'static str {
        match self {
            Chapter::Talk => "world",
            Chapter::Friends => "friends",
            Chapter::Bookmarks => "bookmarks",
            Chapter::Groups => "groups",
            Chapter::Mail => "mail",
        }
    }

    /// Tells it, with a server of its own.
    async fn tell(
        self,
        server: &Path,
        world: &Path,
        nio: &Script,
        sdk: &Script,
    ) -> anyhow::Result<()> {
        if self == Chapter::Mail {
            return mail::tell(server, world).await;
        }
        if world.exists() {
            fs::remove_dir_all(world)?;
        }
        let program = Program::settle(server, world, "")?;
        if self == Chapter::Talk {
            return talk(&program, nio, sdk).await;
        }
        let (_server, _) = program.start(program.command()?).await?;
        let cast = Cast { program: &program, nio, sdk };
        match self {
            Chapter::Talk | Chapter::Mail => Ok(()),
            Chapter::Friends => friends::tell(&cast).await,
            Chapter::Bookmarks => bookmarks::tell(&cast).await,
            Chapter::Groups => groups::tell(&cast).await,
        }
    }
}

/// The two clients talk, and the server is killed meanwhile.
async fn talk(program: &Program, nio: &Script, sdk: &Script) -> anyhow::Result<()> {
    let start = |script: &Script, name, log| {
        Client::start(script.command(&program.url()), name, &program.file(log))
    };
    let alice = start(nio, "alice, on matrix-nio", "alice.log")?;
    let bob = start(sdk, "bob, on matrix-js-sdk", "bob.log")?;
    Story::begin(program, alice, bob).await?.tell().await
}
