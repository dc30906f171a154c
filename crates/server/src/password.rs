//! Reading a password: from a person, who does not want to see it, or from a script.

use std::io::{self, BufRead, IsTerminal as _, Write as _};

use anyhow::{Context as _, ensure};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Reads one line from standard input; nothing of it is shown.
pub(crate) fn ask() -> anyhow::Result<String> {
    let input = io::stdin();
    if !input.is_terminal() {
        return read(&mut input.lock());
    }
    write!(io::stderr(), "Password: ")?;
    let silence = Silence::keep()?;
    let password = read(&mut input.lock());
    drop(silence);
    writeln!(io::stderr())?;
    password
}

fn read(input: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line).context("the password cannot be read")?;
    let password = line.trim_end_matches(['\n', '\r']);
    ensure!(!password.is_empty(), "a password is wanted on standard input");
    Ok(password.to_owned())
}

/// A terminal that shows nothing until this value is dropped.
struct Silence(Termios);

impl Silence {
    fn keep() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing anyway.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line_without_its_end() {
        for input in ["secret", "secret\n", "secret\r\n", "secret\nmore\n"] {
            assert_eq!(read(&mut input.as_bytes()).unwrap(), "secret");
        }
        assert_eq!(read(&mut " with blanks \n".as_bytes()).unwrap(), " with blanks ");
    }

    #[test]
    fn no_password_is_no_empty_password() {
        for input in ["", "\n"] {
            assert_eq!(
                read(&mut input.as_bytes()).unwrap_err().to_string(),
                "a password is wanted on standard input"
            );
        }
    }
}
