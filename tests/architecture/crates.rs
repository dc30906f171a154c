//! Arrows between crates point one way, and each crate stays away from what it must not touch.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

use crate::source::root;

/// What one crate may and may not depend on.
struct Rule {
    package: &'static str,
    /// The packages of this workspace it may use.
    ours: &'static [&'static str],
    /// Packages of others that it must not use.
    never: &'static [&'static str],
}

const RULES: [Rule; 11] = [
    Rule {
        package: "tertulia-protocol",
        ours: &[],
        never: &[
            "tokio",
            "tokio-util",
            "futures-util",
            "async-stream",
            "axum",
            "hyper",
            "http",
            "reqwest",
            "rand",
            "rocksdb",
            "parking_lot",
        ],
    },
    Rule {
        package: "tertulia-storage",
        ours: &[],
        never: &["rocksdb", "axum", "hyper", "http", "reqwest"],
    },
    Rule { package: "tertulia-rocksdb", ours: &["tertulia-storage"], never: &["ruma", "axum"] },
    Rule {
        package: "tertulia",
        ours: &["tertulia-protocol", "tertulia-storage"],
        never: &[
            "axum",
            "hyper",
            "reqwest",
            "rocksdb",
            "clap",
            "figment",
            "toml",
            "tracing-subscriber",
        ],
    },
    Rule {
        package: "tertulia-http",
        ours: &["tertulia"],
        never: &["rocksdb", "clap", "figment", "toml"],
    },
    Rule {
        package: "tertulia-server",
        ours: &["tertulia", "tertulia-http", "tertulia-rocksdb", "tertulia-storage"],
        never: &["rocksdb"],
    },
    Rule {
        package: "tertulia-testkit",
        ours: &["tertulia", "tertulia-http", "tertulia-protocol", "tertulia-storage"],
        never: &["rocksdb"],
    },
    Rule {
        package: "tertulia-fuzz",
        ours: &[
            "tertulia",
            "tertulia-http",
            "tertulia-protocol",
            "tertulia-storage",
            "tertulia-testkit",
        ],
        never: &["rocksdb"],
    },
    // What others copy from: nothing but what they have, too.
    Rule {
        package: "tertulia-examples",
        ours: &["tertulia", "tertulia-http", "tertulia-rocksdb"],
        never: &["ruma", "rocksdb"],
    },
    // It speaks only the standard API, so that any homeserver can be measured.
    Rule { package: "tertulia-bench", ours: &[], never: &["ruma", "rocksdb"] },
    Rule { package: "xtask", ours: &[], never: &["ruma", "tokio", "reqwest", "rocksdb"] },
];

/// A package and what it needs when it is not tested.
struct Package {
    name: String,
    dependencies: Vec<String>,
}

fn complaints(packages: &[Package]) -> Vec<String> {
    let names: Vec<_> = packages.iter().map(|package| package.name.as_str()).collect();
    // The tests of the whole may use everything, and nobody uses them.
    packages
        .iter()
        .filter(|package| package.name != "tertulia-tests")
        .flat_map(|package| judge(package, &names))
        .collect()
}

fn judge(package: &Package, names: &[&str]) -> Vec<String> {
    let Some(rule) = RULES.iter().find(|rule| rule.package == package.name) else {
        return vec![format!(
            "{} has no rule; a new crate needs a reason, and a row in this table",
            package.name
        )];
    };
    let is_forbidden = |name: &&String| {
        let is_ours = names.contains(&name.as_str());
        (is_ours && !rule.ours.contains(&name.as_str())) || rule.never.contains(&name.as_str())
    };
    let forbidden = package.dependencies.iter().filter(is_forbidden);
    forbidden.map(|name| format!("{} must not depend on {name}", package.name)).collect()
}

/// What `cargo metadata` tells of the workspace.
pub(crate) fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn packages(metadata: &Value) -> Vec<Package> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let needed = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| text(&dependency["name"]))
            .collect()
    };
    let all = metadata["packages"].as_array().unwrap().iter();
    all.map(|package| Package { name: text(&package["name"]), dependencies: needed(package) })
        .collect()
}

#[test]
fn crates_depend_on_what_they_may() {
    let packages = packages(&metadata());
    assert!(packages.len() > RULES.len(), "cargo told of {} packages", packages.len());
    crate::none(&complaints(&packages));
}

/// What one who embeds a package compiles with it, as it comes.
fn compiled_with(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--edges", "normal,build", "--prefix", "none"])
        .args(["--offline", "--format", "{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn who_embeds_the_library_compiles_neither_a_web_server_nor_smtp() {
    let compiled = compiled_with("tertulia");
    assert!(compiled.contains("tertulia-storage"), "{compiled:?}");
    for never in ["axum", "hyper", "lettre", "rustls", "reqwest", "librocksdb-sys"] {
        assert!(!compiled.contains(never), "{never} is compiled with the library");
    }
    assert!(compiled_with("tertulia-server").contains("lettre"));
}

#[test]
fn a_forbidden_dependency_is_caught() {
    let package = |name: &str, dependencies: &[&str]| Package {
        name: name.to_owned(),
        dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
    };
    let broken = [
        package("tertulia-protocol", &["ruma", "tokio"]),
        package("tertulia-storage", &["ruma", "tertulia-protocol"]),
        package("tertulia-http", &["tertulia", "tertulia-storage"]),
        package("tertulia-tidier", &[]),
        package("tertulia", &["tertulia-testkit"]),
        package("tertulia-testkit", &["tertulia"]),
    ];
    let words = [
        "on tokio",
        "on tertulia-protocol",
        "http must not depend on tertulia-storage",
        "needs a reason",
        "testkit",
    ];
    // Storage counts as ours only where the workspace has it.
    crate::about(&complaints(&broken), &words);
}
