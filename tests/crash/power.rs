//! A power failure without pulling the plug: all files are cut back to what had been synced.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The library that notes what was synced.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crash/synced.c");

/// Compiles the library into `directory`.
pub fn compile(directory: &Path) -> anyhow::Result<PathBuf> {
    let library = directory.join("synced.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(SOURCE);
    let status = compiler.status().context("the rig needs a C compiler, called cc")?;
    ensure!(status.success(), "cc could not compile {SOURCE}");
    Ok(library)
}

/// Has the library preloaded into what the command starts; it adds its notes to the file.
pub fn preload(command: &mut Command, library: &Path, notes: &Path) {
    command.env("LD_PRELOAD", library).env("SYNCED_NOTES", notes);
}

/// A file, whatever it is called: its inode, and when it was created, since inodes are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    inode: u64,
    birth: u128,
}

impl Identity {
    fn of(file: &Metadata) -> Identity {
        let birth = file.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Identity { inode: file.ino(), birth: birth.map_or(0, |birth| birth.as_nanos()) }
    }
}

/// What a power failure at this moment would leave.
#[derive(Debug, Default)]
pub struct Synced {
    lengths: HashMap<Identity, u64>,
    names: HashSet<PathBuf>,
}

/// What a cut has taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Files that became shorter.
    pub shortened: usize,
    /// Files and directories whose names were lost.
    pub vanished: usize,
    /// Bytes lost by either.
    pub bytes: u64,
}

impl Synced {
    /// Reads the library's notes.
    pub fn read(notes: &Path) -> anyhow::Result<Synced> {
        let mut synced = Synced::default();
        for line in fs::read_to_string(notes).context("the library noted nothing")?.lines() {
            synced.learn(line).with_context(|| format!("a note that is none: {line}"))?;
        }
        ensure!(
            !synced.lengths.is_empty(),
            "the server synced no file, or does so in a way the library does not see"
        );
        Ok(synced)
    }

    fn learn(&mut self, line: &str) -> Option<()> {
        let mut words = line.splitn(4, ' ');
        let (kind, inode, birth, rest) =
            (words.next()?, words.next()?, words.next()?, words.next()?);
        let identity = Identity { inode: inode.parse().ok()?, birth: birth.parse().ok()? };
        match kind {
            "length" => {
                let length = self.lengths.entry(identity).or_default();
                *length = rest.parse::<u64>().ok()?.max(*length);
            }
            // A path that was synced once stays: what is renamed over it replaces it whole, or not at all.
            _ => drop(self.names.insert(rest.into())),
        }
        Some(())
    }

    /// Takes names as synced: those a store had when it was first ready, before anything was acknowledged.
    pub fn know_names(&mut self, names: impl IntoIterator<Item = PathBuf>) {
        self.names.extend(names);
    }

    /// Cuts every file below `directory` back. A name that was not synced may be lost and may not be: the coin decides.
    pub fn cut(&self, directory: &Path, coin: &mut StdRng) -> anyhow::Result<Cut> {
        let mut cut = Cut::default();
        let mut entries = fs::read_dir(directory)?
            .map(|entry| Ok(entry?.path()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        entries.sort();
        for path in entries {
            let file = fs::symlink_metadata(&path)?;
            if !self.names.contains(&path) && coin.random_bool(0.5) {
                cut.vanish(&path, &file)?;
            } else if file.is_dir() {
                cut.add(self.cut(&path, coin)?);
            } else {
                let synced = self.lengths.get(&Identity::of(&file)).copied().unwrap_or(0);
                cut.shorten(&path, file.len(), synced)?;
            }
        }
        Ok(cut)
    }
}

impl Cut {
    fn add(&mut self, other: Cut) {
        self.shortened += other.shortened;
        self.vanished += other.vanished;
        self.bytes += other.bytes;
    }

    fn vanish(&mut self, path: &Path, file: &Metadata) -> anyhow::Result<()> {
        let bytes = if file.is_dir() { 0 } else { file.len() };
        if file.is_dir() {
            fs::remove_dir_all(path)?
        } else {
            fs::remove_file(path)?
        }
        self.add(Cut { vanished: 1, bytes, shortened: 0 });
        Ok(())
    }

    fn shorten(&mut self, path: &Path, length: u64, synced: u64) -> anyhow::Result<()> {
        if length > synced {
            File::options().write(true).open(path)?.set_len(synced)?;
            self.add(Cut { shortened: 1, bytes: length - synced, vanished: 0 });
        }
        Ok(())
    }
}

/// All paths below a directory.
pub fn paths(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let all = walkdir::WalkDir::new(directory).min_depth(1).into_iter();
    all.map(|entry| Ok(entry?.into_path())).collect()
}

/// Proves on three files that the library notes and that a cut cuts, before the rig judges a server by them.
pub fn prove(library: &Path, home: &Path) -> anyhow::Result<()> {
    let (data, notes) = (home.join("data"), home.join("notes"));
    fs::create_dir_all(&data)?;
    let script = "cd \"$1\" && printf 12345 > kept && sync kept && sync -d . && printf 678 >> kept && printf 9 > lost";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(&data);
    preload(&mut shell, library, &notes);
    ensure!(shell.status()?.success(), "the proof of the library could not run");
    let mut coin = StdRng::seed_from_u64(0);
    let cut = Synced::read(&notes)?.cut(&data, &mut coin)?;
    ensure!(cut.bytes == 4, "a cut that should have taken 4 bytes took {}", cut.bytes);
    ensure!(
        fs::read(data.join("kept"))? == b"12345",
        "a cut took what was synced, or left what was not"
    );
    Ok(())
}
