//! What RocksDB's build needs beyond Rust, gcc and make: a C++ compiler, and libclang, with which bindgen reads headers.
//!
//! Whether they are there is found out by trying, not by asking a package manager. What is missing is installed with
//! apt where that is allowed, and named for other systems.

mod install;
mod libclang;

use std::{
    env,
    io::Write as _,
    process::{Command, Stdio},
};

/// Something the build cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A compiler that finds the C++ standard library.
    CxxCompiler,
    /// The shared library that bindgen opens, with the headers that belong to it.
    Libclang,
}

impl Need {
    fn name(self) -> &'static str {
        match self {
            Self::CxxCompiler => "a C++ compiler",
            Self::Libclang => "libclang",
        }
    }
}

/// Sees to all needs, or says what to install.
pub(crate) fn provide() -> anyhow::Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    install::install(&missing, self::missing)
}

fn missing() -> Vec<Need> {
    let mut missing = Vec::new();
    if !compiles_cxx(&env::var("CXX").unwrap_or_else(|_| "c++".to_owned())) {
        missing.push(Need::CxxCompiler);
    }
    if !libclang::is_found() {
        missing.push(Need::Libclang);
    }
    missing
}

/// Whether a compiler takes a program that includes a standard header.
fn compiles_cxx(compiler: &str) -> bool {
    let mut words = compiler.split_whitespace();
    let Some(program) = words.next() else {
        return false;
    };
    let child = Command::new(program)
        .args(words)
        .args(["-x", "c++", "-fsyntax-only", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    let is_written =
        child.stdin.take().is_some_and(|mut input| input.write_all(b"#include <string>\n").is_ok());
    child.wait().is_ok_and(|status| is_written && status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_compiles_nothing() {
        assert!(!compiles_cxx("/nowhere/c++"));
        assert!(!compiles_cxx(""));
        assert!(!compiles_cxx("false"));
    }

    #[test]
    fn where_these_tests_were_built_nothing_is_missing() {
        assert_eq!(missing(), []);
    }
}
