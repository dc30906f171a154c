//! What `docs/api.md` tells developers of chat applications is true: its lines are run, in their order, by a shell,
//! against a server on a socket that sends mail by SMTP, and what is answered is what the document shows.
//!
//! A block `sh` is run. The `json` behind it shows what the last call answered (see [`pattern`]); where its
//! status is not 200, a line such as `# 401` in the block says so. A block `text` that begins with `To: ` shows
//! a mail. Behind each table of errors, a comment has for each row what is refused so.

mod curl;
mod document;
mod pattern;
mod run;
mod shell;

use std::collections::BTreeSet;

use serde_json::Value;

use self::{
    curl::Curl,
    document::{Section, What, sections},
    run::Reader,
};

const DOCUMENT: &str = include_str!("../../docs/api.md");
const OWN_API: &str = include_str!("../../docs/openapi.yaml");

/// The pages of a chat application.
const PAGES: [&str; 10] = [
    "Sign up",
    "Log in",
    "Reset the password",
    "Profile",
    "Friends",
    "Groups",
    "Requests",
    "Chats",
    "Chat",
    "Favourites",
];
/// Reads the document from beginning to end, and tells which calls it made.
async fn read(curl: Curl) -> Vec<(String, String)> {
    let mut reader = Reader::start(curl).await;
    for section in sections(DOCUMENT) {
        reader.read(&section).await;
    }
    reader.calls
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_document_says_is_answered() {
    let calls = read(Curl::StandIn).await;
    let document: Value = serde_saphyr::from_str(OWN_API).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let own = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(move |method| (method.to_uppercase(), format!("/_tertulia/client/v1{path}")))
    });
    let own: Vec<_> = own.collect();
    let unsaid = own.iter().filter(|(method, template)| {
        !calls.iter().any(|(called, path)| called == method && is_of(path, template))
    });
    let unsaid: Vec<_> = unsaid.collect();
    assert!(unsaid.is_empty(), "{unsaid:?}");
}

/// Whether a path is one of those that a template stands for.
fn is_of(path: &str, template: &str) -> bool {
    let (mut path, mut template) = (path.split('/'), template.split('/'));
    loop {
        match (path.next(), template.next()) {
            (None, None) => return true,
            (Some(_), Some(segment)) if segment.starts_with('{') => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_itself_is_answered_the_same_where_it_is_installed() {
    if Curl::is_installed().await {
        read(Curl::Installed).await;
    }
}

#[test]
fn there_is_a_section_for_each_page_with_what_refreshes_it_and_its_errors() {
    let sections = sections(DOCUMENT);
    let titles: BTreeSet<_> = sections.iter().map(|section| section.title.as_str()).collect();
    let missing: Vec<_> = PAGES.iter().filter(|page| !titles.contains(*page)).collect();
    assert_eq!(missing, [&""; 0]);
    for section in sections.iter().filter(|section| PAGES.contains(&section.title.as_str())) {
        let updates = section.parts.iter().find(|(title, _)| title == "Updates");
        let says = updates.is_some_and(|(_, said)| said.contains("/sync"));
        assert!(says, "{}: what refreshes it?", section.title);
        assert!(!section.errors.is_empty(), "{}: what may be refused?", section.title);
    }
}

#[test]
fn each_error_that_a_table_names_is_one_that_is_produced() {
    for Section { title, errors, steps, .. } in sections(DOCUMENT) {
        let produced = steps.iter().filter_map(|step| match &step.what {
            What::Refused(error, _) => Some(error.clone()),
            _ => None,
        });
        assert_eq!(produced.collect::<Vec<_>>(), errors, "{title}");
    }
}

#[test]
fn a_path_is_known_by_its_template() {
    assert!(is_of("/a/@b:c/d", "/a/{user}/d"));
    assert!(!is_of("/a/b", "/a/b/c") && !is_of("/a/b/c", "/a/b") && !is_of("/a/c", "/a/b"));
}
