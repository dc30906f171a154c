//! Looking for codes and links where none may be: in every file of a program's home, and in every row of its store.
//!
//! Bytes of files do not suffice, as RocksDB compresses what it moves out of its log; so each row is read as well. That a
//! search finds what is there is shown by the addresses, which the store does hold.
//!
//! Six digits may stand somewhere by chance. Whoever wrote down one code would have written down the others as well, so two
//! in one place are too many; of the tokens of links, which nobody writes down by chance, one is.

use std::{fs, path::Path};

use anyhow::{Context, ensure};
use tertulia_rocksdb::{Options, RocksLocal};
use tertulia_storage::{Direction, Local, Reach, RowRange};

/// What is not to be found.
#[derive(Debug, Default)]
pub struct Secrets {
    pub codes: Vec<String>,
    pub links: Vec<String>,
}

/// How much was looked through.
#[derive(Clone, Copy, Debug, Default)]
pub struct Searched {
    pub files: usize,
    pub bytes: usize,
    pub rows: usize,
    /// How often an address was there.
    pub addresses: usize,
}

/// Part of every address that the tests use.
const ADDRESS: &[u8] = b"@mail.example";

impl Secrets {
    /// Looks through all files in and below `folder`.
    pub fn search(&self, folder: &Path, searched: &mut Searched) -> anyhow::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.search(&path, searched)?;
                continue;
            }
            let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
            self.refuse(&path.display().to_string(), &readable(&path, &bytes))?;
            searched.files += 1;
            searched.bytes += bytes.len();
            searched.addresses += count(&bytes, ADDRESS);
        }
        Ok(())
    }

    /// Looks through the keys and values of a store that nobody has open.
    pub fn search_rows(&self, store: &Path, searched: &mut Searched) -> anyhow::Result<()> {
        let local = RocksLocal::open(store, Options::default())?;
        let all = RowRange { start: Vec::new(), end: vec![0xff; 8] };
        let rows = local.snapshot().scan(&all, Direction::Forward, usize::MAX, Reach::Disk)?;
        let rows = rows.context("a disk can be waited for")?;
        let mut whole = Vec::new();
        for (key, value) in &rows {
            // A byte between them that is no digit.
            whole.extend_from_slice(key);
            whole.push(0);
            whole.extend_from_slice(value);
            whole.push(0);
        }
        self.refuse(&format!("the rows of {}", store.display()), &whole)?;
        searched.rows += rows.len();
        searched.bytes += whole.len();
        searched.addresses += count(&whole, ADDRESS);
        Ok(())
    }

    fn refuse(&self, place: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let found = |secrets: &[String]| {
            secrets.iter().filter(|secret| count(bytes, secret.as_bytes()) > 0).count()
        };
        ensure!(found(&self.links) == 0, "the token of a link stands in {place}");
        ensure!(found(&self.codes) < 2, "codes stand in {place}");
        Ok(())
    }
}

/// What is read of a file: of a log all but the times, which end in six digits.
fn readable(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name != "server.log" && !name.starts_with("LOG") {
        return bytes.to_vec();
    }
    let lines = bytes.split(|byte| *byte == b'\n');
    let rest = |line: &[u8]| {
        let time = line.iter().position(|byte| *byte == b' ').unwrap_or(0);
        line[time..].to_vec()
    };
    lines.map(rest).collect::<Vec<_>>().join(&b'\n')
}

fn count(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).filter(|window| *window == what).count()
}
