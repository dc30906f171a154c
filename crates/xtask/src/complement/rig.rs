//! Running the suite's packages, and listening to what Go says of them.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use super::{
    engine::Engine,
    events::{Outcome, Package},
    image,
    suite::{Choice, Suite},
};
use crate::progress::say;

/// What is run, on what, and where its files go.
pub(crate) struct Rig {
    pub(crate) suite: Suite,
    pub(crate) engine: Engine,
    /// The folder for what Go and the servers say, word for word.
    pub(crate) home: PathBuf,
    /// Only tests of these names.
    pub(crate) pattern: Option<String>,
}

impl Rig {
    /// Runs all packages so many times, and tells what was seen of each.
    pub(crate) fn run(&self, packages: &[String], times: u32) -> anyhow::Result<Vec<Package>> {
        let mut seen: Vec<_> = packages.iter().map(|_| Package::default()).collect();
        for time in 1..=times {
            for (name, known) in packages.iter().zip(&mut seen) {
                let run =
                    until_complete(name, self.pattern.as_deref(), |choice| self.call(name, choice));
                known.join(run?);
            }
            say(&format!("run {time} of {times} is done"));
        }
        Ok(seen)
    }

    /// Calls Go for one package.
    fn call(&self, name: &str, choice: &Choice) -> anyhow::Result<Package> {
        let mut command = self.engine.beside("go");
        self.suite.call(&mut command, name, choice);
        let mut child = configured(&mut command).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("Go writes nothing")?;
        let raw = File::create(self.home.join(raw_name(name, choice.done.len())))?;
        let package = listen(BufReader::new(output), raw, |test, outcome| {
            say(&format!("{name} {test}: {outcome:?}"));
        })?;
        child.wait()?;
        Ok(package)
    }
}

/// Calls a package's tests; if their program dies, another goes on with those behind.
fn until_complete(
    name: &str,
    pattern: Option<&str>,
    mut call: impl FnMut(&Choice) -> anyhow::Result<Package>,
) -> anyhow::Result<Package> {
    let mut all = Package::default();
    let mut choice = Choice { pattern: pattern.map(str::to_owned), done: Vec::new() };
    loop {
        let package = call(&choice)?;
        if package.never_ran() {
            bail!("{name} could not be run:{}", package.last_lines());
        }
        let died = package.died();
        choice.done.extend(package.names().map(str::to_owned));
        all.join(package);
        if !died {
            return Ok(all);
        }
        say("the tests' program died; another goes on with the tests behind");
    }
}

/// Hears Go out, keeps what it says, and tells of each test at the top level that ends.
fn listen(
    output: impl BufRead,
    mut raw: impl Write,
    ended: impl Fn(&str, Outcome),
) -> io::Result<Package> {
    let mut package = Package::default();
    for line in output.lines() {
        let line = line?;
        writeln!(raw, "{line}")?;
        if let Some((test, outcome)) = package.note(&line) {
            ended(&test, outcome);
        }
    }
    Ok(package)
}

/// The suite's own settings.
fn configured(command: &mut Command) -> &mut Command {
    command
        .env("COMPLEMENT_BASE_IMAGE", image::NAME)
        // Which endpoints are served is read from the servers' logs.
        .env("COMPLEMENT_ALWAYS_PRINT_SERVER_LOGS", "1")
        .env("COMPLEMENT_SPAWN_HS_TIMEOUT_SECS", "60")
}

/// The file for what Go said of a package: `tests-csapi.jsonl`, and others for when its program had died.
fn raw_name(package: &str, done: usize) -> String {
    let again = if done == 0 { String::new() } else { format!("-after-{done}") };
    format!("{}{again}.jsonl", package.replace('/', "-"))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// What Go 1.26 said of a package whose third test panicked; the fourth was never begun.
    const PANICKED: &str = r#"{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestOne"}
{"Action":"output","Package":"p","Test":"TestOne","Output":"=== RUN   TestOne\n"}
{"Action":"output","Package":"p","Test":"TestOne","Output":"--- PASS: TestOne (0.00s)\n"}
{"Action":"pass","Package":"p","Test":"TestOne","Elapsed":0}
{"Action":"run","Package":"p","Test":"TestTwo"}
{"Action":"run","Package":"p","Test":"TestTwo/part"}
{"Action":"output","Package":"p","Test":"TestTwo/part","Output":"    --- FAIL: TestTwo/part (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestTwo/part","Elapsed":0}
{"Action":"output","Package":"p","Test":"TestTwo","Output":"--- FAIL: TestTwo (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestTwo","Elapsed":0}
{"Action":"run","Package":"p","Test":"TestThree"}
{"Action":"output","Package":"p","Test":"TestThree","Output":"panic: assignment to entry in nil map\n"}
{"Action":"fail","Package":"p","Test":"TestThree","Elapsed":0}
{"Action":"output","Package":"p","Output":"FAIL\tp\t18.043s\n"}
{"Action":"fail","Package":"p","Elapsed":18.044}
"#;
    const COMPLETE: &str = r#"{"Action":"run","Package":"p","Test":"TestFour"}
{"Action":"pass","Package":"p","Test":"TestFour","Elapsed":0}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"pass","Package":"p","Elapsed":0.003}
"#;
    const NOTHING_LEFT: &str = r#"{"Action":"output","Package":"p","Output":"testing: warning: no tests to run\n"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"pass","Package":"p","Elapsed":0.003}
"#;
    const NOT_BUILT: &str = r#"{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","Elapsed":0}
"#;

    type Ends = Vec<(String, Outcome)>;

    /// Lets Go say one text after the other; tells what was skipped at each call, and how each test ended.
    fn run(texts: &[&str]) -> (Vec<Vec<String>>, anyhow::Result<Ends>) {
        let mut calls = Vec::new();
        let package = until_complete("p", Some("Test"), |choice| {
            assert_eq!(choice.pattern.as_deref(), Some("Test"));
            calls.push(choice.done.clone());
            let text = texts[calls.len() - 1];
            Ok(listen(text.as_bytes(), io::sink(), |_, _| {})?)
        });
        let ends = package.map(|package| {
            let tests = package.tests.iter();
            tests.map(|(name, test)| (name.clone(), test.outcome())).collect()
        });
        (calls, ends)
    }

    #[track_caller]
    fn check(texts: &[&str], skipped: &[&[&str]], ends: &[(&str, Outcome)]) {
        let (calls, seen) = run(texts);
        assert_eq!(calls, skipped);
        let ends: Vec<_> = ends.iter().map(|(name, end)| ((*name).to_owned(), *end)).collect();
        assert_eq!(seen.unwrap(), ends);
    }

    use Outcome::{Fail, Pass};

    #[test]
    fn a_package_that_comes_to_its_end_is_called_once() {
        check(&[COMPLETE], &[&[]], &[("TestFour", Pass)]);
    }

    #[test]
    fn the_tests_behind_a_panic_are_run_by_another_program() {
        let done = ["TestOne", "TestThree", "TestTwo"];
        let ends = [
            ("TestFour", Pass),
            ("TestOne", Pass),
            ("TestThree", Fail),
            ("TestTwo", Fail),
            ("TestTwo/part", Fail),
        ];
        check(&[PANICKED, COMPLETE], &[&[], &done], &ends);
    }

    #[test]
    fn a_panic_in_the_last_test_is_no_reason_to_go_on_for_ever() {
        let (calls, seen) = run(&[PANICKED, NOTHING_LEFT]);
        assert_eq!((calls.len(), seen.unwrap().len()), (2, 4));
    }

    #[test]
    fn a_package_that_is_not_built_is_no_run() {
        let (_, seen) = run(&[NOT_BUILT]);
        let error = seen.unwrap_err().to_string();
        assert!(error.starts_with("p could not be run:") && error.contains("build failed"));
        let (_, seen) = run(&[PANICKED, NOT_BUILT]);
        assert!(seen.is_err());
    }

    #[test]
    fn what_go_says_is_kept_and_ends_are_told_at_once() {
        let mut raw = Vec::new();
        let told = RefCell::new(Vec::new());
        listen(PANICKED.as_bytes(), &mut raw, |test, outcome| {
            told.borrow_mut().push((test.to_owned(), outcome));
        })
        .unwrap();
        assert_eq!(raw, PANICKED.as_bytes());
        let expected = [("TestOne", Pass), ("TestTwo", Fail), ("TestThree", Fail)]
            .map(|(name, outcome)| (name.to_owned(), outcome));
        assert_eq!(told.into_inner(), expected);
    }

    #[test]
    fn what_go_says_is_kept_by_package() {
        assert_eq!(raw_name("tests/csapi", 0), "tests-csapi.jsonl");
        assert_eq!(raw_name("tests", 17), "tests-after-17.jsonl");
    }

    #[test]
    fn the_suite_is_told_which_image_to_start_and_to_show_logs() {
        let mut command = Command::new("go");
        configured(&mut command);
        for wanted in ["COMPLEMENT_BASE_IMAGE", "COMPLEMENT_ALWAYS_PRINT_SERVER_LOGS"] {
            let is_told = command.get_envs().any(|(name, value)| name == wanted && value.is_some());
            assert!(is_told, "{wanted}");
        }
    }
}
