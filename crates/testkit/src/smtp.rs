//! A server on this machine that takes mail by SMTP and keeps it for a test to read.

use std::{io, net::SocketAddr, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use parking_lot::Mutex;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use crate::mailbox::code_of;

/// The longest mail in bytes.
const LONGEST: usize = 1024 * 1024;

/// A server on a port of this machine that takes mail by SMTP. It ends when it is dropped.
#[derive(Debug)]
pub struct SmtpSink {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// An [`SmtpSink`] to be.
#[derive(Default)]
pub struct SmtpSinkBuilder {
    tls: Option<TlsAcceptor>,
    login: Option<String>,
    refusal: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    mails: watch::Sender<Vec<ReceivedMail>>,
    connections: Mutex<usize>,
}

/// A mail as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMail {
    /// Whom it comes from, as the envelope says.
    pub from: String,
    /// To whom it goes, as the envelope says.
    pub to: String,
    /// Headers and body.
    pub raw: String,
    /// Whether it came on an encrypted connection.
    pub encrypted: bool,
}

impl SmtpSink {
    /// One that takes everything, in clear.
    pub async fn start() -> Self {
        Self::builder().start(0).await
    }

    /// One to be, which differs from the usual.
    pub fn builder() -> SmtpSinkBuilder {
        SmtpSinkBuilder::default()
    }

    /// Where it listens, on `127.0.0.1`.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Ends it: then nobody listens on the port, which is told.
    pub async fn stop(mut self) -> u16 {
        self.task.abort();
        // It says that it was ended.
        let _ = (&mut self.task).await;
        self.port()
    }

    /// The mail that came so far, oldest first.
    pub fn mails(&self) -> Vec<ReceivedMail> {
        self.shared.mails.borrow().clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        *self.shared.connections.lock()
    }

    /// Waits until so many mails have come since the beginning, and tells all that are there.
    ///
    /// # Panics
    ///
    /// Never: the sink holds the sender.
    pub async fn received(&self, count: usize) -> Vec<ReceivedMail> {
        let mut mails = self.shared.mails.subscribe();
        let enough = mails.wait_for(|mails| mails.len() >= count).await;
        enough.expect("the sink holds the sender").clone()
    }

    /// Waits until a mail has come to `address`, takes all that came to it, and tells the newest.
    ///
    /// # Panics
    ///
    /// Never: the sink holds the sender.
    pub async fn take(&self, address: &str) -> ReceivedMail {
        let is_theirs = |mail: &ReceivedMail| mail.to == address;
        let mut mails = self.shared.mails.subscribe();
        let there = mails.wait_for(|mails| mails.iter().any(is_theirs)).await;
        drop(there.expect("the sink holds the sender"));
        let mut newest = None;
        self.shared.mails.send_modify(|mails| {
            newest = mails.extract_if(.., |mail| is_theirs(mail)).last();
        });
        newest.expect("it was there, and only the test takes it")
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SmtpSinkBuilder {
    /// Lets clients encrypt the connection, with this certificate and key (PEM), and takes no mail
    /// otherwise.
    ///
    /// # Panics
    ///
    /// If these are none.
    #[must_use]
    pub fn encrypted(mut self, certificate: &[u8], key: &[u8]) -> Self {
        let certificate = CertificateDer::from_pem_slice(certificate).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(key).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let settings = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("they go together");
        self.tls = Some(TlsAcceptor::from(Arc::new(settings)));
        self
    }

    /// Takes mail only from those who know this name and password.
    #[must_use]
    pub fn login(mut self, name: &str, password: &str) -> Self {
        self.login = Some(BASE64_STANDARD.encode(format!("\0{name}\0{password}")));
        self
    }

    /// Takes mail for nobody, with this answer, such as `550 nobody is called so`.
    #[must_use]
    pub fn refusing(mut self, answer: &str) -> Self {
        self.refusal = Some(answer.to_owned());
        self
    }

    /// Listens on `port` of `127.0.0.1`, or on any that is free if that is 0.
    ///
    /// # Panics
    ///
    /// If the port is taken.
    pub async fn start(self, port: u16) -> SmtpSink {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(serve(listener, Arc::new(self), shared.clone()));
        SmtpSink { address, shared, task }
    }
}

async fn serve(listener: TcpListener, rules: Arc<SmtpSinkBuilder>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        *shared.connections.lock() += 1;
        connections.spawn(talk(stream, rules.clone(), shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Speaks with one client, first in clear and then, if it wants to, encrypted.
async fn talk(
    stream: TcpStream,
    rules: Arc<SmtpSinkBuilder>,
    shared: Arc<Shared>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sink ready\r\n").await?;
    let mut dialogue = Dialogue::new(&rules, &shared);
    if !dialogue.hold(&mut stream).await? {
        return Ok(());
    }
    let Some(tls) = &rules.tls else {
        return Ok(());
    };
    let mut stream = BufReader::new(tls.accept(stream.into_inner()).await?);
    dialogue.encrypted = true;
    dialogue.hold(&mut stream).await?;
    Ok(())
}

/// What was said on a connection so far.
struct Dialogue<'a> {
    rules: &'a SmtpSinkBuilder,
    shared: &'a Shared,
    encrypted: bool,
    knows_client: bool,
    from: String,
    to: String,
}

impl<'a> Dialogue<'a> {
    fn new(rules: &'a SmtpSinkBuilder, shared: &'a Shared) -> Self {
        let (from, to) = (String::new(), String::new());
        Self { rules, shared, encrypted: false, knows_client: rules.login.is_none(), from, to }
    }

    /// Answers until the client ends the connection, or (then it tells `true`) wants it encrypted.
    async fn hold(
        &mut self,
        stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>,
    ) -> io::Result<bool> {
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(false);
            }
            let said = line.trim_end();
            let answer = self.answer(said);
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
            match answer.split_at(3).0 {
                "221" => return Ok(false),
                "220" => return Ok(true),
                "354" => {
                    let raw = read_mail(stream).await?;
                    self.take(raw);
                    stream.write_all(b"250 taken\r\n").await?;
                }
                _ => {}
            }
        }
    }

    /// What is answered to a command.
    fn answer(&mut self, said: &str) -> String {
        let upper = said.to_ascii_uppercase();
        let may_send = self.knows_client && (self.encrypted || self.rules.tls.is_none());
        if upper.starts_with("EHLO") {
            let tls =
                if self.rules.tls.is_some() && !self.encrypted { "250-STARTTLS\r\n" } else { "" };
            let login = if self.rules.login.is_some() { "250-AUTH PLAIN\r\n" } else { "" };
            return format!("250-sink\r\n{tls}{login}250 8BITMIME");
        }
        let refusal = self.rules.refusal.as_deref();
        let answer = match upper.split([' ', ':']).next().unwrap_or_default() {
            "STARTTLS" if self.rules.tls.is_some() && !self.encrypted => "220 go on",
            "AUTH" if self.proves(said) => "235 welcome",
            "AUTH" => "535 who are you?",
            "MAIL" if !may_send => "530 encrypt, and say who you are",
            "MAIL" => {
                self.from = path_in(said);
                "250 ok"
            }
            "RCPT" => {
                self.to = path_in(said);
                refusal.unwrap_or("250 ok")
            }
            "DATA" => "354 go on",
            "NOOP" | "RSET" => "250 ok",
            "QUIT" => "221 bye",
            _ => "502 what?",
        };
        answer.to_owned()
    }

    fn proves(&mut self, said: &str) -> bool {
        let shown = said.rsplit(' ').next();
        self.knows_client |= shown.is_some() && shown == self.rules.login.as_deref();
        self.knows_client
    }

    fn take(&self, raw: String) {
        let (from, to) = (self.from.clone(), self.to.clone());
        let mail = ReceivedMail { from, to, raw, encrypted: self.encrypted };
        self.shared.mails.send_modify(|mails| mails.push(mail));
    }
}

/// The address in `MAIL FROM:<…>`.
fn path_in(said: &str) -> String {
    let path = said.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    path.map(|(path, _)| path.to_owned()).unwrap_or_default()
}

/// What comes until a dot stands alone on its line.
async fn read_mail(stream: &mut BufReader<impl AsyncRead + Unpin>) -> io::Result<String> {
    let mut raw = String::new();
    loop {
        let mut line = String::new();
        let read = stream.read_line(&mut line).await?;
        if read == 0 || raw.len() > LONGEST {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == ".\r\n" {
            return Ok(raw);
        }
        raw.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

impl ReceivedMail {
    /// The value of a header; folded lines are put together.
    pub fn header(&self, name: &str) -> Option<String> {
        header(&self.raw, name)
    }

    /// The part that is plain text, decoded.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn text(&self) -> String {
        self.part("text/plain")
    }

    /// The part that is HTML, decoded.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn html(&self) -> String {
        self.part("text/html")
    }

    /// The six digits that stand in it.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn code(&self) -> String {
        code_of(&self.text())
    }

    fn part(&self, kind: &str) -> String {
        let boundary = self.header("Content-Type").and_then(|value| {
            Some(value.split_once("boundary=\"")?.1.split_once('"')?.0.to_owned())
        });
        let boundary = format!("--{}", boundary.expect("a mail of several parts"));
        let is_kind =
            |part: &&str| header(part, "Content-Type").is_some_and(|value| value.starts_with(kind));
        let part = self.raw.split(&boundary).skip(1).map(|part| part.trim_start_matches("\r\n"));
        decode(part.into_iter().find(is_kind).expect("a part of the kind"))
    }
}

fn header(raw: &str, name: &str) -> Option<String> {
    let (headers, _) = raw.split_once("\r\n\r\n")?;
    let unfolded = headers.replace("\r\n ", " ").replace("\r\n\t", " ");
    unfolded.split("\r\n").find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// The body of a part, as it was before it was made fit for mail.
fn decode(part: &str) -> String {
    let (_, body) = part.split_once("\r\n\r\n").expect("a part has a body");
    let bytes = match header(part, "Content-Transfer-Encoding").as_deref() {
        Some("base64") => {
            let letters: String = body.split_whitespace().collect();
            BASE64_STANDARD.decode(letters).expect("base64")
        }
        Some("quoted-printable") => unquote(body),
        _ => body.as_bytes().to_vec(),
    };
    String::from_utf8(bytes).expect("UTF-8").replace("\r\n", "\n").trim_end().to_owned()
}

/// Undoes the encoding `quoted-printable` (RFC 2045, section 6.7).
fn unquote(body: &str) -> Vec<u8> {
    let joined = body.replace("=\r\n", "");
    let mut parts = joined.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(hex, 16).expect("two digits"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(encoding: &str, body: &str) -> ReceivedMail {
        let raw = format!(
            "Subject: a\r\n long one\r\nContent-Type: multipart/alternative;\r\n boundary=\"b\"\r\n\r\n--b\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n--b\r\n\
             Content-Type: text/html\r\n\r\n<p>\r\n--b--\r\n"
        );
        let nobody = String::new;
        ReceivedMail { from: nobody(), to: nobody(), raw, encrypted: false }
    }

    #[test]
    fn mail_is_read_however_it_was_encoded() {
        for (encoding, body) in [
            ("7bit", "Your code:\r\n\r\n  123456"),
            ("quoted-printable", "Your =\r\ncode=3A\r\n\r\n =20123456"),
            ("base64", "WW91ciBjb2RlOg0KDQog\r\nIDEyMzQ1Ng=="),
        ] {
            let mail = mail(encoding, body);
            assert_eq!(mail.text(), "Your code:\n\n  123456", "{encoding}");
            assert_eq!((mail.code().as_str(), mail.html().as_str()), ("123456", "<p>"));
            assert_eq!(mail.header("subject").unwrap(), "a long one");
            assert_eq!(mail.header("bcc"), None);
        }
    }
}
