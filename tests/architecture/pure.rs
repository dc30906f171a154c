//! `protocol` decides; it does not speak the APIs, and it touches nothing outside its inputs.

use crate::source::{Source, sources};

/// What the pure crate must not name, and why.
const FORBIDDEN: [(&str, &str); 8] = [
    ("ruma::api", "the APIs are the library's matter"),
    ("api::", "the APIs are the library's matter"),
    ("async fn", "it never waits"),
    (".await", "it never waits"),
    ("std::fs", "it reads no files"),
    ("SystemTime", "the caller says what time it is"),
    ("Instant::now", "the caller says what time it is"),
    ("rand::", "the caller brings chance"),
];

fn complaints(sources: &[Source]) -> Vec<String> {
    let judge = |source: &Source, line: &str| {
        let found = FORBIDDEN.iter().find(|(word, _)| mentions(line, word))?;
        Some(format!("{} says {:?}: {}", source.path.display(), found.0, found.1))
    };
    let lines =
        sources.iter().flat_map(|source| source.code().map(move |(_, line)| (source, line)));
    lines.filter_map(|(source, line)| judge(source, line)).collect()
}

/// Whether a word stands in a line, and not as the end of a longer one.
fn mentions(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

#[test]
fn protocol_is_pure() {
    crate::none(&complaints(&sources("crates/protocol/src")));
}

#[test]
fn an_impure_line_is_caught() {
    let sample = "
use ruma::api::client::sync;
use ruma::{api::federation, events};
async fn load() {}
fn now() { std::time::SystemTime::now(); }
fn operand(brand: brand::Name) {}
";
    let source = Source::new("crates/protocol/src/sample.rs".as_ref(), sample);
    crate::about(&complaints(&[source]), &["ruma::api", "api::", "async fn", "SystemTime"]);
}
