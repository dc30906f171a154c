//! The public suite: where it is, which version it is, and which packages of tests it holds.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;

use super::Unable;
use crate::{cargo::root, progress::say};

const MODULE: &str = "github.com/matrix-org/complement";

/// Which tests of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// Those of the client-server API
    Csapi,
    /// All others: between servers, and of proposals
    Federation,
    /// Every test
    All,
}

impl Group {
    fn holds(self, package: &str) -> bool {
        match self {
            Self::Csapi => package.starts_with("tests/csapi"),
            Self::Federation => !package.starts_with("tests/csapi"),
            Self::All => true,
        }
    }
}

/// The suite on this machine, as its authors published it.
pub(crate) struct Suite {
    folder: PathBuf,
    /// The version, as Go names it.
    pub(crate) version: String,
}

impl Suite {
    /// The suite in a checkout, or else the pinned version from Go's module proxy.
    pub(crate) fn find(checkout: Option<&Path>) -> anyhow::Result<Self> {
        let text = fs::read_to_string(root().join("complement/suite-version"))?;
        let pinned = pinned(&text);
        let suite = match (checkout, pinned) {
            (Some(folder), _) => Self::in_checkout(folder)?,
            (None, Some(version)) => Self::downloaded(version)?,
            (None, None) => {
                return Err(Unable::error(
                    "complement/suite-version pins no version of the suite yet: give a checkout with --suite",
                ));
            }
        };
        if pinned.is_some_and(|pinned| pinned != suite.version) {
            say(&format!("this is version {} of the suite, not the pinned one", suite.version));
        }
        Ok(suite)
    }

    fn downloaded(version: &str) -> anyhow::Result<Self> {
        let output = go(&root())
            .args(["mod", "download", "-json", &format!("{MODULE}@{version}")])
            .output()
            .map_err(|error| Unable::error(format!("Go cannot be called: {error}")))?;
        let folder = place(&String::from_utf8_lossy(&output.stdout))?;
        Ok(Self { folder, version: version.to_owned() })
    }

    fn in_checkout(folder: &Path) -> anyhow::Result<Self> {
        let folder = fs::canonicalize(folder).with_context(|| folder.display().to_string())?;
        let git = |arguments: &[&str]| git(&folder, arguments);
        ensure!(
            fs::read_to_string(folder.join("go.mod")).is_ok_and(|text| names_module(&text)),
            "{} does not hold the suite: its go.mod does not name {MODULE}",
            folder.display()
        );
        ensure!(
            git(&["status", "--porcelain"])?.is_empty(),
            "the checkout of the suite is changed"
        );
        let format = "--format=%cd %H";
        let commit = git(&["log", "-1", "--date=format-local:%Y%m%d%H%M%S", format])?;
        Ok(Self { version: pseudo_version(&commit)?, folder })
    }

    /// The packages of a group, as they are named below the module; all that they need is fetched.
    pub(crate) fn packages(&self, group: Group) -> anyhow::Result<Vec<String>> {
        let fetched = go(&self.folder)
            .args(["list", "-test", "-deps", "-f", "{{with .Error}}{{.}}{{end}}", "./tests/..."])
            .output()?;
        if !fetched.status.success() {
            let why = String::from_utf8_lossy(&fetched.stderr);
            let why = why.lines().last().unwrap_or_default();
            return Err(Unable::error(format!(
                "modules that the suite needs are not to be had: {why}"
            )));
        }
        let format = "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}";
        let listed = go(&self.folder).args(["list", "-f", format, "./tests/..."]).output()?;
        ensure!(listed.status.success(), "the suite's packages cannot be listed");
        Ok(below_module(&String::from_utf8(listed.stdout)?, group))
    }

    /// A Go command for one package, called through `program`, which is Go or leads to it.
    pub(crate) fn call(&self, program: &mut Command, package: &str, choice: &Choice) {
        program.current_dir(&self.folder).env("GOTOOLCHAIN", "local");
        program.args(["test", "-json", "-count=1", "-timeout=3h", "-buildvcs=false"]);
        program.args(choice.words()).arg(format!("./{package}"));
    }
}

/// Which tests of a package are run.
#[derive(Default)]
pub(crate) struct Choice {
    /// Those whose names match, or all.
    pub(crate) pattern: Option<String>,
    /// But not these, which have ended.
    pub(crate) done: Vec<String>,
}

impl Choice {
    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(pattern) = &self.pattern {
            words.extend(["-run".to_owned(), pattern.clone()]);
        }
        if !self.done.is_empty() {
            words.extend(["-skip".to_owned(), format!("^({})$", self.done.join("|"))]);
        }
        words
    }
}

fn go(folder: &Path) -> Command {
    let mut go = Command::new("go");
    go.current_dir(folder).env("GOTOOLCHAIN", "local");
    go
}

/// What git answers about a folder.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .current_dir(folder)
        .env("TZ", "UTC")
        .args(arguments)
        .output()
        .context("git cannot be called")?;
    if !output.status.success() {
        bail!("git: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The version that a file pins: its line that is no comment.
fn pinned(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))
}

fn names_module(text: &str) -> bool {
    text.lines().any(|line| line.trim() == format!("module {MODULE}"))
}

/// Where Go put a module, by what `go mod download -json` said.
fn place(answer: &str) -> anyhow::Result<PathBuf> {
    let answer: serde_json::Value =
        serde_json::from_str(answer).context("Go did not say where it put the suite")?;
    if let Some(folder) = answer["Dir"].as_str() {
        return Ok(folder.into());
    }
    let why = answer["Error"].as_str().unwrap_or("it does not say why");
    let why = why.lines().last().unwrap_or_default().trim();
    Err(Unable::error(format!("Go's module proxy does not give out the suite: {why}")))
}

/// Go's name for a commit without a tag: `20250102030405 0123456789abcdef…` → `v0.0.0-20250102030405-0123456789ab`.
fn pseudo_version(commit: &str) -> anyhow::Result<String> {
    let parts = commit.split_once(' ').and_then(|(date, hash)| Some((date, hash.get(..12)?)));
    let (date, hash) = parts.context("git names no commit")?;
    Ok(format!("v0.0.0-{date}-{hash}"))
}

fn below_module(listed: &str, group: Group) -> Vec<String> {
    let below = listed.lines().filter_map(|line| line.strip_prefix(MODULE)?.strip_prefix('/'));
    below.filter(|package| group.holds(package)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    const LISTED: &str = "github.com/matrix-org/complement/tests

github.com/matrix-org/complement/tests/csapi
github.com/matrix-org/complement/tests/msc2836
";

    #[track_caller]
    fn check(group: Group, expected: &[&str]) {
        assert_eq!(below_module(LISTED, group), expected);
    }

    #[test]
    fn a_group_holds_its_packages() {
        check(Group::Csapi, &["tests/csapi"]);
        check(Group::Federation, &["tests", "tests/msc2836"]);
        check(Group::All, &["tests", "tests/csapi", "tests/msc2836"]);
    }

    #[test]
    fn a_version_is_pinned_by_a_line_that_is_no_comment() {
        assert_eq!(pinned("# why\n\n v0.0.0-1-a \n"), Some("v0.0.0-1-a"));
        assert_eq!(pinned("# none yet\n"), None);
    }

    #[test]
    fn a_commit_is_named_as_go_names_it() {
        let commit = "20250102030405 0123456789abcdef0123456789abcdef01234567";
        assert_eq!(pseudo_version(commit).unwrap(), "v0.0.0-20250102030405-0123456789ab");
        for nothing in ["", "20250102030405", "20250102030405 0123"] {
            assert!(pseudo_version(nothing).is_err(), "{nothing}");
        }
    }

    #[test]
    fn go_says_where_the_suite_is_or_why_not() {
        assert_eq!(place(r#"{"Dir":"/cache/x","Sum":"h1:"}"#).unwrap(), Path::new("/cache/x"));
        let refused = place(r#"{"Error":"x: 403 Forbidden\n\tserver response: not available."}"#);
        let error = refused.unwrap_err();
        assert!(error.is::<Unable>());
        assert!(error.to_string().ends_with("the suite: server response: not available."));
        assert!(place("").is_err());
    }

    /// A checkout of a module, with its only commit made at a known time.
    fn checkout(name: &str, module: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("tertulia-suite-{}-{name}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("go.mod"), format!("module {module}\n\ngo 1.22\n")).unwrap();
        for arguments in [
            &["init", "--quiet"][..],
            &["add", "go.mod"],
            &["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "Begin"],
        ] {
            let status = Command::new("git")
                .current_dir(&folder)
                .env("GIT_COMMITTER_DATE", "2025-01-02T04:04:05+01:00")
                .args(arguments)
                .status();
            assert!(status.unwrap().success());
        }
        folder
    }

    #[test]
    fn a_checkout_is_named_by_its_commit() {
        let folder = checkout("good", MODULE);
        let suite = Suite::in_checkout(&folder).unwrap();
        let commit = git(&folder, &["rev-parse", "HEAD"]).unwrap();
        assert_eq!(suite.version, format!("v0.0.0-20250102030405-{}", &commit[..12]));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_checkout_that_is_changed_is_refused() {
        let folder = checkout("changed", MODULE);
        fs::write(folder.join("helper.go"), "package helper\n").unwrap();
        let error = Suite::in_checkout(&folder).err().unwrap().to_string();
        assert!(error.contains("is changed"), "{error}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_checkout_of_something_else_is_refused() {
        let folder = checkout("other", "example.org/other");
        let error = Suite::in_checkout(&folder).err().unwrap().to_string();
        assert!(error.contains("does not name"), "{error}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_git_cannot_do_is_said() {
        let error = git(&root(), &["no-such-command"]).unwrap_err().to_string();
        assert!(error.starts_with("git: ") && error.contains("no-such-command"), "{error}");
    }

    #[test]
    fn the_suite_is_known_by_its_module() {
        assert!(names_module("module github.com/matrix-org/complement\n\ngo 1.24\n"));
        assert!(!names_module("module example.org/fork\n"));
    }

    #[test]
    fn a_folder_without_the_suite_is_refused() {
        assert!(Suite::find(Some(root().as_path())).is_err());
        assert!(Suite::find(Some(Path::new("/nowhere"))).is_err());
    }

    #[track_caller]
    fn called(pattern: Option<&str>, done: &[&str], expected: &[&str]) {
        let done = done.iter().map(|name| (*name).to_owned()).collect();
        let choice = Choice { pattern: pattern.map(str::to_owned), done };
        assert_eq!(choice.words(), expected);
    }

    #[test]
    fn a_choice_is_told_to_go() {
        called(None, &[], &[]);
        called(Some("TestA/b"), &[], &["-run", "TestA/b"]);
        called(None, &["TestA", "TestB"], &["-skip", "^(TestA|TestB)$"]);
    }

    #[test]
    fn go_is_called_in_the_suite_for_one_package() {
        let suite = Suite { folder: "/suite".into(), version: String::new() };
        let mut command = Command::new("go");
        suite.call(&mut command, "tests/csapi", &Choice::default());
        assert_eq!(command.get_current_dir(), Some(Path::new("/suite")));
        assert_eq!(command.get_args().last().unwrap(), "./tests/csapi");
    }
}
