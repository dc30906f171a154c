//! `tertulia-bench`: load on any Matrix homeserver, and what it costs.
#![allow(clippy::print_stdout, reason = "a program answers on its standard output")]
#![allow(clippy::print_stderr, reason = "and tells on the other one how far it has come")]

mod arguments;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Context;
use arguments::{Arguments, Common, What};
use clap::Parser;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use tertulia_bench::compare;
use tertulia_bench::floors::Floors;
use tertulia_bench::measurement::{self, Progress};
use tertulia_bench::plan::Step;
use tertulia_bench::process::Process;
use tertulia_bench::report::Report;
use tertulia_bench::server::Server;
use tertulia_bench::soak;

/// One thread: so that the generator never takes more than one core from the server.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let Arguments { compare, common, what } = Arguments::parse();
    match (compare.as_slice(), what) {
        ([first, second], _) => print_ratios(first, second)?,
        (_, Some(What::Start { rest, command })) => {
            start(&common.url, Duration::from_secs(rest), &command).await?;
        }
        (_, Some(What::Floors { directory, times })) => {
            let floors = Floors::find(&directory, times).await?;
            print!("{floors}");
            common.keep(&floors)?;
        }
        (_, Some(What::Soak { minutes, rate, program })) => {
            let length = Duration::from_secs(minutes * 60);
            return soak(&common, soak::Soak { program, length, rate }).await;
        }
        (_, what) => {
            let plan = what.map(|what| what.plan(&common)).unwrap_or_default();
            return load(&common, &plan).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails if a scenario has no figures.
async fn load(common: &Common, plan: &[Step]) -> anyhow::Result<ExitCode> {
    allow_many_connections();
    let report =
        measurement::run(plan, &common.targets(), &common.registration(), tell_progress).await;
    print!("{report}");
    for ratios in compare::within(&report) {
        print!("\n{ratios}");
    }
    common.keep(&report)?;
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Fails if the server grew, or something is left over.
async fn soak(common: &Common, soak: soak::Soak) -> anyhow::Result<ExitCode> {
    allow_many_connections();
    let found = soak::run(&soak, |sample| eprintln!("{sample}")).await?;
    print!("{found}");
    common.keep(&found)?;
    Ok(if found.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell_progress(progress: Progress<'_>) {
    match progress {
        Progress::Begins { number, of, step, server } => {
            eprintln!("{number}/{of} {} at {server}", step.load);
        }
        Progress::Measured { row } => eprintln!("{row}"),
    }
}

/// Each open sync is a connection: as many as the kernel lets us have. If it refuses, fewer will do for most scenarios.
fn allow_many_connections() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

fn print_ratios(first: &Path, second: &Path) -> anyhow::Result<()> {
    let (a, b) = (read(first)?, read(second)?);
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (first, second) = (name(first), name(second));
    let ratios = compare::reports((&first, &a), (&second, &b));
    anyhow::ensure!(!ratios.is_empty(), "no server is in both reports");
    let tables: Vec<_> = ratios.iter().map(ToString::to_string).collect();
    print!("{}", tables.join("\n"));
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Report> {
    let json = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_slice(&json).with_context(|| format!("{} is no report", file.display()))
}

impl Common {
    /// Writes what was found to the JSON file, if one is wanted.
    fn keep(&self, found: &impl Serialize) -> anyhow::Result<()> {
        let write = |file: &PathBuf| -> anyhow::Result<()> {
            fs::write(file, serde_json::to_string_pretty(found)?)
                .with_context(|| format!("writing {}", file.display()))
        };
        self.json.as_ref().map_or(Ok(()), write)
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
    use super::*;

    #[test]
    fn reports_that_cannot_be_read_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let (missing, broken) =
            (directory.path().join("missing.json"), directory.path().join("broken.json"));
        fs::write(&broken, "{}").unwrap();
        let check = |file: &Path, words: &str| {
            let error = format!("{:#}", read(file).unwrap_err());
            assert!(error.contains(words), "{error}");
        };
        check(&missing, "missing.json");
        check(&broken, "broken.json is no report");
    }

    #[test]
    fn reports_without_a_common_server_have_no_ratios() {
        let directory = tempfile::tempdir().unwrap();
        let empty = directory.path().join("empty.json");
        fs::write(&empty, serde_json::to_string(&Report::begin()).unwrap()).unwrap();
        assert!(read(&empty).unwrap().servers.is_empty());
        assert!(print_ratios(&empty, &empty).is_err());
    }

    #[tokio::test]
    async fn a_plan_that_fails_is_a_failure_of_the_program_and_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let json = directory.path().join("report.json");
        let file = json.display().to_string();
        let words = ["tertulia-bench", "--url", "http://127.0.0.1:1", "--json", &file, "register"];
        let Arguments { common, what, .. } = Arguments::parse_from(words);
        let plan = what.unwrap().plan(&common);
        assert_eq!(load(&common, &plan).await.unwrap(), ExitCode::FAILURE);
        assert!(!read(&json).unwrap().is_complete());
    }
}
