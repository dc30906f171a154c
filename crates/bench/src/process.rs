//! What the server's process has used, from `/proc`: the kernel's figures, all threads included.

use std::collections::HashMap;
use std::ffi::OsString;
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

    /// What it has used since it started, to be compared with what it has used later.
    pub fn cpu(&self) -> io::Result<CpuTime> {
        let ticks = cpu_ticks(&self.read("stat")?).ok_or_else(|| unreadable("stat"))?;
        Ok(CpuTime { all: tick() * ticks, threads: self.threads()? })
    }

    /// What each of its threads has used. A thread that ends while we look is left out, as are all by a kernel that keeps no
    /// account of them.
    fn threads(&self) -> io::Result<HashMap<OsString, Duration>> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid))?;
        let used = tasks.filter_map(|task| {
            let task = task.ok()?;
            let account = fs::read_to_string(task.path().join("schedstat")).ok()?;
            Some((task.file_name(), run_time(&account)?))
        });
        Ok(used.collect())
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

    /// How many threads it has.
    pub fn thread_count(&self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/task", self.pid))?.count())
    }

    /// How many descriptors it holds of other things than files below `directory`, of which a
    /// store may well have more when there is more in it.
    pub fn descriptors_outside(&self, directory: &Path) -> io::Result<usize> {
        let all = fs::read_dir(format!("/proc/{}/fd", self.pid))?;
        let links = all.filter_map(|descriptor| fs::read_link(descriptor.ok()?.path()).ok());
        Ok(links.filter(|link| !link.starts_with(directory)).count())
    }

    fn read(&self, file: &str) -> io::Result<String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid))
    }
}

/// User and system time of a process up to some moment.
#[derive(Clone, Debug, Default)]
pub struct CpuTime {
    /// Of all its threads, those that have ended included, in whole ticks of the kernel's clock.
    all: Duration,
    /// Of each thread that has not ended, to the nanosecond.
    threads: HashMap<OsString, Duration>,
}

impl CpuTime {
    /// What was used since `earlier`: to the nanosecond, but for threads that have ended meanwhile, of which only ticks are
    /// known. A hundred cheap operations take less than a tick.
    pub fn since(&self, earlier: &CpuTime) -> Duration {
        let ticks = self.all.saturating_sub(earlier.all);
        if self.threads.is_empty() {
            return ticks;
        }
        let thread = |(thread, used): (&OsString, &Duration)| {
            used.saturating_sub(earlier.threads.get(thread).copied().unwrap_or_default())
        };
        let exact: Duration = self.threads.iter().map(thread).sum();
        // User and system time are each cut to whole ticks.
        exact.clamp(ticks.saturating_sub(2 * tick()), ticks + 2 * tick())
    }
}

fn tick() -> Duration {
    let per_second = u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100);
    Duration::from_secs(1) / per_second
}

/// The first field: nanoseconds on a processor.
fn run_time(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn unreadable(file: &str) -> io::Error {
    io::Error::other(format!("/proc/PID/{file} is not what Linux writes"))
}

/// Fields 14 and 15. The program's name before them is in parentheses and may hold anything, a parenthesis too.
fn cpu_ticks(stat: &str) -> Option<u32> {
    let (_, behind_the_name) = stat.rsplit_once(')')?;
    let mut fields = behind_the_name.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
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

    /// So many ticks of the whole process, and of each thread so many microseconds.
    fn used(ticks: u32, threads: &[(&str, u64)]) -> CpuTime {
        let thread = |&(thread, used): &(&str, u64)| (thread.into(), Duration::from_micros(used));
        CpuTime { all: tick() * ticks, threads: threads.iter().map(thread).collect() }
    }

    #[test]
    fn short_work_is_counted_by_the_threads_that_do_it() {
        let since = |later: CpuTime, earlier| later.since(&earlier).as_micros();
        assert_eq!(since(used(5, &[("1", 50_700)]), used(5, &[("1", 50_400)])), 300);
        assert_eq!(since(used(5, &[("1", 7), ("2", 9)]), used(5, &[("1", 4)])), 12);
    }

    #[test]
    fn threads_that_have_ended_count_by_the_tick() {
        let (earlier, later) = (used(10, &[("1", 0), ("2", 100_000)]), used(60, &[("1", 1_000)]));
        assert_eq!(later.since(&earlier), 48 * tick());
        // The number may have gone to a new thread.
        let again = used(60, &[("1", 1_000), ("2", 50)]);
        assert_eq!(again.since(&earlier), 48 * tick());
        assert_eq!(used(60, &[]).since(&earlier), 50 * tick());
    }

    #[test]
    fn a_thread_s_account_begins_with_its_time() {
        assert_eq!(run_time("1500 7 3\n"), Some(Duration::from_nanos(1500)));
        assert_eq!(run_time(""), None);
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
        let before = myself.cpu().unwrap();
        let mut sum = 0_u64;
        while myself.cpu().unwrap().since(&before).is_zero() {
            sum += 1;
        }
        assert!(sum < 1_000_000);
        assert!(Process::new(0).cpu().is_err());
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

    #[test]
    fn descriptors_of_files_in_a_directory_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(directory.path()).unwrap();
        let own = Process::new(std::process::id());
        let files: Vec<_> =
            (0..50).map(|n| fs::File::create(path.join(n.to_string())).unwrap()).collect();
        let (outside, all) = (
            own.descriptors_outside(&path).unwrap(),
            own.descriptors_outside(Path::new("/nowhere")).unwrap(),
        );
        assert!(outside + 40 < all, "{outside} of {all}");
        assert!(own.thread_count().unwrap() > 0);
        drop(files);
    }
}
