//! The program sends mail to a mail server that others published, which is down now and then, and not always who it says.
//!
//! What the mails say is collected and then looked for in the logs, which tell as much as they can, and in the stores.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tertulia_bench::{
    client::Client,
    server::{Server, free_port},
};
use tertulia_tests::program::Program;

use crate::{
    install::{self, Script},
    mail_search::{Searched, Secrets},
    mail_server::{Kind, MailServer, Told, shown},
};

const PASSWORD: &str = "correct horse battery";
const OWN: &str = "/_tertulia/client/v1";
const MATRIX: &str = "/_matrix/client/v3";
/// How long what is told by a log may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a request may take whose mail goes nowhere.
const SOON: Duration = Duration::from_secs(5);

/// Whom the mail server knows the program by.
const LOGIN: (&str, &str) = ("tertulia", "known to both");

pub async fn tell(server: &Path, world: &Path) -> anyhow::Result<()> {
    if world.exists() {
        fs::remove_dir_all(world)?;
    }
    let clients = world.parent().context("the world lies in a folder")?;
    let script = install::install_mail_server(clients).context("installing the mail server")?;
    let mut secrets = Secrets::default();
    let plain = House::settle(server, &world.join("plain"), &script)?;
    plain.mail_comes(&mut secrets).await.context("mail comes")?;
    plain.mail_comes_later(&mut secrets).await.context("mail comes later")?;
    let careful = House::settle(server, &world.join("careful"), &script)?;
    careful.mail_goes_to_nobody_else(&mut secrets).await.context("mail goes to nobody else")?;
    let mut searched = Searched::default();
    for house in [&plain, &careful] {
        let before = searched;
        secrets.search(&house.home, &mut searched)?;
        ensure!(searched.addresses > before.addresses, "not even the addresses are found");
        let before = searched;
        secrets.search_rows(&house.program.data().join("store"), &mut searched)?;
        ensure!(searched.addresses > before.addresses, "not even the addresses are found in rows");
    }
    ensure!(secrets.codes.len() >= 6, "there were codes to look for");
    println!("of {} codes and their links nothing stands in {searched:?}", secrets.codes.len());
    Ok(())
}

/// A program, and the mail server that it knows.
struct House<'a> {
    home: PathBuf,
    program: Program,
    script: &'a Script,
    port: u16,
}

impl<'a> House<'a> {
    fn settle(server: &Path, home: &Path, script: &'a Script) -> anyhow::Result<House<'a>> {
        fs::create_dir_all(home)?;
        let logs = "[logs]\nlevel = \"trace\"\n";
        let program = Program::settle(server, home, logs)?;
        Ok(House { home: home.to_owned(), program, script, port: free_port()? })
    }

    /// Starts the program with these settings of mail.
    async fn open(&self, settings: &[(&str, &str)]) -> anyhow::Result<Server> {
        let mut command: Command = self.program.command()?;
        command.env("TERTULIA_PUBLIC_BASE_URL", self.program.url());
        let port = self.port.to_string();
        let all = [("HOST", "localhost"), ("PORT", &port), ("FROM", "Tea <noreply@mail.example>")];
        for (name, value) in all.iter().chain(settings) {
            command.env(format!("TERTULIA_MAIL__{name}"), value);
        }
        Ok(self.program.start(command).await?.0)
    }

    async fn mail_server(&self, kind: Kind) -> anyhow::Result<MailServer> {
        MailServer::start(self.script, &kind, &self.home.join("smtp.log")).await
    }

    fn client(&self) -> Client {
        Client::new(&self.program.url())
    }

    /// Has a mail sent that lets somebody register; tells the session.
    async fn ask(&self, name: &str) -> anyhow::Result<Value> {
        let wish = json!({ "client_secret": "secret", "email": address(name), "send_attempt": 1 });
        let path = format!("{MATRIX}/register/email/requestToken");
        let asked: Value = self.client().post(&path, &wish).await?;
        Ok(asked["sid"].clone())
    }

    /// Somebody registers with what the mail said; tells the access token.
    async fn sign_up(&self, name: &str, email: Value) -> anyhow::Result<Client> {
        let wish =
            json!({ "username": name, "nickname": name, "password": PASSWORD, "email": email });
        let made: Value = self.client().post(&format!("{OWN}/register"), &wish).await?;
        let token = made["access_token"].as_str().context("a token")?;
        let user = self.client().with_token(token);
        let told: Value = user.get(&format!("{MATRIX}/account/3pid"), &[]).await?;
        ensure!(told["threepids"][0]["address"] == address(name), "{name} has {told}");
        Ok(user)
    }

    /// Waits until the log has a line with all of these words behind its first `from` bytes.
    async fn logged(&self, from: usize, words: &[&str]) -> anyhow::Result<()> {
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            let log = fs::read_to_string(self.program.file("server.log"))?;
            let has_all = |line: &str| words.iter().all(|word| line.contains(word));
            if log.get(from..).unwrap_or_default().lines().any(has_all) {
                return Ok(());
            }
            // A file tells nobody that it has grown.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("no line of the log has {words:?}")
    }

    fn length_of_log(&self) -> anyhow::Result<usize> {
        Ok(fs::read(self.program.file("server.log"))?.len())
    }

    /// All kinds of mail come, with codes and links that do what they say.
    async fn mail_comes(&self, secrets: &mut Secrets) -> anyhow::Result<()> {
        let mail = self.mail_server(self.open_to_all()).await?;
        let _program = self.open(&[("ENCRYPTION", "none")]).await?;
        let sid = self.ask("ana").await?;
        let told = secrets.take(mail.mail_to(&address("ana")).await?)?;
        ensure!(told.html.contains(&told.code()?) && !told.subject.contains(&told.code()?));
        self.sign_up("ana", shown(&sid, &told.code()?)).await?;
        let sid = self.ask("ben").await?;
        let told = secrets.take(mail.mail_to(&address("ben")).await?)?;
        let confirm = json!({ "session": sid, "token": told.link_token()? });
        let _: Value = self.client().post(&format!("{OWN}/email/confirm"), &confirm).await?;
        let proven = json!({ "sid": sid, "client_secret": "secret" });
        let ben = self.sign_up("ben", proven).await?;
        // Another address, of which the old one is told.
        let wish =
            json!({ "client_secret": "secret", "email": address("benedict"), "send_attempt": 1 });
        let path = format!("{OWN}/account/email/requestToken");
        let asked: Value = ben.post(&path, &wish).await?;
        let told = secrets.take(mail.mail_to(&address("benedict")).await?)?;
        let change = json!({ "email": shown(&asked["sid"], &told.code()?), "password": PASSWORD });
        let _: Value = ben.put(&format!("{OWN}/account/email"), &change).await?;
        self.forgotten(&mail, secrets).await
    }

    /// Somebody who forgot the password sets another.
    async fn forgotten(&self, mail: &MailServer, secrets: &mut Secrets) -> anyhow::Result<()> {
        let wish = json!({ "client_secret": "secret", "email": address("ana"), "send_attempt": 1 });
        let path = format!("{MATRIX}/account/password/email/requestToken");
        let asked: Value = self.client().post(&path, &wish).await?;
        let told = secrets.take(mail.second_mail_to(&address("ana")).await?)?;
        let submit = format!("{OWN}/email/submit");
        let _: Value = self.client().post(&submit, &shown(&asked["sid"], &told.code()?)).await?;
        let creds = json!({ "sid": asked["sid"], "client_secret": "secret" });
        let auth = json!({ "type": "m.login.email.identity", "threepid_creds": creds });
        let set = json!({ "new_password": "another horse", "auth": auth });
        let _: Value = self.client().post(&format!("{MATRIX}/account/password"), &set).await?;
        Ok(())
    }

    /// While the mail server is down, the program is killed; once both are back, mail comes, and its code is good.
    async fn mail_comes_later(&self, secrets: &mut Secrets) -> anyhow::Result<()> {
        let mut program = self.open(&[("ENCRYPTION", "none")]).await?;
        let log = self.length_of_log()?;
        let asked = Instant::now();
        let sid = self.ask("cleo").await?;
        ensure!(asked.elapsed() < SOON, "the request waited for the mail server");
        self.logged(log, &["a mail could not be sent and is tried again", "Connection"]).await?;
        program.kill()?;
        copy(&self.program.data(), &self.home.join("while the mail waits"))?;
        let mail = self.mail_server(self.open_to_all()).await?;
        let _program = self.open(&[("ENCRYPTION", "none")]).await?;
        let told = secrets.take(mail.mail_to(&address("cleo")).await?)?;
        self.sign_up("cleo", shown(&sid, &told.code()?)).await?;
        // The mail server alone was away.
        mail.kill().await?;
        let log = self.length_of_log()?;
        let sid = self.ask("dan").await?;
        self.logged(log, &["a mail could not be sent and is tried again"]).await?;
        let mail = self.mail_server(self.open_to_all()).await?;
        let told = secrets.take(mail.mail_to(&address("dan")).await?)?;
        self.sign_up("dan", shown(&sid, &told.code()?)).await?;
        Ok(())
    }

    fn open_to_all(&self) -> Kind {
        Kind { port: self.port, certificate: None, login: None }
    }

    /// A mail server with the wrong certificate gets nothing, in whatever way; nor is mail lost by that.
    async fn mail_goes_to_nobody_else(&self, secrets: &mut Secrets) -> anyhow::Result<()> {
        let kind =
            |login| Kind { port: self.port, certificate: Some(certificate("second")), login };
        let right = certificate("second").0.display().to_string();
        let wrong = certificate("first").0.display().to_string();
        // It would take mail in clear.
        let mail = self.mail_server(kind(None)).await?;
        let mut sid = None;
        for _ in 0..2 {
            let log = self.length_of_log().unwrap_or_default();
            let _program = self.open(&[("AUTHORITIES", &wrong)]).await?;
            if sid.is_none() {
                sid = Some(self.ask("eva").await?);
            }
            self.logged(log, &["could not be sent", "certificate", "name the authority"]).await?;
        }
        ensure!(mail.told().is_empty(), "it was told {:?}", mail.told());
        mail.kill().await?;
        let mail = self.mail_server(kind(Some(LOGIN))).await?;
        let login = |password: &'static str| {
            [("AUTHORITIES", right.as_str()), ("USERNAME", LOGIN.0), ("PASSWORD", password)]
        };
        let log = self.length_of_log()?;
        let program = self.open(&login("not known")).await?;
        self.logged(log, &["could not be sent", "535", "check the name and the password"]).await?;
        drop(program);
        let told = mail.told();
        ensure!(told.iter().all(|one| one.login == Some(false) && one.encrypted), "{told:?}");
        let _program = self.open(&login(LOGIN.1)).await?;
        let told = secrets.take(mail.mail_to(&address("eva")).await?)?;
        ensure!(told.encrypted && told.user.as_deref() == Some(LOGIN.0), "{told:?}");
        self.sign_up("eva", shown(&sid.context("it was asked for")?, &told.code()?)).await?;
        let log = fs::read_to_string(self.program.file("server.log"))?;
        ensure!(!log.contains("not known") && !log.contains(LOGIN.1), "the log has a password");
        Ok(())
    }
}

impl Secrets {
    /// Keeps what a mail tells, to be looked for.
    fn take(&mut self, told: Told) -> anyhow::Result<Told> {
        self.codes.push(told.code()?);
        self.links.push(told.link_token()?);
        Ok(told)
    }
}

fn address(name: &str) -> String {
    format!("{name}@mail.example")
}

/// One of the certificates that tests of the program use, and its key.
fn certificate(name: &str) -> (PathBuf, PathBuf) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/server/tests/certificates");
    (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key.pem")))
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, copy_of_it) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &copy_of_it)?;
        } else {
            fs::copy(&path, &copy_of_it)?;
        }
    }
    Ok(())
}
