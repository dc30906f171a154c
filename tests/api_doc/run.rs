//! One who reads the document and does what it says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Cursor,
    time::Duration,
};

use image::{DynamicImage, ImageFormat, RgbImage};
use tempfile::TempDir;
use tertulia::{
    Encryption, Homeserver, NewAccount, PasswordCost, Registration, Settings, Smtp, SmtpServer,
    Terms, TermsText,
};
use tertulia_http::{Options, RateLimits};
use tertulia_storage::MemoryEngine;
use tertulia_testkit::{DrivenClock, Listening, ReceivedMail, SmtpSink};
use tokio::time::{Instant, timeout};

use crate::{
    curl::{Answer, Curl, Request},
    document::{Refusal, Section, Step, What},
    pattern::{Names, compare, compare_text},
    shell,
};

/// Where the document has its server.
const BASE: &str = "https://chat.example.org";
/// What is told a moment after it was done: a page asks again.
const FOLLOWS: [&str; 2] = ["/sync", "/people"];
/// How long a call may take, and how long what follows may be waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest file that may be uploaded. One that is larger is on its way as a whole before it is refused.
const LARGEST: usize = 6_000;

pub(crate) struct Reader {
    /// Method and path of each call that was answered as the document says.
    pub(crate) calls: Vec<(String, String)>,
    curl: Curl,
    names: Names,
    /// The variables that the document has set.
    assigned: String,
    folder: TempDir,
    sink: SmtpSink,
    /// Which of the mails that came, by their order, were read.
    read_mails: BTreeSet<usize>,
    listening: Listening,
    _server: Homeserver,
}

impl Reader {
    /// Starts a server as the document supposes it, with a few people.
    pub(crate) async fn start(curl: Curl) -> Self {
        let sink = SmtpSink::start().await;
        let server = server(&sink).await;
        let mut names = Names::new();
        for name in ["bob", "carol", "root"] {
            let account = NewAccount { admin: name == "root", ..name.into() };
            let (session, token) = server.register(account).await.expect("the name is free");
            let nickname = name[..1].to_uppercase() + &name[1..];
            session.set_nickname(Some(&nickname)).await.expect("a nickname");
            names.insert(name.to_owned(), token.reveal().to_owned());
        }
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("photo.png"), photo()).expect("a picture");
        fs::write(folder.path().join("plan.pdf"), "%PDF-1.7").expect("a file");
        fs::write(folder.path().join("huge.bin"), [0; LARGEST + 1]).expect("a file");
        let mut options = Options::default();
        options.rate_limits = RateLimits::off();
        options.public_base_url = Some(BASE.to_owned());
        let listening = Listening::start(tertulia_http::router_with(server.clone(), options)).await;
        let (calls, assigned) = (Vec::new(), String::new());
        let read_mails = BTreeSet::new();
        Self { calls, curl, names, assigned, folder, sink, read_mails, listening, _server: server }
    }

    /// Does what a section says.
    pub(crate) async fn read(&mut self, section: &Section) {
        let mut steps = section.steps.iter().peekable();
        while let Some(step) = steps.next() {
            let place = format!("docs/api.md:{} ({})", step.line, section.title);
            match &step.what {
                What::Run(lines) => {
                    let shown = steps.next_if(|next| matches!(next.what, What::Answer(_)));
                    self.run(lines, shown, &place).await;
                }
                What::Answer(_) => panic!("{place}: an answer to what?"),
                What::Mail(mail) => self.receive(mail, &place).await,
                What::Refused(refusal, lines) => self.refused(refusal, lines, &place).await,
            }
        }
    }

    /// Runs the lines of a block, of which the last is answered as is `shown`.
    async fn run(&mut self, lines: &str, shown: Option<&Step>, place: &str) {
        let status = status_in(lines);
        let calls = self.expand(lines);
        let Some((last, others)) = calls.split_last() else { return };
        for call in others {
            let answer = self.call(call, place).await;
            assert_eq!(answer.status, 200, "{place}: {call:?}\n{}", answer.json());
            self.note(call);
        }
        let begun = Instant::now();
        loop {
            let answer = self.call(last, place).await;
            let (given, mut names) = (answer.json(), self.names.clone());
            let outcome = match shown.map(|step| &step.what) {
                _ if answer.status != status => Err(format!("status {}", answer.status)),
                Some(What::Answer(shown)) => compare(shown, &given, &mut names),
                _ => Ok(()),
            };
            let Err(reason) = outcome else {
                self.names = names;
                break self.note(last);
            };
            let follows = last.iter().any(|word| FOLLOWS.iter().any(|path| word.contains(path)));
            if !follows || begun.elapsed() > PATIENCE {
                panic!("{place}: {reason}\n{last:?}\n{given:#}");
            }
        }
    }

    /// The calls of some lines, and keeps the variables that they set.
    fn expand(&mut self, lines: &str) -> Vec<Vec<String>> {
        let lines =
            lines.replace(&format!("base={BASE}"), &format!("base={}", self.listening.url("")));
        let script = format!("{}{lines}", self.assigned);
        for line in shell::assigned(&lines) {
            self.assigned.push_str(line);
            self.assigned.push('\n');
        }
        shell::calls(&script, &self.names, self.folder.path())
    }

    async fn call(&self, words: &[String], place: &str) -> Answer {
        let answer = timeout(PATIENCE, self.curl.call(words, self.folder.path())).await;
        answer.unwrap_or_else(|_| panic!("{place}: no answer\n{words:?}"))
    }

    fn note(&mut self, words: &[String]) {
        let request = Request::of(words, self.folder.path());
        let path = request.url.strip_prefix(&self.listening.url("")).expect("the server is asked");
        let path = path.split('?').next().unwrap_or_default().to_owned();
        self.calls.push((request.method, path));
    }

    /// Waits for the mail that is shown: whom it goes to, its subject, and lines of it in their order.
    async fn receive(&mut self, shown: &str, place: &str) {
        // What an earlier mail said is over.
        for name in ["code", "token"] {
            self.names.remove(name);
        }
        let mut looked = 0;
        loop {
            let mails = timeout(PATIENCE, self.sink.received(looked + 1)).await;
            let mails = mails.unwrap_or_else(|_| {
                panic!("{place}: no such mail among {:#?}", self.sink.mails());
            });
            let mail = &mails[looked];
            if !self.read_mails.contains(&looked) && is_mail(mail, shown, &mut self.names) {
                self.read_mails.insert(looked);
                return;
            }
            looked += 1;
        }
    }

    async fn refused(&mut self, refusal: &Refusal, lines: &str, place: &str) {
        let mut last = None;
        for call in self.expand(lines) {
            last = Some((self.call(&call, place).await, call));
        }
        let (answer, call) = last.unwrap_or_else(|| panic!("{place}: nothing is called"));
        let body = answer.json();
        let given = (answer.status, body["errcode"].as_str().unwrap_or_default());
        assert_eq!(given, (refusal.status, refusal.code.as_str()), "{place}: {call:?}\n{body}");
    }
}

/// Whether a mail is the one that is shown; names what it names.
fn is_mail(mail: &ReceivedMail, shown: &str, names: &mut Names) -> bool {
    let subject = format!("Subject: {}", mail.header("Subject").unwrap_or_default());
    let text = mail.text();
    let to = format!("To: {}", mail.to);
    let mut given = [to.as_str(), &subject].into_iter().chain(text.lines().map(str::trim));
    let mut found = names.clone();
    let mut shown = shown.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_it = shown.all(|line| given.any(|given| compare_text(line, given, &mut found).is_ok()));
    if is_it {
        *names = found;
    }
    is_it
}

/// The status that a block says its last call has.
fn status_in(lines: &str) -> u16 {
    let mut said = lines.lines().filter_map(|line| line.strip_prefix("# ")?.get(..3)?.parse().ok());
    said.next_back().unwrap_or(200)
}

/// A server where one registers with an e-mail address.
async fn server(sink: &SmtpSink) -> Homeserver {
    let mut settings = Settings::default();
    settings.registration = Registration::Email;
    settings.password_cost = PasswordCost::LEAST;
    settings.public_base_url = Some(BASE.to_owned());
    settings.terms = vec![terms()];
    settings.directory.all_users = true;
    settings.max_upload_size = LARGEST as u64;
    let mut post = SmtpServer::new("127.0.0.1", "Tertulia <noreply@example.org>");
    (post.port, post.encryption) = (Some(sink.port()), Encryption::None);
    let builder = Homeserver::builder("example.org").expect("a server name");
    let builder = builder.settings(settings).clock(DrivenClock::default());
    let builder = builder.mailer(Smtp::new(post).expect("a way to send mail"));
    builder.start(MemoryEngine::default()).await.expect("a server starts")
}

/// What users accept.
fn terms() -> Terms {
    let (name, url) = ("Terms of use".to_owned(), "https://example.org/terms".to_owned());
    Terms {
        id: "terms_of_service".to_owned(),
        version: "1.0".to_owned(),
        translations: BTreeMap::from([("en".to_owned(), TermsText { name, url })]),
    }
}

/// A picture, as PNG.
fn photo() -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let picture = DynamicImage::ImageRgb8(RgbImage::new(640, 480));
    picture.write_to(&mut file, ImageFormat::Png).expect("a picture is written");
    file.into_inner()
}
