//! What was measured, and on what: tables to read and JSON to keep.

use std::fmt;
use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::measure::Figures;
use crate::process::Process;

/// All that one call of the program has shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// When it began, in seconds since 1970.
    pub at: u64,
    /// The version of this program.
    pub bench: String,
    /// The commit of the working directory, `-dirty` if something in it was changed.
    pub commit: String,
    /// The machine that everything ran on.
    pub machine: Machine,
    /// The servers, in the order in which they took turns.
    pub servers: Vec<Measured>,
}

/// The machine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many threads of execution it offers to this program.
    pub cores: usize,
    /// Its memory, in bytes.
    pub memory: u64,
    /// The kernel's release.
    pub kernel: String,
}

/// One server's figures.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    /// What the tables call it.
    pub name: String,
    /// What it says of itself; if it says nothing, what its process is called.
    pub product: Product,
    /// One row a scenario.
    pub rows: Vec<Row>,
}

/// A server's name and version.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Product {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What one scenario has shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The scenario.
    pub scenario: String,
    /// Of how many runs the figures are the median.
    pub runs: u32,
    /// Speed and cost; none if anything went wrong.
    pub figures: Option<Figures>,
    /// How many operations failed.
    pub errors: u64,
    /// What went wrong.
    pub failure: Option<String>,
    /// The most memory that the server had resident so far, in bytes.
    pub peak_memory: Option<u64>,
    /// By how much the data directory grew for each operation, in bytes.
    pub disk: Option<f64>,
}

impl Report {
    /// A report of which no server is part yet.
    pub fn begin() -> Report {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Report {
            at: now.as_secs(),
            bench: env!("CARGO_PKG_VERSION").to_owned(),
            commit: output(
                "git",
                &["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            ),
            machine: Machine::this(),
            servers: Vec::new(),
        }
    }

    /// Whether everything that was tried has figures.
    pub fn is_complete(&self) -> bool {
        self.servers.iter().flat_map(|server| &server.rows).all(|row| row.figures.is_some())
    }
}

impl Measured {
    /// A server of which nothing was measured yet. Without a name it is called what it calls itself.
    pub async fn begin(
        name: Option<String>,
        client: &Client,
        process: Option<Process>,
    ) -> Measured {
        let product = Product::of(client, process).await;
        Measured { name: name.unwrap_or_else(|| product.name.clone()), product, rows: Vec::new() }
    }
}

impl Row {
    /// A scenario in which nothing went wrong.
    pub fn measured(
        scenario: String,
        runs: u32,
        figures: Figures,
        peak_memory: Option<u64>,
        disk: Option<f64>,
    ) -> Row {
        let figures = Some(figures);
        Row { scenario, runs, figures, errors: 0, failure: None, peak_memory, disk }
    }

    /// A scenario without figures, for that reason.
    pub fn failed(scenario: String, runs: u32, errors: u64, reason: String) -> Row {
        let failure = Some(reason);
        Row { scenario, runs, figures: None, errors, failure, peak_memory: None, disk: None }
    }
}

impl Machine {
    /// The one that this program runs on.
    pub fn this() -> Machine {
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        Machine {
            processor: processor(&read("/proc/cpuinfo")),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory(&read("/proc/meminfo")),
            kernel: output("uname", &["-sr"]),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { processor, cores, memory, kernel } = self;
        let gibibytes = *memory as f64 / f64::from(1 << 30);
        write!(f, "{processor}, {cores} cores, {gibibytes:.0} GiB, {kernel}")
    }
}

fn processor(cpuinfo: &str) -> String {
    let name = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|rest| rest.split_once(": "));
    name.map_or("unknown", |(_, name)| name).to_owned()
}

fn memory(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default();
    if text.is_empty() { "unknown".to_owned() } else { text }
}

impl Product {
    /// A server tells its name and version to other servers, and so to anybody.
    async fn of(client: &Client, process: Option<Process>) -> Product {
        #[derive(Deserialize)]
        struct Version {
            server: Product,
        }
        match client.get::<Version>("/_matrix/federation/v1/version", &[]).await {
            Ok(version) => version.server,
            Err(_) => {
                let name = process.and_then(|process| process.name().ok());
                let name = name.unwrap_or_else(|| "unknown server".to_owned());
                Product { name, version: String::new() }
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "tertulia-bench {} at commit {}", self.bench, self.commit)?;
        writeln!(f, "{}", self.machine)?;
        self.servers.iter().try_for_each(|server| write!(f, "\n{server}"))
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let product = format!("{} {}", self.product.name, self.product.version);
        writeln!(f, "{}: {}\n", self.name, product.trim_end())?;
        let columns = "scenario | operations | op/s | p50 | p95 | p99 | errors | CPU/op | peak memory | disk/op";
        writeln!(f, "| {columns} |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))?;
        let failures =
            self.rows.iter().filter_map(|row| row.failure.as_ref().map(|why| (row, why)));
        failures.into_iter().try_for_each(|(row, why)| writeln!(f, "\n{}: {why}", row.scenario))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { scenario, runs, errors, .. } = self;
        let Some(Figures { operations, throughput, p50, p95, p99, cpu }) = &self.figures else {
            return write!(f, "| {scenario} | – | – | – | – | – | {errors} | – | – | – |");
        };
        write!(f, "| {scenario} | {runs} × {operations} | {} ", rate(*throughput))?;
        write!(f, "| {} | {} | {} ", time(*p50 as f64), time(*p95 as f64), time(*p99 as f64))?;
        let memory = self.peak_memory.map(|bytes| format!("{:.0} MB", bytes as f64 / 1e6));
        let disk = self.disk.map(|bytes| format!("{bytes:.0} B"));
        let (cpu, memory, disk) = (or_dash(cpu.map(time)), or_dash(memory), or_dash(disk));
        write!(f, "| {errors} | {cpu} | {memory} | {disk} |")
    }
}

fn rate(per_second: f64) -> String {
    if per_second < 100.0 { format!("{per_second:.1}") } else { format!("{per_second:.0}") }
}

/// Microseconds in the unit that fits.
pub(crate) fn time(microseconds: f64) -> String {
    match microseconds {
        short if short < 10.0 => format!("{short:.2} µs"),
        short if short < 1_000.0 => format!("{short:.0} µs"),
        medium if medium < 1_000_000.0 => format!("{:.2} ms", medium / 1e3),
        long => format!("{:.2} s", long / 1e6),
    }
}

pub(crate) fn or_dash(figure: Option<String>) -> String {
    figure.unwrap_or_else(|| "–".to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn figures(throughput: f64, cpu: Option<f64>) -> Figures {
        Figures { operations: 100_000, throughput, p50: 950, p95: 2_300, p99: 1_200_000, cpu }
    }

    /// A server that has done these rows.
    pub(crate) fn measured(name: &str, rows: Vec<Row>) -> Measured {
        let product = Product { name: "Tertulia".into(), version: "0.1.0".into() };
        Measured { name: name.into(), product, rows }
    }

    pub(crate) fn row(cpu: Option<f64>) -> Row {
        Row::measured("send".into(), 3, figures(6_543.2, cpu), None, Some(812.4))
    }

    /// A report on these servers.
    pub(crate) fn report(servers: Vec<Measured>) -> Report {
        let machine = Machine {
            processor: "A processor".into(),
            cores: 2,
            memory: 24 << 30,
            kernel: "Linux 6".into(),
        };
        Report { at: 0, bench: "0.1.0".into(), commit: "abc".into(), machine, servers }
    }

    fn of(row: Row) -> Report {
        report(vec![measured("ours", vec![row])])
    }

    #[test]
    fn the_table_names_server_and_machine_and_tells_times_in_fitting_units() {
        let text = of(row(Some(149.6))).to_string();
        let expected = "tertulia-bench 0.1.0 at commit abc\nA processor, 2 cores, 24 GiB, Linux 6\n\n\
                        ours: Tertulia 0.1.0\n\n";
        assert!(text.starts_with(expected), "{text}");
        let row =
            "| send | 3 × 100000 | 6543 | 950 µs | 2.30 ms | 1.20 s | 0 | 150 µs | – | 812 B |\n";
        assert!(text.ends_with(row), "{text}");
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        assert!(of(row(None)).to_string().contains("| 0 | – | – | 812 B |"));
    }

    #[test]
    fn a_failure_has_no_figures_but_a_reason() {
        let report = of(Row::failed("send".into(), 3, 7, "it lost messages".into()));
        assert!(!report.is_complete());
        let text = report.to_string();
        assert!(text.ends_with("| – | 7 | – | – | – |\n\nsend: it lost messages\n"), "{text}");
        assert!(of(row(None)).is_complete());
    }

    #[test]
    fn the_json_reads_back() {
        let text = serde_json::to_string(&of(row(Some(1.0)))).unwrap();
        let read: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(read.servers[0].rows[0].figures, row(Some(1.0)).figures);
    }

    #[test]
    fn the_machine_is_described_by_what_the_kernel_says() {
        assert_eq!(processor("processor\t: 0\nmodel name\t: Fast One\n"), "Fast One");
        assert_eq!(processor(""), "unknown");
        assert_eq!(memory("MemTotal:       2 kB\nMemFree: 1 kB\n"), 2048);
        assert_eq!(memory(""), 0);
        assert!(Machine::this().memory > 0);
    }

    #[test]
    fn small_figures_keep_their_digits() {
        assert_eq!(time(0.55), "0.55 µs");
        assert_eq!(time(11.0), "11 µs");
        assert_eq!(rate(7.26), "7.3");
        assert_eq!(rate(726.4), "726");
    }

    #[tokio::test]
    async fn a_server_that_tells_no_version_is_called_as_its_process_is() {
        let silent = Client::new("http://127.0.0.1:1");
        assert_eq!(Product::of(&silent, None).await.name, "unknown server");
        let myself = Process::new(std::process::id());
        assert_eq!(Product::of(&silent, Some(myself)).await.name, myself.name().unwrap());
        assert_eq!(Measured::begin(Some("ours".into()), &silent, None).await.name, "ours");
    }
}
