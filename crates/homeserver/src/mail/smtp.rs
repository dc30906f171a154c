//! Delivers mail by SMTP (RFC 5321), to the one server that takes it from here.
//!
//! Connections are kept for a while, so that many mails need few of them. One in whose middle somebody
//! gave up is never used again: what follows would be taken for the end of the mail that it was for.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::future::BoxFuture;
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        commands::{Data, Mail as MailFrom, Rcpt},
        extension::{ClientId, Extension, MailParameter},
    },
};
use parking_lot::Mutex;
use tokio::{
    net::lookup_host,
    time::{Instant, timeout},
};

use crate::{Language, Mail, MailError, Mailer, Secret};

/// For how long a connection is tried.
const CONNECTING: Duration = Duration::from_secs(15);
/// For how long a mail is on its way, connecting included.
const PATIENCE: Duration = Duration::from_secs(60);
/// For how long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);
/// How many of these are kept.
const MOST_IDLE: usize = 4;

/// How a connection is kept from being read by others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// It begins in clear, and goes on encrypted, or not at all.
    #[default]
    StartTls,
    /// It is encrypted from the first byte.
    Tls,
    /// It is not, which only this machine itself is trusted with.
    None,
}

impl Encryption {
    /// The port where a server usually expects it.
    fn usual_port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// A server that takes mail.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SmtpServer {
    /// Its name, by which its certificate knows it, or its address.
    pub host: String,
    /// Its port; without one, the usual one.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// The name and the password that it knows this server by.
    pub login: Option<(String, Secret)>,
    /// Whom mail comes from, such as `Example <noreply@example.org>`.
    pub from: String,
    /// Certificates, as PEM, of authorities that are trusted beside those of this machine.
    pub authorities: Option<Vec<u8>>,
}

impl SmtpServer {
    /// The server `host`, as most are; mail comes from `from`.
    pub fn new(host: impl Into<String>, from: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: None,
            encryption: Encryption::default(),
            login: None,
            from: from.into(),
            authorities: None,
        }
    }
}

/// Why mail cannot be sent by a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmtpError {
    /// Mail must come from somebody.
    #[error("{0:?} is nobody whom mail can come from, such as \"Example <noreply@example.org>\"")]
    From(String),
    /// What goes to another machine must be encrypted.
    #[error("{0} may be another machine: only mail to this one may go without encryption")]
    Unencrypted(String),
    /// There is no such authority.
    #[error("the certificates are not what they must be: {0}")]
    Certificates(String),
}

/// Delivers mail by SMTP.
pub struct Smtp {
    host: String,
    port: u16,
    encryption: Encryption,
    tls: Option<TlsParameters>,
    login: Option<Credentials>,
    from: Mailbox,
    hello: ClientId,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &mut f.debug_struct("Smtp");
        shown.field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Smtp {
    /// Delivers to `server`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`SmtpError`] says what of `server` cannot be.
    pub fn new(server: SmtpServer) -> Result<Self, SmtpError> {
        let Ok(from) = server.from.parse::<Mailbox>() else {
            return Err(SmtpError::From(server.from));
        };
        if server.encryption == Encryption::None && !is_this_machine(&server.host) {
            return Err(SmtpError::Unencrypted(server.host));
        }
        let tls = match server.encryption {
            Encryption::None => None,
            Encryption::StartTls | Encryption::Tls => Some(tls(&server)?),
        };
        let login = server
            .login
            .map(|(name, password)| Credentials::new(name, password.reveal().to_owned()));
        Ok(Self {
            port: server.port.unwrap_or_else(|| server.encryption.usual_port()),
            host: server.host,
            encryption: server.encryption,
            tls,
            login,
            hello: ClientId::Domain(from.email.domain().to_owned()),
            from,
            idle: Mutex::default(),
        })
    }

    /// A connection that nobody uses, or a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, MailError> {
        while let Some(mut connection) = self.take_idle() {
            // The server may have closed it meanwhile.
            if connection.test_connected().await {
                return Ok(connection);
            }
        }
        self.connect().await.map_err(|error| match (for_now(&error), advice(&error)) {
            (MailError::Temporary(reason), Some(advice)) => {
                MailError::Temporary(format!("{reason}; {advice}"))
            }
            (reason, _) => reason,
        })
    }

    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock();
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        idle.pop().map(|(connection, _)| connection)
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock();
        if idle.len() < MOST_IDLE && !connection.has_broken() {
            idle.push((connection, Instant::now()));
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let addresses = self.addresses().await;
        let wrapped = self.tls.clone().filter(|_| self.encryption == Encryption::Tls);
        let limit = Some(CONNECTING);
        let connecting =
            AsyncSmtpConnection::connect_tokio1(&addresses[..], limit, &self.hello, wrapped, None);
        let mut connection = connecting.await?;
        if let Some(tls) = self.tls.clone().filter(|_| self.encryption == Encryption::StartTls) {
            connection.starttls(tls, &self.hello).await?;
        }
        if let Some(login) = &self.login {
            connection.auth(&[Mechanism::Plain, Mechanism::Login], login).await?;
        }
        Ok(connection)
    }

    /// Where the server is. Without encryption it is nowhere but here, whatever the name stands for.
    async fn addresses(&self) -> Vec<SocketAddr> {
        let found = lookup_host((self.host.as_str(), self.port)).await;
        let all = found.into_iter().flatten();
        let encrypted = self.encryption != Encryption::None;
        all.filter(|address| encrypted || address.ip().is_loopback()).collect()
    }

    /// The mail as it is written down.
    fn compose(&self, mail: &Mail) -> Result<Message, MailError> {
        let refused = |error: &dyn fmt::Display| MailError::Permanent(error.to_string());
        let to = mail.to.parse::<Address>().map_err(|error| refused(&error))?;
        let field = |name, value: &str| HeaderValue::new(name, value.to_owned());
        let language = match mail.language {
            Language::English => "en",
            Language::Chinese => "zh-Hans",
        };
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject.as_str())
            .message_id(Some(format!("<{}>", mail.message_id)))
            .date_now()
            // Nobody's holiday is to be told to it (RFC 3834).
            .raw_header(field(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated"))
            .raw_header(field(HeaderName::new_from_ascii_str("Content-Language"), language))
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
            .map_err(|error| refused(&error))
    }

    async fn deliver(&self, mail: Mail) -> Result<(), MailError> {
        let message = self.compose(&mail)?;
        let mut connection = self.connection().await?;
        hand_over(&mut connection, &message).await?;
        self.keep(connection);
        Ok(())
    }
}

impl Mailer for Smtp {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>> {
        Box::pin(async move {
            let late = |_| MailError::Temporary(format!("no answer within {PATIENCE:?}"));
            timeout(PATIENCE, self.deliver(mail)).await.map_err(late)?
        })
    }
}

/// Hands a mail over on a connection, which is of no use any more if that fails.
async fn hand_over(
    connection: &mut AsyncSmtpConnection,
    message: &Message,
) -> Result<(), MailError> {
    let envelope = message.envelope();
    let mut parameters = Vec::new();
    let is_plain = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
    if !envelope.to().iter().chain(envelope.from()).all(is_plain) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let reason = "the mail server takes no addresses with such letters";
            return Err(MailError::Permanent(reason.to_owned()));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    let from = MailFrom::new(envelope.from().cloned(), parameters);
    connection.command(from).await.map_err(|error| for_now(&error))?;
    for to in envelope.to() {
        let to = Rcpt::new(to.clone(), Vec::new());
        connection.command(to).await.map_err(|error| by_what_is_said(&error))?;
    }
    connection.command(Data).await.map_err(|error| for_now(&error))?;
    connection.message(&message.formatted()).await.map_err(|error| by_what_is_said(&error))?;
    Ok(())
}

/// A failure that an operator mends: no other mail would have gone through.
fn for_now(error: &Error) -> MailError {
    MailError::Temporary(error.to_string())
}

/// What an operator can do where no connection comes about. Mail never goes in clear instead.
fn advice(error: &Error) -> Option<&'static str> {
    let words = error.to_string();
    // From 530 to 535 a server speaks of logins (RFC 4954, section 6).
    let about_login = error.status().is_some_and(|code| (530..=535).contains(&u16::from(code)));
    if words.contains("certificate") {
        Some(
            "name the authority that signed the certificate of the mail server (`authorities`), and call the server \
             as the certificate does (`host`)",
        )
    } else if words.contains("STARTTLS") {
        Some("choose another `encryption`, or another `port`, for the mail server")
    } else if about_login {
        Some("check the name and the password for the mail server")
    } else {
        None
    }
}

/// A failure that is for good, if the server says so of this mail.
fn by_what_is_said(error: &Error) -> MailError {
    // From 530 on it is about who may send at all, not about this mail (RFC 4954, section 6).
    let code = error.status().map(u16::from);
    let is_about_us = code.is_some_and(|code| code == 503 || (530..540).contains(&code));
    match error.is_permanent() && !is_about_us {
        true => MailError::Permanent(error.to_string()),
        false => MailError::Temporary(error.to_string()),
    }
}

/// Whether mail to `host` cannot leave this machine.
fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn tls(server: &SmtpServer) -> Result<TlsParameters, SmtpError> {
    let wrong = |error: &dyn fmt::Display| SmtpError::Certificates(error.to_string());
    let mut tls = TlsParameters::builder(server.host.clone());
    if let Some(authorities) = &server.authorities {
        let authorities = Certificate::from_pem(authorities).map_err(|error| wrong(&error))?;
        tls = tls.add_root_certificate(authorities);
    }
    tls.build().map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests;
