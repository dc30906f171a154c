use clap::Parser;

use super::{events::Package, *};

#[derive(Parser)]
struct Words {
    #[command(flatten)]
    complement: Complement,
}

fn complement(words: &[&str]) -> Complement {
    Words::try_parse_from(["complement"].iter().chain(words)).unwrap().complement
}

fn package(events: &[(&str, &str, &str)]) -> Package {
    let mut package = Package::default();
    for (action, test, output) in events {
        let event = serde_json::json!({"Action": action, "Test": test, "Output": output});
        package.note(&event.to_string());
    }
    package
}

fn passing(test: &str) -> Package {
    package(&[("run", test, ""), ("pass", test, "")])
}

fn head(suite: &str) -> Head {
    Head {
        suite: suite.to_owned(),
        commit: "abc".to_owned(),
        changed: false,
        built: true,
        date: "2026-01-01".to_owned(),
    }
}

fn results(suite: &str, package: &str, tests: &[&str]) -> Results {
    let mut results = Results::new(head(suite));
    tests.iter().for_each(|test| results.add(package, &passing(test)));
    results
}

#[test]
fn all_tests_are_run_once_unless_something_else_is_said() {
    let all = complement(&[]);
    assert_eq!((all.group, all.times, all.check), (Group::All, 1, false));
    let some = complement(&["--group", "csapi", "--run", "TestA", "--times", "3", "--check"]);
    assert_eq!((some.group, some.times, some.check), (Group::Csapi, 3, true));
}

#[test]
fn a_server_that_is_given_is_not_built_by_docker() {
    for words in [&["--server", "x", "--dockerfile"][..], &["--times", "0"], &["--group", "x"]] {
        assert!(Words::try_parse_from(["complement"].iter().chain(words)).is_err(), "{words:?}");
    }
}

#[test]
fn a_pattern_with_a_slash_names_parts() {
    assert!(complement(&["--run", "TestA/b"]).names_parts());
    assert!(!complement(&["--run", "TestA"]).names_parts());
    assert!(!complement(&[]).names_parts());
}

#[test]
fn parts_cannot_be_checked() {
    assert!(complement(&["--run", "TestA/b", "--check"]).judge().is_err());
}

#[track_caller]
fn joined(words: &[&str], newer: (&str, &[&str]), expected: Option<&[&str]>) {
    let base = results("v1", "tests/csapi", &["A", "B"]);
    let newer = results(newer.0, "tests/csapi", newer.1);
    let packages = ["tests/csapi".to_owned()];
    let joined = complement(words).joined(Some(base), newer, &packages).ok();
    let names = joined
        .map(|results| results.tests().map(|(name, _)| name.test.clone()).collect::<Vec<_>>());
    assert_eq!(
        names.as_deref(),
        expected
            .map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
            .as_deref()
    );
}

#[test]
fn a_run_replaces_what_it_is_about() {
    joined(&[], ("v1", &["C"]), Some(&["C"]));
    joined(&["--group", "csapi"], ("v1", &["C"]), Some(&["C"]));
    joined(&["--run", "C"], ("v1", &["C"]), Some(&["A", "B", "C"]));
}

#[test]
fn results_of_two_versions_of_the_suite_do_not_mix() {
    joined(&["--group", "csapi"], ("v2", &["C"]), None);
    joined(&["--run", "C"], ("v2", &["C"]), None);
    joined(&[], ("v2", &["C"]), Some(&["C"]));
}

#[test]
fn results_without_a_test_are_none() {
    assert!(Results::of(head("v1"), &["tests".to_owned()], &[Package::default()]).is_err());
    let results = Results::of(head("v1"), &["tests".to_owned()], &[passing("A")]).unwrap();
    assert_eq!(results.summary(), "tests: 1 pass, 0 fail, 0 skip\nall: 1 pass, 0 fail, 0 skip");
}

#[test]
fn without_the_servers_logs_nothing_is_said_about_endpoints() {
    let request = ("output", "A", "[CSAPI] GET hs1/x => 404 Not Found (1ms)");
    let log = ("output", "A", r#"{"status":404,"span":{"method":"GET","route":"unknown"}}"#);
    let names = ["tests".to_owned()];
    let blind = package(&[("run", "A", ""), request, ("fail", "A", "")]);
    assert!(Results::of(head("v1"), &names, &[blind]).is_err());
    let seeing = package(&[("run", "A", ""), request, log, ("fail", "A", "")]);
    let results = Results::of(head("v1"), &names, &[seeing]).unwrap();
    assert_eq!(results.tests().next().unwrap().1.lacks, ["GET /x"]);
}

#[test]
fn a_regression_is_what_a_check_fails_by() {
    let before = results("v1", "tests", &["A", "B"]);
    let after = results("v1", "tests", &["B", "C"]);
    assert!(regressed(&after.changes_since(&before)));
    assert!(!regressed(&results("v1", "tests", &["A", "B", "C"]).changes_since(&before)));
    assert!(!regressed(&before.changes_since(&before)));
}

#[test]
fn a_run_names_the_commit_it_is_about() {
    // A source that is no git checkout, such as a release's archive, has no commit to name.
    if root().join(".git").exists() {
        let head = super::head("v1", true).unwrap();
        assert_eq!(head.commit.len(), 40);
        assert_eq!(head.date.len(), "2026-01-01".len());
    }
}

#[test]
fn what_the_machine_lacks_is_no_failure() {
    let error = Unable::error("there is no docker command");
    assert!(error.is::<Unable>());
    assert_eq!(error.to_string(), "there is no docker command");
}
