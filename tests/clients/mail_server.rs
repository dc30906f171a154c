//! A mail server in a process of its own.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    sync::watch,
    time::timeout,
};

use crate::install::Script;

/// How long a mail may take that nothing holds up, the first pause of one that failed included.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the mail server tells of, in their order.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Told {
    /// Whether it takes mail from now on.
    #[serde(default)]
    ready: bool,
    /// To whom a mail goes that has come.
    pub to: Option<String>,
    #[serde(default)]
    pub text: String,
    #[serde(default)]
    pub html: String,
    #[serde(default)]
    pub subject: String,
    #[serde(default)]
    pub encrypted: bool,
    /// As whom the one who brought it had logged in.
    pub user: Option<String>,
    /// Whether a login was right.
    pub login: Option<bool>,
}

impl Told {
    /// The six digits that stand in a line of their own.
    pub fn code(&self) -> anyhow::Result<String> {
        let is_code =
            |line: &&str| line.len() == 6 && line.bytes().all(|byte| byte.is_ascii_digit());
        let code = self.text.lines().map(str::trim).find(is_code);
        code.map(str::to_owned).with_context(|| format!("no code in {:?}", self.text))
    }

    /// What the link proves.
    pub fn link_token(&self) -> anyhow::Result<String> {
        let token = self.text.split_once("&token=").map(|(_, rest)| rest);
        let token = token.and_then(|rest| rest.split_whitespace().next());
        token.map(str::to_owned).with_context(|| format!("no link in {:?}", self.text))
    }
}

/// How a mail server is.
#[derive(Clone, Debug)]
pub struct Kind {
    pub port: u16,
    /// A certificate and its key, where it offers encryption.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// A name and a password without which it takes nothing.
    pub login: Option<(&'static str, &'static str)>,
}

/// A running mail server. It ends when it is dropped.
#[derive(Debug)]
pub struct MailServer {
    process: Child,
    told: watch::Receiver<Vec<Told>>,
}

impl MailServer {
    /// Starts it and waits until it takes mail; what it says on its standard error is added to the log.
    pub async fn start(script: &Script, kind: &Kind, log: &Path) -> anyhow::Result<MailServer> {
        let mut wish = json!({ "port": kind.port });
        if let Some((certificate, key)) = &kind.certificate {
            (wish["certificate"], wish["key"]) = (json!(certificate), json!(key));
        }
        if let Some((name, password)) = kind.login {
            wish["login"] = json!([name, password]);
        }
        let mut command = tokio::process::Command::from(script.command(&wish.to_string()));
        let log = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut process = command.spawn().context("starting the mail server")?;
        let output = process.stdout.take().context("its output was piped")?;
        let (tell, told) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(one) = serde_json::from_str::<Told>(&line) {
                    tell.send_modify(|all| all.push(one));
                }
            }
        });
        let server = MailServer { process, told };
        server.until(|one| one.ready, 1).await?;
        Ok(server)
    }

    /// Everything it told of so far but that it is ready.
    pub fn told(&self) -> Vec<Told> {
        self.told.borrow().iter().filter(|one| !one.ready).cloned().collect()
    }

    /// Waits for a mail to this address.
    pub async fn mail_to(&self, address: &str) -> anyhow::Result<Told> {
        self.until(|one| one.to.as_deref() == Some(address), 1)
            .await
            .with_context(|| format!("no mail to {address}"))
    }

    /// Waits for one more mail to this address than the first.
    pub async fn second_mail_to(&self, address: &str) -> anyhow::Result<Told> {
        self.until(|one| one.to.as_deref() == Some(address), 2)
            .await
            .with_context(|| format!("no second mail to {address}"))
    }

    /// Waits until it told of something so often, and tells what it told then.
    async fn until(&self, is: impl Fn(&Told) -> bool, often: usize) -> anyhow::Result<Told> {
        let mut told = self.told.clone();
        let find = |all: &[Told]| all.iter().filter(|one| is(one)).nth(often - 1).cloned();
        let come = timeout(PATIENCE, told.wait_for(|all| find(all).is_some())).await;
        let Ok(come) = come else { bail!("not within {PATIENCE:?}") };
        find(&come.context("the mail server ended")?).context("it came")
    }

    /// Ends it, in the middle of whatever it does.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }
}

/// What a person shows who has got a mail.
pub fn shown(sid: &Value, code: &str) -> Value {
    json!({ "sid": sid, "client_secret": "secret", "token": code })
}
