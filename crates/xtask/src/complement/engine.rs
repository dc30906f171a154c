//! A Docker engine: the one that answers already, or else one of our own for as long as the suite runs.
//!
//! Ours lives in a network namespace that holds loopback and Docker's bridge and nothing else, so that no container and
//! no test can reach anything outside of this machine, and the machine's own network stays as it is.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use super::Unable;
use crate::progress::say;

/// How long an engine may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);
/// Becomes the engine, in a namespace of its own; it ends with us, however we end.
const BECOME: &str = "ip link set lo up && exec setpriv --pdeathsig TERM dockerd \"$@\"";

/// An engine that answers.
pub(crate) struct Engine(Option<Own>);

/// An engine that is ours to stop.
struct Own {
    child: Child,
    /// Where its socket and its process files are: a path that is short, as sockets' have to be.
    run: PathBuf,
    /// Where its images are.
    data: PathBuf,
}

impl Engine {
    /// Finds an engine or starts one, whose images lie in `home` meanwhile.
    pub(crate) fn reach(home: &Path) -> anyhow::Result<Self> {
        if !works(Command::new("docker").arg("--version")) {
            return Err(Unable::error("there is no docker command: install Debian's docker.io"));
        }
        if answers(Command::new("docker")) {
            return Ok(Self(None));
        }
        if !works(Command::new("dockerd").arg("--version")) {
            return Err(Unable::error(
                "no Docker engine answers, and there is no dockerd to start one: install Debian's docker.io",
            ));
        }
        Own::start(home).map(|own| Self(Some(own)))
    }

    /// The docker command, which speaks to this engine.
    pub(crate) fn docker(&self) -> Command {
        let mut command = Command::new("docker");
        command.envs(self.address());
        command
    }

    /// A program that sees the network as the engine does.
    pub(crate) fn beside(&self, program: &str) -> Command {
        let Some(own) = &self.0 else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", own.child.id())).args(["--", program]);
        command.envs(self.address());
        command
    }

    fn address(&self) -> Option<(&'static str, String)> {
        self.0.as_ref().map(|own| ("DOCKER_HOST", format!("unix://{}", own.socket().display())))
    }
}

impl Own {
    fn start(home: &Path) -> anyhow::Result<Self> {
        say("no Docker engine answers: one is started for this run, in a network of its own");
        let run = env::temp_dir().join(format!("tertulia-complement-{}", process::id()));
        let data = home.join("engine");
        for folder in [&run, &data] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let log = home.join("engine.log");
        let child = command(&run, &data)
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .spawn()
            .map_err(|error| Unable::error(format!("unshare cannot be called: {error}")))?;
        let mut own = Self { child, run, data };
        if own.is_up()? {
            return Ok(own);
        }
        let reason = missing_right(&fs::read_to_string(&log).unwrap_or_default());
        Err(Unable::error(format!("no Docker engine can be started here: {reason}")))
    }

    fn socket(&self) -> PathBuf {
        self.run.join("docker.sock")
    }

    /// Waits until the engine answers, or has ended.
    fn is_up(&mut self) -> anyhow::Result<bool> {
        let start = Instant::now();
        while self.child.try_wait()?.is_none() && start.elapsed() < PATIENCE {
            let mut docker = Command::new("docker");
            docker.env("DOCKER_HOST", format!("unix://{}", self.socket().display()));
            if answers(docker) {
                return Ok(true);
            }
            thread::sleep(PAUSE);
        }
        Ok(false)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // What cannot be tidied up here is not worth hiding the outcome of a run.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = self.child.wait();
        }
        let _ = fs::remove_dir_all(&self.run);
        let _ = fs::remove_dir_all(&self.data);
    }
}

fn command(run: &Path, data: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "sh", "-c", BECOME, "dockerd", "--group", "root"]);
    command.arg("--host").arg(format!("unix://{}", run.join("docker.sock").display()));
    command.arg("--pidfile").arg(run.join("pid"));
    command.arg("--exec-root").arg(run.join("exec"));
    command.arg("--data-root").arg(data);
    command.stdin(Stdio::null());
    command
}

fn answers(mut docker: Command) -> bool {
    works(docker.args(["version", "--format", "{{.Server.Version}}"]))
}

fn works(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What an engine that ended could not do, in one sentence, by what it said last.
fn missing_right(log: &str) -> String {
    const RIGHTS: [(&str, &str); 6] = [
        ("unshare failed", "the right to make a network namespace is missing (CAP_SYS_ADMIN)"),
        ("root privileges", "only root may start one"),
        ("RTNETLINK", "the right to set up a network is missing (CAP_NET_ADMIN)"),
        ("network controller", "the right to set up a network is missing (CAP_NET_ADMIN)"),
        ("Devices cgroup", "the right to use control groups is missing, or none are mounted"),
        ("operation not permitted", "the right to mount file systems is missing (CAP_SYS_ADMIN)"),
    ];
    let is_chatter = |line: &&str| line.contains("level=info") || line.contains("level=warning");
    let lines: Vec<_> =
        log.lines().filter(|line| !line.trim().is_empty() && !is_chatter(line)).collect();
    let known = RIGHTS.iter().find(|(word, _)| lines.iter().any(|line| line.contains(word)));
    match (known, lines.last()) {
        (Some((_, right)), _) => (*right).to_owned(),
        (None, Some(last)) => format!("it says {:?}", last.trim()),
        (None, None) => "it does not answer, and does not say why".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(log: &str, expected: &str) {
        let sentence = missing_right(log);
        assert!(sentence.contains(expected), "{sentence}");
        assert_eq!(sentence.lines().count(), 1);
    }

    #[test]
    fn the_missing_right_is_named_by_what_the_engine_said() {
        check("unshare: unshare failed: Operation not permitted", "network namespace");
        check("RTNETLINK answers: Operation not permitted", "CAP_NET_ADMIN");
        check(
            "failed to start daemon: Error initializing network controller: error obtaining controller instance: \
             failed to create NAT chain DOCKER: Permission denied (you must be root)\n (exit status 4)\n",
            "CAP_NET_ADMIN",
        );
        check("failed to start daemon: Devices cgroup isn't mounted\n", "control groups");
        check(
            "dockerd needs to be started with root privileges. To run dockerd in rootless mode …",
            "only root",
        );
        check("level=error msg=\"mount /x: operation not permitted\"", "mount");
    }

    #[test]
    fn chatter_is_no_reason() {
        let chatter =
            "level=info msg=\"Devices cgroup\"\nlevel=warning msg=\"network controller\"\n\n";
        check(chatter, "does not say why");
        check(&format!("{chatter}failed: disk full\n"), "it says \"failed: disk full\"");
    }

    #[test]
    fn our_engine_is_alone_on_its_network_and_ends_with_us() {
        let command = command(Path::new("/run/x"), Path::new("/data"));
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        assert_eq!(words[..2], ["--net", "--"]);
        assert!(words.iter().any(|word| word.contains("pdeathsig")));
        assert!(words.windows(2).any(|pair| pair == ["--host", "unix:///run/x/docker.sock"]));
        assert!(words.windows(2).any(|pair| pair == ["--data-root", "/data"]));
    }

    #[test]
    fn beside_an_engine_of_others_a_program_is_called_as_it_is() {
        let engine = Engine(None);
        assert_eq!(engine.beside("go").get_program(), "go");
        assert_eq!(engine.docker().get_envs().count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_engine_is_stopped_and_leaves_nothing() {
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let id = child.id();
        let folder = |name| env::temp_dir().join(format!("tertulia-engine-{id}-{name}"));
        let own = Own { child, run: folder("run"), data: folder("data") };
        fs::create_dir_all(own.data.join("overlay2")).unwrap();
        fs::create_dir_all(&own.run).unwrap();
        drop(own);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
        assert!(!folder("run").exists() && !folder("data").exists());
    }

    #[test]
    fn an_engine_that_ends_at_once_is_not_up() {
        let child = Command::new("false").spawn().unwrap();
        let nowhere = env::temp_dir().join(format!("tertulia-ended-{}", child.id()));
        let mut own = Own { child, run: nowhere.clone(), data: nowhere };
        assert!(!own.is_up().unwrap());
    }

    #[test]
    fn beside_our_engine_a_program_shares_its_network() {
        let child = Command::new("true").spawn().unwrap();
        let id = child.id();
        let nowhere = || env::temp_dir().join(format!("tertulia-nowhere-{id}"));
        let engine = Engine(Some(Own { child, run: nowhere(), data: nowhere() }));
        let command = engine.beside("go");
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        assert_eq!(words, [format!("--net=/proc/{id}/ns/net").as_str(), "--", "go"]);
        assert!(engine.docker().get_envs().any(|(name, _)| name == "DOCKER_HOST"));
    }
}
