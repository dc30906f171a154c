//! What a soak showed, and whether that is good.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much of a soak is compared with what lies before, at most.
const WINDOW: Duration = Duration::from_secs(600);
/// By how much the mean memory of two windows may differ, in parts of the first.
const MAY_DIFFER: f64 = 0.05;
/// How many messages of a thousand must have been sent, lest a server that does little passes.
const MUST_BE_SENT: f64 = 0.95;

/// What a server has at some moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds since its start.
    pub at: u64,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Descriptors of other things than its data.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Tasks that have not ended.
    pub tasks: u64,
    /// Syncs that wait.
    pub waiting: u64,
    /// Messages that were sent so far.
    pub sent: u64,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, memory, descriptors, threads, tasks, waiting, sent } = self;
        let memory = *memory as f64 / 1e6;
        write!(
            f,
            "{at:>6} s {memory:>8.1} MB {descriptors:>5} descriptors {threads:>3} threads {tasks:>5} tasks \
             {waiting:>4} waiting syncs {sent:>8} sent"
        )
    }
}

/// What a soak showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// How long it took.
    pub length: Duration,
    /// How many messages a second were to be sent.
    pub rate: u32,
    /// How many requests failed.
    pub failed: u64,
    /// What the server had before anyone came.
    pub before: Sample,
    /// What it had meanwhile.
    pub during: Vec<Sample>,
    /// What it has when all are gone.
    pub after: Sample,
}

impl Found {
    /// Whether nothing grew, nothing is left over, and the server did its work.
    pub fn is_good(&self) -> bool {
        self.complaints().is_empty()
    }

    /// The mean memory of the last window, and of the one before it.
    fn memory(&self) -> Option<(f64, f64)> {
        let window = WINDOW.min(self.length / 3).as_secs();
        let end = self.during.last()?.at;
        let mean = |from: u64, to: u64| {
            let window = self.during.iter().filter(|sample| (from..to).contains(&sample.at));
            let memory: Vec<_> = window.map(|sample| sample.memory as f64).collect();
            (!memory.is_empty()).then(|| memory.iter().sum::<f64>() / memory.len() as f64)
        };
        let (last, before) = (end.checked_sub(window)?, end.checked_sub(2 * window)?);
        Some((mean(before + 1, last + 1)?, mean(last + 1, end + 1)?))
    }

    /// What is not as it should be.
    fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        match self.memory() {
            Some((before, last)) if (last / before - 1.0).abs() <= MAY_DIFFER => {}
            Some(_) => complaints.push("memory went on changing".to_owned()),
            None => complaints.push("it was looked too seldom".to_owned()),
        }
        let (before, after) = (&self.before, &self.after);
        for (what, before, after) in [
            ("descriptors", before.descriptors as u64, after.descriptors as u64),
            ("tasks", before.tasks, after.tasks),
            ("waiting syncs", before.waiting, after.waiting),
        ] {
            if after > before {
                complaints.push(format!("{what} are left over: {before} before, {after} after"));
            }
        }
        let due = self.length.as_secs_f64() * f64::from(self.rate);
        if (after.sent as f64) < due * MUST_BE_SENT {
            complaints.push(format!("only {} messages of {due} were sent", after.sent));
        }
        if self.failed > after.sent / 1_000 {
            complaints.push(format!("{} requests failed", self.failed));
        }
        complaints
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "before  {}", self.before)?;
        writeln!(f, "after   {}", self.after)?;
        writeln!(f, "{} requests failed", self.failed)?;
        if let Some((before, last)) = self.memory() {
            let change = (last / before - 1.0) * 100.0;
            let (before, last) = (before / 1e6, last / 1e6);
            writeln!(f, "mean memory {before:.1} MB, then {last:.1} MB: {change:+.1} %")?;
        }
        match self.complaints().as_slice() {
            [] => writeln!(f, "nothing grows, and nothing is left over"),
            complaints => {
                complaints.iter().try_for_each(|complaint| writeln!(f, "NOT GOOD: {complaint}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: u64, megabytes: u64) -> Sample {
        let memory = megabytes * 1_000_000;
        Sample { at, memory, descriptors: 10, threads: 9, tasks: 8, waiting: 0, sent: at * 200 }
    }

    /// Half an hour of 200 a second in which memory was so at each minute.
    fn found(memory: impl Fn(u64) -> u64) -> Found {
        Found {
            length: Duration::from_secs(1_800),
            rate: 200,
            failed: 0,
            before: sample(0, 20),
            during: (1..=30).map(|minute| sample(minute * 60, memory(minute))).collect(),
            after: sample(1_800, 100),
        }
    }

    #[track_caller]
    fn check(found: &Found, expected: &[&str]) {
        let complaints = found.complaints();
        assert_eq!(complaints.len(), expected.len(), "{complaints:?}");
        for (complaint, expected) in complaints.iter().zip(expected) {
            assert!(complaint.contains(expected), "{complaint}");
        }
        assert_eq!(found.is_good(), expected.is_empty());
    }

    #[test]
    fn memory_that_stays_is_good_whatever_it_did_at_first() {
        check(&found(|minute| if minute < 10 { minute * 10 } else { 100 }), &[]);
        check(&found(|minute| if minute > 20 { 104 } else { 100 }), &[]);
    }

    #[test]
    fn memory_that_grows_is_not() {
        check(&found(|minute| 100 + minute), &["memory"]);
        check(&found(|minute| if minute > 20 { 106 } else { 100 }), &["memory"]);
        let never = Found { during: Vec::new(), ..found(|_| 100) };
        check(&never, &["seldom"]);
    }

    #[test]
    fn what_is_left_over_is_not_good() {
        let good = || found(|_| 100);
        let after = |change: fn(&mut Sample)| {
            let mut found = good();
            change(&mut found.after);
            found
        };
        check(&after(|after| after.descriptors += 1), &["descriptors are left over: 10 before"]);
        check(&after(|after| after.tasks += 1), &["tasks"]);
        check(&after(|after| after.waiting += 1), &["waiting syncs"]);
        check(&after(|after| after.threads += 9), &[]);
    }

    #[test]
    fn a_server_that_does_little_does_not_pass() {
        let mut lazy = found(|_| 100);
        lazy.after.sent = 340_000;
        check(&lazy, &["340000 messages of 360000"]);
        check(&Found { failed: 400, ..found(|_| 100) }, &["400 requests failed"]);
    }

    #[test]
    fn the_verdict_can_be_read() {
        let text = found(|_| 100).to_string();
        assert!(text.contains("mean memory 100.0 MB, then 100.0 MB: +0.0 %"), "{text}");
        assert!(text.contains("nothing grows"), "{text}");
        assert!(found(|minute| 100 + minute).to_string().contains("NOT GOOD"));
    }
}
