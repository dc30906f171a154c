//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// What to do with a program that one sees for the first time.
const FIRST_STEPS: &str = "\
To try it: make an account by `tertulia admin create-user alice`, start `tertulia serve`, and log
in as alice with any Matrix client at http://127.0.0.1:8008.";

/// A Matrix homeserver.
///
/// Settings come from defaults, then a TOML file, then environment variables named like
/// TERTULIA_SERVER_NAME or TERTULIA_REGISTRATION__MODE. config.example.toml explains each.
#[derive(Debug, Parser)]
#[command(name = "tertulia", version, max_term_width = 100, after_help = FIRST_STEPS)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server until SIGTERM or SIGINT; SIGHUP reads certificates again
    Serve(Configured),
    /// Say whether the settings would do, without starting anything
    CheckConfig(Configured),
    /// Print every setting, and where it came from; secrets are masked
    PrintConfig(Configured),
    /// Do what needs no client, while the server is stopped
    #[command(subcommand)]
    Admin(Admin),
    /// Print a script that lets a shell complete this program's commands
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Where settings are.
#[derive(Debug, Args)]
pub(crate) struct Configured {
    /// The file with the settings; without it, defaults hold
    #[arg(long, value_name = "FILE", env = "TERTULIA_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// What an administrator can do to a store that no server has open.
#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Make an account; its password is read from standard input
    CreateUser(Account),
    /// Give an account a new password, read from standard input, and end its sessions
    ResetPassword(Account),
}

/// One account, and the settings that say where it is.
#[derive(Debug, Args)]
pub(crate) struct Account {
    /// The user's name, such as alice, or whole ID, such as @alice:example.org
    #[arg(value_name = "USER")]
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) configured: Configured,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_make_sense_to_clap() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_command() {
        let help = Cli::command().render_long_help().to_string();
        for command in ["serve", "check-config", "print-config", "admin", "completions"] {
            assert!(help.contains(command), "{command} in\n{help}");
        }
        let width = help.lines().map(str::len).max().unwrap_or_default();
        assert!(width <= 100, "a line of {width} letters in\n{help}");
    }

    #[test]
    fn the_file_with_the_settings_may_be_left_out() {
        let parse = |words: &[&str]| Cli::try_parse_from(["tertulia"].iter().chain(words));
        assert!(parse(&["serve"]).is_ok());
        assert!(parse(&["serve", "--config", "x.toml"]).is_ok());
        assert!(parse(&["admin", "create-user", "alice", "--config", "x.toml"]).is_ok());
        assert!(parse(&["admin", "create-user"]).is_err());
        assert!(parse(&["sevre"]).unwrap_err().to_string().contains("serve"));
    }
}
