//! The example that operators copy says what is true.

use std::{collections::BTreeSet, fs, path::Path};

use super::{Settings, load, names};

fn project_file(name: &str) -> String {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    fs::read_to_string(project.join(name)).unwrap()
}

/// The settings in a file with this text.
fn read(text: &str) -> Settings {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("example.toml");
    fs::write(&file, text).unwrap();
    load(Some(&file), []).unwrap().settings
}

/// The example with the settings that have no default set as it suggests.
fn with_suggestions() -> String {
    let example = project_file("config.example.toml");
    let suggested = |line: &&str| {
        let name =
            line.strip_prefix("# ").and_then(|rest| rest.split_once(" = ")).map(|(name, _)| name);
        name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
    };
    let lines = example.lines().map(|line| if suggested(&line) { &line[2..] } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_is_the_defaults() {
    assert_eq!(read(&project_file("config.example.toml")), Settings::default());
}

#[test]
fn the_example_names_every_setting() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("example.toml");
    fs::write(&file, with_suggestions()).unwrap();
    let loaded = load(Some(&file), []).unwrap();
    let unnamed: BTreeSet<_> =
        names::known().iter().filter(|name| !loaded.mentions(name)).collect();
    assert_eq!(unnamed, BTreeSet::new());
}

#[test]
fn what_the_example_suggests_can_be_read() {
    let settings = read(&with_suggestions());
    assert!(settings.registration.shared_secret.is_some());
    assert!(settings.listeners[0].certificate.is_some());
    assert_eq!(settings.rtc_transports[0]["type"], "livekit");
    assert_eq!(settings.registration.terms[0].translations["en"].name, "Terms of service");
    assert_eq!(settings.public_base_url.as_deref(), Some("https://matrix.example.org"));
}

#[test]
fn the_readme_lists_every_setting() {
    let readme = project_file("README.md");
    let missing: Vec<_> = names::known()
        .iter()
        .map(|name| name.trim_end_matches(".file"))
        .filter(|name| !readme.contains(&format!("`{name}`")))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}
