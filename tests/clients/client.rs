//! A client in a process of its own, which obeys commands in JSON lines.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{Mutex, oneshot, watch};

/// What a client tells about itself on the way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// How many of many messages were acknowledged.
    pub said: u64,
    /// Half of a file is with the server.
    pub half: bool,
}

#[derive(Deserialize)]
struct Line {
    id: Option<u64>,
    #[serde(default)]
    result: Value,
    error: Option<String>,
    said: Option<u64>,
    half: Option<bool>,
}

type Answers = Arc<std::sync::Mutex<HashMap<u64, oneshot::Sender<Result<Value, String>>>>>;

/// A running client. It ends with its standard input.
#[derive(Debug)]
pub struct Client {
    name: &'static str,
    commands: Mutex<ChildStdin>,
    answers: Answers,
    progress: watch::Receiver<Progress>,
    next: AtomicU64,
    _process: Child,
}

impl Client {
    /// Starts the client; what it says on its standard error goes to the log.
    pub fn start(command: Command, name: &'static str, log: &Path) -> anyhow::Result<Client> {
        let mut command = tokio::process::Command::from(command);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .kill_on_drop(true);
        let mut process = command.spawn().with_context(|| format!("starting {name}"))?;
        let commands = process.stdin.take().context("its input was piped")?;
        let output = process.stdout.take().context("its output was piped")?;
        let (answers, (report, progress)) =
            (Answers::default(), watch::channel(Progress::default()));
        tokio::spawn(listen(BufReader::new(output).lines(), answers.clone(), report));
        let (commands, next) = (Mutex::new(commands), AtomicU64::new(0));
        Ok(Client { name, commands, answers, progress, next, _process: process })
    }

    /// Has the client do something and waits until it has.
    pub async fn order(&self, command: &str, mut with: Value) -> anyhow::Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        (with["id"], with["do"]) = (json!(id), json!(command));
        let (answer, answered) = oneshot::channel();
        self.answers.lock().expect("nobody panics with the answers").insert(id, answer);
        self.commands.lock().await.write_all(format!("{with}\n").as_bytes()).await?;
        let doing = || format!("{}: {command}", self.name);
        match answered.await.with_context(|| format!("{}: the client ended", doing()))? {
            Ok(result) => Ok(result),
            Err(error) => bail!("{}: {error}", doing()),
        }
    }

    /// The same where the answer is a text: an ID or an address.
    pub async fn ask(&self, command: &str, with: Value) -> anyhow::Result<String> {
        let answer = self.order(command, with).await?;
        answer
            .as_str()
            .map(str::to_owned)
            .with_context(|| format!("{}: {command} gave {answer}", self.name))
    }

    /// Waits until the client has got so far.
    pub async fn until(&self, far: impl FnMut(&Progress) -> bool) -> anyhow::Result<()> {
        let mut progress = self.progress.clone();
        progress.wait_for(far).await.with_context(|| format!("{} ended", self.name))?;
        Ok(())
    }

    /// How far the client is.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }
}

async fn listen(
    mut lines: Lines<BufReader<ChildStdout>>,
    answers: Answers,
    report: watch::Sender<Progress>,
) {
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(Line { id, result, error, said, half }) = serde_json::from_str(&line) else {
            continue;
        };
        report.send_modify(|progress| {
            progress.said = said.unwrap_or(progress.said);
            progress.half |= half.unwrap_or(false);
        });
        let mut answers = answers.lock().expect("nobody panics with the answers");
        if let Some(answer) = id.and_then(|id| answers.remove(&id)) {
            // Nobody waits any more only when the story has failed elsewhere.
            let _ = answer.send(error.map_or(Ok(result), Err));
        }
    }
    // Whoever still waits learns that the client has ended.
    answers.lock().expect("nobody panics with the answers").clear();
}
