//! `cargo xtask crash` and `cargo xtask clients`: tests that start the real program and judge it from outside.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Args;

use crate::{
    cargo::{build_server, cargo, finish, products},
    needs,
};

/// What may follow `crash`.
#[derive(Args)]
pub(crate) struct Crash {
    /// How often the server is killed
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// What all choices follow from [default: a new one, printed]
    #[arg(long)]
    seed: Option<u64>,
    /// How the server commits: `relaxed` must fail, which shows that the rig sees what is lost
    #[arg(long, default_value = "synced")]
    commits: String,
    #[command(flatten)]
    program: Program,
}

/// What may follow `clients`.
#[derive(Args)]
pub(crate) struct Clients {
    #[command(flatten)]
    program: Program,
}

/// Which server is judged.
#[derive(Args)]
struct Program {
    /// A server's program to judge instead of building one
    #[arg(long)]
    server: Option<PathBuf>,
}

impl Crash {
    /// Kills the server again and again, and looks for what it promised.
    pub(crate) fn execute(self) -> anyhow::Result<ExitCode> {
        let arguments = self.arguments();
        self.program.judge("crash", arguments)
    }

    fn arguments(&self) -> Vec<OsString> {
        let rounds = self.rounds.to_string();
        let mut arguments = vec!["--rounds", &rounds, "--commits", &self.commits];
        let seed = self.seed.map(|seed| seed.to_string());
        arguments.extend(seed.iter().flat_map(|seed| ["--seed", seed]));
        arguments.into_iter().map(OsString::from).collect()
    }
}

impl Clients {
    /// Has clients that others published talk through the server.
    pub(crate) fn execute(self) -> anyhow::Result<ExitCode> {
        self.program.judge("clients", Vec::new())
    }
}

impl Program {
    /// Runs the test of this name; what it keeps lies in a folder of the same name beside the profiles' products.
    fn judge(self, test: &str, arguments: Vec<OsString>) -> anyhow::Result<ExitCode> {
        needs::provide()?;
        let server = match self.server {
            Some(server) => std::path::absolute(server)?,
            None => build_server()?,
        };
        let products = products()?;
        let home = products.parent().context("the products lie nowhere")?.join(test);
        let mut command = cargo(&["test", "--workspace", "--quiet", "--test", test, "--"]);
        let status = finish(command.args(places(&server, &home)).args(arguments))?;
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn places(server: &Path, home: &Path) -> [OsString; 4] {
    ["--server".into(), server.into(), "--home".into(), home.into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seed: Option<u64>, passed_on: &str) {
        let program = Program { server: None };
        let crash = Crash { rounds: 7, seed, commits: "synced".to_owned(), program };
        assert_eq!(crash.arguments().join(" ".as_ref()), *passed_on);
    }

    #[test]
    fn rounds_and_seed_reach_the_rig() {
        check(None, "--rounds 7 --commits synced");
        check(Some(42), "--rounds 7 --commits synced --seed 42");
    }

    #[test]
    fn a_test_learns_where_the_server_and_its_own_folder_are() {
        let words = places(Path::new("/a/tertulia"), Path::new("/a/crash"));
        assert_eq!(words.join(" ".as_ref()), *"--server /a/tertulia --home /a/crash");
    }
}
