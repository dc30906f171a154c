//! Matrix error codes stand on one page.

use crate::source::{Source, sources};

const PAGE: &str = "crates/http/src/error.rs";
/// Crates that speak Matrix to clients; programs that are clients may know the codes.
const FOLDERS: [&str; 6] = ["protocol", "storage", "rocksdb", "homeserver", "http", "server"];

fn complaints(sources: &[Source]) -> Vec<String> {
    let others = sources.iter().filter(|source| {
        !source.path.starts_with(PAGE) && !source.path.starts_with(PAGE.trim_end_matches(".rs"))
    });
    let lines =
        others.flat_map(|source| source.code().map(move |(number, line)| (source, number, line)));
    let guilty = lines.filter(|(_, _, line)| line.contains("\"M_"));
    guilty
        .map(|(source, number, line)| {
            format!("{}:{number} names an error code: {}", source.path.display(), line.trim())
        })
        .collect()
}

#[test]
fn error_codes_stand_on_one_page() {
    let sources: Vec<_> =
        FOLDERS.iter().flat_map(|folder| sources(&format!("crates/{folder}/src"))).collect();
    crate::none(&complaints(&sources));
}

#[test]
fn an_error_code_elsewhere_is_caught() {
    let sample = |path: &str| {
        Source::new(path.as_ref(), "/// \"M_IN_A_COMMENT\"\nconst CODE: &str = \"M_FORBIDDEN\";\n")
    };
    crate::none(&complaints(&[sample(PAGE)]));
    crate::about(
        &complaints(&[sample("crates/http/src/client/rooms.rs")]),
        &["rooms.rs:2 names an error code"],
    );
}
