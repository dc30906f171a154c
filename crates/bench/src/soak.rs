//! A soak: a server of our own under load for a long time, and whether anything grows or is left over.
//!
//! Many users in several rooms send so many messages a second; some come and go, some wait for what is
//! new, some exchange files. Every ten seconds it is looked at what the server has.

mod life;
mod verdict;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;

use crate::process::Process;
use crate::server::{Server, free_port};
use life::Life;
pub use verdict::{Found, Sample};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(10);
/// How long a server has to come to rest: threads that do nothing end after ten seconds, and a poll
/// whose client is gone at once.
const REST: Duration = Duration::from_secs(40);

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Soak {
    /// The server's program.
    pub program: PathBuf,
    /// For how long.
    pub length: Duration,
    /// Messages a second.
    pub rate: u32,
}

/// Soaks a new server, and tells `seen` of everything that is looked at.
///
/// # Errors
///
/// If the server cannot be started, or ends meanwhile.
pub async fn run(soak: &Soak, mut seen: impl FnMut(&Sample)) -> anyhow::Result<Found> {
    let home = Home::new()?;
    let url = format!("http://127.0.0.1:{}", free_port()?);
    let command = home.command(&soak.program, &url)?;
    let (server, _) = Server::start(command, &url, Duration::from_secs(60)).await?;
    let watch = Watch { home: &home, process: Process::new(server.pid()), begun: Instant::now() };
    // Nobody is there yet; whoever asked whether the server answers is gone.
    tokio::time::sleep(REST).await;
    let before = watch.look(0)?;
    seen(&before);
    let life = Life::begin(&url, soak.rate).await?;
    let mut during = Vec::new();
    let end = Instant::now() + soak.length;
    while Instant::now() < end {
        tokio::time::sleep(EVERY).await;
        let sample = watch.look(life.sent())?;
        seen(&sample);
        during.push(sample);
    }
    let (sent, failed) = life.end().await;
    tokio::time::sleep(REST).await;
    let after = watch.look(sent)?;
    seen(&after);
    server.stop(Duration::from_secs(30)).await?;
    Ok(Found { length: soak.length, rate: soak.rate, failed, before, during, after })
}

/// A directory for the server, which goes with this.
struct Home(PathBuf);

impl Drop for Home {
    fn drop(&mut self) {
        // Only ours lies there.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Home {
    fn new() -> io::Result<Self> {
        let name = format!("tertulia-soak-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path)?;
        fs::canonicalize(path).map(Home)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Starts the server there, for this machine only.
    fn command(&self, program: &Path, url: &str) -> anyhow::Result<Command> {
        let log = File::create(self.log()).context("a log cannot be written")?;
        let address = url.trim_start_matches("http://");
        let mut command = Command::new(program);
        command.arg("serve").stderr(log).env_clear();
        for (name, value) in [
            ("SERVER_NAME", "localhost"),
            ("LISTENERS", &format!("[{{ address = \"{address}\" }}]")),
            ("DATA_DIRECTORY", &self.data().display().to_string()),
            ("REGISTRATION__MODE", "open"),
            ("RATE_LIMITS", "false"),
            ("LOGS__FORMAT", "json"),
            ("LOGS__LEVEL", "warn,tertulia::vitals=debug"),
        ] {
            command.env(format!("TERTULIA_{name}"), value);
        }
        Ok(command)
    }
}

/// Looks at a server.
struct Watch<'a> {
    home: &'a Home,
    process: Process,
    begun: Instant,
}

impl Watch<'_> {
    fn look(&self, sent: u64) -> anyhow::Result<Sample> {
        let log = fs::read_to_string(self.home.log()).context("the log is gone")?;
        let (tasks, waiting) = vitals(&log).context("the server tells nothing of its tasks")?;
        Ok(Sample {
            at: self.begun.elapsed().as_secs(),
            memory: self.process.memory().context("the server is gone")?,
            descriptors: self.process.descriptors_outside(&self.home.data())?,
            threads: self.process.thread_count()?,
            tasks,
            waiting,
            sent,
        })
    }
}

/// The newest tasks and waiting syncs that a server told of.
fn vitals(log: &str) -> Option<(u64, u64)> {
    log.lines().rev().find_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        Some((line["tasks"].as_u64()?, line["waiting_syncs"].as_u64()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_line_counts() {
        let log = r#"{"level":"DEBUG","tasks":1,"waiting_syncs":2}
{"level":"DEBUG","tasks":3,"waiting_syncs":4}
{"level":"WARN","message":"slow"}
not a line"#;
        assert_eq!(vitals(log), Some((3, 4)));
        assert_eq!(vitals(""), None);
    }

    #[test]
    fn a_home_is_gone_when_it_is_dropped() {
        let home = Home::new().unwrap();
        let command = home.command(Path::new("tertulia"), "http://127.0.0.1:7").unwrap();
        let listens = command.get_envs().find(|(name, _)| *name == "TERTULIA_LISTENERS");
        assert_eq!(listens.unwrap().1.unwrap(), r#"[{ address = "127.0.0.1:7" }]"#);
        let path = home.0.clone();
        assert!(path.exists());
        drop(home);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_server_that_does_not_start_is_an_error() {
        let soak = Soak { program: "false".into(), length: Duration::ZERO, rate: 1 };
        assert!(run(&soak, |_| {}).await.is_err());
    }
}
