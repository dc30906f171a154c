//! The program as its operator meets it: started with a file, asked over its ports, sent signals.

#![allow(clippy::unwrap_used, reason = "all of this is a test, and panics when something is wrong")]

mod admin;
mod commands;
mod mistakes;
mod running;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A folder with settings and, once a server ran, its data.
struct Home(tempfile::TempDir);

impl Home {
    /// Settings for a server on a free port, with `more` lines of TOML.
    fn new(more: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let listener = "[[listeners]]\naddress = \"127.0.0.1:0\"\n";
        home.write(&format!("{listener}[logs]\nformat = \"json\"\n[passwords]\nmemory_kib = 8\niterations = 1\n{more}"));
        home
    }

    /// Settings that are these and no others, except where data lies.
    fn write(&self, toml: &str) {
        let data = self.path("data");
        fs::write(self.path("tertulia.toml"), format!("data_directory = {data:?}\n{toml}"))
            .unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = program();
        command.args(words).arg("--config").arg(self.path("tertulia.toml"));
        command
    }

    fn serve(&self) -> Server {
        Server::start(self.command(&["serve"]))
    }
}

/// The program, without settings of whoever runs these tests.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tertulia"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// A server that runs. Dropping it kills it.
struct Server {
    child: Child,
    lines: BufReader<ChildStderr>,
    addresses: Vec<String>,
}

impl Server {
    /// Starts a server and reads its log until it is ready.
    fn start(command: Command) -> Self {
        let mut server = Self::begin(command);
        server.wait_until_ready();
        server
    }

    /// Starts a server and reads its log until it says so; its store is yet to be opened.
    fn begin(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        let mut server = Self { child, lines, addresses: Vec::new() };
        server.wait_for("starting");
        server
    }

    fn wait_until_ready(&mut self) {
        loop {
            let line = self.line();
            match line["message"].as_str() {
                Some("listening") => {
                    self.addresses.push(line["address"].as_str().unwrap().to_owned())
                }
                Some("ready") => return,
                _ => {}
            }
        }
    }

    /// The next line of the log.
    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the server said {line:?}"))
    }

    /// Reads the log until something is told.
    fn wait_for(&mut self, message: &str) {
        while self.line()["message"] != message {}
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// How it ended.
    fn end(mut self) -> ExitStatus {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap()
    }

    /// The first plain listener.
    fn address(&self) -> SocketAddr {
        self.addresses.iter().find_map(|url| url.strip_prefix("http://")).unwrap().parse().unwrap()
    }

    /// What the server answers to a request.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        ask(self.address(), method, path, body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request on a connection of its own.
fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, Value) {
    read_answer(send(address, method, path, body))
}

/// Sends a request and waits for nothing.
fn send(address: SocketAddr, method: &str, path: &str, body: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    connection.write_all(format!("{head}{body}").as_bytes()).unwrap();
    connection
}

fn read_answer(mut connection: TcpStream) -> (u16, Value) {
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("the server answered {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let start = body.find('{').unwrap_or(body.len());
    let end = body.rfind('}').map_or(start, |end| end + 1);
    (status, serde_json::from_str(&body[start..end]).unwrap_or_default())
}

/// Runs a command to its end.
fn run(mut command: Command) -> Output {
    command.output().unwrap()
}

/// The one sentence that the program ends with when it cannot do what it should.
#[track_caller]
fn complaint(command: Command) -> String {
    let output = run(command);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let (_, complaint) =
        said.rsplit_once("tertulia: ").unwrap_or_else(|| panic!("it said {said:?}"));
    assert_eq!(complaint.trim().lines().count(), 1, "{said}");
    assert!(!said.contains("backtrace"), "{said}");
    complaint.trim().to_owned()
}

/// What a command prints when it does what it should.
#[track_caller]
fn printed(command: Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Copies a certificate of these tests to where a listener looks.
fn install_certificate(folder: &Path) {
    let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
    for name in ["first.pem", "first.key.pem"] {
        fs::copy(certificates.join(name), folder.join(name)).unwrap();
    }
}
