//! Accounts that are made and changed while the server is stopped.

use std::{fs, process::Command};

use serde_json::json;

use crate::{Home, Server, complaint, printed};

/// An admin command whose standard input is this password.
fn admin(home: &Home, words: &[&str], password: &str) -> Command {
    let input = home.path("password");
    fs::write(&input, format!("{password}\n")).unwrap();
    let mut command = home.command(&[&["admin"], words].concat());
    command.stdin(fs::File::open(input).unwrap());
    command
}

fn log_in(server: &Server, password: &str) -> u16 {
    let body = json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": "alice" },
        "password": password,
    });
    server.ask("POST", "/_matrix/client/v3/login", &body.to_string()).0
}

#[test]
fn an_account_is_made_and_gets_a_new_password() {
    let home = Home::new("");
    let made = printed(admin(&home, &["create-user", "alice"], "the first password"));
    assert_eq!(made, "the account @alice:localhost was made\n");
    let server = home.serve();
    assert_eq!(log_in(&server, "the first password"), 200);
    drop(server);
    let reset =
        printed(admin(&home, &["reset-password", "@alice:localhost"], "the second password"));
    assert!(reset.starts_with("@alice:localhost has a new password"), "{reset}");
    let server = home.serve();
    assert_eq!(log_in(&server, "the first password"), 403);
    assert_eq!(log_in(&server, "the second password"), 200);
}

#[test]
fn what_cannot_be_done_is_told() {
    let home = Home::new("");
    let told = |words: &[&str], password| complaint(admin(&home, words, password));
    assert!(
        told(&["create-user", "@alice:example.org"], "a password").contains("no user of localhost")
    );
    assert!(told(&["create-user", "alice"], "").contains("a password is wanted"));
    assert!(told(&["create-user", "alice"], "7short!").contains("8 characters"));
    assert!(told(&["reset-password", "nobody"], "a good password").contains("nobody"));
    printed(admin(&home, &["create-user", "alice"], "a good password"));
    assert!(told(&["create-user", "alice"], "a good password").contains("taken"));
    assert!(told(&["reset-password", "alice"], "7short!").contains("8 characters"));
}
