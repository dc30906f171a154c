//! A whole measurement: every step of a plan at every server in turn.

use crate::api::Registration;
use crate::plan::Step;
use crate::report::{Measured, Report, Row};
use crate::scenario::Bench;
use crate::target::Target;

/// What happens while one measures.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A step begins at a server.
    Begins {
        /// Its number, from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// What is done.
        step: &'a Step,
        /// At which server.
        server: &'a str,
    },
    /// A row is there.
    Measured {
        /// The row.
        row: &'a Row,
    },
}

/// Measures all steps. At each step the servers take turns, so that what changes on the machine meanwhile meets them alike.
pub async fn run(
    plan: &[Step],
    targets: &[Target],
    registration: &Registration,
    watch: impl Fn(Progress<'_>),
) -> Report {
    let mut report = Report::begin();
    let benches: Vec<Bench> =
        targets.iter().map(|target| target.bench(registration.clone())).collect();
    for (target, bench) in targets.iter().zip(&benches) {
        let server = Measured::begin(target.name.clone(), bench.recruiter.client(), bench.process);
        report.servers.push(server.await);
    }
    for (index, step) in plan.iter().enumerate() {
        for (server, bench) in report.servers.iter_mut().zip(&benches) {
            watch(Progress::Begins {
                number: index + 1,
                of: plan.len(),
                step,
                server: &server.name,
            });
            let rows = step.measure(bench).await;
            rows.iter().for_each(|row| watch(Progress::Measured { row }));
            server.rows.extend(rows);
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::plan::Load;

    #[tokio::test]
    async fn servers_take_turns_at_each_step() {
        let targets = ["a=http://127.0.0.1:1", "b=http://127.0.0.1:1"]
            .map(|target| target.parse::<Target>().unwrap());
        let plan =
            [Load::Register, Load::Login(1)].map(|load| Step { load, operations: 1, runs: 1 });
        let seen = RefCell::new(Vec::new());
        let watch = |progress: Progress<'_>| match progress {
            Progress::Begins { number, of, server, .. } => {
                seen.borrow_mut().push(format!("{number}/{of} {server}"));
            }
            Progress::Measured { row } => assert!(row.figures.is_none()),
        };
        let report = run(&plan, &targets, &Registration::Open, watch).await;
        assert_eq!(*seen.borrow(), ["1/2 a", "1/2 b", "2/2 a", "2/2 b"]);
        assert!(report.servers.iter().all(|server| server.rows.len() == 2));
        assert!(!report.is_complete());
    }
}
