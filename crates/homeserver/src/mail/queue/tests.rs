use super::*;
use crate::{
    mail::{self, Language, Letter, LetterKind},
    testing,
};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const POSTED: u64 = 1_000_000_000;
const ENDS: u64 = 7;

fn letter(kind: LetterKind, tries: u32) -> LetterRow {
    LetterRow {
        kind,
        address: "a@x".to_owned(),
        session: kind.proves().then(|| "s".to_owned()),
        ends: POSTED + 15 * MINUTE,
        language: Language::English,
        posted: POSTED,
        user: None,
        tries,
    }
}

fn temporary() -> Result<(), Failure> {
    Err(Failure::Mail(MailError::Temporary("down".to_owned())))
}

fn permanent() -> Result<(), Failure> {
    Err(Failure::Mail(MailError::Permanent("nobody".to_owned())))
}

/// What becomes of a letter that fails for now, so long after it was posted.
#[track_caller]
fn check(kind: LetterKind, tries: u32, after: u64, expected: Option<u64>) {
    let fate = letter(kind, tries).fate(&temporary(), POSTED + after);
    let expected = expected.map_or(Fate::Lost, |pause| Fate::Again(POSTED + after + pause));
    assert_eq!(fate, expected, "{kind:?} {tries} {after}");
}

#[test]
fn pauses_grow() {
    for (tries, pause) in [(0, 30_000), (1, MINUTE), (2, 2 * MINUTE), (6, 32 * MINUTE)] {
        check(LetterKind::AddressChanged, tries, 0, Some(pause));
    }
    for tries in [7, 8, 40, u32::MAX - 1] {
        check(LetterKind::AddressChanged, tries, 0, Some(HOUR));
    }
    for (tries, pause) in [(0, 30_000), (1, MINUTE), (2, 2 * MINUTE), (9, 2 * MINUTE)] {
        check(LetterKind::ProveToReset, tries, 0, Some(pause));
    }
}

#[test]
fn what_holds_a_code_is_tried_for_a_quarter_of_an_hour() {
    check(LetterKind::ProveToAdd, 5, 13 * MINUTE - 1, Some(2 * MINUTE));
    check(LetterKind::ProveToAdd, 5, 13 * MINUTE, None);
    check(LetterKind::ProveToAdd, 0, 15 * MINUTE, None);
    let late = |kind, after| letter(kind, 0).is_late(POSTED + after);
    assert!(!late(LetterKind::ProveToAdd, 15 * MINUTE - 1));
    assert!(late(LetterKind::ProveToAdd, 15 * MINUTE));
    assert!(!late(LetterKind::AddressChanged, 100 * HOUR));
}

#[test]
fn what_holds_none_is_tried_for_two_days_and_ten_times() {
    check(LetterKind::AlreadyKnown, 50, 48 * HOUR - 1, Some(HOUR));
    check(LetterKind::AlreadyKnown, 50, 48 * HOUR, None);
    // The server was off, or the clock leapt.
    check(LetterKind::AlreadyKnown, 8, 1_000 * HOUR, Some(HOUR));
    check(LetterKind::AlreadyKnown, 9, 1_000 * HOUR, None);
}

#[test]
fn a_session_whose_letter_proves_nothing_is_told_as_early_as_any() {
    let notice = |tries| LetterRow {
        session: Some("s".to_owned()),
        ..letter(LetterKind::AlreadyKnown, tries)
    };
    for (tries, after) in [(0, 0), (1, MINUTE), (9, 13 * MINUTE - 1), (9, 13 * MINUTE)] {
        let now = POSTED + after;
        let proving = letter(LetterKind::ProveToAdd, tries).fate(&temporary(), now);
        match notice(tries).fate(&temporary(), now) {
            Fate::AgainWithout(due) => {
                assert_eq!((proving, due), (Fate::Lost, now + 2 * MINUTE), "{tries} {after}");
            }
            fate => assert_eq!(fate, proving, "{tries} {after}"),
        }
    }
    assert!(!notice(0).is_late(POSTED + HOUR));
    assert_eq!(notice(0).fate(&permanent(), POSTED), Fate::Lost);
}

#[test]
fn what_is_refused_for_good_is_not_tried_again() {
    let notice = letter(LetterKind::AddressChanged, 0);
    assert_eq!(notice.fate(&permanent(), POSTED), Fate::Lost);
    assert_eq!(notice.fate(&Err(Failure::Late), POSTED), Fate::Lost);
    assert_eq!(notice.fate(&Ok(()), POSTED + 100 * HOUR), Fate::Sent);
}

#[test]
fn a_letter_is_due_at_its_time_or_if_the_clock_was_set_back() {
    let due = |at| is_due((at, 0), POSTED);
    assert!(due(0) && due(POSTED) && !due(POSTED + 1));
    assert!(!due(POSTED + HOUR) && due(POSTED + HOUR + 1));
}

/// Letters of the queue: when they are due, their number, and how often they were tried.
async fn queue(core: &Core) -> Vec<(u64, u64, u32)> {
    let view = core.store.view().await.unwrap();
    let rows = view.scan(&MAIL_QUEUE, &(), Direction::Forward, 1_000).await.unwrap();
    rows.into_iter().map(|((due, number), letter)| (due, number, letter.tries)).collect()
}

struct Post(Vec<Letter>);

impl Command for Post {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("test", "")
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        self.0.iter().for_each(|letter| mail::post(tx, letter));
        Ok(())
    }
}

async fn post(core: &Core, posted: u64, number: u64, kind: LetterKind) {
    let letter = Letter { posted, number, ..Letter::new(core, kind, "a@x", Language::English) };
    let letter = if kind.proves() { letter.proving("s", ENDS) } else { letter };
    core.store.write(Post(vec![letter])).await.unwrap();
}

async fn settle(core: &Core, key: LetterKey, fate: Fate) {
    core.store.write(Settle { key, fate }).await.unwrap();
}

async fn is_undelivered(core: &Core) -> bool {
    mail::is_undelivered(&core.store.view().await.unwrap(), "s").await.unwrap()
}

#[tokio::test]
async fn what_becomes_of_a_letter_is_noted() {
    let server = testing::server().await;
    let core = &server.core;
    post(core, 5, 1, LetterKind::ProveToAdd).await;
    settle(core, (5, 1), Fate::Again(9)).await;
    assert_eq!(queue(core).await, [(9, 1, 1)]);
    assert!(!is_undelivered(core).await);
    settle(core, (9, 1), Fate::Lost).await;
    assert_eq!(queue(core).await, []);
    assert!(is_undelivered(core).await);
    post(core, 10, 2, LetterKind::AddressChanged).await;
    settle(core, (10, 2), Fate::Sent).await;
    assert!(is_undelivered(core).await, "that was about something else");
    post(core, 11, 3, LetterKind::ProveToAdd).await;
    settle(core, (11, 3), Fate::Sent).await;
    assert!(!is_undelivered(core).await, "a later one came");
    post(core, 12, 4, LetterKind::AddressChanged).await;
    settle(core, (12, 4), Fate::Lost).await;
    assert!(!is_undelivered(core).await);
    let known = Letter::new(core, LetterKind::AlreadyKnown, "a@x", Language::English);
    let known = Letter { posted: 13, number: 5, ..known }.proving("s", ENDS);
    core.store.write(Post(vec![known])).await.unwrap();
    settle(core, (13, 5), Fate::AgainWithout(14)).await;
    assert!(is_undelivered(core).await);
    settle(core, (14, 5), Fate::Sent).await;
    assert!(is_undelivered(core).await, "its session was told for good");
    assert_eq!(queue(core).await, []);
}

#[tokio::test]
async fn a_letter_that_was_forgotten_does_not_come_back() {
    let server = testing::server().await;
    for fate in [Fate::Again(9), Fate::Lost, Fate::Sent] {
        settle(&server.core, (5, 1), fate).await;
    }
    assert_eq!(queue(&server.core).await, []);
    assert!(!is_undelivered(&server.core).await);
}

#[tokio::test]
async fn all_that_waits_can_be_made_due() {
    let server = testing::server().await;
    let core = &server.core;
    let now: u64 = core.steady().get().into();
    let letters = (0..250).map(|number| {
        let posted = if number < 10 { now - 10 } else { now + 5_000_000 + number };
        let letter = Letter::new(core, LetterKind::AddressChanged, "a@x", Language::English);
        Letter { posted, number, ..letter }
    });
    core.store.write(Post(letters.collect())).await.unwrap();
    hasten(core).await.unwrap();
    let queue = queue(core).await;
    assert_eq!(queue.len(), 250);
    assert!(queue.iter().all(|(due, ..)| *due < now + 5_000_000), "{queue:?}");
    assert_eq!(queue.iter().filter(|(due, ..)| *due == now - 10).count(), 10);
}

#[tokio::test]
async fn letters_about_a_removed_user_are_forgotten() {
    let server = testing::server().await;
    let core = &server.core;
    let users = ["a", "b"].map(|name| testing::user(&server, name));
    let letters = (0..300).map(|number| {
        let letter = Letter::new(core, LetterKind::AddressChanged, "a@x", Language::English);
        let letter = letter.about(users[number as usize % 2].id());
        Letter { posted: number, number, ..letter }
    });
    core.store.write(Post(letters.collect())).await.unwrap();
    forget_letters(core, users[0].id()).await.unwrap();
    let left = queue(core).await;
    assert_eq!(left.len(), 150);
    assert!(left.iter().all(|(_, number, _)| number % 2 == 1));
}
