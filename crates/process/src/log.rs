//! The log file of a container: `jobmanager.log`, `taskmanager.log`, one line an event, bounded in size.

use crate::rolling::RollingFile;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, Subscriber as LogSubscriber};
use tracing_subscriber::registry::LookupSpan;

/// The size at which a log file rolls, in bytes; Flink's log4j configuration has the same.
const MAX_BYTES: u64 = 100 * 1024 * 1024;

/// Older files that are kept where `MAX_LOG_FILE_NUMBER` says nothing.
const KEEP: u32 = 10;

/// Sends every log event of this process to a file. The level comes from `ROOT_LOG_LEVEL` (as Flink's `env.log.level`
/// sets it), the number of older files from `MAX_LOG_FILE_NUMBER`.
///
/// # Errors
/// If the file cannot be opened.
pub fn to_file(path: &Path) -> io::Result<()> {
    let keep = std::env::var("MAX_LOG_FILE_NUMBER").ok().and_then(|n| n.parse().ok()).unwrap_or(KEEP);
    let file = RollingFile::open(path, MAX_BYTES, keep)?;
    let level = std::env::var("ROOT_LOG_LEVEL").unwrap_or_else(|_| "info".to_string());
    let filter = EnvFilter::try_new(level.to_ascii_lowercase()).unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = LogSubscriber::builder()
        .with_env_filter(filter)
        .event_format(LogLine)
        .with_writer(Mutex::new(file))
        .finish();
    tracing::subscriber::set_global_default(subscriber).map_err(io::Error::other)
}

/// `2026-01-31 13:45:07,123 INFO  target - message`: the shape that Flink's users grep for.
struct LogLine;

impl<S, N> FormatEvent<S, N> for LogLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = jiff::Zoned::now();
        let metadata = event.metadata();
        write!(line, "{} ", now.strftime("%Y-%m-%d %H:%M:%S,%3f"))?;
        write!(line, "{:<5} {:<40} - ", metadata.level().as_str(), metadata.target())?;
        context.format_fields(line.by_ref(), event)?;
        writeln!(line)
    }
}
