//! What `go test -json` tells of one package of the suite.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::requests::{Request, Served};

/// How many lines outside of tests are kept, to say why a package failed.
const KEPT_LINES: usize = 20;

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// It holds.
    Pass,
    /// The suite itself left it out.
    Skip,
    /// It does not hold, or its program died before it was known.
    Fail,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    action: String,
    test: Option<String>,
    #[serde(default)]
    output: String,
}

/// What is known of one package's tests.
#[derive(Debug, Default)]
pub(crate) struct Package {
    /// Its tests and subtests by name.
    pub(crate) tests: BTreeMap<String, Test>,
    /// The endpoints that the server was seen to serve.
    pub(crate) served: Served,
    /// Whether its program ended as tests do, and not by a panic or a time-out.
    is_complete: bool,
    last_lines: VecDeque<String>,
}

/// What is known of one test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Test {
    outcome: Option<Outcome>,
    is_paused: bool,
    /// What it asked for while none of its subtests ran: they stand on it.
    ground: BTreeSet<Request>,
    /// All that it asked for, its subtests included.
    pub(crate) requests: BTreeSet<Request>,
}

impl Test {
    /// How it ended; a test of which no end was told has failed.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome.unwrap_or(Outcome::Fail)
    }

    fn runs(&self) -> bool {
        self.outcome.is_none() && !self.is_paused
    }
}

impl Package {
    /// Notes one line; tells the test at the top level that ended with it.
    pub(crate) fn note(&mut self, line: &str) -> Option<(String, Outcome)> {
        let event: Event = serde_json::from_str(line).ok()?;
        let Some(name) = event.test else {
            self.note_outside(&event.output);
            return None;
        };
        match event.action.as_str() {
            "run" => self.begin(&name),
            "pause" => self.pause(&name, true),
            "cont" => self.pause(&name, false),
            "output" => self.hear(&name, &event.output),
            word => return self.end(&name, outcome(word)?),
        }
        None
    }

    fn note_outside(&mut self, output: &str) {
        // A program that dies does not get to say this.
        self.is_complete |= matches!(output, "PASS\n" | "FAIL\n");
        self.served.note(output);
        if !output.trim().is_empty() && !output.starts_with('{') {
            self.last_lines.push_back(output.trim_end().to_owned());
            self.last_lines.drain(..self.last_lines.len().saturating_sub(KEPT_LINES));
        }
    }

    fn begin(&mut self, name: &str) {
        let parent = name.rsplit_once('/').and_then(|(parent, _)| self.tests.get(parent));
        let ground = parent.map(|parent| parent.ground.clone()).unwrap_or_default();
        let requests = ground.clone();
        self.tests.insert(name.to_owned(), Test { ground, requests, ..Test::default() });
    }

    fn pause(&mut self, name: &str, is_paused: bool) {
        if let Some(test) = self.tests.get_mut(name) {
            test.is_paused = is_paused;
        }
    }

    fn hear(&mut self, name: &str, output: &str) {
        self.served.note(output);
        let Some(request) = Request::read(output) else { return };
        // A client tells its requests to the test that made it, also while a subtest uses it.
        let mut below = self.below(name);
        let is_ground = below.is_empty();
        below.extend(above(name));
        for test in below {
            if let Some(test) = self.tests.get_mut(&test) {
                test.requests.insert(request.clone());
            }
        }
        if let Some(test) = self.tests.get_mut(name).filter(|_| is_ground) {
            test.ground.insert(request);
        }
    }

    /// The subtests that run at the moment.
    fn below(&self, name: &str) -> Vec<String> {
        let start = format!("{name}/");
        let below = self.tests.range(start.clone()..);
        below
            .take_while(|(other, _)| other.starts_with(&start))
            .filter(|(_, test)| test.runs())
            .map(|(other, _)| other.clone())
            .collect()
    }

    fn end(&mut self, name: &str, outcome: Outcome) -> Option<(String, Outcome)> {
        self.tests.entry(name.to_owned()).or_default().outcome = Some(outcome);
        (!name.contains('/')).then(|| (name.to_owned(), outcome))
    }

    /// Whether the program ended before its tests did, so that others may never have begun.
    pub(crate) fn died(&self) -> bool {
        !self.is_complete && !self.tests.is_empty()
    }

    /// Whether the package failed, and not by one of its tests: it was not built, or found no engine.
    pub(crate) fn never_ran(&self) -> bool {
        !self.is_complete && self.tests.is_empty()
    }

    /// The last lines outside of tests.
    pub(crate) fn last_lines(&self) -> String {
        self.last_lines.iter().map(|line| format!("\n    {line}")).collect()
    }

    /// The names of the tests at the top level.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tests.keys().map(String::as_str).filter(|name| !name.contains('/'))
    }

    /// Adds another run of the package: a test is what it was at its worst.
    pub(crate) fn join(&mut self, other: Self) {
        self.served.join(other.served);
        self.is_complete = other.is_complete;
        for (name, test) in other.tests {
            let known = self.tests.entry(name).or_insert_with(|| test.clone());
            known.outcome = Some(known.outcome().max(test.outcome()));
            known.requests.extend(test.requests);
        }
    }
}

/// A test and those it is part of.
fn above(name: &str) -> impl Iterator<Item = String> {
    let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
    ends.map(|end| name[..end].to_owned())
}

fn outcome(action: &str) -> Option<Outcome> {
    match action {
        "pass" => Some(Outcome::Pass),
        "skip" => Some(Outcome::Skip),
        "fail" => Some(Outcome::Fail),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines `action test output`, as Go would tell them.
    fn package(lines: &[(&str, &str, &str)]) -> Package {
        let mut package = Package::default();
        for (action, test, output) in lines {
            let test = if test.is_empty() { None } else { Some(*test) };
            let line = serde_json::json!({
                "Time": "2026-01-01T00:00:00Z", "Package": "p", "Action": action, "Test": test, "Output": output,
            });
            package.note(&line.to_string());
        }
        package
    }

    fn asks(path: &str) -> String {
        format!("client.go:1: [CSAPI] GET hs1{path} => 200 OK (1ms)\n")
    }

    #[track_caller]
    fn check(package: &Package, name: &str, paths: &[&str]) {
        let expected: BTreeSet<_> =
            paths.iter().map(|path| Request::read(&asks(path)).unwrap()).collect();
        assert_eq!(package.tests[name].requests, expected, "{name}");
    }

    #[test]
    fn tests_end_as_go_says() {
        let package = package(&[
            ("run", "A", ""),
            ("run", "A/one", ""),
            ("pass", "A/one", ""),
            ("run", "A/two", ""),
            ("skip", "A/two", ""),
            ("fail", "A", ""),
            ("output", "", "FAIL\n"),
            ("fail", "", ""),
        ]);
        let outcomes: Vec<_> =
            package.tests.iter().map(|(name, test)| (name.as_str(), test.outcome())).collect();
        assert_eq!(
            outcomes,
            [("A", Outcome::Fail), ("A/one", Outcome::Pass), ("A/two", Outcome::Skip)]
        );
        assert!(!package.died() && !package.never_ran());
        assert_eq!(package.names().collect::<Vec<_>>(), ["A"]);
    }

    #[test]
    fn only_the_end_of_a_test_at_the_top_level_is_told() {
        let mut package = package(&[("run", "A", ""), ("run", "A/one", "")]);
        assert_eq!(package.note(r#"{"Action":"pass","Test":"A/one"}"#), None);
        let told = package.note(r#"{"Action":"pass","Test":"A","Elapsed":0.5}"#);
        assert_eq!(told, Some(("A".to_owned(), Outcome::Pass)));
        assert_eq!(package.note("panic: no JSON"), None);
    }

    #[test]
    fn a_test_without_an_end_has_failed() {
        let package = package(&[("run", "A", ""), ("output", "A", "panic: x\n"), ("fail", "", "")]);
        assert_eq!(package.tests["A"].outcome(), Outcome::Fail);
    }

    #[track_caller]
    fn ended(last: &str, died: bool) {
        // Go tells of a failure also where the test panicked.
        let package =
            package(&[("run", "A", ""), ("fail", "A", ""), ("output", "", last), ("fail", "", "")]);
        assert_eq!(package.died(), died, "{last}");
        assert!(!package.never_ran());
    }

    #[test]
    fn a_program_that_does_not_sum_up_died() {
        ended("PASS\n", false);
        ended("FAIL\n", false);
        ended("FAIL\tp\t0.1s\n", true);
        ended("exit status 2\n", true);
    }

    #[test]
    fn a_package_that_was_not_built_never_ran_and_says_why() {
        let broken = package(&[("output", "", "no image\n"), ("fail", "", "")]);
        assert!(broken.never_ran() && !broken.died());
        assert_eq!(broken.last_lines(), "\n    no image");
        let empty = package(&[("output", "", "PASS\n"), ("pass", "", "")]);
        assert!(!empty.never_ran());
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let lines: Vec<_> = (0..50).map(|number| format!("line {number}\n")).collect();
        let events: Vec<_> = lines.iter().map(|line| ("output", "", line.as_str())).collect();
        let said = package(&events).last_lines();
        assert_eq!(said.lines().count(), KEPT_LINES + 1);
        assert!(said.ends_with("line 49"));
    }

    #[test]
    fn a_request_belongs_to_its_test_and_those_above() {
        let package = package(&[
            ("run", "A", ""),
            ("run", "A/one", ""),
            ("output", "A/one", &asks("/x")),
            ("pass", "A/one", ""),
        ]);
        check(&package, "A", &["/x"]);
        check(&package, "A/one", &["/x"]);
    }

    #[test]
    fn a_request_told_by_the_test_above_belongs_to_the_subtest_that_runs() {
        let package = package(&[
            ("run", "A", ""),
            ("output", "A", &asks("/ground")),
            ("run", "A/one", ""),
            ("output", "A", &asks("/x")),
            ("pass", "A/one", ""),
            ("run", "A/two", ""),
            ("output", "A", &asks("/y")),
        ]);
        check(&package, "A", &["/ground", "/x", "/y"]);
        check(&package, "A/one", &["/ground", "/x"]);
        check(&package, "A/two", &["/ground", "/y"]);
    }

    #[test]
    fn a_subtest_that_waits_for_its_turn_asks_nothing() {
        let mut package = package(&[
            ("run", "A", ""),
            ("run", "A/one", ""),
            ("pause", "A/one", ""),
            ("run", "A/two", ""),
            ("output", "A", &asks("/two")),
            ("pass", "A/two", ""),
            ("cont", "A/one", ""),
            ("output", "A", &asks("/one")),
        ]);
        check(&package, "A/one", &["/one"]);
        check(&package, "A/two", &["/two"]);
        package.note(r#"{"Action":"pause","Test":"B"}"#);
        assert!(!package.tests.contains_key("B"));
    }

    #[test]
    fn a_name_that_only_begins_alike_is_no_subtest() {
        let package = package(&[("run", "A", ""), ("run", "AB", ""), ("output", "A", &asks("/x"))]);
        check(&package, "AB", &[]);
    }

    #[test]
    fn the_server_s_log_is_heard_wherever_it_is_printed() {
        let log = r#"{"status":200,"span":{"method":"GET","route":"/x"}}"#;
        for test in ["", "A"] {
            let package = package(&[("run", "A", ""), ("output", test, log)]);
            assert!(package.served.log_was_seen);
            assert_eq!(package.last_lines(), "");
        }
    }

    #[test]
    fn of_several_runs_the_worst_counts() {
        let run = |ends: &[(&str, &str)]| {
            let lines: Vec<_> = ends.iter().map(|(name, end)| (*end, *name, "")).collect();
            package(&lines)
        };
        let mut all = run(&[("A", "pass"), ("B", "fail"), ("C", "skip"), ("D", "pass")]);
        all.join(run(&[("A", "pass"), ("B", "pass"), ("C", "pass"), ("E", "pass")]));
        let outcomes: Vec<_> = all.tests.values().map(Test::outcome).collect();
        use Outcome::{Fail, Pass, Skip};
        assert_eq!(outcomes, [Pass, Fail, Skip, Pass, Pass]);
    }
}
