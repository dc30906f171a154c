//! `cargo xtask soak`: whether a server at work for half an hour grows, or leaves anything over.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::{
    cargo::{cargo, finish, products},
    needs,
};

/// What may follow `soak`.
#[derive(Args)]
pub(crate) struct Soak {
    /// How long people come, talk and go
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// How many messages they send a second
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Write all that was seen to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A server's program to soak instead of building one
    #[arg(long)]
    server: Option<PathBuf>,
}

impl Soak {
    /// Builds the server and the generator for release, and soaks the server.
    pub(crate) fn execute(self) -> anyhow::Result<ExitCode> {
        needs::provide()?;
        if !finish(&mut cargo(&self.build()))?.success() {
            bail!("it could not be built; what stands in the way is said above");
        }
        let products = products()?;
        let products = products.parent().context("the products lie nowhere")?.join("release");
        let server = self.server.clone().unwrap_or_else(|| products.join("tertulia"));
        let mut soak = Command::new(products.join("tertulia-bench"));
        soak.args(self.arguments()).arg("--").arg(std::path::absolute(server)?);
        let status = soak.status().context("the generator cannot be started")?;
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// What cargo builds: the generator, and the server unless there is one.
    fn build(&self) -> Vec<&'static str> {
        let mut arguments = vec!["build", "--workspace", "--release", "--bin", "tertulia-bench"];
        if self.server.is_none() {
            arguments.extend(["--bin", "tertulia"]);
        }
        arguments
    }

    fn arguments(&self) -> Vec<String> {
        let (minutes, rate) = (self.minutes.to_string(), self.rate.to_string());
        let mut arguments =
            ["soak", "--minutes", &minutes, "--rate", &rate].map(str::to_owned).to_vec();
        if let Some(json) = &self.json {
            arguments.extend(["--json".to_owned(), json.display().to_string()]);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_rate_and_file_reach_the_generator() {
        let soak = Soak { minutes: 1, rate: 7, json: Some("a.json".into()), server: None };
        assert_eq!(soak.arguments().join(" "), "soak --minutes 1 --rate 7 --json a.json");
    }

    #[test]
    fn a_server_is_built_unless_there_is_one() {
        let soak = |server| Soak { minutes: 1, rate: 7, json: None, server };
        let all = ["build", "--workspace", "--release", "--bin", "tertulia-bench"];
        assert_eq!(soak(Some("here".into())).build(), all);
        assert_eq!(soak(None).build(), [all.as_slice(), &["--bin", "tertulia"]].concat());
    }
}
