//! What is measured. A scenario prepares users and rooms once, runs as often as asked, and believes no answer: each run
//! ends by checking that the server did what it was asked, and one that did not has no figures.

use anyhow::Context;

use crate::crowd::Recruiter;
use crate::measure::{Figures, Meter, median};
use crate::process::Process;

pub mod incremental_sync;
pub mod initial_sync;
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
pub struct Bench {
    /// Makes their users.
    pub recruiter: Recruiter,
    /// The server's process, if it runs on this machine.
    pub process: Option<Process>,
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
}
