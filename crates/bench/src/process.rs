//! What the server's process has used, from `/proc`: the kernel's figures, all threads included.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

/// A process on this machine, by its number.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pid: u32,
}

impl Process {
    /// The process of this number. It is looked at when asked for a figure.
    pub fn new(pid: u32) -> Process {
        Process { pid }
    }

    /// User and system time of all its threads since it started, those that have ended included.
    pub fn cpu(&self) -> io::Result<Duration> {
        let ticks = cpu_ticks(&self.read("stat")?).ok_or_else(|| unreadable("stat"))?;
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_micros(ticks * 1_000_000 / per_second))
    }

    /// What the kernel calls it: the name of its program, or the beginning of it.
    pub fn name(&self) -> io::Result<String> {
        Ok(self.read("comm")?.trim_end().to_owned())
    }

    /// The most memory it ever had resident, in bytes.
    pub fn peak_memory(&self) -> io::Result<u64> {
        status_bytes(&self.read("status")?, "VmHWM:").ok_or_else(|| unreadable("status"))
    }

    /// The memory that it has resident now, in bytes.
    pub fn memory(&self) -> io::Result<u64> {
        status_bytes(&self.read("status")?, "VmRSS:").ok_or_else(|| unreadable("status"))
    }

    fn read(&self, file: &str) -> io::Result<String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid))
    }
}

fn unreadable(file: &str) -> io::Error {
    io::Error::other(format!("/proc/PID/{file} is not what Linux writes"))
}

/// Fields 14 and 15. The program's name before them is in parentheses and may hold anything, a parenthesis too.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, behind_the_name) = stat.rsplit_once(')')?;
    let mut fields = behind_the_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn status_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// The lengths of all files below `directory`, added up.
pub fn bytes_on_disk(directory: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        sum += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_on_disk(&entry.path())?,
            Ok(metadata) => metadata.len(),
            // Compaction removes files while we look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_found_behind_any_name() {
        let check = |name: &str| {
            let stat =
                format!("7 ({name}) S 1 7 7 0 -1 4194304 100 0 0 0 31 11 0 0 20 0 9 0 100 0");
            assert_eq!(cpu_ticks(&stat), Some(42), "{name}");
        };
        check("tertulia");
        check("a ) b (c");
        assert_eq!(cpu_ticks("nonsense"), None);
    }

    #[test]
    fn memory_is_told_in_bytes() {
        let status = "Name:\ttertulia\nVmHWM:\t   2048 kB\nVmRSS:\t     1 kB\n";
        assert_eq!(status_bytes(status, "VmHWM:"), Some(2 * 1024 * 1024));
        assert_eq!(status_bytes(status, "VmRSS:"), Some(1024));
        assert_eq!(status_bytes(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_has_used_something() {
        let myself = Process::new(std::process::id());
        assert!(myself.memory().unwrap() > 0);
        assert!(myself.peak_memory().unwrap() >= myself.memory().unwrap());
        assert!(myself.cpu().is_ok());
    }

    #[test]
    fn this_process_has_a_name() {
        assert!(!Process::new(std::process::id()).name().unwrap().is_empty());
        assert!(Process::new(0).name().is_err());
    }

    #[test]
    fn bytes_on_disk_are_those_of_all_folders() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("media")).unwrap();
        fs::write(directory.path().join("a"), [0; 10]).unwrap();
        fs::write(directory.path().join("media/b"), [0; 5]).unwrap();
        assert_eq!(bytes_on_disk(directory.path()).unwrap(), 15);
    }
}
