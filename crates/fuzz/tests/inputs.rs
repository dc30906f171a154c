//! Every input that is kept passes: seeds written by hand, corpora that fuzzing left, and what it found.

use std::{fs, io, panic, path::Path};

use tertulia_fuzz::{TARGETS, Target};

/// Tries all that is kept of a kind, and tells how many that were.
fn try_all(target: Target, kind: &str) -> io::Result<usize> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("inputs").join(target.name).join(kind);
    if !folder.exists() {
        return Ok(0);
    }
    let mut files = fs::read_dir(&folder)?
        .map(|file| file.map(|file| file.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.sort();
    for file in &files {
        let input = fs::read(file)?;
        let passed = panic::catch_unwind(|| (target.run)(&input));
        assert!(passed.is_ok(), "{} fails", file.display());
    }
    Ok(files.len())
}

#[test]
fn seeds_pass() -> io::Result<()> {
    for target in TARGETS {
        assert!(try_all(target, "seeds")? > 5, "{} begins with something", target.name);
    }
    Ok(())
}

#[test]
fn what_fuzzing_came_to_passes() -> io::Result<()> {
    TARGETS.into_iter().try_for_each(|target| try_all(target, "corpus").map(drop))
}

#[test]
fn what_fuzzing_found_is_mended() -> io::Result<()> {
    TARGETS.into_iter().try_for_each(|target| try_all(target, "found").map(drop))
}
