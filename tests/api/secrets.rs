//! The secrets that these tests use, and the search for them through the logs of the whole suite.

use std::{collections::BTreeSet, env, fs, path::Path, process::Command};

use serde_json::Value;
use tertulia_testkit::Recording;

/// Every password, token and shared secret that is written down in these tests.
pub(crate) const SECRETS: &[&str] =
    &[PASSWORD, NEW_PASSWORD, WRONG_PASSWORD, REGISTRATION_TOKEN, SHARED_SECRET];

pub(crate) const PASSWORD: &str = "correct-horse-battery-staple";
pub(crate) const NEW_PASSWORD: &str = "even-better-than-before";
pub(crate) const WRONG_PASSWORD: &str = "this-is-but-a-guess";
pub(crate) const REGISTRATION_TOKEN: &str = "open-sesame-please";
pub(crate) const SHARED_SECRET: &str = "known-to-scripts-only";

/// Some of what people write in these tests, so that a search that finds nothing has looked for it.
const TEXTS: &[&str] = &[
    "¡hola! 👋",
    "Alice 🐚",
    "All about it",
    "The room",
    "The root",
    "before",
    "come in",
    "curious",
    "for all",
    "let me in",
    "my phone",
    "not for bob",
    "private",
    "something",
];

/// What belongs to people alone, whatever it looks like.
const PRIVATE_KEYS: &[&str] = &[
    "address",
    "avatar_url",
    "body",
    "client_secret",
    "display_name",
    "displayname",
    "email",
    "formatted_body",
    "new_password",
    "password",
    "reason",
    "session",
    "token",
    "topic",
];

/// How long a text is that is nowhere by chance. A shorter one is looked for as a string of its own.
const LONG: usize = 6;

/// Runs the other tests of this program once more, and records what they log and send.
fn record_suite(folder: &Path) -> Recording {
    let ran = Command::new(env::current_exe().unwrap())
        .args(["--quiet", "--skip", "no_log_of_the_whole_suite_shows_a_secret"])
        .env(Recording::VARIABLE, folder)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    Recording::of(folder)
}

/// Adds all texts of `body` that no server has a reason to say by itself.
fn collect_texts(key: &str, body: &Value, texts: &mut BTreeSet<String>) {
    match body {
        Value::String(text) if is_private(key, text) => drop(texts.insert(text.clone())),
        Value::Array(values) => values.iter().for_each(|value| collect_texts(key, value, texts)),
        Value::Object(values) => {
            values.iter().for_each(|(key, value)| collect_texts(key, value, texts));
        }
        _ => {}
    }
}

/// Whether `text` is what somebody wrote, and no name that the specification or a path has.
fn is_private(key: &str, text: &str) -> bool {
    let is_name = |char: char| char.is_ascii_alphanumeric() || "._-:/@!#$".contains(char);
    let is_sentence = text.len() >= LONG && !text.chars().all(is_name);
    !text.is_empty() && (is_sentence || PRIVATE_KEYS.contains(&key))
}

/// Where `text` is in `logs`: by itself, in a Rust or JSON string, or in JSON within a string. What is
/// short, or no more than a word, as "thread", can be in a route or in the server's own sentences.
fn find_text(logs: &str, text: &str) -> Option<usize> {
    if text.len() >= LONG && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return find_code(logs, text);
    }
    let is_word = text.chars().all(|char| char.is_ascii_lowercase());
    if text.len() >= LONG && !is_word {
        return logs.find(text);
    }
    logs.find(&format!("\"{text}\"")).or_else(|| logs.find(&format!("\"{text}\\\"")))
}

/// Where a code of six digits is in `logs`, as a number of its own: times and IDs have all digits there are.
fn find_code(logs: &str, code: &str) -> Option<usize> {
    let goes_on = |letter: Option<char>| {
        letter.is_some_and(|letter| letter.is_ascii_alphanumeric() || letter == '.')
    };
    let is_alone = |at: usize| {
        let behind = logs[at + code.len()..].chars().next().filter(|letter| *letter != '.');
        !goes_on(logs[..at].chars().next_back()) && !goes_on(behind)
    };
    logs.match_indices(code).map(|(at, _)| at).find(|at| is_alone(*at))
}

/// Where an access token is in `logs`, which is `tertulia.USER.SECRET`.
fn find_token(logs: &str) -> Option<usize> {
    let is_base64 = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
    let is_token = |rest: &str| {
        let (user, rest) = rest.split_once('.').unwrap_or_default();
        let secret = rest.chars().take_while(|char| is_base64(*char)).count();
        !user.is_empty() && user.chars().all(is_base64) && secret >= 43
    };
    let marks = logs.match_indices("tertulia.");
    marks
        .map(|(at, mark)| (at, &logs[at + mark.len()..]))
        .find(|(_, rest)| is_token(rest))
        .map(|(at, _)| at)
}

/// Fails with the line at which `secret` was found, if it was.
#[track_caller]
fn refuse(logs: &str, secret: &str, found: Option<usize>) {
    if let Some(at) = found {
        let number = logs[..at].matches('\n').count();
        let line = logs.lines().nth(number).unwrap();
        panic!("line {} of the logs shows {secret:?}: {line}", number + 1);
    }
}

#[test]
fn no_log_of_the_whole_suite_shows_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let recording = record_suite(folder.path());
    let mut texts = BTreeSet::new();
    for body in fs::read_to_string(recording.sent()).unwrap().lines() {
        collect_texts("", &serde_json::from_str(body).unwrap(), &mut texts);
    }
    let missing = TEXTS.iter().find(|text| !texts.contains(**text));
    assert_eq!(missing, None, "the suite does not send it any more");
    texts.extend(SECRETS.iter().map(|&secret| secret.to_owned()));
    let logs = fs::read_to_string(recording.logs()).unwrap();
    assert!(logs.contains("login") && logs.contains("createRoom"), "requests are logged");
    refuse(&logs, "an access token", find_token(&logs));
    for text in &texts {
        refuse(&logs, text, find_text(&logs, text));
    }
}

#[test]
fn access_tokens_are_known_by_their_form() {
    let secret = "a".repeat(43);
    let logs = format!("one\nGET /sync?access_token=tertulia.YWxpY2U.{secret}&x=y");
    assert_eq!(find_token(&logs), Some(27));
    let logs = format!("DEBUG tertulia.rs tertulia::rooms tertulia.YWxpY2U {secret}");
    assert_eq!(find_token(&logs), None);
}

#[test]
fn codes_are_told_from_times_and_ids() {
    let found = |logs: &str| find_text(logs, "123456").is_some();
    for time in ["05:15:25.123456Z", "id=123456789abcdef0", "a123456"] {
        assert!(!found(time), "{time}");
    }
    for code in ["the code 123456", "code=123456.", "\"123456\"", "?token=123456&x"] {
        assert!(found(code), "{code}");
    }
}

#[test]
fn short_texts_are_found_in_strings_only() {
    assert_eq!(find_text("which", "hi"), None);
    assert_eq!(find_text("route=/threads", "thread"), None);
    assert_eq!(find_text(r#"body: "thread""#, "thread"), Some(6));
    assert_eq!(find_text("sent no thread", "no thread"), Some(5));
    assert_eq!(find_text(r#"Message { body: "hi" }"#, "hi"), Some(16));
    assert_eq!(find_text(r#"body: "{\"body\":\"hi\"}""#, "hi"), Some(18));
}
