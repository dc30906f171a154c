//! The part of `complement/README.md` that follows from the results: every test that does not pass, with its reason.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::{
    events::Outcome,
    results::{Name, Results, Verdict},
};

const BEGIN: &str = "<!-- What follows is written by `cargo xtask complement`. -->\n";
const END: &str = "<!-- What follows is written by hand. -->\n";
const NEVER_RUN: &str = "The suite has not been run yet, so nothing is known.\n";

/// Reasons that no log tells: `package test: reason`, also for all of a test's subtests.
pub(crate) struct Reasons(BTreeMap<(String, String), String>);

impl Reasons {
    /// Reads `complement/reasons.txt`; `#` begins a comment.
    pub(crate) fn read(text: &str) -> anyhow::Result<Self> {
        let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        let read = |line: &str| {
            let (name, reason) = line.split_once(": ")?;
            let (package, test) = name.split_once(' ')?;
            Some(((package.to_owned(), test.to_owned()), reason.trim().to_owned()))
        };
        let reasons = lines
            .map(|line| read(line).with_context(|| format!("not `package test: reason`: {line}")));
        reasons.collect::<Result<_, _>>().map(Self)
    }

    fn of(&self, name: &Name) -> Option<&str> {
        let ends = name.test.match_indices('/').map(|(at, _)| at).chain([name.test.len()]);
        let mut names = ends.map(|end| (name.package.clone(), name.test[..end].to_owned()));
        names.find_map(|name| self.0.get(&name)).map(String::as_str)
    }
}

/// The page with the part that follows from `results` written anew.
pub(crate) fn renew(
    page: &str,
    results: Option<&Results>,
    reasons: &Reasons,
) -> anyhow::Result<String> {
    let (before, rest) = page.split_once(BEGIN).context("the page has no place for the list")?;
    let (_, after) = rest.split_once(END).context("the page's list has no end")?;
    let list = results.map_or_else(|| NEVER_RUN.to_owned(), |results| list(results, reasons));
    Ok(format!("{before}{BEGIN}\n{list}\n{END}{after}"))
}

fn list(results: &Results, reasons: &Reasons) -> String {
    let head = &results.head;
    let tree = if head.changed { " with changes" } else { "" };
    let server = if head.built { "" } else { ", with a server that was given" };
    let mut text = format!(
        "Suite {}, commit {}{tree}{server}, {}.\n\n```text\n{}\n```\n",
        head.suite,
        head.commit,
        head.date,
        results.summary()
    );
    for package in results.packages() {
        let failures = results
            .tests()
            .filter(|(name, verdict)| name.package == package && verdict.outcome != Outcome::Pass);
        let rows: String =
            failures.map(|(name, verdict)| row(name, verdict, reasons.of(name))).collect();
        if !rows.is_empty() {
            text += &format!("\n### {package}\n\n| test | reason |\n|---|---|\n{rows}");
        }
    }
    text
}

fn row(name: &Name, verdict: &Verdict, reason: Option<&str>) -> String {
    let lacks = verdict.lacks.iter().map(|lack| match lack.split_once(' ') {
        Some((method, path)) if path.starts_with('/') => format!("no `{method} {path}`"),
        _ => lack.clone(),
    });
    let mut words: Vec<_> = reason.map(str::to_owned).into_iter().chain(lacks).collect();
    if words.is_empty() {
        words.push(unexplained(verdict.outcome).to_owned());
    }
    format!("| {} | {} |\n", name.test.replace('|', "\\|"), words.join("; "))
}

fn unexplained(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Skip => "the suite leaves it out",
        Outcome::Pass | Outcome::Fail => "**a bug: all endpoints that it uses are served**",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cargo::root;

    const RESULTS: &str = r#"{"suite":"v0","commit":"abc","changed":true,"built":false,"date":"2026-01-01"}
{"package":"tests/csapi","test":"A","outcome":"fail","lacks":["GET /x","a second server"]}
{"package":"tests/csapi","test":"A/one","outcome":"pass"}
{"package":"tests/csapi","test":"B","outcome":"skip"}
{"package":"tests/csapi","test":"C","outcome":"fail"}
{"package":"tests/csapi","test":"D/a|b","outcome":"fail"}
{"package":"tests/msc1","test":"A","outcome":"pass"}
"#;

    fn page(list: &str) -> String {
        format!("# Title\n{BEGIN}{list}{END}By hand.\n")
    }

    fn listed(reasons: &str) -> String {
        let results = Results::read(RESULTS).unwrap();
        renew(&page("old"), Some(&results), &Reasons::read(reasons).unwrap()).unwrap()
    }

    #[track_caller]
    fn check(reasons: &str, row: &str) {
        let text = listed(reasons);
        assert!(text.contains(&format!("\n{row}\n")), "{row} in\n{text}");
    }

    #[test]
    fn what_the_logs_tell_is_a_reason() {
        check("", "| A | no `GET /x`; a second server |");
        check("", "| B | the suite leaves it out |");
    }

    #[test]
    fn a_failure_without_a_reason_is_a_bug() {
        check("", "| C | **a bug: all endpoints that it uses are served** |");
    }

    #[test]
    fn a_reason_written_by_hand_holds_for_subtests_too() {
        let reasons =
            "# comment\n\ntests/csapi C: no guests: not there yet\ntests/csapi D: rule 7\n";
        check(reasons, "| C | no guests: not there yet |");
        check(reasons, "| D/a\\|b | rule 7 |");
        assert!(!listed(reasons).contains("a bug"));
    }

    #[test]
    fn what_passes_is_not_listed() {
        let text = listed("");
        assert!(!text.contains("A/one") && !text.contains("### tests/msc1"), "{text}");
    }

    #[test]
    fn the_rest_of_the_page_stays() {
        let text = listed("");
        assert!(text.starts_with("# Title\n") && text.ends_with("By hand.\n"));
        assert!(text.contains("commit abc with changes, with a server that was given, 2026-01-01"));
        let results = Results::read(RESULTS).unwrap();
        let reasons = Reasons::read("").unwrap();
        assert_eq!(renew(&text, Some(&results), &reasons).unwrap(), text);
        assert!(renew(&text, None, &reasons).unwrap().contains(NEVER_RUN));
    }

    #[test]
    fn a_page_or_a_reason_of_another_form_is_refused() {
        let reasons = Reasons::read("").unwrap();
        for page in ["", BEGIN, END] {
            assert!(renew(page, None, &reasons).is_err());
        }
        assert!(Reasons::read("TestA because").is_err());
        assert!(Reasons::read("TestA: because").is_err());
    }

    #[test]
    fn the_committed_page_tells_what_the_committed_results_say() {
        let folder = root().join("complement");
        let read = |name| fs::read_to_string(folder.join(name));
        let page = read("README.md").unwrap();
        let results = read("results.jsonl").ok().map(|text| Results::read(&text).unwrap());
        let reasons = Reasons::read(&read("reasons.txt").unwrap()).unwrap();
        assert_eq!(renew(&page, results.as_ref(), &reasons).unwrap(), page);
    }
}
