//! What a whole suite of tests said and sent, written down for whoever searches the logs for secrets.
//!
//! Nothing is recorded unless the environment names a folder; then all servers of the process log there, and all JSON
//! that [`Call`](crate::Call)s send is added beside it.

use std::{
    env,
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use serde_json::Value;
use tracing_subscriber::{filter::LevelFilter, fmt::format::FmtSpan};

/// A folder in which a run of tests is recorded.
#[derive(Clone, Debug)]
pub struct Recording(PathBuf);

impl Recording {
    /// The environment variable that names the folder.
    pub const VARIABLE: &str = "TERTULIA_TEST_RECORDING";

    /// The recording in `folder`.
    pub fn of(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Everything that was logged, at any level.
    pub fn logs(&self) -> PathBuf {
        self.0.join("logs.txt")
    }

    /// Every JSON body that was sent, one a line.
    pub fn sent(&self) -> PathBuf {
        self.0.join("sent.jsonl")
    }

    fn begin(self) -> io::Result<File> {
        let append = |path| File::options().create(true).append(true).open(path);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(append(self.logs())?)
            .finish();
        // For all threads: servers have tasks on several.
        tracing::subscriber::set_global_default(subscriber).map_err(io::Error::other)?;
        append(self.sent())
    }
}

/// Begins to record, if that is wanted and was not done before; gives where bodies go.
fn recording() -> Option<&'static File> {
    static SENT: OnceLock<Option<File>> = OnceLock::new();
    let begin = || {
        let folder = env::var_os(Recording::VARIABLE)?;
        Some(Recording::of(Path::new(&folder)).begin().expect("a recording can be made there"))
    };
    SENT.get_or_init(begin).as_ref()
}

/// Has everything logged that a server does from now on.
pub(crate) fn logs() {
    recording();
}

/// Notes a body that is sent.
pub(crate) fn sent(body: &Value) {
    if let Some(mut file) = recording() {
        // In one piece, since other tests write, too.
        file.write_all(format!("{body}\n").as_bytes()).expect("the recording can be written");
    }
}
