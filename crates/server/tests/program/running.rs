//! A server at work, and how it ends.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{Home, Server, install_certificate, read_answer, send};

const OPEN: &str = "[registration]\nmode = \"open\"\n";

/// A new account's access token.
fn register(server: &Server) -> String {
    let body = json!({ "username": "alice", "password": "a good password", "auth": { "type": "m.login.dummy" } });
    let (status, answer) = server.ask("POST", "/_matrix/client/v3/register", &body.to_string());
    assert_eq!(status, 200, "{answer}");
    answer["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn a_server_answers_once_it_is_ready() {
    let server = Home::new("").serve();
    let (status, answer) = server.ask("GET", "/_matrix/client/versions", "");
    assert_eq!(status, 200);
    assert!(answer["versions"].as_array().is_some_and(|versions| !versions.is_empty()));
}

#[test]
fn two_servers_run_side_by_side() {
    let (one, other) = (Home::new(""), Home::new(""));
    let (one, other) = (one.serve(), other.serve());
    assert_ne!(one.address(), other.address());
    for server in [one, other] {
        assert_eq!(server.ask("GET", "/_matrix/client/versions", "").0, 200);
    }
}

#[test]
fn every_listener_serves_the_api() {
    let home = Home::new("");
    install_certificate(&home.path(""));
    let (certificate, key) = (home.path("first.pem"), home.path("first.key.pem"));
    home.write(&format!(
        "[logs]\nformat = \"json\"\n[[listeners]]\naddress = \"127.0.0.1:0\"\n\
         [[listeners]]\naddress = \"127.0.0.1:0\"\ncertificate = {certificate:?}\nkey = {key:?}\n"
    ));
    let mut server = home.serve();
    assert_eq!(server.addresses.len(), 2);
    assert!(server.addresses[1].starts_with("https://"));
    server.send(Signal::HUP);
    server.wait_for("the certificate was read again");
    assert_eq!(server.ask("GET", "/_matrix/client/versions", "").0, 200);
}

#[test]
fn either_signal_ends_a_server_well_and_what_it_knew_is_there_again() {
    let home = Home::new(OPEN);
    let server = home.serve();
    let token = register(&server);
    server.send(Signal::TERM);
    assert_eq!(server.end().code(), Some(0));
    let server = home.serve();
    let path = format!("/_matrix/client/v3/account/whoami?access_token={token}");
    assert_eq!(server.ask("GET", &path, "").1["user_id"], "@alice:localhost");
    server.send(Signal::INT);
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn a_server_that_is_told_to_stop_while_it_opens_its_store_ends_well() {
    let home = Home::new(OPEN);
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::begin(home.command(&["serve"]));
        server.send(signal);
        assert_eq!(server.end().code(), Some(0), "{signal:?}");
    }
    register(&home.serve());
}

#[test]
fn a_server_that_is_told_to_reload_while_it_opens_its_store_goes_on() {
    let home = Home::new("");
    let mut server = Server::begin(home.command(&["serve"]));
    server.send(Signal::HUP);
    server.wait_until_ready();
    assert_eq!(server.ask("GET", "/_matrix/client/versions", "").0, 200);
    server.send(Signal::TERM);
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn a_long_poll_is_answered_when_the_server_stops() {
    let home = Home::new(OPEN);
    let mut server = home.serve();
    let token = register(&server);
    let (_, first) =
        server.ask("GET", &format!("/_matrix/client/v3/sync?access_token={token}"), "");
    let since = first["next_batch"].as_str().unwrap();
    let path = format!("/_matrix/client/v3/sync?access_token={token}&since={since}&timeout=600000");
    let poll = send(server.address(), "GET", &path, "");
    // A request after the poll is answered after the poll was taken up, since both are read in order of arrival.
    assert_eq!(server.ask("GET", "/_matrix/client/versions", "").0, 200);
    let begun = Instant::now();
    server.send(Signal::TERM);
    let (status, answer): (u16, Value) = read_answer(poll);
    assert_eq!(status, 200, "{answer}");
    assert!(answer["next_batch"].is_string());
    server.wait_for("stopped");
    assert_eq!(server.end().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_idle_connection_keeps_no_server_from_ending() {
    let server = Home::new("").serve();
    let mut idle = TcpStream::connect(server.address()).unwrap();
    let mut half = TcpStream::connect(server.address()).unwrap();
    half.write_all(b"GET /_matrix/client/ver").unwrap();
    let begun = Instant::now();
    server.send(Signal::TERM);
    assert_eq!(server.end().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(idle.read(&mut [0; 16]).unwrap_or(0), 0);
}

#[test]
fn no_log_tells_a_secret_however_much_is_logged() {
    let home = Home::new(&format!("{OPEN}shared_secret = \"very-shared\"\n"));
    let mut command = home.command(&["serve"]);
    command.env("TERTULIA_LOGS__LEVEL", "trace");
    let mut server = Server::start(command);
    let token = register(&server);
    let path = format!("/_matrix/client/v3/createRoom?access_token={token}");
    assert_eq!(server.ask("POST", &path, "{\"topic\":\"a-private-topic\"}").0, 200);
    server.send(Signal::TERM);
    let mut told = String::new();
    server.lines.read_to_string(&mut told).unwrap();
    assert!(told.contains("createRoom"), "requests are told: {told}");
    for secret in [token.as_str(), "a good password", "very-shared", "a-private-topic"] {
        assert!(!told.contains(secret), "{secret} is in the log:\n{told}");
    }
}
