//! `tertulia-bench`: load on any Matrix homeserver, and what it costs.
#![allow(clippy::print_stdout, reason = "a program answers on its standard output")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use tertulia_bench::api::Registration;
use tertulia_bench::client::Client;
use tertulia_bench::crowd::Recruiter;
use tertulia_bench::process::{Process, bytes_on_disk};
use tertulia_bench::report::{Report, Row};
use tertulia_bench::scenario::incremental_sync::{self, IncrementalSync, News};
use tertulia_bench::scenario::initial_sync::{self, InitialSync};
use tertulia_bench::scenario::send::{self, Send};
use tertulia_bench::scenario::{Bench, Scenario};
use tertulia_bench::server::Server;

/// Measures a Matrix homeserver by the standard client-server API.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    what: What,
}

#[derive(Args)]
struct Common {
    /// The server's address
    #[arg(long, global = true, default_value = "http://127.0.0.1:8008")]
    url: String,
    /// The server's process on this machine, for CPU time and memory
    #[arg(long, global = true)]
    pid: Option<u32>,
    /// The server's data directory, for bytes on disk
    #[arg(long, global = true, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// Operations in a run [default: 100000, initial-sync: 1000]
    #[arg(long, global = true)]
    operations: Option<u64>,
    /// Runs; each figure is their median
    #[arg(long, global = true, default_value_t = 3)]
    runs: u32,
    /// Register users by this shared secret instead of m.login.dummy
    #[arg(long, global = true, env = "BENCH_SHARED_SECRET", hide_env_values = true)]
    shared_secret: Option<String>,
    /// Also write the figures to this file, as JSON
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum What {
    /// Messages of 100 characters
    Send {
        /// Users who send, one message at a time each
        #[arg(long, default_value_t = 16)]
        senders: usize,
        /// Rooms [default: 50, with --members: 1]
        #[arg(long)]
        rooms: Option<usize>,
        /// Joined users of each room [default: the senders]
        #[arg(long)]
        members: Option<usize>,
        /// Members whose sync is open all the time
        #[arg(long, default_value_t = 0)]
        syncing: usize,
    },
    /// Syncs of users who are up to date: one event, then nothing new
    IncrementalSync {
        /// Groups of users who share rooms
        #[arg(long, default_value_t = 8)]
        groups: usize,
        /// Users in a group
        #[arg(long, default_value_t = 50)]
        users: usize,
        /// Rooms of a group
        #[arg(long, default_value_t = 10)]
        rooms: usize,
    },
    /// First syncs of users in many rooms
    InitialSync {
        /// Users who sync
        #[arg(long, default_value_t = 4)]
        users: usize,
        /// Rooms of each
        #[arg(long, default_value_t = 200)]
        rooms: usize,
        /// Members of each room
        #[arg(long, default_value_t = 3)]
        members: usize,
        /// Messages in each room
        #[arg(long, default_value_t = 10)]
        messages: usize,
    },
    /// Starts a server: time to the first answer, memory at rest
    Start {
        /// Seconds after the start at which memory is read
        #[arg(long, default_value_t = 60)]
        rest: u64,
        /// The server's program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

/// One thread: so that the generator never takes more than one core from the server.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { common, what } = Arguments::parse();
    let client = Client::new(&common.url);
    match what {
        What::Start { rest, command } => {
            start(&common.url, Duration::from_secs(rest), &command).await
        }
        load => {
            let mut report = Report::begin(&client, common.pid.map(Process::new)).await;
            report.rows = measure(&common, client, load).await?;
            print!("{report}");
            let json = serde_json::to_string_pretty(&report).context("writing JSON")?;
            common
                .json
                .as_ref()
                .map_or(Ok(()), |file| fs::write(file, json))
                .context("writing the JSON file")
        }
    }
}

async fn measure(common: &Common, client: Client, what: What) -> anyhow::Result<Vec<Row>> {
    let recruiter = Recruiter::new(client, common.registration());
    let process = common.pid.map(Process::new);
    let bench = |operations| {
        let operations = common.operations.unwrap_or(operations);
        Bench { recruiter, process, operations, runs: common.runs.max(1) }
    };
    match what {
        What::Send { senders, rooms, members, syncing } => {
            let rooms = rooms.unwrap_or(if members.is_some() { 1 } else { 50 });
            let shape =
                send::Shape { senders, rooms, members: members.unwrap_or(senders), syncing };
            let bench = bench(100_000);
            Ok(vec![common.row(&bench, Send::prepare(&bench, shape).await?).await?])
        }
        What::IncrementalSync { groups, users, rooms } => {
            let shape = incremental_sync::Shape { groups, users, rooms };
            let (bench, mut rows) = (bench(100_000), Vec::new());
            for news in [News::OneEvent, News::Nothing] {
                let scenario = IncrementalSync::prepare(&bench, news, shape).await?;
                rows.push(common.row(&bench, scenario).await?);
            }
            Ok(rows)
        }
        What::InitialSync { users, rooms, members, messages } => {
            let shape = initial_sync::Shape { users, rooms, members, messages };
            let bench = bench(1_000);
            Ok(vec![common.row(&bench, InitialSync::prepare(&bench, shape).await?).await?])
        }
        What::Start { .. } => Ok(Vec::new()),
    }
}

impl Common {
    fn registration(&self) -> Registration {
        self.shared_secret.clone().map_or(Registration::Open, Registration::SharedSecret)
    }

    async fn row(&self, bench: &Bench, mut scenario: impl Scenario) -> anyhow::Result<Row> {
        let before = self.disk()?;
        let figures = bench.measure(&mut scenario).await?;
        let done = (figures.operations * u64::from(bench.runs)) as f64;
        let grown = before
            .zip(self.disk()?)
            .map(|(before, after)| after.saturating_sub(before) as f64 / done);
        let peak_memory = bench.process.map(|process| process.peak_memory()).transpose()?;
        Ok(Row { scenario: scenario.name(), runs: bench.runs, figures, peak_memory, disk: grown })
    }

    fn disk(&self) -> anyhow::Result<Option<u64>> {
        self.data
            .as_ref()
            .map(|data| bytes_on_disk(data).context("reading the data directory"))
            .transpose()
    }
}

async fn start(url: &str, rest: Duration, command: &[String]) -> anyhow::Result<()> {
    let (program, arguments) = command.split_first().context("which server?")?;
    let mut command = Command::new(program);
    command.args(arguments);
    let (server, ready) = Server::start(command, url, Duration::from_secs(600)).await?;
    println!("first answer after {:.3} s", ready.as_secs_f64());
    tokio::time::sleep(rest.saturating_sub(ready)).await;
    let process = Process::new(server.pid());
    let (now, peak) = (process.memory()? as f64 / 1e6, process.peak_memory()? as f64 / 1e6);
    println!("resident memory {rest:?} after the start: {now:.1} MB, at its peak {peak:.1} MB");
    let (status, took) = server.stop(Duration::from_secs(30)).await?;
    println!("ended with {status} {:.3} s after SIGTERM", took.as_secs_f64());
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_may_stand_behind_the_scenario() {
        let arguments =
            Arguments::parse_from(["tertulia-bench", "send", "--members", "10", "--pid", "7"]);
        assert_eq!(arguments.common.pid, Some(7));
        assert!(matches!(
            arguments.what,
            What::Send { members: Some(10), rooms: None, senders: 16, .. }
        ));
    }

    #[test]
    fn a_server_to_start_is_given_with_its_own_options() {
        let arguments = Arguments::parse_from([
            "tertulia-bench",
            "start",
            "--",
            "tertulia",
            "serve",
            "--config",
            "c",
        ]);
        assert!(matches!(arguments.what, What::Start { command, rest: 60 } if command.len() == 4));
    }
}
