//! The project's commands: `cargo xtask run`, `test`, `laws`, `crash`, `clients`, `complement`, `soak`, `spec`.

mod cargo;
mod complement;
mod laws;
mod needs;
mod outside;
mod progress;
mod run;
mod soak;
mod spec;
mod test;

use std::{env, process::ExitCode};

use clap::{Parser, Subcommand};

/// The project's commands.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the server and start it on http://127.0.0.1:8008, with its data in ./data
    Run(run::Run),
    /// Run the tests: everything but crashes, clients, Complement, fuzzing and figures
    Test(test::Test),
    /// Hold the server to its laws on all random histories; `test` runs a tenth of them
    Laws(laws::Laws),
    /// Kill the server under load, again and again, and look for what it promised
    Crash(outside::Crash),
    /// Have clients that others published talk through the server, which is killed meanwhile
    Clients(outside::Clients),
    /// Have the public suite Complement judge the server, and write down what passes
    Complement(complement::Complement),
    /// Have people come, talk and go for half an hour, and see whether the server grows or leaves anything over
    Soak(soak::Soak),
    /// Take over from a specification what tests compare the server with
    Spec(spec::Spec),
}

fn main() -> ExitCode {
    let outcome = match parse(env::args()) {
        Command::Run(run) => run.execute(),
        Command::Test(test) => test.execute(),
        Command::Laws(laws) => laws.execute(),
        Command::Crash(crash) => crash.execute(),
        Command::Clients(clients) => clients.execute(),
        Command::Complement(complement) => complement.execute(),
        Command::Soak(soak) => soak.execute(),
        Command::Spec(spec) => spec.execute(),
    };
    outcome.unwrap_or_else(|error| {
        progress::say(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// What is asked for. clap would drop the `--` that cargo needs to see.
fn parse(words: impl Iterator<Item = String>) -> Command {
    let mut words = words.fuse();
    let ours: Vec<_> = words.by_ref().take_while(|word| word != "--").collect();
    let mut command = Arguments::parse_from(ours).command;
    if let Command::Test(test) = &mut command {
        test.tests = words.collect();
    }
    command
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_make_sense_to_clap() {
        Arguments::command().debug_assert();
    }

    #[track_caller]
    fn check(arguments: &[&str], passed_on: &[&str]) {
        let words = ["xtask", "test"].iter().chain(arguments);
        let Command::Test(test) = parse(words.map(|word| (*word).to_owned())) else {
            panic!("this is another command");
        };
        assert_eq!(test.passed_on(), passed_on);
    }

    #[test]
    fn what_follows_a_command_is_passed_on() {
        check(&[], &["--"]);
        check(&["cors"], &["cors", "--"]);
        check(&["-p", "tertulia-http", "cors"], &["-p", "tertulia-http", "cors", "--"]);
        check(&["--", "--nocapture"], &["--", "--nocapture"]);
        check(&["cors", "--", "--nocapture"], &["cors", "--", "--nocapture"]);
    }
}
