//! The directory of a store: making it, keeping others out, measuring it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use crate::OpenError;

/// The file that names the process that has the store open. The lock on it lasts as long as the file is open.
const PID: &str = "PID";

/// RocksDB's file that names the newest list of its files.
const CURRENT: &str = "CURRENT";

/// Makes the directory if need be and keeps other processes out while the file is held.
pub(crate) fn lock(path: &Path) -> Result<File, OpenError> {
    let not_writable = |reason| OpenError::NotWritable { path: path.to_owned(), reason };
    fs::create_dir_all(path).map_err(not_writable)?;
    let open =
        File::options().read(true).write(true).create(true).truncate(false).open(path.join(PID));
    let mut file = open.map_err(not_writable)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => write_pid(&mut file).map_err(not_writable)?,
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(OpenError::Locked { path: path.to_owned(), pid: read_pid(&mut file) });
        }
        Err(error) => return Err(not_writable(error.into())),
    }
    Ok(file)
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

/// The process that holds the lock; 0 if it has not yet written who it is.
fn read_pid(file: &mut File) -> u32 {
    let mut text = String::new();
    file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok()).unwrap_or(0)
}

/// Whether a store lies in the directory. What is left of one without the file that names its newest state must not be
/// taken for none: RocksDB would begin anew and delete it.
pub(crate) fn hold_a_store(path: &Path) -> Result<bool, OpenError> {
    if path.join(CURRENT).exists() {
        return Ok(true);
    }
    match with_rows(path)? {
        Some(rows) => Err(OpenError::Unreadable {
            path: path.to_owned(),
            reason: format!(
                "there is {rows}, but the file {CURRENT} is missing: bring it back, or take a backup"
            ),
        }),
        None => Ok(false),
    }
}

/// A file of the directory that holds rows, if there is one: a table, or a log that is not empty.
pub(crate) fn with_rows(path: &Path) -> Result<Option<String>, OpenError> {
    let unreadable = |error: io::Error| OpenError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let kind = Path::new(&name).extension();
        let is_log = kind.is_some_and(|kind| kind == "log");
        let is_empty = entry.metadata().map_err(unreadable)?.len() == 0;
        if kind.is_some_and(|kind| kind == "sst") || is_log && !is_empty {
            return Ok(Some(name.display().to_string()));
        }
    }
    Ok(None)
}

/// How many bytes the files of a directory have. Files that vanish meanwhile do not count.
pub(crate) fn size(path: &Path) -> io::Result<u64> {
    let sizes = fs::read_dir(path)?
        .map(|entry| entry.and_then(|entry| entry.metadata()).map_or(0, |data| data.len()));
    Ok(sizes.sum())
}
