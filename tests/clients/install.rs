//! Puts the clients where they can run, in the versions that `requirements.txt` and `package-lock.json` name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// This folder.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");
/// What JavaScript finds its packages by, so it has to lie beside them.
const JAVASCRIPT: [&str; 6] = [
    "package.json",
    "package-lock.json",
    "sdk_bookmarks.mjs",
    "sdk_client.mjs",
    "sdk_friends.mjs",
    "sdk_groups.mjs",
];

/// A client that can be started.
#[derive(Debug)]
pub struct Script {
    interpreter: PathBuf,
    script: PathBuf,
}

impl Script {
    /// What starts the client at the server, or the mail server as the argument says.
    pub fn command(&self, argument: &str) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.arg(&self.script).arg(argument);
        command
    }
}

/// Installs matrix-nio and matrix-js-sdk into `home`. What is there already stays.
pub fn install(home: &Path) -> anyhow::Result<(Script, Script)> {
    Ok((nio(&home.join("python"))?, sdk(&home.join("javascript"))?))
}

/// Installs aiosmtpd into `home`. What is there already stays.
pub fn install_mail_server(home: &Path) -> anyhow::Result<Script> {
    python(&home.join("smtp"), "smtp_requirements.txt", "smtp_server.py")
}

fn nio(home: &Path) -> anyhow::Result<Script> {
    python(home, "requirements.txt", "nio_client.py")
}

fn python(home: &Path, requirements: &str, script: &str) -> anyhow::Result<Script> {
    let interpreter = home.join("bin/python");
    let requirements = Path::new(SCRIPTS).join(requirements);
    once(home, &requirements, || {
        let mut make = Command::new("python3");
        run(make.args(["-m", "venv"]).arg(home), "Python 3 with its module venv")?;
        let mut pip = Command::new(&interpreter);
        run(
            pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements),
            "pip",
        )
    })?;
    Ok(Script { interpreter, script: Path::new(SCRIPTS).join(script) })
}

fn sdk(home: &Path) -> anyhow::Result<Script> {
    fs::create_dir_all(home)?;
    for file in JAVASCRIPT {
        fs::copy(Path::new(SCRIPTS).join(file), home.join(file))?;
    }
    once(home, &home.join("package-lock.json"), || {
        let mut npm = Command::new("npm");
        npm.current_dir(home).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
        run(&mut npm, "npm")
    })?;
    // The SDK needs a newer Node than many machines have; so Node comes from npm, too.
    let interpreter = home.join("node_modules/node/bin/node");
    ensure!(
        interpreter.exists(),
        "npm installed no Node: does it refuse the package's install script?"
    );
    Ok(Script { interpreter, script: home.join("sdk_client.mjs") })
}

/// Does the work unless it was done for the same list of packages before.
fn once(
    home: &Path,
    packages: &Path,
    work: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (done, list) = (home.join("installed"), fs::read(packages)?);
    if fs::read(&done).is_ok_and(|installed| installed == list) {
        return Ok(());
    }
    work()?;
    Ok(fs::write(done, list)?)
}

fn run(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("this needs {what}"))?;
    ensure!(status.success(), "{what} failed: {command:?}");
    Ok(())
}
