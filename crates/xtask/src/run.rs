//! `cargo xtask run`: a server to try, on this machine only.

use std::{
    env,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use anyhow::Context as _;
use clap::Args;

use crate::{
    cargo::{build_server, root},
    needs,
    progress::say,
};

/// Settings of a server that only this machine can reach. The environment may say otherwise.
const SETTINGS: [(&str, &str); 4] = [
    ("TERTULIA_SERVER_NAME", "localhost"),
    ("TERTULIA_LISTENERS", "[{ address = \"127.0.0.1:8008\" }]"),
    ("TERTULIA_DATA_DIRECTORY", "./data"),
    ("TERTULIA_REGISTRATION__MODE", "open"),
];

const NEXT: &str = "\
the server starts on http://127.0.0.1:8008, with its data in ./data; Ctrl-C ends it.
       Next: open a Matrix client, choose http://127.0.0.1:8008 as its homeserver and register an account;
       nobody but this machine can reach it. README.md shows the first steps.";

/// What may follow `run`.
#[derive(Args)]
pub(crate) struct Run {
    /// Arguments for `tertulia serve`, such as --config FILE
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Run {
    /// Builds the server and becomes it, so that signals reach it and its exit code is ours.
    pub(crate) fn execute(self) -> anyhow::Result<ExitCode> {
        needs::provide()?;
        let server = build_server()?;
        let mut command = Command::new(server);
        command.current_dir(root()).arg("serve").args(&self.arguments);
        if self.arguments.is_empty() {
            command.envs(settings());
            say(NEXT);
        }
        Err(command.exec()).context("the server cannot be started")
    }
}

fn settings() -> impl Iterator<Item = (&'static str, &'static str)> {
    SETTINGS.into_iter().filter(|(name, _)| env::var_os(name).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registration_is_open_because_only_this_machine_can_reach_it() {
        let value = |name| SETTINGS.iter().find(|(found, _)| *found == name).unwrap().1;
        assert_eq!(value("TERTULIA_REGISTRATION__MODE"), "open");
        assert!(value("TERTULIA_LISTENERS").contains("127.0.0.1:8008"));
        assert!(NEXT.contains("http://127.0.0.1:8008"));
    }
}
