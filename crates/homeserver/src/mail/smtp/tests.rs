use super::*;

fn server() -> SmtpServer {
    let mut server = SmtpServer::new("localhost", "Example <noreply@example.org>");
    server.encryption = Encryption::None;
    server
}

fn mail(to: &str, subject: &str) -> Mail {
    Mail {
        to: to.to_owned(),
        subject: subject.to_owned(),
        text: "the text 您好".to_owned(),
        html: "<p>the text".to_owned(),
        language: Language::Chinese,
        message_id: "unique@example.org".to_owned(),
    }
}

/// The lines of the headers of a mail.
fn headers(mail: &Mail) -> Vec<String> {
    let message = Smtp::new(server()).unwrap().compose(mail).unwrap().formatted();
    let text = String::from_utf8(message).unwrap();
    let (headers, _) = text.split_once("\r\n\r\n").unwrap();
    headers.split("\r\n").map(str::to_owned).collect()
}

#[track_caller]
fn refused(change: impl FnOnce(&mut SmtpServer), expected: &str) {
    let mut server = server();
    change(&mut server);
    let error = Smtp::new(server).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn what_cannot_be_is_refused() {
    for host in ["mail.example.org", "192.0.2.1", "localhost.example.org", ""] {
        refused(|server| server.host = host.to_owned(), "only mail to this one");
    }
    for from in ["", "Example", "a@x\r\nBcc: b@x", "<a@x>, <b@x>"] {
        refused(|server| server.from = from.to_owned(), "nobody whom mail can come from");
    }
    refused(
        |server| {
            server.encryption = Encryption::Tls;
            server.authorities =
                Some(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----".to_vec());
        },
        "certificates",
    );
}

#[test]
fn only_this_machine_is_told_anything_in_clear() {
    for host in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "::1"] {
        assert!(is_this_machine(host), "{host}");
    }
}

#[test]
fn each_way_has_its_usual_port() {
    let mut server = server();
    for (encryption, port) in
        [(Encryption::None, 25), (Encryption::StartTls, 587), (Encryption::Tls, 465)]
    {
        server.encryption = encryption;
        assert_eq!(Smtp::new(server.clone()).unwrap().port, port);
    }
    server.port = Some(2_525);
    assert_eq!(Smtp::new(server).unwrap().port, 2_525);
}

#[test]
fn a_mail_says_what_it_is() {
    let headers = headers(&mail("a@example.com", "hello"));
    for expected in [
        "From: Example <noreply@example.org>",
        "To: a@example.com",
        "Subject: hello",
        "Message-ID: <unique@example.org>",
        "Auto-Submitted: auto-generated",
        "Content-Language: zh-Hans",
    ] {
        assert!(headers.iter().any(|line| line == expected), "{expected} in {headers:#?}");
    }
}

#[test]
fn nothing_that_comes_from_others_makes_a_header() {
    let hostile = "x\r\nBcc: b@example.com\r\n\r\nbody";
    let mut hostile_mail = mail("a@example.com", hostile);
    hostile_mail.message_id = hostile.to_owned();
    let lines = headers(&hostile_mail);
    assert!(!lines.iter().any(|line| line.to_ascii_lowercase().starts_with("bcc")), "{lines:#?}");
    let unread = Smtp::new(server()).unwrap();
    for to in ["a@x\r\nBcc: b@x", "a@x>\r\nRCPT TO:<b@x", "a@x, b@x", "a b@x", "a", "@x", ""] {
        let refused = unread.compose(&mail(to, ""));
        assert!(matches!(refused, Err(MailError::Permanent(_))), "{to:?}");
    }
}
