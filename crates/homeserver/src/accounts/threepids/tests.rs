//! What people do with their e-mail addresses, when all goes well.

use std::cell::Cell;

use futures_util::future::BoxFuture;
use tertulia_storage::{
    Direction, LocalEngine, Memory, MemoryEngine,
    testing::{FailingEngine, Fault},
};

use super::*;
use crate::{
    Error, Homeserver, Language, Mail, MailError, Mailer, NewAccount, NewDevice, OtherSessions,
    PasswordCost, Proving, Registration, Result, Settings, User,
    mail::{self, Fate, LetterKind, Settle},
    schema::{ADDRESSES, LetterRow, MAIL_QUEUE, THREEPID_SESSIONS, USER_ADDRESSES},
    testing::DrivenClock,
};

thread_local! {
    /// How many hashes were made on this thread.
    pub(in crate::accounts) static HASHES: Cell<usize> = const { Cell::new(0) };
}

pub(in crate::accounts) const MINUTE: u64 = 60_000;

/// Who never gets done with a mail, so that it stays in the queue.
#[derive(Clone, Copy, Debug)]
struct Sleepy;

impl Mailer for Sleepy {
    fn send(&self, _: Mail) -> BoxFuture<'_, Result<(), MailError>> {
        Box::pin(std::future::pending())
    }
}

/// A server that sends mail, and its time.
pub(in crate::accounts) struct House {
    pub(in crate::accounts) server: Homeserver,
    pub(in crate::accounts) clock: DrivenClock,
}

impl House {
    pub(in crate::accounts) async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// One whose owner decided otherwise.
    pub(in crate::accounts) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::on(MemoryEngine::default(), change).await
    }

    async fn on(engine: impl tertulia_storage::Engine, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            registration: Registration::Open,
            password_cost: PasswordCost::LEAST,
            housekeeping: false,
            ..Settings::default()
        };
        change(&mut settings);
        let clock = DrivenClock::default();
        clock.advance(1_000_000_000_000);
        let builder = Homeserver::builder("example.org").unwrap().settings(settings);
        let server = builder.clock(clock.clone()).mailer(Sleepy).start(engine).await.unwrap();
        Self { server, clock }
    }

    pub(in crate::accounts) async fn ask(
        &self,
        proving: Proving,
        email: &str,
    ) -> Result<EmailProof> {
        self.ask_again(proving, email, 1).await
    }

    pub(in crate::accounts) async fn ask_again(
        &self,
        proving: Proving,
        email: &str,
        attempt: u64,
    ) -> Result<EmailProof> {
        let session = self.server.request_code(proving, wish(email, attempt)).await?;
        Ok(EmailProof { session, client_secret: Secret::new("secret") })
    }

    /// The code that a mail of the session would have.
    pub(in crate::accounts) fn code(&self, proof: &EmailProof) -> Secret {
        mail::code(&self.server.core, &proof.session)
    }

    pub(in crate::accounts) fn link(&self, proof: &EmailProof) -> Secret {
        mail::link_token(&self.server.core, &proof.session)
    }

    /// A session in which the address is proven.
    pub(in crate::accounts) async fn proven(&self, proving: Proving, email: &str) -> EmailProof {
        let proof = self.ask(proving, email).await.unwrap();
        self.server.submit_code(&proof, &self.code(&proof)).await.unwrap();
        proof
    }

    /// A user with an address.
    pub(in crate::accounts) async fn user(&self, name: &str, email: &str) -> User {
        let proof = self.proven(Proving::Registration, email).await;
        self.server.create_user(with_email(name, proof)).await.unwrap()
    }

    /// The mails that wait, each as its kind, its address and whether it has a code.
    pub(in crate::accounts) async fn letters(&self) -> Vec<(LetterKind, String, bool)> {
        let view = self.server.core.store.view().await.unwrap();
        let rows = view.scan(&MAIL_QUEUE, &(), Direction::Forward, 1_000).await.unwrap();
        rows.into_iter().map(|(_, row)| (row.kind, row.address, row.kind.proves())).collect()
    }

    pub(in crate::accounts) async fn letters_to(&self, address: &str) -> Vec<LetterKind> {
        let letters = self.letters().await.into_iter().filter(|(_, to, _)| to == address);
        letters.map(|(kind, ..)| kind).collect()
    }

    /// Says what became of a letter.
    pub(in crate::accounts) async fn settle(
        &self,
        which: impl Fn(&LetterRow) -> bool + Send,
        fate: Fate,
    ) {
        let core = &self.server.core;
        let view = core.store.view().await.unwrap();
        let rows = view.scan(&MAIL_QUEUE, &(), Direction::Forward, 20_000).await.unwrap();
        let (key, _) = rows.into_iter().find(|(_, row)| which(row)).unwrap();
        core.store.write(Settle { key, fate }).await.unwrap();
    }

    /// Lets the mail of a session come to nothing, as one that is refused or late.
    pub(in crate::accounts) async fn lose_mail_of(&self, proof: &EmailProof) {
        self.settle(|row| row.session.as_ref() == Some(&proof.session), Fate::Lost).await;
    }

    /// A session whose mail has come.
    pub(in crate::accounts) async fn mailed(&self, proving: Proving, email: &str) -> EmailProof {
        let proof = self.ask(proving, email).await.unwrap();
        self.settle(|row| row.session.as_ref() == Some(&proof.session), Fate::Sent).await;
        proof
    }

    /// How many rows there are of sessions, of claims and of users' addresses.
    async fn rows(&self) -> [usize; 3] {
        let view = self.server.core.store.view().await.unwrap();
        let forward = Direction::Forward;
        [
            view.scan(&THREEPID_SESSIONS, &(), forward, 1_000).await.unwrap().len(),
            view.scan(&ADDRESSES, &(), forward, 1_000).await.unwrap().len(),
            view.scan(&USER_ADDRESSES, &(), forward, 1_000).await.unwrap().len(),
        ]
    }
}

pub(in crate::accounts) fn wish(email: &str, attempt: u64) -> CodeRequest<'_> {
    CodeRequest { email, client_secret: "secret", attempt, language: Language::English }
}

pub(in crate::accounts) fn with_email(name: &str, proof: EmailProof) -> NewAccount {
    let password = Some(Secret::new("old password"));
    NewAccount { email: Some(proof), password, ..name.into() }
}

pub(in crate::accounts) async fn emails(user: &User) -> Vec<String> {
    user.emails().await.unwrap().into_iter().map(|email| email.address).collect()
}

#[tokio::test]
async fn who_registers_with_a_code_has_the_address() {
    let house = House::open().await;
    let proof = house.ask(Proving::Registration, "Alice@Example.org").await.unwrap();
    let expected = (LetterKind::ProveToRegister, "alice@example.org".to_owned(), true);
    assert_eq!(house.letters().await, [expected]);
    house.server.submit_code(&proof, &house.code(&proof)).await.unwrap();
    house.clock.advance(30 * MINUTE);
    let (alice, _) = house.server.register(with_email("alice", proof)).await.unwrap();
    let [email] = &alice.emails().await.unwrap()[..] else { panic!("one address") };
    assert_eq!(email.address, "alice@example.org");
    assert_eq!(u64::from(email.added.0 - email.validated.0), 30 * MINUTE);
    assert_eq!(house.rows().await, [0, 1, 1], "the session is over");
}

#[tokio::test]
async fn a_link_does_what_a_code_does() {
    let house = House::open().await;
    let proof = house.ask(Proving::Registration, "a@example.org").await.unwrap();
    house.server.follow_link(&proof.session, &house.link(&proof)).await.unwrap();
    house.server.submit_code(&proof, &house.code(&proof)).await.unwrap();
    house.server.register(with_email("alice", proof)).await.unwrap();
    let typed = house.ask(Proving::Registration, "b@example.org").await.unwrap();
    house.server.submit_code(&typed, &house.link(&typed)).await.unwrap();
    house.server.register(with_email("bob", typed)).await.unwrap();
}

#[tokio::test]
async fn one_logs_in_by_name_by_id_and_by_any_address() {
    let house = House::open().await;
    let alice = house.user("alice", "alice@example.org").await;
    alice.add_email(&house.proven(Proving::Addition, "a@home.example").await).await.unwrap();
    for name in
        ["alice", "@alice:example.org", "alice@example.org", " Alice@EXAMPLE.org", "a@home.example"]
    {
        let login = house.server.login(name, "old password", NewDevice::default()).await;
        assert_eq!(login.unwrap().0.id(), alice.id(), "{name}");
        let wrong = house.server.login(name, "wrong", NewDevice::default()).await;
        assert!(matches!(wrong, Err(Error::WrongPassword)), "{name}");
    }
    let nobody = house.server.login("b@example.org", "old password", NewDevice::default()).await;
    assert!(matches!(nobody, Err(Error::WrongPassword)));
}

#[tokio::test]
async fn wrong_passwords_do_not_tell_whose_address_is_known() {
    let house = House::with(|settings| settings.wrong_passwords = 3.try_into().ok()).await;
    house.user("alice", "alice@example.org").await;
    for email in ["alice@example.org", "nobody@example.org"] {
        for _ in 0..3 {
            let wrong = house.server.login(email, "wrong", NewDevice::default()).await;
            assert!(matches!(wrong, Err(Error::WrongPassword)), "{email}");
        }
        let busy = house.server.login(email, "wrong", NewDevice::default()).await;
        assert!(matches!(busy, Err(Error::Busy)), "{email}");
    }
}

#[tokio::test]
async fn a_forgotten_password_is_set_by_mail() {
    let house = House::open().await;
    let alice = house.user("alice", "alice@example.org").await;
    let login = |password: &'static str| async {
        house.server.login("alice@example.org", password, NewDevice::default()).await
    };
    let (session, _) = login("old password").await.unwrap();
    let proof = house.proven(Proving::Password, "alice@example.org").await;
    let set = |password| {
        let others = OtherSessions::End;
        alice.set_password_by_email(&proof, password, others, Language::Chinese)
    };
    assert!(matches!(set("short").await, Err(Error::ShortPassword(_))), "the proof stays good");
    set("new password").await.unwrap();
    assert!(!session.is_valid().await.unwrap());
    assert!(matches!(login("old password").await, Err(Error::WrongPassword)));
    login("new password").await.unwrap();
    let letters = house.letters_to("alice@example.org").await;
    assert!(letters.contains(&LetterKind::PasswordReset), "{letters:?}");
    assert!(matches!(set("third password").await, Err(Error::AddressNotProven)));
}

#[tokio::test]
async fn one_need_not_know_how_one_is_called_to_set_a_password_by_mail() {
    let house = House::open().await;
    let alice = house.user("alice", "alice@example.org").await;
    let reset = |proof: &EmailProof| {
        let (proof, server) = (proof.clone(), house.server.clone());
        let others = OtherSessions::End;
        async move {
            server.reset_password_by_email(&proof, "new password", others, Language::English).await
        }
    };
    let asked = house.ask(Proving::Password, "alice@example.org").await.unwrap();
    let other = house.proven(Proving::Registration, "bob@example.org").await;
    for unproven in [&asked, &other] {
        assert!(matches!(reset(unproven).await, Err(Error::AddressNotProven)));
    }
    house.server.submit_code(&asked, &house.code(&asked)).await.unwrap();
    assert_eq!(reset(&asked).await.unwrap().id(), alice.id());
    house.server.login("alice", "new password", NewDevice::default()).await.unwrap();
    assert!(matches!(reset(&asked).await, Err(Error::AddressNotProven)));
}

#[tokio::test]
async fn other_sessions_go_on_if_that_is_wished_for() {
    let house = House::open().await;
    let alice = house.user("alice", "alice@example.org").await;
    let login = || house.server.login("alice", "old password", NewDevice::default());
    let (phone, desk) = (login().await.unwrap().0, login().await.unwrap().0);
    let proof = house.proven(Proving::Password, "alice@example.org").await;
    let others = OtherSessions::EndExcept(phone.device().to_owned());
    let set = alice.set_password_by_email(&proof, "new password", others, Language::English);
    set.await.unwrap();
    assert!(phone.is_valid().await.unwrap());
    assert!(!desk.is_valid().await.unwrap());
}

#[tokio::test]
async fn an_address_is_replaced_in_one_step_and_told_so() {
    let house = House::open().await;
    let alice = house.user("alice", "old@example.org").await;
    alice.add_email(&house.proven(Proving::Addition, "other@example.org").await).await.unwrap();
    let before = house.letters().await.len();
    let proof = house.proven(Proving::Change, "new@example.org").await;
    alice.change_email(&proof, Language::English).await.unwrap();
    assert_eq!(emails(&alice).await, ["new@example.org"]);
    assert_eq!(house.rows().await, [0, 1, 1]);
    for old in ["old@example.org", "other@example.org"] {
        let letters = house.letters_to(old).await;
        assert!(letters.contains(&LetterKind::AddressChanged), "{old}: {letters:?}");
    }
    assert_eq!(house.letters().await.len(), before + 3, "one proves, two tell");
    let same = house.ask(Proving::Change, "new@example.org").await.unwrap();
    assert!(house.server.submit_code(&same, &house.code(&same)).await.is_err(), "it is known");
    house.user("bob", "old@example.org").await;
}

#[tokio::test]
async fn the_last_address_stays_where_everyone_has_one() {
    for (registration, stays) in [(Registration::Email, true), (Registration::Open, false)] {
        let house = House::with(|settings| settings.registration = registration).await;
        let alice = house.user("alice", "alice@example.org").await;
        let unknown = alice.remove_email("b@example.org").await;
        assert!(matches!(unknown, Err(Error::EmailUnknown)));
        let removed = alice.remove_email("Alice@example.org").await;
        assert_eq!(matches!(removed, Err(Error::LastEmail)), stays);
        alice.add_email(&house.proven(Proving::Addition, "b@example.org").await).await.unwrap();
        if stays {
            alice.remove_email("alice@example.org").await.unwrap();
        }
        assert_eq!(emails(&alice).await, ["b@example.org"]);
    }
}

#[tokio::test]
async fn a_user_has_ten_addresses_at_most() {
    let house = House::open().await;
    let alice = house.user("alice", "a0@example.org").await;
    for n in 1..10 {
        let proof = house.proven(Proving::Addition, &format!("a{n}@example.org")).await;
        alice.add_email(&proof).await.unwrap();
    }
    let proof = house.proven(Proving::Addition, "one-more@example.org").await;
    assert!(matches!(alice.add_email(&proof).await, Err(Error::TooMany(_))));
    alice.change_email(&proof, Language::English).await.unwrap();
    assert_eq!(emails(&alice).await, ["one-more@example.org"]);
}

#[tokio::test]
async fn whoever_goes_leaves_the_addresses_to_others() {
    let house = House::open().await;
    let alice = house.user("alice", "alice@example.org").await;
    alice.deactivate(crate::Remains::Keep).await.unwrap();
    assert_eq!(house.rows().await, [0, 0, 0]);
    let bob = house.user("bob", "alice@example.org").await;
    house.server.remove_user(bob.id()).await.unwrap();
    assert_eq!(house.rows().await, [0, 0, 0]);
    house.user("carol", "alice@example.org").await;
}

#[tokio::test]
async fn a_guest_becomes_a_member_with_an_address() {
    let house = House::with(|settings| settings.allow_guests = true).await;
    let (guest, _) = house.server.register_guest(NewDevice::default()).await.unwrap();
    let added = guest.add_email(&house.proven(Proving::Addition, "g@example.org").await).await;
    assert!(matches!(added, Err(Error::GuestsForbidden)));
    let proof = house.proven(Proving::Registration, "g@example.org").await;
    let password = Secret::new("a password");
    let member = guest.become_member(Some(&password), Some(proof), NewDevice::default()).await;
    assert_eq!(emails(&member.unwrap().0).await, ["g@example.org"]);
}

#[tokio::test]
async fn sessions_that_nobody_used_are_forgotten() {
    const DAY: u64 = 24 * 60 * MINUTE;
    let house = House::open().await;
    house.ask(Proving::Registration, "a@example.org").await.unwrap();
    house.clock.advance(40 * MINUTE);
    house.proven(Proving::Registration, "b@example.org").await;
    for (passed, left) in [(0, 2), (DAY - 20 * MINUTE, 1), (90 * MINUTE, 0)] {
        house.clock.advance(passed);
        house.server.keep_house().await.unwrap();
        assert_eq!(house.rows().await[0], left, "{passed}");
    }
}

#[tokio::test]
async fn without_mail_nobody_is_asked_for_an_address() {
    let server = crate::testing::server_where(Registration::Open).await;
    let asked = server.request_code(Proving::Registration, wish("a@example.org", 1)).await;
    assert!(matches!(asked, Err(Error::NoMail)));
    let closed = House::with(|settings| settings.registration = Registration::Closed).await;
    let asked = closed.ask(Proving::Registration, "a@example.org").await;
    assert!(matches!(asked, Err(Error::RegistrationClosed)));
    closed.ask(Proving::Addition, "a@example.org").await.unwrap();
}

/// What 1,000 requests for a code cost: reads, rows written, and hashes.
async fn cost(proving: Proving, known: bool) -> [usize; 3] {
    let local = FailingEngine::new(Memory::default(), Fault::Never);
    let counts = local.counts();
    let house = House::on(LocalEngine::start(local).unwrap(), |_| {}).await;
    let address = |n: usize| format!("user{n}@example.org");
    for n in 0..1_000 {
        let other = if known { address(n) } else { format!("other{n}@example.org") };
        house.user(&format!("u{n}"), &other).await;
    }
    // Nobody else reads or writes from now on.
    house.server.stop_waiting();
    house.server.core.tasks.close();
    house.server.core.tasks.wait().await;
    let count = || [counts.reads(), counts.written(), HASHES.get()];
    let before = count();
    for n in 0..1_000 {
        let proof = house.ask(proving, &address(n)).await.unwrap();
        let wrong = house.server.submit_code(&proof, &Secret::new("none")).await;
        assert!(matches!(wrong, Err(Error::WrongCode)));
        let unproven = house.server.check_proof(&proof, proving).await;
        assert!(matches!(unproven, Err(Error::AddressNotProven)));
    }
    let after = count();
    std::array::from_fn(|n| after[n] - before[n])
}

#[tokio::test]
async fn known_and_unknown_addresses_cost_the_same() {
    for proving in [Proving::Registration, Proving::Password, Proving::Addition, Proving::Change] {
        let (known, unknown) = (cost(proving, true).await, cost(proving, false).await);
        println!("{proving:?}: {known:?} reads, rows written and hashes");
        assert_eq!(known, unknown, "{proving:?}");
        assert!(known.iter().all(|count| *count >= 1_000), "{known:?}");
    }
}
