//! `cargo xtask laws`: all random histories, of which `cargo xtask test` runs a tenth.

use std::process::{Command, ExitCode};

use clap::Args;

use crate::{
    cargo::{cargo, finish},
    needs,
};

/// What may follow `laws`.
#[derive(Args)]
pub(crate) struct Laws {
    /// Try the histories of this seed only, as a failure printed it
    #[arg(long)]
    seed: Option<u64>,
}

/// Where the laws stand: the law of sync and of stops, the law of state in rooms with branches, and
/// the law of what is unread.
const LAWS: [&[&str]; 3] = [
    &["test", "-p", "tertulia-tests", "--test", "model"],
    &["test", "-p", "tertulia", "--lib", "fork_laws"],
    &["test", "-p", "tertulia", "--lib", "unread::tests::law"],
];

impl Laws {
    /// Runs every law on all of its histories.
    pub(crate) fn execute(self) -> anyhow::Result<ExitCode> {
        needs::provide()?;
        let mut code = ExitCode::SUCCESS;
        for law in LAWS {
            if !finish(&mut self.command(law))?.success() {
                code = ExitCode::FAILURE;
            }
        }
        Ok(code)
    }

    fn command(&self, law: &[&str]) -> Command {
        let mut command = cargo(law);
        command.env("TERTULIA_LAWS", "all");
        if let Some(seed) = self.seed {
            command.env("TERTULIA_SEED", seed.to_string());
        }
        command.args(["--", "--nocapture"]);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seed: Option<u64>, expected: &[(&str, &str)]) {
        let command = Laws { seed }.command(LAWS[0]);
        for (name, value) in expected {
            let set =
                command.get_envs().any(|(key, set)| key == *name && set == Some(value.as_ref()));
            assert!(set, "{name} is {value}");
        }
        let names: Vec<_> = command.get_envs().map(|(key, _)| key.to_owned()).collect();
        assert_eq!(names.contains(&"TERTULIA_SEED".into()), seed.is_some());
        assert!(command.get_args().any(|argument| argument == "model"));
    }

    #[test]
    fn all_histories_are_asked_for_or_those_of_one_seed() {
        check(None, &[("TERTULIA_LAWS", "all")]);
        check(Some(7), &[("TERTULIA_LAWS", "all"), ("TERTULIA_SEED", "7")]);
    }
}
