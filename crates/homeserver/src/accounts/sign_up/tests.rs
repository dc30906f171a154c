//! Who may make an account, and what has to be shown for it, all at once.

use std::collections::BTreeMap;

use super::*;
use crate::{
    EmailProof, NewDevice, Proving, Registration, Settings, Terms, TermsText,
    accounts::threepids::tests::{House, MINUTE, emails},
    schema::THREEPID_SESSIONS,
};

const ERIN: &str = "erin@example.org";

/// One who wants to be called Erin, and shows nothing.
fn erin() -> SignUp {
    let account = NewAccount {
        password: Some(Secret::new("a good password")),
        display_name: Some("Erin".to_owned()),
        .."erin".into()
    };
    SignUp { account, ..SignUp::default() }
}

fn with_email(proof: &EmailProof, code: Option<Secret>) -> SignUp {
    let wish = erin();
    let account = NewAccount { email: Some(proof.clone()), ..wish.account };
    SignUp { account, code, ..wish }
}

fn tokens() -> Registration {
    Registration::Tokens(vec![Secret::new("let me in")])
}

fn terms(settings: &mut Settings) {
    let text = TermsText { name: "Terms".to_owned(), url: "https://example.org".to_owned() };
    settings.terms = vec![Terms {
        id: "terms".to_owned(),
        version: "1".to_owned(),
        translations: BTreeMap::from([("en".to_owned(), text)]),
    }];
}

/// What came of signing up, in a word.
async fn outcome(house: &House, wish: SignUp) -> &'static str {
    match house.server.sign_up(wish).await {
        Ok(_) => "made",
        Err(Error::RegistrationClosed) => "closed",
        Err(Error::TermsNotAccepted) => "terms",
        Err(Error::AddressNotProven) => "not proven",
        Err(Error::WrongRegistrationToken) => "token",
        Err(Error::WrongCode) => "wrong code",
        Err(Error::CodeExpired) => "expired",
        Err(Error::EmailInUse) => "in use",
        Err(Error::NoMail) => "no mail",
        Err(Error::Busy) => "busy",
        Err(Error::UserNameTaken) => "name taken",
        Err(Error::ShortPassword(_)) => "short password",
        Err(Error::UnfitName(_)) => "unfit name",
        Err(Error::Invalid(_)) => "no session",
        Err(other) => panic!("{other}"),
    }
}

/// Each policy, with and without terms, and each of what somebody may show.
#[tokio::test]
async fn what_the_owner_asks_for_is_to_be_shown_and_nothing_else() {
    for (policy, needs_email, needs_token) in [
        (Registration::Open, false, false),
        (Registration::Email, true, false),
        (tokens(), false, true),
    ] {
        for has_terms in [false, true] {
            let house = House::with(|settings| {
                settings.registration = policy.clone();
                if has_terms {
                    terms(settings);
                }
            })
            .await;
            for shown in 0..8_u8 {
                let has = |bit: u8| shown & (1 << bit) != 0;
                let email = format!("a{shown}@example.org");
                let proof = house.ask(Proving::Registration, &email).await.unwrap();
                let mut wish = match has(0) {
                    true => with_email(&proof, Some(house.code(&proof))),
                    false => erin(),
                };
                wish.account.name = Some(format!("erin{shown}"));
                wish.terms_accepted = has(1);
                wish.registration_token = has(2).then(|| Secret::new("let me in"));
                let expected = match () {
                    () if has_terms && !has(1) => "terms",
                    () if needs_email && !has(0) => "not proven",
                    () if needs_token && !has(2) => "token",
                    () => "made",
                };
                let told = outcome(&house, wish).await;
                assert_eq!(told, expected, "{policy:?} {has_terms} {shown:03b}");
            }
        }
    }
}

#[tokio::test]
async fn where_nobody_may_register_nothing_helps() {
    let house = House::with(|settings| settings.registration = Registration::Closed).await;
    let wish = SignUp { registration_token: Some(Secret::new("let me in")), ..erin() };
    assert_eq!(outcome(&house, wish).await, "closed");
    let house = House::with(|settings| settings.registration = tokens()).await;
    let wish = SignUp { registration_token: Some(Secret::new("let me")), ..erin() };
    assert_eq!(outcome(&house, wish).await, "token");
    let plain = crate::testing::server_where(Registration::Open).await;
    let proof = EmailProof { session: "s".to_owned(), client_secret: Secret::new("s") };
    let refused = plain.sign_up(with_email(&proof, None)).await;
    assert!(matches!(refused, Err(Error::NoMail)));
}

#[tokio::test]
async fn all_of_a_new_account_is_there_after_one_commit() {
    let house = House::open().await;
    let proof = house.proven(Proving::Registration, ERIN).await;
    let store = &house.server.core.store;
    let before = store.settled();
    let (session, token) = house.server.sign_up(with_email(&proof, None)).await.unwrap();
    assert_eq!(store.settled(), before.next(), "it is one commit with one entry");
    assert_eq!(session.profile().await.unwrap()["displayname"], "Erin");
    assert_eq!(emails(&session).await, [ERIN]);
    let view = store.view().await.unwrap();
    let sessions = view.scan(&THREEPID_SESSIONS, &(), tertulia_storage::Direction::Forward, 9);
    assert!(sessions.await.unwrap().is_empty());
    assert!(house.server.authenticate(token.reveal()).await.is_ok());
    house.server.login(ERIN, "a good password", NewDevice::default()).await.unwrap();
}

#[tokio::test]
async fn a_code_that_was_right_is_right_again_when_something_else_was_wrong() {
    let house = House::open().await;
    house.server.register("taken").await.unwrap();
    let proof = house.ask(Proving::Registration, ERIN).await.unwrap();
    let code = house.code(&proof);
    let named = |name: &str, password: &str, nickname: &str| {
        let mut wish = with_email(&proof, Some(code.clone()));
        wish.account.name = Some(name.to_owned());
        wish.account.password = Some(Secret::new(password));
        wish.account.display_name = Some(nickname.to_owned());
        outcome(&house, wish)
    };
    assert_eq!(named("taken", "a good password", "Erin").await, "name taken");
    assert_eq!(named("erin", "short", "Erin").await, "short password");
    for nickname in ["\u{200b}", "a\u{202e}b", "a\nb"] {
        assert_eq!(named("erin", "a good password", nickname).await, "unfit name");
    }
    // What is told before the code is looked at uses up no try of it.
    house.clock.advance(14 * MINUTE);
    house.server.submit_code(&proof, &code).await.unwrap();
    house.clock.advance(30 * MINUTE);
    assert_eq!(named("erin", "a good password", "Erin").await, "made");
    assert_eq!(named("erin2", "a good password", "Erin").await, "no session");
}

#[tokio::test]
async fn guesses_in_this_way_count_as_any_others() {
    let house = House::open().await;
    let proof = house.ask(Proving::Registration, ERIN).await.unwrap();
    let try_code = |code: Secret| outcome(&house, with_email(&proof, Some(code)));
    for n in 0..5 {
        let code: u32 = house.code(&proof).reveal().parse().unwrap();
        let guess = Secret::new(format!("{:06}", (code + 1 + n) % 1_000_000));
        assert_eq!(try_code(guess).await, "wrong code");
    }
    assert_eq!(try_code(house.code(&proof)).await, "expired");
    assert_eq!(outcome(&house, with_email(&proof, None)).await, "not proven");
    let late = house.mailed(Proving::Registration, "late@example.org").await;
    house.clock.advance(15 * MINUTE);
    assert_eq!(outcome(&house, with_email(&late, Some(house.code(&late)))).await, "expired");
}

#[tokio::test]
async fn a_session_for_something_else_or_of_somebody_else_makes_no_account() {
    let house = House::open().await;
    house.user("alice", "alice@example.org").await;
    for (proving, email) in [
        (Proving::Password, "alice@example.org"),
        (Proving::Addition, "b@example.org"),
        (Proving::Change, "c@example.org"),
    ] {
        let proof = house.ask(proving, email).await.unwrap();
        let wish = with_email(&proof, Some(house.code(&proof)));
        assert_eq!(outcome(&house, wish).await, "not proven", "{proving:?}");
    }
    let proof = house.ask(Proving::Registration, ERIN).await.unwrap();
    let thief = EmailProof { client_secret: Secret::new("other"), ..proof.clone() };
    let wish = with_email(&thief, Some(house.code(&proof)));
    assert_eq!(outcome(&house, wish).await, "no session");
    // A known address looks like one whose code nobody knows.
    let hollow = house.ask(Proving::Registration, "alice@example.org").await.unwrap();
    let wish = with_email(&hollow, Some(house.code(&hollow)));
    assert_eq!(outcome(&house, wish).await, "wrong code");
}

#[tokio::test]
async fn of_many_who_use_one_code_one_gets_an_account() {
    let house = House::open().await;
    let proof = house.ask(Proving::Registration, ERIN).await.unwrap();
    let all = (0..16).map(|n| {
        let mut wish = with_email(&proof, Some(house.code(&proof)));
        wish.account.name = Some(format!("erin{n}"));
        outcome(&house, wish)
    });
    let outcomes = futures_util::future::join_all(all).await;
    let made = outcomes.iter().filter(|outcome| **outcome == "made").count();
    assert_eq!(made, 1, "{outcomes:?}");
}

#[tokio::test]
async fn nobody_makes_an_administrator_or_a_guest_of_themself() {
    let house = House::open().await;
    let account = NewAccount { admin: true, guest: true, ..erin().account };
    let (session, _) = house.server.sign_up(SignUp { account, ..erin() }).await.unwrap();
    assert!(!session.is_admin().await.unwrap());
    assert!(!session.standing().guest);
}
