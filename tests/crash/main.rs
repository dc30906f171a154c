//! `cargo xtask crash`: the server is killed under load, again and again, and nothing it promised may be missing.
//!
//! In every other round all files are cut back to what had been synced, as a power failure would. All choices follow from
//! one seed; what the kernel and the server make of them in time does not.
#![allow(clippy::print_stdout, reason = "a program that tells how far it is")]

mod actor;
mod check;
mod ledger;
mod power;
mod view;
mod world;

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::world::{Death, World};

/// How many rounds a store lives, before the next begins with an empty one.
const LIFE: u32 = 10;

/// Kills the server under load and checks what it promised.
#[derive(Parser)]
struct Arguments {
    /// How often it is killed
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// What all choices follow from [default: a new one, printed]
    #[arg(long)]
    seed: Option<u64>,
    /// The server's program
    #[arg(long)]
    server: PathBuf,
    /// How it commits: `relaxed` must fail, which shows that the rig sees what is lost
    #[arg(long, default_value = "synced")]
    commits: String,
    /// Where data, notes and logs lie; what failed stays there
    #[arg(long)]
    home: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("{} rounds with seed {seed}", arguments.rounds);
    let failure = run(&arguments, seed).await;
    failure
        .with_context(|| format!("seed {seed}; the data is left in {}", arguments.home.display()))
}

async fn run(arguments: &Arguments, seed: u64) -> anyhow::Result<()> {
    let home = std::path::absolute(&arguments.home)?;
    clear(&home)?;
    let library = power::compile(&home)?;
    power::prove(&library, &home.join("proof"))?;
    let mut dice = StdRng::seed_from_u64(seed);
    let mut world = None;
    for round in 0..arguments.rounds {
        let place = || format!("round {} of {}", round + 1, arguments.rounds);
        let mut alive = match world.take() {
            Some(alive) if round % LIFE != 0 => alive,
            _ => {
                let home = home.join("world");
                clear(&home)?;
                World::create(&arguments.server, &home, &library, &arguments.commits).await?
            }
        };
        let summary = alive.round(&death(round, &mut dice)).await.with_context(place)?;
        println!("{}: {summary}", place());
        world = Some(alive);
    }
    println!(
        "{} rounds: nothing acknowledged was lost, nothing was doubled, all clients converged",
        arguments.rounds
    );
    drop(world);
    clear(&home)
}

/// How the server dies in a round.
fn death(round: u32, dice: &mut StdRng) -> Death {
    Death {
        seed: dice.random(),
        after: dice.random_range(20..1_500),
        power_fails: round % 2 == 1,
        again: dice.random_bool(0.125).then(|| dice.random_range(0..300)),
    }
}

fn clear(directory: &std::path::Path) -> anyhow::Result<()> {
    if directory.exists() {
        std::fs::remove_dir_all(directory)
            .with_context(|| format!("emptying {}", directory.display()))?;
    }
    std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))
}
