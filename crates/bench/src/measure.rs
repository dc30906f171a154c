//! How long operations take, and what they cost the server's process.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use crate::crowd::progress;
use crate::process::{CpuTime, Process};

/// A run that has failed this often will not end well.
const ENOUGH_ERRORS: u64 = 100;

/// Measures one run of a scenario. What happens between [`Meter::start`] and [`Meter::stop`] counts, as often as they come.
pub struct Meter {
    process: Option<Process>,
    latencies: RefCell<Histogram<u64>>,
    errors: Cell<u64>,
    first_error: RefCell<Option<anyhow::Error>>,
    running: Option<(Instant, CpuTime)>,
    wall: Duration,
    cpu: Duration,
    bar: ProgressBar,
}

/// Some operations of a run failed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{errors} operations failed and {done} succeeded; the first failure")]
pub struct Failed {
    /// So many did.
    pub errors: u64,
    /// So many did not.
    pub done: u64,
}

/// What an operation that succeeded says of the time it took.
pub trait Took {
    /// The time that counts, of the time that passed.
    fn of(self, passed: Duration) -> Duration;
}

impl Took for () {
    fn of(self, passed: Duration) -> Duration {
        passed
    }
}

/// The operation has looked at the clock itself.
impl Took for Duration {
    fn of(self, _: Duration) -> Duration {
        self
    }
}

/// What one run, or the median of several, has shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Operations that succeeded.
    pub operations: u64,
    /// Operations a second.
    pub throughput: f64,
    /// Half of all operations took no longer, in microseconds.
    pub p50: u64,
    /// 95 of 100 took no longer.
    pub p95: u64,
    /// 99 of 100 took no longer.
    pub p99: u64,
    /// User and system time of the server for one operation, in microseconds, if its process is known.
    pub cpu: Option<f64>,
}

impl Meter {
    /// A meter that also reads the CPU time of `process`; `operations` is what the progress bar ends at.
    pub fn new(process: Option<Process>, operations: u64, what: &'static str) -> Meter {
        let hour = 3_600_000_000;
        Meter {
            process,
            latencies: RefCell::new(
                Histogram::new_with_max(hour, 3).expect("three digits up to an hour can be kept"),
            ),
            errors: Cell::new(0),
            first_error: RefCell::new(None),
            running: None,
            wall: Duration::ZERO,
            cpu: Duration::ZERO,
            bar: progress(operations, what),
        }
    }

    /// From here on time counts.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.running = Some((Instant::now(), self.cpu_now()?));
        Ok(())
    }

    /// Up to here time counts.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let (started, cpu) = self.running.take().context("the meter was not running")?;
        self.wall += started.elapsed();
        self.cpu += self.cpu_now()?.since(&cpu);
        Ok(())
    }

    fn cpu_now(&self) -> anyhow::Result<CpuTime> {
        match &self.process {
            Some(process) => {
                process.cpu().context("reading the server's CPU time: is --pid right?")
            }
            None => Ok(CpuTime::default()),
        }
    }

    /// Does `operation` so often, always `workers` at once; it learns which worker it is and how many came before it.
    pub async fn drive<F, T>(
        &self,
        workers: usize,
        operations: u64,
        operation: impl Fn(usize, u64) -> F,
    ) where
        F: Future<Output = anyhow::Result<T>>,
        T: Took,
    {
        let (next, operation) = (Cell::new(0), &operation);
        let work = |worker| {
            let next = &next;
            async move {
                while next.get() < operations && self.errors.get() < ENOUGH_ERRORS {
                    let number = next.replace(next.get() + 1);
                    self.time(operation(worker, number)).await;
                }
            }
        };
        join_all((0..workers).map(work)).await;
    }

    async fn time(&self, operation: impl Future<Output = anyhow::Result<impl Took>>) {
        let started = Instant::now();
        match operation.await {
            Ok(took) => {
                let took = took.of(started.elapsed());
                self.latencies.borrow_mut().saturating_record(took.as_micros() as u64);
            }
            Err(error) => {
                self.errors.set(self.errors.get() + 1);
                self.first_error.borrow_mut().get_or_insert(error);
            }
        }
        self.bar.inc(1);
    }

    /// The figures, unless an operation failed: then there are none, only the first error and how many came.
    pub fn figures(self) -> anyhow::Result<Figures> {
        self.bar.finish_and_clear();
        let latencies = self.latencies.into_inner();
        if let Some(error) = self.first_error.into_inner() {
            let (errors, done) = (self.errors.get(), latencies.len());
            return Err(error.context(Failed { errors, done }));
        }
        let operations = latencies.len();
        let each = |time: Duration| time.as_secs_f64() * 1e6 / operations as f64;
        Ok(Figures {
            operations,
            throughput: operations as f64 / self.wall.as_secs_f64(),
            p50: latencies.value_at_quantile(0.50),
            p95: latencies.value_at_quantile(0.95),
            p99: latencies.value_at_quantile(0.99),
            cpu: self.process.map(|_| each(self.cpu)),
        })
    }
}

/// Each figure's median over the runs, of which there is at least one.
pub fn median(runs: &[Figures]) -> Figures {
    let whole = |figure: fn(&Figures) -> u64| {
        middle(runs.iter().map(|run| figure(run) as f64).collect()) as u64
    };
    Figures {
        operations: whole(|run| run.operations),
        throughput: middle(runs.iter().map(|run| run.throughput).collect()),
        p50: whole(|run| run.p50),
        p95: whole(|run| run.p95),
        p99: whole(|run| run.p99),
        cpu: runs.iter().map(|run| run.cpu).collect::<Option<_>>().map(middle),
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use anyhow::{bail, ensure};

    use super::*;

    fn figures(throughput: f64, cpu: Option<f64>) -> Figures {
        Figures { operations: 10, throughput, p50: 1, p95: 2, p99: 3, cpu }
    }

    async fn measured(operation: impl Fn(u64) -> anyhow::Result<()>) -> anyhow::Result<Figures> {
        let mut meter = Meter::new(Some(Process::new(std::process::id())), 1_000, "tests");
        meter.start()?;
        meter.drive(4, 1_000, |_, number| std::future::ready(operation(number))).await;
        meter.stop()?;
        meter.figures()
    }

    #[tokio::test]
    async fn every_operation_is_done_once() {
        let seen = RefCell::new(vec![0; 1_000]);
        let figures = measured(|number| {
            seen.borrow_mut()[number as usize] += 1;
            Ok(())
        });
        assert_eq!(figures.await.unwrap().operations, 1_000);
        assert!(seen.into_inner().iter().all(|times| *times == 1));
    }

    #[tokio::test]
    async fn a_run_with_one_failure_has_no_figures() {
        let fail = |number| {
            if number == 7 { bail!("event lost") } else { Ok(()) }
        };
        let error = measured(fail).await.unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "1 operations failed and 999 succeeded; the first failure: event lost"
        );
    }

    #[tokio::test]
    async fn a_failed_run_tells_how_often_it_failed() {
        let error = measured(|number| {
            ensure!(number % 500 > 0, "lost");
            Ok(())
        })
        .await
        .unwrap_err();
        let error = error.context("run 1 of 3");
        assert_eq!(error.downcast_ref::<Failed>().map(|failed| failed.errors), Some(2));
    }

    #[tokio::test]
    async fn an_operation_may_tell_itself_how_long_it_took() {
        let mut meter = Meter::new(None, 10, "tests");
        meter.start().unwrap();
        meter.drive(2, 10, |_, _| std::future::ready(Ok(Duration::from_secs(1)))).await;
        meter.stop().unwrap();
        let figures = meter.figures().unwrap();
        assert!((999_000..=1_001_000).contains(&figures.p50), "{figures:?}");
    }

    #[tokio::test]
    async fn a_run_that_only_fails_ends_early() {
        let error = measured(|_| bail!("no")).await.unwrap_err();
        assert!(error.to_string().starts_with("100 operations failed and 0 succeeded"), "{error}");
    }

    #[test]
    fn time_that_was_not_started_cannot_be_stopped() {
        assert!(Meter::new(None, 1, "tests").stop().is_err());
    }

    #[test]
    fn the_median_is_taken_of_each_figure() {
        let runs = [figures(3.0, Some(9.0)), figures(1.0, Some(7.0)), figures(2.0, Some(8.0))];
        assert_eq!(median(&runs), figures(2.0, Some(8.0)));
        assert_eq!(median(&runs[..2]).throughput, 2.0);
    }

    #[test]
    fn a_median_without_cpu_in_every_run_has_none() {
        assert_eq!(median(&[figures(1.0, Some(1.0)), figures(1.0, None)]).cpu, None);
    }
}
