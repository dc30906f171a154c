//! What the operator gets to read: log lines on standard error, as text or JSON.
//!
//! A request's lines carry its ID. Nothing secret is logged: our own code names no token, password, code or body, and
//! what libraries tell below `info`, such as the headers they parse, is left out at any level.

use std::io::{self, IsTerminal as _};

use anyhow::{anyhow, bail};
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt as _, Targets, filter_fn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::settings::{LogFormat, Logs};

/// Starts writing logs to standard error.
pub(crate) fn start(logs: &Logs) -> anyhow::Result<()> {
    let lines = lines(logs, io::stderr, io::stderr().is_terminal())?;
    tracing_subscriber::registry()
        .with(lines)
        .try_init()
        .map_err(|error| anyhow!("logs cannot be written: {error}"))
}

/// Log lines in the form and of the levels that `logs` says.
fn lines<S, W>(
    logs: &Logs,
    writer: W,
    colours: bool,
) -> anyhow::Result<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = levels(&logs.level)?.and(filter_fn(may_be_told));
    let lines = fmt::layer().with_writer(writer).with_ansi(colours);
    Ok(match logs.format {
        LogFormat::Text => lines.with_filter(filter).boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed()
        }
    })
}

/// Reads `info` or `info,tertulia=debug`.
pub(crate) fn levels(text: &str) -> anyhow::Result<Targets> {
    let mut targets = Targets::new();
    for part in text.split(',').map(str::trim) {
        let (target, level) =
            part.rsplit_once('=').map_or((None, part), |(target, level)| (Some(target), level));
        let Some(level) = parse_level(level) else {
            bail!(
                "`logs.level` says {part:?}, and a level is error, warn, info, debug, trace or off"
            );
        };
        targets = match target {
            Some(target) => targets.with_target(target, level),
            None => targets.with_default(level),
        };
    }
    Ok(targets)
}

fn parse_level(word: &str) -> Option<LevelFilter> {
    // tracing takes nothing for an error, and numbers for levels.
    word.chars().next().filter(|letter| letter.is_alphabetic())?;
    word.parse().ok()
}

/// Whether a line can hold nothing secret: ours are written with care, those of libraries only as warnings.
fn may_be_told(line: &Metadata<'_>) -> bool {
    line.target().starts_with("tertulia") || *line.level() <= Level::WARN
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{debug, info, info_span};

    use super::*;

    /// What `write` logs.
    fn logged(format: LogFormat, level: &str, write: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let written = Lines::default();
        let writer = written.clone();
        let logs = Logs { format, level: level.to_owned() };
        let lines = lines(&logs, move || writer.clone(), false).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), write);
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    fn in_a_request() {
        info_span!(target: "tertulia_http", "request", id = "abc")
            .in_scope(|| info!(target: "tertulia", "answered"));
    }

    #[test]
    fn a_line_carries_the_request_s_id_in_either_form() {
        let text = logged(LogFormat::Text, "info", in_a_request);
        assert!(text.contains("request{id=\"abc\"}") && text.contains("answered"), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&logged(LogFormat::Json, "info", in_a_request)).unwrap();
        assert_eq!(json["span"]["id"], "abc");
        assert_eq!(json["message"], "answered");
    }

    #[test]
    fn levels_may_differ_by_module() {
        let write = || {
            debug!(target: "tertulia_http", "one");
            debug!(target: "tertulia", "two");
        };
        let text = logged(LogFormat::Text, "info,tertulia_http=debug", write);
        assert!(text.contains("one") && !text.contains("two"), "{text}");
    }

    #[test]
    fn what_libraries_say_in_detail_is_never_told() {
        let write = || {
            debug!(target: "hyper::proto", "authorization: Bearer secret");
            tracing::warn!(target: "hyper::proto", "harmless");
        };
        let text = logged(LogFormat::Text, "trace", write);
        assert!(!text.contains("secret") && text.contains("harmless"), "{text}");
    }

    #[test]
    fn what_is_no_level_is_refused() {
        for text in ["loud", "info,tertulia=loud", "", "info,", "3"] {
            assert!(levels(text).unwrap_err().to_string().contains("error, warn, info"), "{text}");
        }
    }
}
