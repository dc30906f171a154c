//! How mail is handed to a server, over real sockets.

use tertulia::{Encryption, Language, Mail, MailError, Mailer as _, Secret, Smtp, SmtpServer};
use tertulia_testkit::{SmtpSink, SmtpSinkBuilder};
use tokio::net::TcpListener;

/// A certificate for this machine that signs itself.
pub(crate) const CERTIFICATE: &[u8] =
    include_bytes!("../../crates/server/tests/certificates/first.pem");
const KEY: &[u8] = include_bytes!("../../crates/server/tests/certificates/first.key.pem");
/// Another.
const OTHER_CERTIFICATE: &[u8] =
    include_bytes!("../../crates/server/tests/certificates/second.pem");

fn mail() -> Mail {
    Mail {
        to: "alice@example.com".to_owned(),
        subject: "验证码".to_owned(),
        text: "Your code is\n\n    123456\n\n.\n..and more".to_owned(),
        html: "<p>Your code is <b>123456</b></p>".to_owned(),
        language: Language::English,
        message_id: "unique@example.org".to_owned(),
    }
}

fn smtp(port: u16, encryption: Encryption, authorities: Option<&[u8]>) -> Smtp {
    smtp_with(port, encryption, authorities, None)
}

fn smtp_with(
    port: u16,
    encryption: Encryption,
    authorities: Option<&[u8]>,
    login: Option<(&str, &str)>,
) -> Smtp {
    let mut server = SmtpServer::new("localhost", "Example <noreply@example.org>");
    server.port = Some(port);
    server.encryption = encryption;
    server.authorities = authorities.map(<[u8]>::to_vec);
    server.login = login.map(|(name, password)| (name.to_owned(), Secret::new(password)));
    Smtp::new(server).unwrap()
}

fn encrypted() -> SmtpSinkBuilder {
    SmtpSink::builder().encrypted(CERTIFICATE, KEY)
}

/// Why no mail goes to `sink`: it is to be tried again.
async fn temporary(sink: &SmtpSink, smtp: &Smtp) -> String {
    let error = smtp.send(mail()).await.unwrap_err();
    assert_eq!(sink.mails(), []);
    match error {
        MailError::Temporary(reason) => reason,
        MailError::Permanent(reason) => panic!("{reason}"),
    }
}

#[tokio::test]
async fn a_mail_comes_as_it_was_written() {
    let sink = SmtpSink::start().await;
    let smtp = smtp(sink.port(), Encryption::None, None);
    smtp.send(mail()).await.unwrap();
    let [came] = sink.mails().try_into().unwrap();
    assert_eq!(
        (came.from.as_str(), came.to.as_str()),
        ("noreply@example.org", "alice@example.com")
    );
    assert_eq!((came.text(), came.html()), (mail().text, mail().html));
    assert_eq!(came.header("Message-ID").unwrap(), "<unique@example.org>");
    assert_eq!(came.header("Auto-Submitted").unwrap(), "auto-generated");
    assert_eq!(came.header("Subject").unwrap(), "=?utf-8?b?6aqM6K+B56CB?=");
    assert!(came.header("Date").is_some() && came.raw.is_ascii());
    assert_eq!(came.code(), "123456");
}

#[tokio::test]
async fn many_mails_need_few_connections() {
    let sink = SmtpSink::start().await;
    let smtp = smtp(sink.port(), Encryption::None, None);
    for _ in 0..5 {
        smtp.send(mail()).await.unwrap();
    }
    assert_eq!((sink.mails().len(), sink.connections()), (5, 1));
    let both = tokio::join!(smtp.send(mail()), smtp.send(mail()));
    assert_eq!(both, (Ok(()), Ok(())));
    assert_eq!((sink.mails().len(), sink.connections()), (7, 2));
}

#[tokio::test]
async fn a_connection_that_the_server_has_closed_is_not_missed() {
    let sink = SmtpSink::start().await;
    let smtp = smtp(sink.port(), Encryption::None, None);
    smtp.send(mail()).await.unwrap();
    let port = sink.stop().await;
    let sink = SmtpSink::builder().start(port).await;
    smtp.send(mail()).await.unwrap();
    assert_eq!(sink.mails().len(), 1);
}

#[tokio::test]
async fn mail_goes_encrypted_to_those_who_have_the_certificate() {
    let sink = encrypted().login("tertulia", "letmein").start(0).await;
    let login = Some(("tertulia", "letmein"));
    let smtp = smtp_with(sink.port(), Encryption::StartTls, Some(CERTIFICATE), login);
    smtp.send(mail()).await.unwrap();
    let [came] = sink.mails().try_into().unwrap();
    assert!(came.encrypted);
}

#[tokio::test]
async fn a_server_with_another_certificate_is_told_nothing() {
    let sink = encrypted().start(0).await;
    for authorities in [None, Some(OTHER_CERTIFICATE)] {
        let smtp = smtp(sink.port(), Encryption::StartTls, authorities);
        let reason = temporary(&sink, &smtp).await;
        assert!(reason.contains("invalid peer certificate"), "{reason}");
        assert!(reason.contains("name the authority"), "it says what to do: {reason}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_encrypt_is_told_nothing() {
    let sink = SmtpSink::start().await;
    let smtp = smtp_with(sink.port(), Encryption::StartTls, None, Some(("name", "password")));
    let reason = temporary(&sink, &smtp).await;
    assert!(reason.contains("STARTTLS") && reason.contains("`encryption`"), "{reason}");
}

#[tokio::test]
async fn what_an_operator_can_mend_is_tried_again() {
    let sink = encrypted().login("tertulia", "letmein").start(0).await;
    let wrong = Some(("tertulia", "let me in"));
    for (login, expected) in [(wrong, "535"), (None, "530")] {
        let encryption = Encryption::StartTls;
        let smtp = smtp_with(sink.port(), encryption, Some(CERTIFICATE), login);
        let reason = temporary(&sink, &smtp).await;
        assert!(reason.contains(expected) && !reason.contains("let me in"), "{reason}");
    }
    let clear = smtp(sink.port(), Encryption::None, None);
    assert!(temporary(&sink, &clear).await.contains("530"));
}

#[tokio::test]
async fn who_refuses_a_mail_says_for_how_long() {
    for (answer, for_good) in [
        ("550 nobody is called so", true),
        ("501 that is no address", true),
        ("450 not now", false),
        ("421 good night", false),
        ("530 who are you?", false),
        ("503 not yet", false),
    ] {
        let sink = SmtpSink::builder().refusing(answer).start(0).await;
        let smtp = smtp(sink.port(), Encryption::None, None);
        match smtp.send(mail()).await.unwrap_err() {
            MailError::Permanent(reason) => assert!(for_good, "{reason}"),
            MailError::Temporary(reason) => assert!(!for_good, "{reason}"),
        }
        assert_eq!(sink.mails(), []);
    }
}

#[tokio::test]
async fn where_nobody_listens_mail_waits() {
    let sink = SmtpSink::start().await;
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    for encryption in [Encryption::None, Encryption::StartTls, Encryption::Tls] {
        temporary(&sink, &smtp(port, encryption, None)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for encryption in [Encryption::None, Encryption::StartTls, Encryption::Tls] {
        let error = smtp(port, encryption, None).send(mail()).await.unwrap_err();
        assert!(matches!(error, MailError::Temporary(_)), "{error}");
    }
}
