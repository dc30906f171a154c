use proptest::prelude::*;
use ruma::{owned_user_id, user_id};

use super::{Progress::*, Refusal::*, Stage::*, *};

fn at(milliseconds: u64) -> MilliSecondsSinceUnixEpoch {
    MilliSecondsSinceUnixEpoch(milliseconds.try_into().unwrap())
}

fn operation(flows: &'static [Flow]) -> Operation<'static> {
    Operation { name: "register", subject: None, content: [1; 32], flows }
}

/// Tries `stages` one after the other in one session; each with what comes of it.
fn check(flows: &'static [Flow], stages: &[(Stage, Result<Progress, Refusal>)]) {
    let mut interactions = Interactions::default();
    interactions.open("s".to_owned(), operation(flows), at(0));
    for (stage, expected) in stages {
        let progress = interactions.pass("s", &operation(flows), *stage, Proven::default(), at(1));
        assert_eq!(progress, *expected, "{stage:?} of {stages:?}");
    }
}

#[test]
fn stages_are_passed_in_their_order_and_once() {
    check(&[&[Dummy]], &[(Dummy, Ok(Proved(Proven::default())))]);
    check(&[&[Dummy]], &[(Password, Err(OutOfOrder)), (Dummy, Ok(Proved(Proven::default())))]);
    check(
        &[&[RegistrationToken, Dummy]],
        &[
            (Dummy, Err(OutOfOrder)),
            (RegistrationToken, Ok(Missing)),
            (RegistrationToken, Err(Passed)),
            (Password, Err(OutOfOrder)),
            (Dummy, Ok(Proved(Proven::default()))),
        ],
    );
}

#[test]
fn any_flow_suffices() {
    const FLOWS: &[Flow] = &[&[RegistrationToken, Dummy], &[RegistrationToken, Password]];
    check(FLOWS, &[(RegistrationToken, Ok(Missing)), (Dummy, Ok(Proved(Proven::default())))]);
    check(FLOWS, &[(RegistrationToken, Ok(Missing)), (Password, Ok(Proved(Proven::default())))]);
    check(FLOWS, &[(Dummy, Err(OutOfOrder))]);
}

#[test]
fn a_proof_is_good_once() {
    check(&[&[Dummy]], &[(Dummy, Ok(Proved(Proven::default()))), (Dummy, Err(UnknownSession))]);
}

#[test]
fn the_proof_tells_whose_password_was_given() {
    let operation = operation(&[&[Password, Dummy]]);
    let mut interactions = Interactions::default();
    interactions.open("s".to_owned(), operation, at(0));
    let alice = owned_user_id!("@alice:example.org");
    let progress =
        interactions.pass("s", &operation, Password, Proven::of(Some(alice.clone())), at(1));
    assert_eq!(progress, Ok(Missing));
    assert_eq!(interactions.passed("s", &operation, at(1)), Ok(vec![Password]));
    let progress = interactions.pass("s", &operation, Dummy, Proven::default(), at(1));
    assert_eq!(progress, Ok(Proved(Proven::of(Some(alice)))));
}

#[test]
fn a_session_belongs_to_one_operation() {
    let opened = operation(&[&[Dummy]]);
    let other = Operation { name: "delete_device", ..opened };
    let mut interactions = Interactions::default();
    interactions.open("s".to_owned(), opened, at(0));
    assert_eq!(
        interactions.pass("s", &other, Dummy, Proven::default(), at(1)),
        Err(OtherOperation)
    );
    assert_eq!(interactions.passed("s", &other, at(1)), Err(OtherOperation));
}

#[test]
fn a_session_is_unknown_to_all_but_its_user() {
    let of = |subject| Operation { subject, ..operation(&[&[Password]]) };
    let alice = of(Some(user_id!("@alice:example.org")));
    let mut interactions = Interactions::default();
    interactions.open("s".to_owned(), alice, at(0));
    for other in [of(Some(user_id!("@bob:example.org"))), of(None)] {
        assert_eq!(interactions.may_try("s", &other, Password, at(1)), Err(UnknownSession));
        assert_eq!(
            interactions.pass("s", &other, Password, Proven::default(), at(1)),
            Err(UnknownSession)
        );
        assert_eq!(interactions.passed("s", &other, at(1)), Err(UnknownSession));
    }
    assert_eq!(
        interactions.pass("s", &alice, Password, Proven::default(), at(1)),
        Ok(Proved(Proven::default()))
    );
}

#[test]
fn the_content_is_fixed_by_the_first_stage_passed() {
    let asked = operation(&[&[RegistrationToken, Dummy]]);
    let first = Operation { content: [2; 32], ..asked };
    let second = Operation { content: [3; 32], ..asked };
    let mut interactions = Interactions::default();
    // Clients ask for the flows before they know the content.
    interactions.open("s".to_owned(), asked, at(0));
    assert_eq!(
        interactions.pass("s", &first, RegistrationToken, Proven::default(), at(1)),
        Ok(Missing)
    );
    assert_eq!(
        interactions.pass("s", &second, Dummy, Proven::default(), at(1)),
        Err(OtherOperation)
    );
    assert_eq!(
        interactions.pass("s", &first, Dummy, Proven::default(), at(1)),
        Ok(Proved(Proven::default()))
    );
}

#[test]
fn a_session_ends_after_its_time() {
    let operation = operation(&[&[Dummy]]);
    let mut interactions = Interactions::default();
    interactions.open("s".to_owned(), operation, at(10));
    assert_eq!(interactions.may_try("s", &operation, Dummy, at(LIFETIME_MS + 9)), Ok(()));
    let late = at(LIFETIME_MS + 10);
    assert_eq!(interactions.may_try("s", &operation, Dummy, late), Err(UnknownSession));
}

#[test]
fn old_sessions_are_forgotten_when_new_ones_open() {
    let operation = operation(&[&[Dummy]]);
    let mut interactions = Interactions::default();
    interactions.open("old".to_owned(), operation, at(0));
    interactions.open("new".to_owned(), operation, at(LIFETIME_MS));
    assert_eq!(interactions.sessions.len(), 1);
    assert_eq!(interactions.ages.len(), 1);
}

#[test]
fn sessions_are_bounded_in_number_and_the_oldest_gives_way() {
    let operation = operation(&[&[Dummy]]);
    let mut interactions = Interactions::default();
    for number in 0..=MOST {
        interactions.open(number.to_string(), operation, at(0));
    }
    assert_eq!(interactions.sessions.len(), MOST);
    assert_eq!(interactions.may_try("0", &operation, Dummy, at(0)), Err(UnknownSession));
    assert_eq!(interactions.may_try("1", &operation, Dummy, at(0)), Ok(()));
}

fn any_stage() -> impl Strategy<Value = Stage> {
    prop_oneof![Just(Password), Just(Dummy), Just(RegistrationToken)]
}

proptest! {
    /// Whatever a client tries, it is through exactly when what it passed is a flow.
    #[test]
    fn only_a_whole_flow_is_a_proof(tries in proptest::collection::vec(any_stage(), 0..12)) {
        const FLOWS: &[Flow] = &[&[RegistrationToken, Dummy, Password], &[RegistrationToken, Password]];
        let mut interactions = Interactions::default();
        interactions.open("s".to_owned(), operation(FLOWS), at(0));
        let mut passed = Vec::new();
        for stage in tries {
            match interactions.pass("s", &operation(FLOWS), stage, Proven::default(), at(1)) {
                Ok(Missing) => {
                    passed.push(stage);
                    prop_assert!(!FLOWS.contains(&passed.as_slice()));
                }
                Ok(Proved(_)) => {
                    passed.push(stage);
                    prop_assert!(FLOWS.contains(&passed.as_slice()));
                }
                Err(_) => {}
            }
        }
    }
}
