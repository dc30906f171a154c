//! `cargo xtask test`: what everyone runs before a change leaves the machine.

use std::process::ExitCode;

use clap::Args;

use crate::{
    cargo::{cargo, finish},
    needs,
};

/// What may follow `test`.
#[derive(Args)]
pub(crate) struct Test {
    /// Arguments for `cargo test`, such as -p PACKAGE or the name of a test
    #[arg(allow_hyphen_values = true)]
    arguments: Vec<String>,
    /// Arguments for the tests themselves: what stands behind `--`.
    #[arg(skip)]
    pub(crate) tests: Vec<String>,
}

impl Test {
    /// Runs the tests of the workspace; all of them, even if one fails.
    pub(crate) fn execute(self) -> anyhow::Result<ExitCode> {
        needs::provide()?;
        let mut command = cargo(&["test", "--no-fail-fast"]);
        if !self.names_packages() {
            command.arg("--workspace");
        }
        let status = finish(command.args(self.passed_on()))?;
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn names_packages(&self) -> bool {
        let names =
            |argument: &String| argument.starts_with("-p") || argument.starts_with("--package");
        self.arguments.iter().any(names)
    }

    /// What cargo gets to see.
    pub(crate) fn passed_on(&self) -> Vec<&str> {
        let tests = self.tests.iter().map(String::as_str);
        self.arguments.iter().map(String::as_str).chain(["--"]).chain(tests).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arguments: &[&str], names_packages: bool) {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let test = Test { arguments: words(arguments), tests: words(&["-p"]) };
        assert_eq!(test.names_packages(), names_packages, "{arguments:?}");
    }

    #[test]
    fn all_packages_are_tested_unless_some_are_named() {
        check(&[], false);
        check(&["some_test"], false);
        check(&["-p", "tertulia"], true);
        check(&["--package=tertulia"], true);
    }
}
