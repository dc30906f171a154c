//! Installing what is missing, or saying how.

use std::process::{Command, Stdio};

use anyhow::bail;

use super::Need;
use crate::progress::say;

/// What the systems that people build on call it.
const INSTRUCTIONS: &str = "\
  Debian, Ubuntu   apt-get install g++ libclang-dev
  Fedora           dnf install gcc-c++ clang-devel
  Alpine           apk add g++ clang-dev linux-headers
  Arch             pacman -S gcc clang
  macOS            xcode-select --install";

/// Installs packages for `needs` with apt where that is allowed; `missing` looks again afterwards.
pub(crate) fn install(needs: &[Need], missing: impl FnOnce() -> Vec<Need>) -> anyhow::Result<()> {
    let Some(apt) = Apt::find() else { bail!(instructions(needs)) };
    say(&format!("the build needs {}, which apt will install now", names(needs)));
    apt.install(needs);
    let still = missing();
    if still.is_empty() { Ok(()) } else { bail!(instructions(&still)) }
}

fn names(needs: &[Need]) -> String {
    needs.iter().map(|need| need.name()).collect::<Vec<_>>().join(" and ")
}

fn instructions(needs: &[Need]) -> String {
    format!(
        "the build needs {}, which was not found here. Install it and call again:\n{INSTRUCTIONS}",
        names(needs)
    )
}

/// Debian's package manager, and how it may be called.
struct Apt {
    prefix: &'static [&'static str],
}

impl Apt {
    /// As root or by a sudo that asks for no password.
    fn find() -> Option<Self> {
        if !works(&["apt-get", "--version"]) {
            return None;
        }
        if is_root() {
            return Some(Self { prefix: &[] });
        }
        works(&["sudo", "-n", "true"]).then_some(Self { prefix: &["sudo", "-n"] })
    }

    fn install(&self, needs: &[Need]) {
        let packages = needs.iter().map(|need| match need {
            Need::CxxCompiler => "g++",
            Need::Libclang => "libclang-dev",
        });
        let install: Vec<_> =
            ["install", "--yes", "--no-install-recommends"].into_iter().chain(packages).collect();
        // Lists may be too old or missing; what counts is whether the needs are met afterwards.
        for arguments in [vec!["update"], install] {
            let words: Vec<_> = self
                .prefix
                .iter()
                .chain(&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"])
                .copied()
                .collect();
            if let Some((program, rest)) = words.split_first() {
                let _ =
                    Command::new(program).args(rest).args(arguments).stdin(Stdio::null()).status();
            }
        }
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

fn works(words: &[&str]) -> bool {
    let Some((program, arguments)) = words.split_first() else {
        return false;
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_install_is_told_what_to_install() {
        let text = instructions(&[Need::CxxCompiler, Need::Libclang]);
        assert!(text.starts_with("the build needs a C++ compiler and libclang,"));
        for system in ["Debian", "Fedora", "Alpine", "Arch", "macOS"] {
            assert!(text.contains(system), "{system}");
        }
    }

    #[test]
    fn only_what_is_missing_is_named() {
        assert!(instructions(&[Need::Libclang]).starts_with("the build needs libclang,"));
    }

    #[test]
    fn a_program_works_if_it_says_so() {
        assert!(works(&["true"]));
        assert!(!works(&["false"]));
        assert!(!works(&["/nowhere/program"]));
        assert!(!works(&[]));
    }
}
