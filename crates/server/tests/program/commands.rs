//! Commands that start nothing.

use std::process::Output;

use crate::{Home, printed, program, run};

#[test]
fn settings_that_will_do_are_called_so() {
    assert_eq!(printed(Home::new("").command(&["check-config"])), "these settings will do\n");
}

#[test]
fn defaults_hold_without_a_file() {
    let mut command = program();
    command.arg("check-config");
    assert_eq!(printed(command), "these settings will do\n");
}

#[test]
fn every_setting_is_printed_with_its_origin_and_no_secret() {
    let home = Home::new("[registration]\ntoken = \"hunter2\"\n");
    let mut command = home.command(&["print-config"]);
    command.env("TERTULIA_MEDIA__MAX_UPLOAD_MIB", "7");
    let printed = printed(command);
    let line =
        |start: &str| printed.lines().find(|line| line.starts_with(start)).unwrap_or_default();
    assert!(
        line("media.max_upload_mib = 7")
            .ends_with("# environment variable TERTULIA_MEDIA__MAX_UPLOAD_MIB")
    );
    assert!(line("registration.token").contains("tertulia.toml, line "));
    assert!(line("rate_limits = true").ends_with("# default"));
    assert!(!printed.contains("hunter2"), "{printed}");
}

#[test]
fn shells_can_complete_the_commands() {
    for shell in ["bash", "fish", "zsh"] {
        let mut command = program();
        command.args(["completions", shell]);
        assert!(printed(command).contains("print-config"), "{shell}");
    }
}

#[test]
fn help_says_what_there_is() {
    let mut command = program();
    command.arg("--help");
    assert!(printed(command).contains("serve"));
}

#[test]
fn a_command_that_does_not_exist_is_no_success() {
    let mut command = program();
    command.arg("sevre");
    let Output { status, stderr, .. } = run(command);
    assert_eq!(status.code(), Some(2));
    assert!(String::from_utf8(stderr).unwrap().contains("serve"));
}
