use std::collections::HashSet;

use tertulia_storage::{Command, Direction, Partition};

use super::*;
use crate::{Error, Result, testing};

#[test]
fn a_client_gets_the_language_it_likes_best_of_those_there_are() {
    let check =
        |accept: &str, expected| assert_eq!(Language::of(Some(accept)), expected, "{accept}");
    use Language::{Chinese, English};
    check("", English);
    check("en", English);
    check("zh", Chinese);
    check("zh-CN,zh;q=0.9,en;q=0.8", Chinese);
    check("ZH-Hant-TW", Chinese);
    check("en-GB,zh;q=0.9", English);
    check("en;q=0.5, zh;q=0.7", Chinese);
    check("de-DE,de;q=0.9", English);
    check("de-DE,zh;q=0.1", Chinese);
    check("zh;q=0, de", English);
    check("zh;q=0,en;q=0.1", English);
    check("zh;q=2", English);
    check("zh;q=NaN", English);
    check("zh;q=much,*;q=0.5", English);
    check("zhx", English);
    check(",,;;q=1,zh ; q=0.3", Chinese);
    assert_eq!(Language::of(None), English);
    let long = "de,".repeat(MOST_LANGUAGES) + "zh";
    check(&long, English);
}

#[tokio::test]
async fn a_session_has_six_digits_and_a_link_of_its_own() {
    let server = testing::server().await;
    let core = &server.core;
    let codes: HashSet<_> =
        (0..1_000).map(|n| code(core, &n.to_string()).reveal().to_owned()).collect();
    assert!(codes.iter().all(|code| code.len() == 6));
    assert!(codes.iter().all(|code| code.bytes().all(|digit| digit.is_ascii_digit())));
    // Of a thousand out of a million hardly any are alike.
    assert!(codes.len() > 990);
    let link = link_token(core, "s");
    assert_eq!(link.reveal().len(), 43);
    assert_eq!(link, link_token(core, "s"));
    assert_ne!(link, link_token(core, "t"));
    assert_eq!(code(core, "s"), code(core, "s"));
    let another = testing::server().await;
    assert_ne!(link, link_token(&another.core, "s"));
}

#[tokio::test]
async fn codes_are_as_likely_as_each_other() {
    let server = testing::server().await;
    let mut firsts = [0; 10];
    for n in 0..20_000 {
        let code = code(&server.core, &n.to_string());
        firsts[usize::from(code.reveal().as_bytes()[0] - b'0')] += 1;
    }
    // The deviation of each is 42.
    assert!(firsts.iter().all(|times| (1_750..2_250).contains(times)), "{firsts:?}");
}

struct Tell(Letter);

impl Command for Tell {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("user", "@a:x")
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        post(tx, &self.0);
        Ok(())
    }
}

#[tokio::test]
async fn a_letter_is_in_the_queue_with_what_it_is_about() {
    let server = testing::server().await;
    let mut posted = server.core.store.watch([log::mail_topic()]);
    let user = testing::user(&server, "a");
    let letter = |kind| Letter::new(&server.core, kind, "a@x", Language::Chinese);
    let first = letter(LetterKind::ProveToReset).proving("s", 9).about(user.id());
    let second = letter(LetterKind::AddressChanged);
    assert_ne!(first.number, second.number);
    server.core.store.write(Tell(first.clone())).await.unwrap();
    posted.changed().await;
    server.core.store.write(Tell(second)).await.unwrap();
    let view = server.core.store.view().await.unwrap();
    let rows = view.scan(&MAIL_QUEUE, &(), Direction::Forward, 9).await.unwrap();
    assert_eq!(rows.len(), 2);
    let (key, row) = rows.iter().find(|(_, row)| row.session.is_some()).unwrap();
    assert_eq!(*key, (first.posted, first.number));
    assert_eq!((row.kind, row.address.as_str()), (first.kind, "a@x"));
    assert_eq!((row.user.as_deref(), row.tries), (Some(user.id()), 0));
}

#[test]
fn only_what_proves_an_address_holds_a_code() {
    let proving = LetterKind::ALL.into_iter().filter(|kind| kind.proves()).count();
    assert_eq!(proving, 4);
    assert!(!LetterKind::AlreadyKnown.proves());
}

#[tokio::test]
async fn a_mail_is_the_same_each_time_it_is_written() {
    let settings = crate::Settings {
        public_base_url: Some("https://example.org/".to_owned()),
        ..crate::Settings::default()
    };
    let server = Homeserver::builder("localhost:8448").unwrap().settings(settings);
    let server = server.start(tertulia_storage::MemoryEngine::default()).await.unwrap();
    let core = &server.core;
    let row = LetterRow {
        kind: LetterKind::ProveToRegister,
        address: "a@x".to_owned(),
        session: Some("s".to_owned()),
        ends: 800_000,
        language: Language::English,
        posted: 1,
        user: None,
        tries: 0,
    };
    let mail = write(core, &row, 7, 0).unwrap();
    assert_eq!(mail, write(core, &LetterRow { tries: 3, ..row.clone() }, 7, 0).unwrap());
    assert_eq!((mail.to.as_str(), mail.language), ("a@x", Language::English));
    assert!(mail.message_id.ends_with("@localhost"), "{}", mail.message_id);
    let (code, link) = (code(core, "s"), link_token(core, "s"));
    let link = format!("https://example.org{LINK_PATH}?session=s&token={}", link.reveal());
    assert!(mail.text.contains(code.reveal()) && mail.text.contains(&link), "{}", mail.text);
    assert_ne!(mail.message_id, write(core, &row, 8, 0).unwrap().message_id);
    let notice = LetterRow { kind: LetterKind::AlreadyKnown, ..row };
    assert!(!write(core, &notice, 7, 0).unwrap().text.contains(code.reveal()));
}

#[tokio::test]
async fn a_server_with_wrong_templates_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("en.txt"), "{{").unwrap();
    let settings = crate::Settings {
        mail_templates: Some(folder.path().to_owned()),
        ..crate::Settings::default()
    };
    let start = || {
        let server = Homeserver::builder("x").unwrap().settings(settings.clone());
        server.start(tertulia_storage::MemoryEngine::default())
    };
    assert!(matches!(start().await, Err(Error::MailTemplates(_))));
    std::fs::write(folder.path().join("en.txt"), "only {{ code }}").unwrap();
    assert!(start().await.is_ok());
}

#[test]
fn an_address_does_not_stand_in_full_in_a_log() {
    for (address, shown) in [
        ("alice@example.org", "a…@example.org"),
        ("äbc@example.org", "ä…@example.org"),
        ("al@example.org", "…@example.org"),
        ("a@b@c", "a…@c"),
        ("alice", "a…@"),
        ("", "…@"),
    ] {
        assert_eq!(masked(address), shown);
    }
}

#[tokio::test]
async fn what_a_server_says_of_a_mail_is_logged_without_what_stood_in_it() {
    let server = testing::server().await;
    let core = &server.core;
    let letter = Letter::new(core, LetterKind::ProveToAdd, "alice@example.org", Language::English);
    let row = LetterRow {
        kind: letter.kind,
        address: letter.address,
        session: Some("s".to_owned()),
        ends: 800_000,
        language: letter.language,
        posted: letter.posted,
        user: None,
        tries: 0,
    };
    let (code, link) = (code(core, "s"), link_token(core, "s"));
    let said = format!(
        "550 <alice@example.org>:\nsay {} or {} to 'bob@example.org'",
        code.reveal(),
        link.reveal()
    );
    let logged = without_secrets(core, &row, &said);
    assert_eq!(logged, "550 a…@example.org say … or … to b…@example.org");
    assert_eq!(without_secrets(core, &row, &"a ".repeat(9_000)).len(), LONGEST_REASON);
}
