//! Calling cargo so that every command shares one build.
//!
//! `run` and `test` both name the whole workspace: cargo then settles the features of all dependencies in one way, and
//! RocksDB, a quarter of an hour of C++, is compiled once for both.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use anyhow::{Context as _, bail};

use crate::progress;

/// A cargo command in the project's folder.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    command
}

/// The project's folder: that of the checkout which cargo runs this program for. It may have been built for another one
/// that shares the folder of products.
pub(crate) fn root() -> PathBuf {
    let here =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let project = Path::new(&here).ancestors().nth(2);
    project.expect("this package lies two folders below the project's").to_owned()
}

/// Where the development profile's products lie: beside this program.
pub(crate) fn products() -> anyhow::Result<PathBuf> {
    let program = env::current_exe().context("the path of this program is unknown")?;
    Ok(program.parent().context("this program lies nowhere")?.to_owned())
}

/// Runs a command and shows that it moves, however long RocksDB takes.
pub(crate) fn finish(command: &mut Command) -> anyhow::Result<ExitStatus> {
    let child = command.spawn().context("cargo cannot be started")?;
    progress::watch(child, &products()?)
}

/// Builds the server and tells where it is.
pub(crate) fn build_server() -> anyhow::Result<PathBuf> {
    let status = finish(&mut cargo(&["build", "--workspace", "--bin", "tertulia"]))?;
    if !status.success() {
        bail!("the server could not be built; what stands in the way is said above");
    }
    Ok(products()?.join("tertulia"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_s_folder_holds_the_workspace() {
        assert!(root().join("Cargo.lock").is_file());
        assert!(root().join("crates/xtask").is_dir());
    }

    #[test]
    fn cargo_is_called_in_the_project_s_folder() {
        let command = cargo(&["build"]);
        assert_eq!(command.get_current_dir(), Some(root().as_path()));
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["build"]);
    }
}
