//! `complement/results.jsonl`: what the last run showed, one line a test.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::events::{Outcome, Package};

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Results {
    pub(crate) head: Head,
    tests: BTreeMap<Name, Verdict>,
}

/// The first line: what was run, and against what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// The version of the suite.
    pub(crate) suite: String,
    /// The commit that the working tree stood on.
    pub(crate) commit: String,
    /// Whether the tree held more than that commit.
    pub(crate) changed: bool,
    /// Whether the server was built from this tree, and not given.
    pub(crate) built: bool,
    /// The day, in UTC.
    pub(crate) date: String,
}

/// Which test: its package below the suite, and its name with those of the tests it is part of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Name {
    pub(crate) package: String,
    pub(crate) test: String,
}

/// How a test ended, and if it failed, what it used that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lacks: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    name: Name,
    #[serde(flatten)]
    verdict: Verdict,
}

/// Which tests a run was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of its packages.
    Whole,
    /// Those that a pattern named.
    Named,
}

impl Results {
    /// Results without a test yet.
    pub(crate) fn new(head: Head) -> Self {
        Self { head, tests: BTreeMap::new() }
    }

    /// What runs showed of these packages.
    pub(crate) fn of(head: Head, names: &[String], packages: &[Package]) -> anyhow::Result<Self> {
        let mut results = Self::new(head);
        for (name, package) in names.iter().zip(packages) {
            let asked = package.tests.values().any(|test| !test.requests.is_empty());
            ensure!(
                !asked || package.served.log_was_seen,
                "{name}: the servers' logs were not to be seen, so nothing can be said about endpoints"
            );
            results.add(name, package);
        }
        ensure!(!results.tests.is_empty(), "no test has such a name");
        Ok(results)
    }

    /// Reads the file.
    pub(crate) fn read(text: &str) -> anyhow::Result<Self> {
        let mut lines = text.lines();
        let head = lines.next().context("the results are empty")?;
        let head = serde_json::from_str(head).context("the first line of the results")?;
        let mut results = Self::new(head);
        for line in lines {
            let Line { name, verdict } = serde_json::from_str(line).context(line.to_owned())?;
            results.tests.insert(name, verdict);
        }
        Ok(results)
    }

    /// The file's text, the same for the same results.
    pub(crate) fn write(&self) -> anyhow::Result<String> {
        let mut text = serde_json::to_string(&self.head)? + "\n";
        for (name, verdict) in &self.tests {
            let line = Line { name: name.clone(), verdict: verdict.clone() };
            text += &(serde_json::to_string(&line)? + "\n");
        }
        Ok(text)
    }

    /// Notes what a run showed of one package.
    pub(crate) fn add(&mut self, name: &str, package: &Package) {
        for (test, seen) in &package.tests {
            let outcome = seen.outcome();
            let lacks = match outcome {
                Outcome::Fail => package.served.lacks(&seen.requests),
                Outcome::Pass | Outcome::Skip => Vec::new(),
            };
            let name = Name { package: name.to_owned(), test: test.clone() };
            self.tests.insert(name, Verdict { outcome, lacks });
        }
    }

    /// Puts newer results in the place of those that they are about; of others nothing is known anew.
    pub(crate) fn renew(&mut self, newer: Self, packages: &[String], scope: Scope) {
        let tops: BTreeSet<_> = newer.tests.keys().map(Name::top).collect();
        let is_outdated = |name: &Name| match scope {
            Scope::Whole => packages.contains(&name.package),
            Scope::Named => tops.contains(&name.top()),
        };
        self.tests.retain(|name, _| !is_outdated(name));
        self.head = newer.head;
        self.tests.extend(newer.tests);
    }

    /// All tests, in order.
    pub(crate) fn tests(&self) -> impl Iterator<Item = (&Name, &Verdict)> {
        self.tests.iter()
    }

    /// The packages, in order.
    pub(crate) fn packages(&self) -> BTreeSet<&str> {
        self.tests.keys().map(|name| name.package.as_str()).collect()
    }

    /// Counts for people, a line for each package and one for all.
    pub(crate) fn summary(&self) -> String {
        let of_packages = self.packages().into_iter().map(|package| {
            counts(package, self.tests().filter(|(name, _)| name.package == package))
        });
        let lines: Vec<_> = of_packages.chain([counts("all", self.tests())]).collect();
        lines.join("\n")
    }

    /// What is not as it was in older results.
    pub(crate) fn changes_since(&self, older: &Self) -> Vec<Change> {
        let names: BTreeSet<_> = older.tests.keys().chain(self.tests.keys()).collect();
        let outcome = |results: &Self, name| results.tests.get(name).map(|verdict| verdict.outcome);
        names
            .into_iter()
            .map(|name| Change {
                name: name.clone(),
                before: outcome(older, name),
                now: outcome(self, name),
            })
            .filter(|change| change.before != change.now)
            .collect()
    }
}

fn counts<'a>(what: &str, tests: impl Iterator<Item = (&'a Name, &'a Verdict)>) -> String {
    let outcomes: Vec<_> = tests.map(|(_, verdict)| verdict.outcome).collect();
    let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    let [pass, fail, skip] = [Outcome::Pass, Outcome::Fail, Outcome::Skip].map(count);
    format!("{what}: {pass} pass, {fail} fail, {skip} skip")
}

impl Name {
    /// The test at the top level.
    fn top(&self) -> (String, String) {
        let test = self.test.split('/').next().unwrap_or_default();
        (self.package.clone(), test.to_owned())
    }
}

/// A test that does not end as it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) name: Name,
    before: Option<Outcome>,
    now: Option<Outcome>,
}

impl Change {
    /// Whether something held, and holds no longer.
    pub(crate) fn is_regression(&self) -> bool {
        self.before == Some(Outcome::Pass)
    }

    /// One line for people.
    pub(crate) fn tell(&self) -> String {
        let word = |outcome: Option<Outcome>| match outcome {
            None => "absent",
            Some(Outcome::Pass) => "pass",
            Some(Outcome::Skip) => "skip",
            Some(Outcome::Fail) => "fail",
        };
        let Name { package, test } = &self.name;
        format!("{} -> {}: {package} {test}", word(self.before), word(self.now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"suite":"v0","commit":"abc","changed":false,"built":true,"date":"2026-01-01"}
{"package":"tests","test":"A","outcome":"fail","lacks":["GET /x","a second server"]}
{"package":"tests/csapi","test":"A","outcome":"fail"}
{"package":"tests/csapi","test":"A/one","outcome":"pass"}
{"package":"tests/csapi","test":"B","outcome":"skip"}
"#;

    fn results(tests: &[(&str, &str, Outcome)]) -> Results {
        let mut results = Results::new(Results::read(TEXT).unwrap().head);
        for (package, test, outcome) in tests {
            let name = Name { package: (*package).to_owned(), test: (*test).to_owned() };
            results.tests.insert(name, Verdict { outcome: *outcome, lacks: Vec::new() });
        }
        results
    }

    use Outcome::{Fail, Pass, Skip};

    #[test]
    fn what_is_written_reads_the_same() {
        let results = Results::read(TEXT).unwrap();
        assert_eq!(results.write().unwrap(), TEXT);
        assert_eq!(results.tests.len(), 4);
    }

    #[test]
    fn lines_are_sorted_whatever_the_order_of_the_run() {
        let forth = [("a", "A", Pass), ("a", "A/x", Pass), ("b", "A", Skip)];
        let mut back = forth;
        back.reverse();
        assert_eq!(results(&forth).write().unwrap(), results(&back).write().unwrap());
    }

    #[test]
    fn what_is_no_result_is_refused() {
        for text in
            ["", "{}", &TEXT.replace("pass", "perhaps"), &TEXT.replace("\"suite\"", "\"x\"")]
        {
            assert!(Results::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_failure_tells_what_is_lacking() {
        let mut package = Package::default();
        for (test, end) in [("A", "fail"), ("B", "pass"), ("C", "run")] {
            for (action, output) in
                [("run", ""), ("output", "[CSAPI] GET hs1/x => 404 Not Found (1ms)"), (end, "")]
            {
                let event = serde_json::json!({"Action": action, "Test": test, "Output": output});
                package.note(&event.to_string());
            }
        }
        let mut results = results(&[]);
        results.add("tests", &package);
        let lacks: Vec<_> =
            results.tests().map(|(_, verdict)| (verdict.outcome, verdict.lacks.len())).collect();
        // C has not ended, and so failed; its second `run` begins it anew.
        assert_eq!(lacks, [(Fail, 1), (Pass, 0), (Fail, 0)]);
    }

    #[track_caller]
    fn renewed(scope: Scope, expected: &[(&str, &str, Outcome)]) {
        let mut old =
            results(&[("a", "A", Pass), ("a", "A/x", Pass), ("a", "B", Pass), ("b", "A", Pass)]);
        old.renew(results(&[("a", "A", Fail), ("a", "C", Skip)]), &["a".to_owned()], scope);
        assert_eq!(old, results(expected));
    }

    #[test]
    fn a_run_of_whole_packages_replaces_all_of_them() {
        renewed(Scope::Whole, &[("a", "A", Fail), ("a", "C", Skip), ("b", "A", Pass)]);
    }

    #[test]
    fn a_run_of_named_tests_replaces_these_with_their_subtests() {
        renewed(
            Scope::Named,
            &[("a", "A", Fail), ("a", "B", Pass), ("a", "C", Skip), ("b", "A", Pass)],
        );
    }

    #[track_caller]
    fn change(before: Option<Outcome>, now: Option<Outcome>, expected: Option<(&str, bool)>) {
        let one = |outcome: Option<Outcome>| {
            results(&outcome.map(|outcome| ("a", "A", outcome)).into_iter().collect::<Vec<_>>())
        };
        let changes = one(now).changes_since(&one(before));
        let told: Vec<_> =
            changes.iter().map(|change| (change.tell(), change.is_regression())).collect();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(words, is_regression)| (format!("{words}: a A"), is_regression))
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn a_test_that_held_and_does_not_is_a_regression() {
        change(Some(Pass), Some(Fail), Some(("pass -> fail", true)));
        change(Some(Pass), Some(Skip), Some(("pass -> skip", true)));
        change(Some(Pass), None, Some(("pass -> absent", true)));
    }

    #[test]
    fn other_changes_are_told_too() {
        change(Some(Fail), Some(Pass), Some(("fail -> pass", false)));
        change(Some(Skip), Some(Fail), Some(("skip -> fail", false)));
        change(None, Some(Fail), Some(("absent -> fail", false)));
    }

    #[test]
    fn what_stays_is_no_change() {
        for outcome in [None, Some(Pass), Some(Skip), Some(Fail)] {
            change(outcome, outcome, None);
        }
    }

    #[test]
    fn the_summary_counts_by_package() {
        let expected = "\
tests: 0 pass, 1 fail, 0 skip
tests/csapi: 1 pass, 1 fail, 1 skip
all: 1 pass, 2 fail, 1 skip";
        assert_eq!(Results::read(TEXT).unwrap().summary(), expected);
    }
}
