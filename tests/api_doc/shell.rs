//! The lines of the document, run by a shell that notes what `curl` is called with.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::pattern::Names;

/// In place of `curl`: how many words it is called with, and these.
const CURL: &str = "curl() { printf '%s\\0' \"$#\" \"$@\"; }\n";

/// The calls of curl in `lines`, as a shell expands them; `names` are variables, `folder` is where it runs.
pub(crate) fn calls(lines: &str, names: &Names, folder: &Path) -> Vec<Vec<String>> {
    let mut script = CURL.to_owned();
    for (name, value) in names {
        script.push_str(&format!("{name}='{}'\n", value.replace('\'', r"'\''")));
    }
    script.push_str(lines);
    let shell = Command::new("sh")
        .args(["-eu", "-c", &script])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("there is a shell");
    let said = String::from_utf8_lossy(&shell.stderr);
    assert!(shell.status.success() && said.is_empty(), "{said}\n{lines}");
    let said = String::from_utf8(shell.stdout).expect("the document is UTF-8");
    let mut words = said.split_terminator('\0').map(str::to_owned);
    let mut calls = Vec::new();
    while let Some(count) = words.next() {
        let count = count.parse().unwrap_or_else(|_| panic!("the lines say {count:?}\n{lines}"));
        calls.push(words.by_ref().take(count).collect());
    }
    calls
}

/// The variables that `lines` set, as a shell has them.
pub(crate) fn assigned(lines: &str) -> impl Iterator<Item = &str> {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|letter| letter == '_' || letter.is_ascii_lowercase())
    };
    lines.lines().filter(move |line| line.split_once('=').is_some_and(|(name, _)| is_name(name)))
}

#[test]
fn words_are_as_a_shell_has_them() {
    let names = Names::from([("room".to_owned(), "it's".to_owned())]);
    let lines =
        "base=http://h\ncurl \"$base/a\" -d '{\"r\": \"'\"$room\"'\"}' \\\n  -X PUT\ncurl ''\n";
    let found = calls(lines, &names, Path::new("."));
    let expected = [vec!["http://h/a", "-d", r#"{"r": "it's"}"#, "-X", "PUT"], vec![""]];
    assert_eq!(found, expected);
    assert_eq!(assigned(lines).collect::<Vec<_>>(), ["base=http://h"]);
}
