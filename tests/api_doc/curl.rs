//! What asks the server: curl itself, or, where it is not installed, what knows those of its options that the
//! document uses.

use std::{fs, path::Path, process::Stdio};

use http::Uri;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};

/// What calls are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curl {
    Installed,
    StandIn,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Its JSON; null if it has none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A call, as its words mean it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    headers: Vec<String>,
    body: Option<Vec<u8>>,
    output: Option<String>,
}

impl Curl {
    /// Whether curl is there.
    pub(crate) async fn is_installed() -> bool {
        let mut curl = Command::new("curl");
        curl.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        curl.status().await.is_ok_and(|status| status.success())
    }

    /// Makes the call that curl would make of these words, in `folder`.
    pub(crate) async fn call(self, words: &[String], folder: &Path) -> Answer {
        match self {
            Self::Installed => installed(words, folder).await,
            Self::StandIn => Request::of(words, folder).send(folder).await,
        }
    }
}

async fn installed(words: &[String], folder: &Path) -> Answer {
    let mut curl = Command::new("curl");
    // No settings of whoever runs the test, and the status behind the body.
    curl.arg("-q").args(words).args(["-sS", "--noproxy", "*", "-w", "\n%{http_code}"]);
    let done = curl.current_dir(folder).kill_on_drop(true).output().await.expect("curl is there");
    assert!(done.status.success(), "{}\n{words:?}", String::from_utf8_lossy(&done.stderr));
    let end = done.stdout.iter().rposition(|byte| *byte == b'\n').expect("a line for the status");
    let status = std::str::from_utf8(&done.stdout[end + 1..]).expect("digits");
    Answer { status: status.parse().expect("a status"), body: done.stdout[..end].to_vec() }
}

impl Request {
    /// What curl makes of these words.
    pub(crate) fn of(words: &[String], folder: &Path) -> Self {
        let mut request = Self::default();
        let (mut asks, mut words) = (false, words.iter());
        let mut data: Vec<Vec<u8>> = Vec::new();
        while let Some(word) = words.next() {
            let mut value =
                || words.next().unwrap_or_else(|| panic!("{word} has no value")).clone();
            match word.as_str() {
                "-X" => request.method = value(),
                "-H" => request.headers.push(value()),
                "-d" => data.push(value().into_bytes()),
                "-o" => request.output = Some(value()),
                "-G" => asks = true,
                "--data-binary" => data.push(named_file(&value(), folder)),
                "--data-urlencode" => data.push(encoded(&value()).into_bytes()),
                option if option.starts_with('-') => {
                    panic!("what stands in for curl has no {option}")
                }
                url => url.clone_into(&mut request.url),
            }
        }
        request.carry(data, asks);
        request
    }

    /// Puts data where it belongs: behind the URL, or into the body.
    fn carry(&mut self, data: Vec<Vec<u8>>, asks: bool) {
        let data = (!data.is_empty()).then(|| data.join(&b'&'));
        let method = match &data {
            Some(_) if !asks => "POST",
            _ => "GET",
        };
        if self.method.is_empty() {
            method.clone_into(&mut self.method);
        }
        match data {
            Some(data) if asks => {
                let data = String::from_utf8(data).expect("it was encoded");
                self.url = format!("{}?{data}", self.url);
            }
            data => self.body = data,
        }
    }

    async fn send(self, folder: &Path) -> Answer {
        let uri: Uri = self.url.parse().unwrap_or_else(|error| panic!("{}: {error}", self.url));
        let host = uri.authority().expect("a host").as_str();
        let target = uri.path_and_query().expect("a path");
        // Of this version, an answer ends with its connection.
        let mut head = format!("{} {target} HTTP/1.0\r\nHost: {host}\r\n", self.method);
        for header in &self.headers {
            head.push_str(&format!("{header}\r\n"));
        }
        let body = self.body.unwrap_or_default();
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut stream = TcpStream::connect(host).await.expect("the server listens");
        stream.write_all(&[head.as_bytes(), &body].concat()).await.expect("the server reads");
        let mut whole = Vec::new();
        stream.read_to_end(&mut whole).await.expect("the server answers");
        let mut answer = parsed(&whole);
        if let Some(output) = self.output {
            let body = std::mem::take(&mut answer.body);
            fs::write(folder.join(output), body).expect("the folder can be written");
        }
        answer
    }
}

fn parsed(whole: &[u8]) -> Answer {
    let end = whole.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&whole[..end]);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer { status: status.expect("a status"), body: whole[end + 4..].to_vec() }
}

/// `@name`
fn named_file(value: &str, folder: &Path) -> Vec<u8> {
    let name = value.strip_prefix('@').expect("binary data comes from a file");
    fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// `name=value`, of which the value is percent-encoded.
fn encoded(word: &str) -> String {
    let (name, value) = word.split_once('=').expect("a name and a value");
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    format!("{name}={}", value.bytes().map(byte).collect::<String>())
}

#[test]
fn words_mean_what_they_mean_to_curl() {
    let check = |words: &str, method: &str, url: &str, body: Option<&str>| {
        let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
        let request = Request::of(&words, Path::new("."));
        assert_eq!((request.method.as_str(), request.url.as_str()), (method, url), "{words:?}");
        assert_eq!(request.body.as_deref(), body.map(str::as_bytes));
    };
    check("h/a", "GET", "h/a", None);
    check("-X DELETE h/a -H A:b", "DELETE", "h/a", None);
    check("h/a -d {}", "POST", "h/a", Some("{}"));
    check("-X PUT h/a -d {}", "PUT", "h/a", Some("{}"));
    check("-G h/a --data-urlencode q=#ü --data-urlencode n=1", "GET", "h/a?q=%23%C3%BC&n=1", None);
}
