//! `tertulia`: a Matrix homeserver as a program.

mod admin;
mod cli;
mod listeners;
mod mail;
mod open;
mod password;
mod serve;
mod settings;
mod signals;
mod telemetry;
mod tls;
mod vitals;

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};

use crate::{
    cli::{Cli, Command, Configured},
    settings::{Loaded, Settings},
};

/// A server's threads free what others allocated, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match execute(Cli::parse().command, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One sentence for a person; when nobody reads it, the exit code is left.
            let _ = writeln!(io::stderr(), "tertulia: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        Command::Serve(configured) => serve::serve(checked(&configured)?),
        Command::CheckConfig(configured) => {
            checked(&configured)?;
            Ok(writeln!(out, "these settings will do")?)
        }
        Command::PrintConfig(configured) => Ok(settings::print(&load(&configured)?, out)?),
        Command::Admin(admin) => admin::execute(&admin, out),
        Command::Completions { shell } => {
            // Into memory first: clap panics when nobody reads to the end.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tertulia", &mut script);
            Ok(out.write_all(&script)?)
        }
    }
}

fn load(configured: &Configured) -> anyhow::Result<Loaded> {
    let variables = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    settings::load(configured.config.as_deref(), variables)
}

/// Settings with which a server can run.
fn checked(configured: &Configured) -> anyhow::Result<Settings> {
    let settings = load(configured)?.settings;
    settings::check(&settings).context("these settings will not do")?;
    Ok(settings)
}

/// How many threads may wait for the disk, for each processor. Every one keeps memory of its own for
/// what it reads, and more of them would hardly read faster.
const WAITING_FOR_EACH: usize = 4;

/// The threads on which everything happens.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(WAITING_FOR_EACH * processors.max(2))
        .build()
        .context("no threads can be started")
}
