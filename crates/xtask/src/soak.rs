//! `cargo xtask soak`: whether a server at work for half an hour grows, or leaves anything over.

use std::{path::PathBuf, process::ExitCode};

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
    /// Builds the server for release, and soaks it.
    pub(crate) fn execute(self) -> anyhow::Result<ExitCode> {
        needs::provide()?;
        let server = match &self.server {
            Some(server) => std::path::absolute(server)?,
            None => self.build()?,
        };
        let status = finish(
            cargo(&["run", "--workspace", "--bin", "tertulia-bench", "--"])
                .args(self.arguments())
                .arg("--")
                .arg(server),
        )?;
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn build(&self) -> anyhow::Result<PathBuf> {
        let arguments = ["build", "--workspace", "--release", "--bin", "tertulia"];
        if !finish(&mut cargo(&arguments))?.success() {
            bail!("the server could not be built; what stands in the way is said above");
        }
        let products = products()?;
        let products = products.parent().context("the products lie nowhere")?;
        Ok(products.join("release/tertulia"))
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
}
