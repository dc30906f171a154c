//! What people try with others' e-mail addresses, and what comes of it. Time is driven.

use super::{
    tests::{House, MINUTE, emails, wish, with_email},
    *,
};
use crate::{
    Credential, Error, Language, NewAccount, Operation, OtherSessions, Proof, Proving,
    Registration, Result, Stage,
    accounts::Attempt,
    mail::{self, Fate, Letter, LetterKind, MOST_WAITING},
    schema::MAIL_QUEUE,
};

const ALICE: &str = "alice@example.org";

fn wrong() -> Secret {
    Secret::new("not it")
}

/// A code that is not the session's, of the same form.
fn guess(house: &House, proof: &EmailProof, n: u32) -> Secret {
    let code: u32 = house.code(proof).reveal().parse().unwrap();
    Secret::new(format!("{:06}", (code + 1 + n) % 1_000_000))
}

/// What a session that was shown something answers, in a word.
fn told(outcome: Result<()>) -> &'static str {
    match outcome {
        Ok(()) => "proven",
        Err(Error::WrongCode) => "wrong",
        Err(Error::CodeExpired) => "expired",
        Err(Error::Invalid("the session or its client secret")) => "no session",
        Err(Error::Busy) => "busy",
        Err(Error::MailNotDelivered) => "not delivered",
        Err(other) => panic!("{other}"),
    }
}

async fn submit(house: &House, proof: &EmailProof, code: &Secret) -> &'static str {
    told(house.server.submit_code(proof, code).await)
}

/// Whether somebody may register with `proof`.
async fn registers(house: &House, proof: &EmailProof) -> bool {
    let proof = proof.clone();
    match house.server.register(NewAccount { email: Some(proof), ..NewAccount::default() }).await {
        Ok(_) => true,
        Err(Error::AddressNotProven) => false,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn five_guesses_make_the_right_code_void() {
    let house = House::open().await;
    let proof = house.ask(Proving::Registration, ALICE).await.unwrap();
    for n in 0..5 {
        assert_eq!(submit(&house, &proof, &guess(&house, &proof, n)).await, "wrong");
    }
    assert_eq!(submit(&house, &proof, &house.code(&proof)).await, "expired");
    let link = house.server.follow_link(&proof.session, &house.link(&proof)).await;
    assert_eq!(told(link), "expired");
    assert!(!registers(&house, &proof).await);
    let again = house.ask_again(Proving::Registration, ALICE, 2).await.unwrap();
    assert_ne!(again.session, proof.session);
    assert_ne!(house.code(&again), house.code(&proof));
    assert_eq!(submit(&house, &again, &house.code(&proof)).await, "wrong");
    assert_eq!(submit(&house, &again, &house.code(&again)).await, "proven");
    assert_eq!(submit(&house, &proof, &house.code(&proof)).await, "no session");
}

#[tokio::test]
async fn guessing_in_many_sessions_is_slowed_down_and_the_link_still_works() {
    let house = House::open().await;
    let mut tried = 0;
    let mut last = None;
    for n in 0..5 {
        let client_secret = format!("s{n}");
        let wish = CodeRequest { client_secret: &client_secret, ..wish(ALICE, 1) };
        let session = house.server.request_code(Proving::Password, wish).await.unwrap();
        let proof = EmailProof { session, client_secret: Secret::new(client_secret) };
        for n in 0..5 {
            tried += u32::from(submit(&house, &proof, &guess(&house, &proof, n)).await == "wrong");
        }
        last = Some(proof);
    }
    assert_eq!(tried, 20);
    let proof = last.unwrap();
    assert_eq!(submit(&house, &proof, &wrong()).await, "busy");
    assert_eq!(told(house.server.follow_link(&proof.session, &wrong()).await), "wrong");
    house.clock.advance(60 * MINUTE);
    let own = house.ask_again(Proving::Registration, ALICE, 1).await.unwrap();
    house.server.follow_link(&own.session, &house.link(&own)).await.unwrap();
    assert!(registers(&house, &own).await);
}

#[tokio::test]
async fn codes_and_links_end_after_fifteen_minutes() {
    let house = House::open().await;
    for (minutes, expected) in [(14, "proven"), (15, "expired"), (100_000, "expired")] {
        for by_link in [false, true] {
            let email = format!("a{minutes}{by_link}@example.org");
            let proof = house.mailed(Proving::Registration, &email).await;
            house.clock.advance(minutes * MINUTE);
            let outcome = match by_link {
                false => submit(&house, &proof, &house.code(&proof)).await,
                true => told(house.server.follow_link(&proof.session, &house.link(&proof)).await),
            };
            assert_eq!(outcome, expected, "{minutes} {by_link}");
        }
    }
}

#[tokio::test]
async fn a_clock_that_is_set_ends_nothing_and_prolongs_nothing() {
    let house = House::open().await;
    let proof = house.ask(Proving::Registration, ALICE).await.unwrap();
    house.clock.set_ahead(1_000 * 60 * MINUTE);
    assert_eq!(submit(&house, &proof, &house.code(&proof)).await, "proven");
    let proof = house.mailed(Proving::Registration, "b@example.org").await;
    house.clock.set_ahead(0);
    house.clock.advance(15 * MINUTE);
    assert_eq!(submit(&house, &proof, &house.code(&proof)).await, "expired");
}

#[tokio::test]
async fn what_was_proven_is_used_within_an_hour_and_once() {
    let house = House::open().await;
    let late = house.proven(Proving::Registration, ALICE).await;
    house.clock.advance(60 * MINUTE);
    assert!(!registers(&house, &late).await);
    let proof = house.proven(Proving::Registration, "b@example.org").await;
    assert!(registers(&house, &proof).await);
    assert!(!registers(&house, &proof).await);
    assert_eq!(submit(&house, &proof, &house.code(&proof)).await, "no session");
}

#[tokio::test]
async fn of_many_who_use_one_session_one_gets_it() {
    let house = House::open().await;
    let proof = house.proven(Proving::Registration, ALICE).await;
    let all = (0..32).map(|_| registers(&house, &proof));
    let won = futures_util::future::join_all(all).await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn of_many_who_prove_one_address_one_gets_it() {
    let house = House::with(|settings| settings.hide_known_addresses = false).await;
    let mut proofs = Vec::new();
    for proving in [Proving::Registration, Proving::Addition, Proving::Change] {
        proofs.push(house.proven(proving, ALICE).await);
    }
    let bob = house.server.create_user("bob").await.unwrap();
    let carol = house.server.create_user("carol").await.unwrap();
    let outcomes = tokio::join!(
        async { house.server.create_user(with_email("alice", proofs[0].clone())).await.map(drop) },
        bob.add_email(&proofs[1]),
        carol.change_email(&proofs[2], Language::English),
    );
    let outcomes: [Result<()>; 3] = outcomes.into();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for lost in outcomes.into_iter().filter_map(Result::err) {
        assert!(matches!(lost, Error::EmailInUse), "{lost}");
    }
}

#[tokio::test]
async fn a_session_is_for_one_who_knows_its_secret() {
    let house = House::open().await;
    let proof = house.ask(Proving::Registration, ALICE).await.unwrap();
    for client_secret in ["", "Secret", "secret ", "other"] {
        let thief = EmailProof { client_secret: Secret::new(client_secret), ..proof.clone() };
        assert_eq!(submit(&house, &thief, &house.code(&proof)).await, "no session");
        assert_eq!(submit(&house, &thief, &house.link(&proof)).await, "no session");
    }
    // Nor can one who does not know it use up the tries.
    assert_eq!(submit(&house, &proof, &house.code(&proof)).await, "proven");
    let thief = EmailProof { client_secret: wrong(), ..proof.clone() };
    assert!(!registers(&house, &thief).await);
    assert!(registers(&house, &proof).await);
}

#[tokio::test]
async fn the_code_of_one_session_is_worth_nothing_in_another() {
    let house = House::open().await;
    let alice = house.ask(Proving::Registration, ALICE).await.unwrap();
    let mallory = house.ask(Proving::Registration, "mallory@example.org").await.unwrap();
    for shown in [house.code(&mallory), house.link(&mallory)] {
        assert_eq!(submit(&house, &alice, &shown).await, "wrong");
    }
    let mixed = house.server.follow_link(&alice.session, &house.link(&mallory)).await;
    assert_eq!(told(mixed), "wrong");
    // A word of one's own behind the place of another's session.
    let (place, _) = alice.session.split_once('.').unwrap();
    let (_, word) = mallory.session.split_once('.').unwrap();
    let forged = EmailProof { session: format!("{place}.{word}"), ..alice.clone() };
    assert_eq!(submit(&house, &forged, &house.code(&forged)).await, "no session");
    for session in ["", ".", "x", "x.y", &"A".repeat(10_000)] {
        let nonsense = EmailProof { session: session.to_owned(), ..alice.clone() };
        assert_eq!(submit(&house, &nonsense, &house.code(&nonsense)).await, "no session");
        assert!(!registers(&house, &nonsense).await);
    }
}

#[tokio::test]
async fn a_proof_for_one_thing_is_none_for_another() {
    let house = House::open().await;
    let bob = house.user("bob", "bob@example.org").await;
    let set = async |proof: &EmailProof| {
        let others = OtherSessions::End;
        bob.set_password_by_email(proof, "new password", others, Language::English).await
    };
    let proof = |proving: Proving, email: &'static str| house.proven(proving, email);
    for proving in [Proving::Password, Proving::Addition, Proving::Change] {
        let email = if proving == Proving::Password { "bob@example.org" } else { ALICE };
        assert!(!registers(&house, &proof(proving, email).await).await, "{proving:?}");
    }
    for proving in [Proving::Registration, Proving::Addition, Proving::Change] {
        let refused = set(&proof(proving, "carol@example.org").await).await;
        assert!(matches!(refused, Err(Error::AddressNotProven)), "{proving:?}");
    }
    for proving in [Proving::Registration, Proving::Password] {
        let email = if proving == Proving::Password { "bob@example.org" } else { "d@example.org" };
        let refused = bob.add_email(&proof(proving, email).await).await;
        assert!(matches!(refused, Err(Error::AddressNotProven)), "{proving:?}");
    }
    assert_eq!(emails(&bob).await, ["bob@example.org"]);
}

#[tokio::test]
async fn ones_own_address_sets_nobody_elses_password() {
    let house = House::open().await;
    let alice = house.user("alice", ALICE).await;
    house.user("mallory", "mallory@example.org").await;
    let proof = house.proven(Proving::Password, "mallory@example.org").await;
    let others = OtherSessions::End;
    let set = alice.set_password_by_email(&proof, "new password", others, Language::English);
    assert!(matches!(set.await, Err(Error::AddressNotProven)));
}

#[tokio::test]
async fn an_address_that_was_given_up_sets_no_password() {
    let house = House::open().await;
    let alice = house.user("alice", ALICE).await;
    let proof = house.proven(Proving::Password, ALICE).await;
    alice.remove_email(ALICE).await.unwrap();
    let others = OtherSessions::End;
    let set = alice.set_password_by_email(&proof, "new password", others, Language::English);
    assert!(matches!(set.await, Err(Error::AddressNotProven)));
}

#[tokio::test]
async fn an_address_is_not_flooded_with_mail() {
    let house = House::open().await;
    let ask = async |n: usize| {
        let client_secret = &format!("s{n}");
        let wish = CodeRequest { client_secret, ..wish("Alice@example.org", 1) };
        house.server.request_code(Proving::Registration, wish).await
    };
    for n in 0..5 {
        ask(n).await.unwrap();
        ask(n).await.unwrap();
    }
    for n in 5..100 {
        assert!(matches!(ask(n).await, Err(Error::Busy)));
    }
    assert_eq!(house.letters_to(ALICE).await.len(), 5, "a repeated request sends no second mail");
    house.ask(Proving::Registration, "bob@example.org").await.unwrap();
    house.clock.advance(10 * MINUTE);
    ask(100).await.unwrap();
    assert!(matches!(ask(101).await, Err(Error::Busy)));
}

#[tokio::test]
async fn an_account_does_not_flood_others_with_mail() {
    let house = House::open().await;
    let alice = house.server.create_user("alice").await.unwrap();
    for n in 0..5 {
        let email = format!("a{n}@example.org");
        alice.request_code(Proving::Addition, wish(&email, 1)).await.unwrap();
    }
    let more = || alice.request_code(Proving::Addition, wish("b@example.org", 1));
    assert!(matches!(more().await, Err(Error::Busy)));
    house.clock.advance(10 * MINUTE);
    more().await.unwrap();
}

#[tokio::test]
async fn nothing_gets_into_a_header_by_an_address_or_a_name() {
    let house = House::open().await;
    for email in [
        "a@example.org\r\nBcc: b@example.org",
        "a@example.org\nb@example.org",
        "\"a\r\n\"@example.org",
        "Alice <a@example.org>",
        "a@example.org, b@example.org",
        "a@example.org,b",
        "a@example.org\0",
    ] {
        let asked = house.ask(Proving::Registration, email).await;
        assert!(matches!(asked, Err(Error::BadEmail(_))), "{email:?}");
    }
    assert!(house.letters().await.is_empty());
    let name = Some("Alice\r\nBcc: b@example.org".to_owned());
    let account = NewAccount { display_name: name, .."alice".into() };
    assert!(matches!(house.server.register(account).await, Err(Error::UnfitName(_))));
    for client_secret in [String::new(), "s".repeat(256)] {
        let wish = CodeRequest { client_secret: &client_secret, ..wish(ALICE, 1) };
        let asked = house.server.request_code(Proving::Registration, wish).await;
        assert!(matches!(asked, Err(Error::Invalid(_))));
    }
}

#[tokio::test]
async fn who_asks_learns_of_no_address_whether_it_is_known() {
    let house = House::open().await;
    let alice = house.user("alice", ALICE).await;
    for (proving, email, kind) in [
        (Proving::Registration, ALICE, LetterKind::AlreadyKnown),
        (Proving::Addition, ALICE, LetterKind::AlreadyKnown),
        (Proving::Change, ALICE, LetterKind::AlreadyKnown),
        (Proving::Password, "nobody@example.org", LetterKind::Unknown),
    ] {
        let proof = house.ask(proving, email).await.unwrap();
        assert_eq!(proof.session.len(), 60);
        assert!(house.letters().await.contains(&(kind, email.to_owned(), false)), "{proving:?}");
        // Not even one who knew the server's key could go on.
        for shown in [house.code(&proof), house.link(&proof)] {
            assert_eq!(submit(&house, &proof, &shown).await, "wrong", "{proving:?}");
        }
        for _ in 0..3 {
            assert_eq!(submit(&house, &proof, &wrong()).await, "wrong", "{proving:?}");
        }
        assert_eq!(submit(&house, &proof, &wrong()).await, "expired", "{proving:?}");
    }
    assert_eq!(emails(&alice).await, [ALICE]);
}

#[tokio::test]
async fn a_hollow_session_stays_hollow_when_it_is_asked_for_again() {
    let house = House::open().await;
    let alice = house.user("alice", ALICE).await;
    let proof = house.ask(Proving::Registration, ALICE).await.unwrap();
    alice.remove_email(ALICE).await.unwrap();
    let again = house.ask_again(Proving::Registration, ALICE, 2).await.unwrap();
    assert_eq!(again, proof);
    assert_eq!(submit(&house, &again, &house.code(&again)).await, "wrong");
    house.clock.advance(15 * MINUTE);
    house.proven(Proving::Registration, ALICE).await;
}

#[tokio::test]
async fn where_it_is_no_secret_who_asks_is_told() {
    let house = House::with(|settings| settings.hide_known_addresses = false).await;
    house.user("alice", ALICE).await;
    let before = house.letters().await.len();
    for proving in [Proving::Registration, Proving::Addition, Proving::Change] {
        let asked = house.ask(proving, "ALICE@example.org").await;
        assert!(matches!(asked, Err(Error::EmailInUse)), "{proving:?}");
    }
    let asked = house.ask(Proving::Password, "nobody@example.org").await;
    assert!(matches!(asked, Err(Error::EmailUnknown)));
    assert_eq!(house.letters().await.len(), before);
    house.proven(Proving::Password, ALICE).await;
}

#[tokio::test]
async fn where_everyone_has_an_address_nobody_registers_without() {
    let house = House::with(|settings| settings.registration = Registration::Email).await;
    let flows = house.server.registration_flows().unwrap();
    assert_eq!(flows, [[crate::Stage::Email(Proving::Registration)]]);
}

/// What a session whose mail came to nothing answers to whoever shows a code, and to whoever comes to use it.
async fn told_of_the_mail(house: &House, proving: Proving, email: &str) -> [&'static str; 3] {
    let proof = house.ask(proving, email).await.unwrap();
    house.lose_mail_of(&proof).await;
    let shown = submit(house, &proof, &wrong()).await;
    let user = match house.server.available("dora").await {
        Ok(_) => house.server.create_user("dora").await.unwrap(),
        Err(_) => house.server.user("dora").await.unwrap(),
    };
    let used = match proving {
        Proving::Registration => {
            let account = NewAccount { email: Some(proof.clone()), ..NewAccount::default() };
            told(house.server.register(account).await.map(drop))
        }
        Proving::Addition => told(user.add_email(&proof).await),
        Proving::Change => told(user.change_email(&proof, Language::English).await),
        Proving::Password => {
            let set = house.server.prove(reset(), Some(shown_for(&proof))).await.unwrap();
            let Proof::Missing(challenge) = set else { panic!("it is proven") };
            assert_eq!(
                challenge.failure,
                Some("the mail could not be delivered; ask for another, or give another address")
            );
            "not delivered"
        }
    };
    house.clock.advance(15 * MINUTE);
    [shown, used, submit(house, &proof, &wrong()).await]
}

fn reset() -> Operation<'static> {
    Operation::new("reset", &[&[Stage::Email(Proving::Password)]], b"")
}

fn shown_for(proof: &EmailProof) -> Attempt {
    Attempt { session: None, credential: Some(Credential::Email(proof.clone())) }
}

#[tokio::test]
async fn a_session_whose_mail_came_to_nothing_says_so_whether_the_address_is_known_or_not() {
    for proving in [Proving::Registration, Proving::Password, Proving::Addition, Proving::Change] {
        let house = House::open().await;
        house.user("alice", ALICE).await;
        for email in [ALICE, "nobody@example.org"] {
            let told = told_of_the_mail(&house, proving, email).await;
            assert_eq!(told, ["not delivered"; 3], "{proving:?} {email}");
        }
    }
}

#[tokio::test]
async fn of_the_mail_is_told_only_whoever_began_the_session() {
    let house = House::open().await;
    let proof = house.ask(Proving::Registration, ALICE).await.unwrap();
    house.lose_mail_of(&proof).await;
    let thief = EmailProof { client_secret: wrong(), ..proof.clone() };
    assert_eq!(submit(&house, &thief, &wrong()).await, "no session");
    assert!(!registers(&house, &thief).await, "it is just not proven");
    // Who has the code all the same, as the server only seemed to refuse the mail, is let in.
    assert_eq!(submit(&house, &proof, &house.code(&proof)).await, "proven");
    assert!(registers(&house, &proof).await);
}

#[tokio::test]
async fn guesses_count_also_where_no_mail_came() {
    let house = House::open().await;
    let proof = house.ask(Proving::Registration, ALICE).await.unwrap();
    house.lose_mail_of(&proof).await;
    for n in 0..5 {
        assert_eq!(submit(&house, &proof, &guess(&house, &proof, n)).await, "not delivered");
    }
    assert_eq!(submit(&house, &proof, &house.code(&proof)).await, "not delivered");
    assert!(house.server.register(with_email("a", proof)).await.is_err());
}

/// Letters that wait, posted all at once.
struct Wait(Vec<Letter>);

impl tertulia_storage::Command for Wait {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> tertulia_storage::Partition {
        tertulia_storage::Partition::of("test", "")
    }

    async fn run(&self, tx: &mut tertulia_storage::Tx) -> Result<()> {
        self.0.iter().for_each(|letter| mail::post(tx, letter));
        Ok(())
    }
}

/// Fills the queue up to so many letters, none of which is due.
async fn fill_queue(house: &House, up_to: usize) {
    let core = &house.server.core;
    let later = u64::from(core.steady().get()) + 30 * MINUTE;
    let letter = || Letter {
        posted: later,
        ..Letter::new(core, LetterKind::AddressChanged, "old@example.org", Language::English)
    };
    let mut missing = up_to - house.letters().await.len();
    while missing > 0 {
        let page = missing.min(400);
        for _ in 0..page {
            assert!(mail::take_place(core).await.unwrap());
        }
        core.store.write(Wait((0..page).map(|_| letter()).collect())).await.unwrap();
        missing -= page;
    }
}

#[tokio::test]
async fn where_too_many_mails_wait_nobody_is_sent_another_whether_the_address_is_known_or_not() {
    let house = House::open().await;
    let alice = house.user("alice", ALICE).await;
    let early = house.ask(Proving::Password, ALICE).await.unwrap();
    fill_queue(&house, MOST_WAITING - 2).await;
    house.clock.advance(2_000);
    let ask = async |proving: Proving, email: &'static str| {
        house.ask(proving, email).await.map_err(|error| assert!(matches!(error, Error::Busy)))
    };
    for n in 0..4 {
        let proof = house.ask(Proving::Registration, &format!("a{n}@example.org")).await;
        assert_eq!(proof.is_ok(), n < 2, "{n}");
    }
    for email in [ALICE, "nobody@example.org"] {
        for proving in [Proving::Registration, Proving::Password, Proving::Addition] {
            let repeats = email == ALICE && proving == Proving::Password;
            assert_eq!(ask(proving, email).await.is_ok(), repeats, "{proving:?} {email}");
        }
    }
    // What people have to be told does not depend on others.
    assert_eq!(submit(&house, &early, &house.code(&early)).await, "proven");
    let set =
        alice.set_password_by_email(&early, "new password", OtherSessions::Keep, Language::English);
    set.await.unwrap();
    house.settle(|row| row.address == "a0@example.org", Fate::Lost).await;
    house.settle(|row| row.address == "old@example.org", Fate::Lost).await;
    assert!(
        ask(Proving::Registration, "b@example.org").await.is_err(),
        "not counted again so soon"
    );
    house.clock.advance(1_000);
    assert!(ask(Proving::Registration, "b@example.org").await.is_ok());
    assert!(ask(Proving::Registration, "c@example.org").await.is_err());
    let view = house.server.core.store.view().await.unwrap();
    let all = view.scan(&MAIL_QUEUE, &(), tertulia_storage::Direction::Forward, 2 * MOST_WAITING);
    assert_eq!(all.await.unwrap().len(), MOST_WAITING);
}
