use ruma::user_id;

use super::*;
use crate::{NewAccount, testing::server_where};

const PASSWORD: &[Flow] = &[&[Stage::Password]];
const TOKEN_AND_DUMMY: &[Flow] = &[&[Stage::RegistrationToken, Stage::Dummy]];

fn operation(flows: &'static [Flow]) -> Operation<'static> {
    Operation::new("/delete_devices", flows, b"content")
}

fn password(user: &str, password: &str) -> Credential {
    Credential::Password { user: user.to_owned(), password: Secret::new(password) }
}

fn offer(session: Option<&str>, credential: Credential) -> Option<Attempt> {
    Some(Attempt { session: session.map(ToOwned::to_owned), credential: Some(credential) })
}

async fn server_with_alice(registration: Registration) -> Homeserver {
    let server = server_where(registration).await;
    for name in ["alice", "bob"] {
        let password = Some(Secret::new(format!("{name}'s password")));
        server.create_user(NewAccount { password, ..name.into() }).await.unwrap();
    }
    server
}

fn challenge(result: Result<Proof>) -> Challenge {
    match result {
        Ok(Proof::Missing(challenge)) => challenge,
        other => panic!("{other:?} is no challenge"),
    }
}

#[tokio::test]
async fn who_offers_nothing_is_told_what_to_offer() {
    let server = server_with_alice(Registration::Open).await;
    let asked = challenge(server.prove(operation(PASSWORD), None).await);
    assert_eq!(asked.flows, PASSWORD);
    assert!(asked.passed.is_empty());
    assert_eq!(asked.failure, None);
    let again = challenge(server.prove(operation(PASSWORD), None).await);
    assert_ne!(asked.session, again.session);
    let only_session = Some(Attempt { session: Some(asked.session.clone()), credential: None });
    let told = challenge(server.prove(operation(PASSWORD), only_session).await);
    assert_eq!(told, asked);
}

#[tokio::test]
async fn the_right_password_proves_who_it_is() {
    let server = server_with_alice(Registration::Open).await;
    let alice = user_id!("@alice:example.org");
    let asked = challenge(server.prove(operation(PASSWORD).of(Some(alice)), None).await);
    for session in [Some(asked.session.as_str()), None] {
        for subject in [Some(alice), None] {
            let offered =
                offer(session.filter(|_| subject.is_some()), password("alice", "alice's password"));
            let proved = server.prove(operation(PASSWORD).of(subject), offered).await;
            assert_eq!(proved.unwrap(), Proof::Given(Proven::of(Some(alice.to_owned()))));
        }
    }
}

#[tokio::test]
async fn a_wrong_password_may_be_tried_again_in_the_same_session() {
    let server = server_with_alice(Registration::Open).await;
    let alice = Some(user_id!("@alice:example.org"));
    let asked = challenge(server.prove(operation(PASSWORD).of(alice), None).await);
    let session = Some(asked.session.as_str());
    for wrong in [
        password("alice", "guess"),
        password("nobody", "guess"),
        Credential::Dummy,
        Credential::Unknown,
    ] {
        let told = server.prove(operation(PASSWORD).of(alice), offer(session, wrong.clone())).await;
        let told = challenge(told);
        assert_eq!(told.session, asked.session, "{wrong:?}");
        assert!(told.failure.is_some(), "{wrong:?}");
    }
    let offered = offer(session, password("@alice:example.org", "alice's password"));
    let proved = server.prove(operation(PASSWORD).of(alice), offered).await.unwrap();
    assert_eq!(proved, Proof::Given(Proven::of(alice.map(ToOwned::to_owned))));
}

#[tokio::test]
async fn who_is_unknown_by_another_identifier_is_sent_away() {
    let server = server_with_alice(Registration::Open).await;
    let refused = server.prove(operation(PASSWORD), offer(None, Credential::Stranger)).await;
    assert!(matches!(refused, Err(Error::WrongPassword)));
}

#[tokio::test]
async fn who_proves_to_be_somebody_else_is_sent_away() {
    let server = server_with_alice(Registration::Open).await;
    let alice = Some(user_id!("@alice:example.org"));
    let offered = offer(None, password("bob", "bob's password"));
    let refused = server.prove(operation(PASSWORD).of(alice), offered).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
}

#[tokio::test]
async fn several_stages_are_passed_in_their_order() {
    let tokens = Registration::Tokens(vec![Secret::new("letmein")]);
    let server = server_with_alice(tokens).await;
    let operation = operation(TOKEN_AND_DUMMY);
    let asked = challenge(server.prove(operation, None).await);
    let session = Some(asked.session.as_str());
    let prove = async |credential| server.prove(operation, offer(session, credential)).await;
    let token = |token| Credential::RegistrationToken(Secret::new(token));

    let told = challenge(prove(Credential::Dummy).await);
    assert_eq!((told.passed.len(), told.failure.is_some()), (0, true));
    let told = challenge(prove(token("guess")).await);
    assert_eq!((told.passed.len(), told.failure.is_some()), (0, true));
    let told = challenge(prove(token("letmein")).await);
    assert_eq!((told.passed, told.failure), (vec![Stage::RegistrationToken], None));
    let told = challenge(prove(token("letmein")).await);
    assert_eq!((told.passed, told.failure), (vec![Stage::RegistrationToken], None));
    assert_eq!(prove(Credential::Dummy).await.unwrap(), Proof::Given(Proven::default()));
    let told = challenge(prove(Credential::Dummy).await);
    assert_ne!(told.session, asked.session, "the proof is used up");
}

#[tokio::test]
async fn a_proof_cannot_be_taken_elsewhere() {
    let tokens = Registration::Tokens(vec![Secret::new("letmein")]);
    let server = server_with_alice(tokens).await;
    let first = operation(TOKEN_AND_DUMMY);
    let token = Credential::RegistrationToken(Secret::new("letmein"));
    let begun = challenge(server.prove(first, offer(None, token)).await);
    let session = Some(begun.session.as_str());
    for other in [
        Operation::new("/account/deactivate", TOKEN_AND_DUMMY, b"content"),
        Operation::new("/delete_devices", TOKEN_AND_DUMMY, b"other content"),
    ] {
        let told = challenge(server.prove(other, offer(session, Credential::Dummy)).await);
        assert_ne!(told.session, begun.session);
        assert!(told.passed.is_empty());
        assert!(told.failure.is_some());
    }
    let proved = server.prove(first, offer(session, Credential::Dummy)).await.unwrap();
    assert_eq!(proved, Proof::Given(Proven::default()));
}

#[tokio::test]
async fn an_unknown_session_gets_a_new_one() {
    let server = server_with_alice(Registration::Open).await;
    let offered = offer(Some("invented"), password("alice", "alice's password"));
    let told = challenge(server.prove(operation(PASSWORD), offered).await);
    assert_ne!(told.session, "invented");
    assert!(told.failure.is_some());
}

#[tokio::test]
async fn a_session_that_somebody_else_opened_is_unknown_and_stays_open() {
    let server = server_with_alice(Registration::Open).await;
    let of = |subject| operation(PASSWORD).of(Some(subject));
    let (alice, bob) = (user_id!("@alice:example.org"), user_id!("@bob:example.org"));
    let asked = challenge(server.prove(of(alice), None).await);
    let session = Some(asked.session.as_str());
    let invented = offer(Some("invented"), password("bob", "bob's password"));
    let unknown = challenge(server.prove(of(bob), invented).await);
    let taken = offer(session, password("bob", "bob's password"));
    let told = challenge(server.prove(of(bob), taken).await);
    assert_ne!(told.session, asked.session);
    assert_eq!(Challenge { session: unknown.session.clone(), ..told }, unknown);
    let proved = server.prove(of(alice), offer(session, password("alice", "alice's password")));
    assert_eq!(proved.await.unwrap(), Proof::Given(Proven::of(Some(alice.to_owned()))));
}
