//! The real program, as the tests start it that kill it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use tertulia_bench::server::{self, Server};

/// How long a start may take, recovery of the store included.
const PATIENCE: Duration = Duration::from_secs(50);

/// A server's program with a configuration, a data directory, a log and a port of its own.
#[derive(Debug)]
pub struct Program {
    binary: PathBuf,
    home: PathBuf,
    port: u16,
}

impl Program {
    /// Writes the configuration into `home`, an empty directory. `more` is added to it, as TOML tables.
    pub fn settle(binary: &Path, home: &Path, more: &str) -> anyhow::Result<Program> {
        let port = server::free_port()?;
        let program = Program { binary: binary.to_owned(), home: home.to_owned(), port };
        fs::create_dir_all(program.data())?;
        fs::write(program.file("config.toml"), config(&program.data(), port, more))?;
        Ok(program)
    }

    /// Where clients find the server.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where its data lies.
    pub fn data(&self) -> PathBuf {
        self.file("data")
    }

    /// A file of its home.
    pub fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// What starts it; what it says is added to the log in its home.
    pub fn command(&self) -> anyhow::Result<Command> {
        let log = File::options().create(true).append(true).open(self.file("server.log"))?;
        let mut command = Command::new(&self.binary);
        command.arg("serve").arg("--config").arg(self.file("config.toml"));
        command.stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// Starts what [`Program::command`] gave and waits until it answers; also says how long that took.
    pub async fn start(&self, command: Command) -> anyhow::Result<(Server, Duration)> {
        let started = Server::start(command, &self.url(), PATIENCE).await;
        started.with_context(|| format!("see {}", self.file("server.log").display()))
    }
}

fn config(data: &Path, port: u16, more: &str) -> String {
    format!(
        r#"server_name = "localhost"
data_directory = {data:?}
rate_limits = false

[[listeners]]
address = "127.0.0.1:{port}"

[registration]
mode = "open"

# Hashes that cost next to nothing: what is tested here is not guessing.
[passwords]
memory_kib = 64
iterations = 1

{more}"#
    )
}
