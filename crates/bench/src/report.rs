//! What was measured, and on what: a table to read and JSON to keep.

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
    /// When, in seconds since 1970.
    pub at: u64,
    /// The commit of the working directory, `-dirty` if something in it was changed.
    pub commit: String,
    /// The machine that both ran on.
    pub machine: Machine,
    /// What the server says of itself; if it says nothing, what its process is called.
    pub server: Product,
    /// One row a scenario.
    pub rows: Vec<Row>,
}

/// The machine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many threads of execution it offers to this program.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
}

/// A server's name and version.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Product {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// One scenario's figures.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// The scenario.
    pub scenario: String,
    /// Of how many runs the figures are the median.
    pub runs: u32,
    /// Speed and cost.
    pub figures: Figures,
    /// The most memory that the server had resident so far, in bytes.
    pub peak_memory: Option<u64>,
    /// By how much the data directory grew for each operation, in bytes.
    pub disk: Option<f64>,
}

impl Report {
    /// An empty report of this machine, this working directory and the server that the client speaks to.
    pub async fn begin(client: &Client, process: Option<Process>) -> Report {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Report {
            at: now.as_secs(),
            commit: output(
                "git",
                &["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            ),
            machine: Machine::this(),
            server: Product::of(client, process).await,
            rows: Vec::new(),
        }
    }
}

impl Machine {
    fn this() -> Machine {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Machine {
            processor: processor(&processors),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: output("uname", &["-sr"]),
        }
    }
}

fn processor(cpuinfo: &str) -> String {
    let name = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|rest| rest.split_once(": "));
    name.map_or("unknown", |(_, name)| name).to_owned()
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
        let Report { server, machine, commit, .. } = self;
        let product = format!("{} {}", server.name, server.version);
        writeln!(f, "{} at commit {commit}", product.trim_end())?;
        writeln!(f, "{}, {} cores, {}\n", machine.processor, machine.cores, machine.kernel)?;
        writeln!(
            f,
            "| scenario | operations | op/s | p50 | p95 | p99 | CPU/op | peak memory | disk/op |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        self.rows.iter().try_for_each(|row| row.fmt(f))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { operations, throughput, p50, p95, p99, cpu } = &self.figures;
        write!(f, "| {} | {} × {operations} | {throughput:.0} ", self.scenario, self.runs)?;
        write!(f, "| {} | {} | {} ", time(*p50 as f64), time(*p95 as f64), time(*p99 as f64))?;
        let memory = self.peak_memory.map(|bytes| format!("{:.0} MB", bytes as f64 / 1e6));
        let disk = self.disk.map(|bytes| format!("{bytes:.0} B"));
        writeln!(f, "| {} | {} | {} |", or_dash(cpu.map(time)), or_dash(memory), or_dash(disk))
    }
}

fn time(microseconds: f64) -> String {
    match microseconds {
        short if short < 1_000.0 => format!("{short:.0} µs"),
        medium if medium < 1_000_000.0 => format!("{:.2} ms", medium / 1e3),
        long => format!("{:.2} s", long / 1e6),
    }
}

fn or_dash(figure: Option<String>) -> String {
    figure.unwrap_or_else(|| "–".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(cpu: Option<f64>) -> Report {
        let figures = Figures {
            operations: 100_000,
            throughput: 6_543.2,
            p50: 950,
            p95: 2_300,
            p99: 1_200_000,
            cpu,
        };
        let machine =
            Machine { processor: "A processor".into(), cores: 2, kernel: "Linux 6".into() };
        let row =
            Row { scenario: "send".into(), runs: 3, figures, peak_memory: None, disk: Some(812.4) };
        let server = Product { name: "Tertulia".into(), version: "0.1.0".into() };
        Report { at: 0, commit: "abc".into(), machine, server, rows: vec![row] }
    }

    #[test]
    fn the_table_names_server_and_machine_and_tells_times_in_fitting_units() {
        let text = report(Some(149.6)).to_string();
        let expected = "Tertulia 0.1.0 at commit abc\nA processor, 2 cores, Linux 6\n\n";
        assert!(text.starts_with(expected), "{text}");
        let row = "| send | 3 × 100000 | 6543 | 950 µs | 2.30 ms | 1.20 s | 150 µs | – | 812 B |\n";
        assert!(text.ends_with(row), "{text}");
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        assert!(report(None).to_string().contains("| – | – | 812 B |"));
    }

    #[test]
    fn the_json_reads_back() {
        let text = serde_json::to_string(&report(Some(1.0))).unwrap();
        let read: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(read.rows[0].figures, report(Some(1.0)).rows[0].figures);
    }

    #[test]
    fn the_processor_is_called_by_its_name() {
        assert_eq!(processor("processor\t: 0\nmodel name\t: Fast One\n"), "Fast One");
        assert_eq!(processor(""), "unknown");
    }

    #[tokio::test]
    async fn a_server_that_tells_no_version_is_called_as_its_process_is() {
        let silent = Client::new("http://127.0.0.1:1");
        assert_eq!(Product::of(&silent, None).await.name, "unknown server");
        let myself = Process::new(std::process::id());
        assert_eq!(Product::of(&silent, Some(myself)).await.name, myself.name().unwrap());
    }
}
