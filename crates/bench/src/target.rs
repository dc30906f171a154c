//! The servers that are measured.

use std::path::PathBuf;
use std::str::FromStr;

use crate::api::Registration;
use crate::client::Client;
use crate::crowd::Recruiter;
use crate::process::Process;
use crate::scenario::Bench;

/// A server, and what of it lies on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What the tables call it; by default what it calls itself.
    pub name: Option<String>,
    /// Its address.
    pub url: String,
    /// The number of its process, for CPU time and memory.
    pub pid: Option<u32>,
    /// Its data directory, for bytes on disk.
    pub data: Option<PathBuf>,
}

/// A server is not described as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// There is no name or no address.
    #[error("say NAME=URL,PID,DIRECTORY; the last two may be left out")]
    Form,
    /// The process has no number.
    #[error("{0} is not the number of a process")]
    Pid(String),
}

impl FromStr for Target {
    type Err = Unclear;

    fn from_str(text: &str) -> Result<Target, Unclear> {
        let (name, rest) = text.split_once('=').ok_or(Unclear::Form)?;
        let mut parts = rest.splitn(3, ',');
        let url = parts.next().filter(|url| url.contains("://")).ok_or(Unclear::Form)?;
        let given = |part: &&str| !part.is_empty();
        let pid = parts
            .next()
            .filter(given)
            .map(|pid| pid.parse().map_err(|_| Unclear::Pid(pid.to_owned())));
        Ok(Target {
            name: Some(name.to_owned()),
            url: url.to_owned(),
            pid: pid.transpose()?,
            data: parts.next().filter(given).map(PathBuf::from),
        })
    }
}

impl Target {
    /// A bench in front of it. Its users get names of their own.
    pub fn bench(&self, registration: Registration) -> Bench {
        Bench {
            recruiter: Recruiter::new(Client::new(&self.url), registration),
            process: self.pid.map(Process::new),
            data: self.data.clone(),
            operations: 1,
            runs: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, url: &str, pid: Option<u32>, data: Option<&str>) -> Target {
        Target { name: Some(name.into()), url: url.into(), pid, data: data.map(PathBuf::from) }
    }

    #[test]
    fn a_server_is_described_in_one_word() {
        let check = |text: &str, expected| assert_eq!(text.parse::<Target>(), expected, "{text}");
        check("a=http://h:1", Ok(target("a", "http://h:1", None, None)));
        check("a=http://h:1,7", Ok(target("a", "http://h:1", Some(7), None)));
        check("a=http://h:1,7,data", Ok(target("a", "http://h:1", Some(7), Some("data"))));
        check("a=http://h:1,,a,b", Ok(target("a", "http://h:1", None, Some("a,b"))));
        check("http://h:1", Err(Unclear::Form));
        check("a=7", Err(Unclear::Form));
        check("a=http://h:1,data", Err(Unclear::Pid("data".into())));
    }

    #[test]
    fn a_bench_knows_what_the_target_knows() {
        let target = target("a", "http://127.0.0.1:1", Some(7), Some("data"));
        let bench = target.bench(Registration::Open);
        assert_eq!(bench.recruiter.client().base(), target.url);
        assert_eq!(bench.data, target.data);
        assert!(bench.process.is_some());
    }
}
