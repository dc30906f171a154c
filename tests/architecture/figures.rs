//! How long functions are, and how much of the project is tests.

use std::{collections::BTreeMap, path::PathBuf};

use crate::source::{Kind, Source, sources};

/// No function is longer.
const LONGEST: usize = 80;
/// Half of all code stands in functions that are no longer.
const SHORT: usize = 20;
/// So many lines of tests there are at least for a hundred lines of code. The aim is a hundred: raise it, never lower it.
const SHARE: usize = 96;

fn too_long(sources: &[Source]) -> Vec<String> {
    let functions = sources
        .iter()
        .flat_map(|source| source.functions.iter().map(move |function| (source, function)));
    let long = functions.filter(|(_, function)| function.length > LONGEST);
    long.map(|(source, function)| {
        format!("{}: {} has {} lines", source.path.display(), function.name, function.length)
    })
    .collect()
}

/// Of the lines in functions, those in short ones, and all.
fn in_short_functions(sources: &[Source]) -> (usize, usize) {
    let lengths =
        || sources.iter().flat_map(|source| &source.functions).map(|function| function.length);
    (lengths().filter(|length| *length <= SHORT).sum(), lengths().sum())
}

/// Lines of tests and of code.
fn tests_and_code<'a>(sources: impl IntoIterator<Item = &'a Source>) -> (usize, usize) {
    let sources: Vec<_> = sources.into_iter().collect();
    let count = |kind| sources.iter().map(|source| source.count(kind)).sum();
    (count(Kind::Test), count(Kind::Code))
}

/// The sources of each crate, and of each folder of tests.
fn by_part(sources: &[Source]) -> BTreeMap<String, Vec<&Source>> {
    let mut parts = BTreeMap::new();
    for source in sources {
        let part: PathBuf = source.path.iter().take(2).collect();
        parts.entry(part.display().to_string()).or_insert_with(Vec::new).push(source);
    }
    parts
}

fn all() -> Vec<Source> {
    [sources("crates"), sources("tests")].into_iter().flatten().collect()
}

#[test]
fn no_function_is_long() {
    crate::none(&too_long(&all()));
}

#[test]
fn half_of_the_code_is_in_short_functions() {
    let (short, functions) = in_short_functions(&all());
    println!("{short} of {functions} lines in functions are in functions of at most {SHORT} lines");
    assert!(short * 2 >= functions);
}

#[test]
fn tests_keep_up_with_the_code() {
    let all = all();
    for (part, sources) in by_part(&all) {
        let (tests, code) = tests_and_code(sources);
        println!("{part}: {tests} lines of tests, {code} of code");
    }
    let (tests, code) = tests_and_code(&all);
    println!("all: {tests} lines of tests, {code} of code");
    assert!(tests * 100 >= code * SHARE, "{tests} lines of tests for {code} lines of code");
}

/// A source with one function of so many lines.
fn function(length: usize) -> Source {
    let body = "    call();\n".repeat(length - 2);
    Source::new("crates/sample/src/lib.rs".as_ref(), &format!("fn sample() {{\n{body}}}\n"))
}

#[test]
fn a_long_function_is_caught() {
    crate::none(&too_long(&[function(LONGEST)]));
    crate::about(&too_long(&[function(LONGEST + 1)]), &["sample has 81 lines"]);
}

#[test]
fn the_share_of_short_functions_is_counted() {
    assert_eq!(in_short_functions(&[function(20), function(21)]), (20, 41));
}

#[test]
fn missing_tests_are_caught() {
    let test = Source::new("tests/sample/main.rs".as_ref(), "fn test() {\n}\n");
    assert_eq!(tests_and_code(&[function(5), test]), (2, 5));
}
