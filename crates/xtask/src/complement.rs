//! `cargo xtask complement`: the public conformance suite, run against this working tree.

mod engine;
mod events;
mod image;
mod readme;
mod requests;
mod results;
mod rig;
mod suite;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, ensure};
use clap::Args;

use self::{
    engine::Engine,
    readme::Reasons,
    results::{Change, Head, Results, Scope},
    rig::Rig,
    suite::{Group, Suite, git},
};
use crate::{
    cargo::{cargo, finish, products, root},
    needs,
    progress::say,
};

/// The exit code when nothing could be run here.
const UNABLE: u8 = 3;
const RESULTS: &str = "complement/results.jsonl";
const README: &str = "complement/README.md";
const REASONS: &str = "complement/reasons.txt";

/// What may follow `complement`.
#[derive(Args)]
pub(crate) struct Complement {
    /// Run only tests whose names match this, as `go test -run` takes it
    #[arg(long, value_name = "REGEX")]
    run: Option<String>,
    /// Which tests
    #[arg(long, value_enum, default_value_t = Group::All)]
    group: Group,
    /// Write nothing, and fail if something does not pass that passes in the committed results
    #[arg(long)]
    check: bool,
    /// How often to run; what does not pass every time does not pass
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    times: u32,
    /// A server's program to judge instead of building one
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Build the image with complement/Dockerfile, which needs an image registry
    #[arg(long, conflicts_with = "server")]
    dockerfile: bool,
    /// A git checkout of the suite to run instead of the pinned version
    #[arg(long, value_name = "FOLDER")]
    suite: Option<PathBuf>,
}

/// What this machine lacks for a run: no fault of the server, and no run happened.
#[derive(Debug)]
struct Unable(String);

impl Unable {
    fn error(sentence: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self(sentence.into()))
    }
}

impl fmt::Display for Unable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Unable {}

impl Complement {
    /// Runs the suite, and writes or checks the results.
    pub(crate) fn execute(self) -> anyhow::Result<ExitCode> {
        match self.judge() {
            Err(error) if error.is::<Unable>() => {
                say(&format!("nothing was run: {error}"));
                Ok(ExitCode::from(UNABLE))
            }
            outcome => outcome,
        }
    }

    fn judge(self) -> anyhow::Result<ExitCode> {
        ensure!(!(self.check && self.names_parts()), "parts of tests cannot be checked");
        ensure!(!self.check || committed()?.is_some(), "no results are committed to check against");
        let home = products()?.parent().context("the products lie nowhere")?.join("complement");
        fs::create_dir_all(&home)?;
        let suite = Suite::find(self.suite.as_deref())?;
        let packages = suite.packages(self.group)?;
        let engine = Engine::reach(&home)?;
        self.make_image(&engine, &home)?;
        let head = head(&suite.version, self.server.is_none())?;
        let rig = Rig { suite, engine, home, pattern: self.run.clone() };
        let seen = rig.run(&packages, self.times)?;
        self.conclude(Results::of(head, &packages, &seen)?, &packages)
    }

    fn make_image(&self, engine: &Engine, home: &Path) -> anyhow::Result<()> {
        if self.dockerfile {
            return image::build(engine);
        }
        let server = match &self.server {
            Some(server) => std::path::absolute(server)?,
            None => build_for_release()?,
        };
        image::gather(engine, &server, home)
    }

    /// Whether only subtests are run.
    fn names_parts(&self) -> bool {
        self.run.as_ref().is_some_and(|pattern| pattern.contains('/'))
    }

    /// Puts a run's results beside those that were there, and says what changed.
    fn conclude(&self, newer: Results, packages: &[String]) -> anyhow::Result<ExitCode> {
        if self.names_parts() {
            tell(&newer, None);
            say("a part of a test says nothing about the whole: no results are written");
            return Ok(ExitCode::SUCCESS);
        }
        let committed = committed()?;
        let base = if self.check { committed.clone() } else { present()? };
        let results = self.joined(base, newer, packages)?;
        let changes = committed.map(|committed| results.changes_since(&committed));
        tell(&results, changes.as_deref());
        if !self.check {
            write(&results)?;
            return Ok(ExitCode::SUCCESS);
        }
        Ok(ExitCode::from(u8::from(regressed(&changes.unwrap_or_default()))))
    }

    fn joined(
        &self,
        base: Option<Results>,
        newer: Results,
        packages: &[String],
    ) -> anyhow::Result<Results> {
        let scope = if self.run.is_some() { Scope::Named } else { Scope::Whole };
        let is_everything = scope == Scope::Whole && self.group == Group::All;
        let Some(mut results) = base.filter(|_| !is_everything) else { return Ok(newer) };
        ensure!(
            results.head.suite == newer.head.suite,
            "the results are of version {} of the suite: run all of it, by `--group all`, to change to another",
            results.head.suite
        );
        results.renew(newer, packages, scope);
        Ok(results)
    }
}

fn build_for_release() -> anyhow::Result<PathBuf> {
    needs::provide()?;
    let status = finish(&mut cargo(&["build", "--release", "--bin", "tertulia"]))?;
    ensure!(status.success(), "the server could not be built; the reason is said above");
    let target = products()?.parent().context("the products lie nowhere")?.join("release");
    Ok(target.join("tertulia"))
}

fn head(suite: &str, built: bool) -> anyhow::Result<Head> {
    let git = |arguments: &[&str]| git(&root(), arguments);
    // What a run writes does not change what is run.
    let written = [RESULTS, README, REASONS].map(|file| format!(":!{file}"));
    let mut status = vec!["status", "--porcelain", "--", "."];
    status.extend(written.iter().map(String::as_str));
    let date = Command::new("date").args(["-u", "+%F"]).output().context("the date is unknown")?;
    Ok(Head {
        suite: suite.to_owned(),
        commit: git(&["rev-parse", "HEAD"])?,
        changed: !git(&status)?.is_empty(),
        built,
        date: String::from_utf8(date.stdout)?.trim().to_owned(),
    })
}

/// The results in the working tree, if it has any.
fn present() -> anyhow::Result<Option<Results>> {
    let text = fs::read_to_string(root().join(RESULTS)).ok();
    text.map(|text| Results::read(&text)).transpose()
}

/// The results in the last commit, if it has any.
fn committed() -> anyhow::Result<Option<Results>> {
    let text = git(&root(), &["show", &format!("HEAD:{RESULTS}")]).ok();
    text.map(|text| Results::read(&text)).transpose()
}

fn regressed(changes: &[Change]) -> bool {
    changes.iter().any(Change::is_regression)
}

fn tell(results: &Results, changes: Option<&[Change]>) {
    for line in results.summary().lines() {
        say(line);
    }
    match changes {
        None => {}
        Some([]) => say("nothing changed since the committed results"),
        Some(changes) => changes.iter().for_each(|change| say(&change.tell())),
    }
}

fn write(results: &Results) -> anyhow::Result<()> {
    let reasons = Reasons::read(&fs::read_to_string(root().join(REASONS))?)?;
    let page = root().join(README);
    let text = readme::renew(&fs::read_to_string(&page)?, Some(results), &reasons)?;
    fs::write(root().join(RESULTS), results.write()?)?;
    fs::write(page, text)?;
    say(&format!("{RESULTS} and {README} are written"));
    Ok(())
}

#[cfg(test)]
mod tests;
