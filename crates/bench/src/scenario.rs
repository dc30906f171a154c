//! What is measured. A scenario prepares users and rooms once, runs as often as asked, and believes no answer: each run
//! ends by checking that the server did what it was asked, and one that did not has no figures.

use std::path::PathBuf;

use anyhow::Context;

use crate::crowd::Recruiter;
use crate::measure::{Figures, Meter, median};
use crate::process::{Process, bytes_on_disk};
use crate::report::Row;

pub mod create_and_join;
pub mod delivery;
pub mod fan_out;
pub mod incremental_sync;
pub mod initial_sync;
pub mod login;
pub mod media;
pub mod members;
pub mod messages;
pub mod register;
pub mod send;

/// One kind of load.
pub trait Scenario {
    /// What the table calls it.
    fn name(&self) -> String;

    /// Does its operations under the meter and checks what came of them. An error says what the server did wrong.
    fn run(
        &mut self,
        meter: &mut Meter,
        operations: u64,
    ) -> impl Future<Output = anyhow::Result<()>>;
}

/// What all scenarios have in common.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Makes their users.
    pub recruiter: Recruiter,
    /// The server's process, if it runs on this machine.
    pub process: Option<Process>,
    /// The server's data directory, if it is on this machine.
    pub data: Option<PathBuf>,
    /// Operations in a run.
    pub operations: u64,
    /// Runs of which the median is told.
    pub runs: u32,
}

impl Bench {
    /// Runs a scenario and takes the median of its runs.
    pub async fn measure(&self, scenario: &mut impl Scenario) -> anyhow::Result<Figures> {
        let mut runs = Vec::new();
        for run in 1..=self.runs {
            let mut meter = Meter::new(self.process, self.operations, "operations");
            let outcome = scenario.run(&mut meter, self.operations).await;
            // An operation that failed is the better explanation of a check that failed after it.
            let figures = meter.figures().and_then(|figures| outcome.map(|()| figures));
            runs.push(figures.with_context(|| format!("run {run} of {}", scenario.name()))?);
        }
        Ok(median(&runs))
    }

    /// Runs a scenario and tells what the table shows of it.
    pub async fn row(&self, scenario: &mut impl Scenario) -> anyhow::Result<Row> {
        let before = self.disk()?;
        let figures = self.measure(scenario).await?;
        let done = (figures.operations * u64::from(self.runs)) as f64;
        let disk = before
            .zip(self.disk()?)
            .map(|(before, after)| after.saturating_sub(before) as f64 / done);
        let peak_memory = self.process.map(|process| process.peak_memory()).transpose()?;
        Ok(Row::measured(scenario.name(), self.runs, figures, peak_memory, disk))
    }

    fn disk(&self) -> anyhow::Result<Option<u64>> {
        let bytes = self.data.as_ref().map(|data| bytes_on_disk(data));
        bytes.transpose().context("reading the data directory")
    }
}
