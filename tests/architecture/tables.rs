//! A table's number is part of the stored format: it is used once.

use std::collections::BTreeMap;

use crate::source::{Source, sources};

/// A table as it is declared: `Table::new(1, "heads")`.
fn tables(sources: &[Source]) -> Vec<(u16, String)> {
    let code =
        |source: &Source| source.code().map(|(_, line)| line.trim()).collect::<Vec<_>>().join(" ");
    sources.iter().flat_map(|source| declared(&code(source))).collect()
}

fn declared(code: &str) -> Vec<(u16, String)> {
    let declarations = code.split("Table::new(").skip(1).filter_map(|rest| {
        let (number, rest) = rest.split_once(',')?;
        let number = number.trim().replace('_', "").parse().ok()?;
        Some((number, rest.split('"').nth(1)?.to_owned()))
    });
    declarations.collect()
}

fn complaints(tables: &[(u16, String)]) -> Vec<String> {
    let (mut numbers, mut names) = (BTreeMap::new(), BTreeMap::new());
    for (number, name) in tables {
        numbers.entry(number).or_insert_with(Vec::new).push(name);
        names.entry(name).or_insert_with(Vec::new).push(number);
    }
    let numbers = numbers.iter().filter(|(_, names)| names.len() > 1);
    let names = names.iter().filter(|(_, numbers)| numbers.len() > 1);
    numbers
        .map(|(number, names)| format!("table {number} is called {names:?}"))
        .chain(
            names.map(|(name, numbers)| format!("the tables {numbers:?} are all called {name:?}")),
        )
        .collect()
}

#[test]
fn every_table_has_its_own_number_and_name() {
    let sources: Vec<_> = ["homeserver", "storage"]
        .iter()
        .flat_map(|folder| sources(&format!("crates/{folder}/src")))
        .collect();
    let tables = tables(&sources);
    assert!(tables.len() > 10, "only {} tables were found", tables.len());
    crate::none(&complaints(&tables));
}

#[test]
fn a_number_used_twice_is_caught() {
    let sample = "
const A: Table<(u8,), ()> = Table::new(1, \"a\");
const B: Table<(u8,), ()> =
    Table::new(1, \"b\");
const C: Table<(u8,), ()> = Table::new(60_000, \"b\");
";
    let source = Source::new("crates/homeserver/src/schema.rs".as_ref(), sample);
    crate::about(&complaints(&tables(&[source])), &["table 1 is called", "all called \"b\""]);
}
