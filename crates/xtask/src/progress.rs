//! Telling a person who waits that something moves.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;

/// How often a wait is worth a line.
const STEP: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// Writes one line to the person who called.
pub(crate) fn say(line: &str) {
    // Nobody listens when this fails, and the work goes on.
    let _ = writeln!(io::stderr(), "xtask: {line}");
}

/// Waits for a build, and says every half minute how far RocksDB is while it is being compiled.
pub(crate) fn watch(mut child: Child, products: &Path) -> anyhow::Result<ExitStatus> {
    let start = Instant::now();
    let mut next = start + STEP;
    let first = compiled(products).is_none();
    if first {
        say(
            "the first build compiles RocksDB, which takes about a quarter of an hour on two cores; later ones are quick",
        );
    }
    loop {
        if let Some(status) = child.try_wait().context("the build cannot be waited for")? {
            return Ok(status);
        }
        if first && Instant::now() >= next {
            next += STEP;
            say(&how_far(start.elapsed(), products));
        }
        thread::sleep(PAUSE);
    }
}

fn how_far(elapsed: Duration, products: &Path) -> String {
    let minutes = format!("{}:{:02} min", elapsed.as_secs() / 60, elapsed.as_secs() % 60);
    match (compiled(products), objects(products)) {
        (Some(_), _) => format!("{minutes}, RocksDB is compiled"),
        (None, 0) => format!("{minutes}, RocksDB comes later"),
        (None, count) => format!("{minutes}, {count} files of RocksDB are compiled"),
    }
}

/// The library of RocksDB, once it is there.
fn compiled(products: &Path) -> Option<PathBuf> {
    outputs(products)
        .into_iter()
        .map(|folder| folder.join("librocksdb.a"))
        .find(|file| file.is_file())
}

/// How many C++ files of RocksDB are compiled.
fn objects(products: &Path) -> usize {
    outputs(products).iter().map(|folder| count_objects(folder)).sum()
}

fn outputs(products: &Path) -> Vec<PathBuf> {
    let is_ours = |path: &PathBuf| {
        path.file_name()
            .and_then(OsStr::to_str)
            .is_some_and(|name| name.starts_with("librocksdb-sys-"))
    };
    entries(&products.join("build"))
        .into_iter()
        .filter(is_ours)
        .map(|path| path.join("out"))
        .collect()
}

fn count_objects(folder: &Path) -> usize {
    let count = |path: PathBuf| {
        if path.is_dir() { count_objects(&path) } else { usize::from(is_object(&path)) }
    };
    entries(folder).into_iter().map(count).sum()
}

fn is_object(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "o")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    // A folder that is not there yet holds nothing.
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    /// A build folder in which these files are.
    fn products(name: &str, files: &[&str]) -> PathBuf {
        let folder = env::temp_dir().join(format!("tertulia-xtask-{}-{name}", process::id()));
        for file in files {
            let file = folder.join("build/librocksdb-sys-0123/out").join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        folder
    }

    #[track_caller]
    fn check(name: &str, files: &[&str], expected: &str) {
        let folder = products(name, files);
        assert_eq!(how_far(Duration::from_secs(125), &folder), expected);
        let _ = fs::remove_dir_all(folder);
    }

    #[test]
    fn a_wait_says_how_far_the_build_is() {
        check("nothing", &[], "2:05 min, RocksDB comes later");
        check(
            "some",
            &["db/a.o", "db/b.o", "c.o", "c.d"],
            "2:05 min, 3 files of RocksDB are compiled",
        );
        check("all", &["a.o", "librocksdb.a"], "2:05 min, RocksDB is compiled");
    }

    #[test]
    fn waiting_ends_with_the_program_s_own_status() {
        let folder = products("status", &["librocksdb.a"]);
        let child = process::Command::new("false").spawn().unwrap();
        assert!(!watch(child, &folder).unwrap().success());
        let _ = fs::remove_dir_all(folder);
    }
}
