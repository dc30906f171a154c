//! A server for one test.

use axum::Router;
use http::Method;
use tertulia::{Homeserver, Settings};
use tertulia_http::{Options, RateLimits};
use tertulia_storage::{Engine, MemoryEngine};

use crate::{Call, Client, DrivenClock, Listening, MailBox, Path, SeededRandom, record};

/// A whole server named `example.org` in this process. Time stands still unless
/// [`TestServer::clock`] is moved, chance repeats itself, and no rate is limited.
#[derive(Clone)]
pub struct TestServer {
    server: Homeserver,
    router: Router,
    clock: DrivenClock,
    mailbox: MailBox,
}

impl TestServer {
    /// Starts one on an engine in memory.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// One to be, which differs from the usual.
    pub fn builder() -> TestServerBuilder {
        let mut options = Options::default();
        options.rate_limits = RateLimits::off();
        let mut settings = Settings::default();
        // Tests count who sleeps.
        settings.housekeeping = false;
        let (clock, mailbox) = (DrivenClock::default(), MailBox::default());
        TestServerBuilder { options, settings, clock, seed: 0, mailbox, mails: true }
    }

    /// The library behind the routes.
    pub fn homeserver(&self) -> &Homeserver {
        &self.server
    }

    /// The time of this server.
    pub fn clock(&self) -> &DrivenClock {
        &self.clock
    }

    /// What mail it sent.
    pub fn mailbox(&self) -> &MailBox {
        &self.mailbox
    }

    /// The routes.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// A request without identity.
    pub fn call(&self, method: Method, path: impl Into<Path>) -> Call {
        Call::new(self.router(), method, path)
    }

    /// A client of a new user without password.
    ///
    /// # Panics
    ///
    /// If there is such a user already.
    pub async fn user(&self, name: &str) -> Client {
        let (session, token) = self.server.register(name).await.expect("the name is free");
        let token = token.reveal().to_owned();
        Client::new(self.router(), session.id().to_owned(), session.device().to_owned(), token)
    }

    /// Listens on a real socket.
    pub async fn listen(&self) -> Listening {
        Listening::start(self.router()).await
    }
}

/// A [`TestServer`] to be.
#[derive(Debug)]
pub struct TestServerBuilder {
    options: Options,
    settings: Settings,
    clock: DrivenClock,
    seed: u64,
    mailbox: MailBox,
    mails: bool,
}

impl TestServerBuilder {
    /// Changes what its operator decided about HTTP.
    #[must_use]
    pub fn options(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// Changes what its owner decided.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Uses a clock that another server uses, too, or did before a restart.
    #[must_use]
    pub fn clock(mut self, clock: DrivenClock) -> Self {
        self.clock = clock;
        self
    }

    /// Uses the chance of another seed; a server that is started again needs another one.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Puts its mail where another server's is, or was before a restart.
    #[must_use]
    pub fn mailbox(mut self, mailbox: MailBox) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// It has no way to send mail.
    #[must_use]
    pub fn without_mail(mut self) -> Self {
        self.mails = false;
        self
    }

    /// Starts it on an engine in memory.
    pub async fn start(self) -> TestServer {
        self.start_on(MemoryEngine::default()).await
    }

    /// Starts it on `engine`.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn start_on(self, engine: impl Engine) -> TestServer {
        record::logs();
        let mut builder = Homeserver::builder("example.org").expect("a server name");
        if self.mails {
            builder = builder.mailer(self.mailbox.clone());
        }
        let server = builder
            .settings(self.settings)
            .clock(self.clock.clone())
            .random(SeededRandom::new(self.seed))
            .start(engine)
            .await
            .expect("a server starts");
        let router = tertulia_http::router_with(server.clone(), self.options);
        TestServer { server, router, clock: self.clock, mailbox: self.mailbox }
    }
}
