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
pub mod lists;
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

#[cfg(test)]
mod tests {
    use std::fs;

    use anyhow::{bail, ensure};

    use super::*;
    use crate::api::Registration;
    use crate::target::Target;

    /// Writes a hundred bytes an operation, and is wrong as it is told to be.
    struct Fake {
        directory: PathBuf,
        runs: u64,
        failing_operation: Option<u64>,
        failing_check: Option<u64>,
    }

    impl Fake {
        fn new(bench: &Bench) -> Fake {
            let directory = bench.data.clone().unwrap();
            Fake { directory, runs: 0, failing_operation: None, failing_check: None }
        }
    }

    impl Scenario for Fake {
        fn name(&self) -> String {
            "fake".to_owned()
        }

        async fn run(&mut self, meter: &mut Meter, operations: u64) -> anyhow::Result<()> {
            self.runs += 1;
            let operate = |_, number| {
                let file = self.directory.join(format!("{}-{number}", self.runs));
                std::future::ready((|| {
                    ensure!(self.failing_operation != Some(number), "operation {number} failed");
                    Ok(fs::write(file, [0; 100])?)
                })())
            };
            meter.start()?;
            meter.drive(2, operations, operate).await;
            meter.stop()?;
            if self.failing_check == Some(self.runs) {
                bail!("a message is lost");
            }
            Ok(())
        }
    }

    fn bench(directory: &tempfile::TempDir) -> Bench {
        let described =
            format!("a=http://127.0.0.1:1,{},{}", std::process::id(), directory.path().display());
        let target: Target = described.parse().unwrap();
        Bench { operations: 10, runs: 3, ..target.bench(Registration::Open) }
    }

    #[tokio::test]
    async fn a_row_tells_what_the_server_used_and_wrote() {
        let directory = tempfile::tempdir().unwrap();
        let bench = bench(&directory);
        let row = bench.row(&mut Fake::new(&bench)).await.unwrap();
        assert_eq!(row.figures.as_ref().unwrap().operations, 10);
        assert_eq!(row.disk, Some(100.0));
        assert!(row.peak_memory > Some(0) && row.figures.unwrap().cpu.is_some());
    }

    #[tokio::test]
    async fn what_is_not_on_this_machine_is_not_told() {
        let directory = tempfile::tempdir().unwrap();
        let bench = bench(&directory);
        let mut fake = Fake::new(&bench);
        let far = Bench { process: None, data: None, ..bench };
        let row = far.row(&mut fake).await.unwrap();
        assert_eq!((row.disk, row.peak_memory, row.figures.unwrap().cpu), (None, None, None));
    }

    #[tokio::test]
    async fn one_run_that_fails_its_check_takes_all_figures_away() {
        let directory = tempfile::tempdir().unwrap();
        let bench = bench(&directory);
        let mut fake = Fake { failing_check: Some(2), ..Fake::new(&bench) };
        let error = bench.row(&mut fake).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "run 2 of fake: a message is lost");
        assert_eq!(fake.runs, 2);
    }

    #[tokio::test]
    async fn an_operation_that_failed_explains_a_check_that_failed() {
        let directory = tempfile::tempdir().unwrap();
        let bench = bench(&directory);
        let fake = Fake::new(&bench);
        let mut fake = Fake { failing_operation: Some(3), failing_check: Some(1), ..fake };
        let error = format!("{:#}", bench.row(&mut fake).await.unwrap_err());
        assert!(error.ends_with("the first failure: operation 3 failed"), "{error}");
    }

    #[tokio::test]
    async fn a_data_directory_that_is_not_there_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let bench = bench(&directory);
        let mut fake = Fake::new(&bench);
        let nowhere = Bench { data: Some("/nowhere/at/all".into()), ..bench };
        let error = nowhere.row(&mut fake).await.unwrap_err();
        assert_eq!(error.to_string(), "reading the data directory");
    }

    #[tokio::test]
    async fn a_process_that_is_not_there_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let bench = bench(&directory);
        let mut fake = Fake::new(&bench);
        let gone = Bench { process: Some(Process::new(0)), ..bench };
        let error = format!("{:#}", gone.row(&mut fake).await.unwrap_err());
        assert!(error.contains("is --pid right?"), "{error}");
    }
}
