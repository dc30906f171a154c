//! The shape of the project, held by tests that read its manifests and sources.
//!
//! Each rule is a function from what was read to a list of complaints. Beside the test that the project keeps a rule
//! stands one that a sample which breaks it is caught.

#![allow(clippy::unwrap_used, reason = "all of this is a test, and panics when something is wrong")]

mod arrows;
mod codes;
mod crates;
mod figures;
mod pure;
mod source;
mod tables;
mod targets;

/// Fails with all complaints, if there are any.
#[track_caller]
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// Fails unless exactly the complaints about these were made.
#[track_caller]
fn about(complaints: &[String], words: &[&str]) {
    assert_eq!(complaints.len(), words.len(), "{complaints:#?}");
    for (complaint, word) in complaints.iter().zip(words) {
        assert!(complaint.contains(word), "{complaint} should tell of {word}");
    }
}
