//! What is printed: results on standard output, log lines beside them in the format that scripts look for, failures on
//! standard error. Nothing else in the client writes to a terminal.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::error::Error;
use std::io::Write;

/// Logger of what concerns the deployment on YARN.
pub const DESCRIPTOR: &str = "org.apache.flink.yarn.YarnClusterDescriptor";
/// Logger of what concerns sessions and the options of YARN.
pub const SESSION_CLI: &str = "org.apache.flink.yarn.cli.FlinkYarnSessionCli";
/// Logger of what concerns the configuration.
pub const CONFIGURATION: &str = "org.apache.flink.configuration.GlobalConfiguration";
/// Logger of the submission itself.
pub const YARN_CLIENT: &str = "org.apache.hadoop.yarn.client.api.impl.YarnClientImpl";

/// How grave a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// To be known.
    Info,
    /// To be minded.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Level::Info => "INFO ",
            Level::Warn => "WARN ",
            Level::Error => "ERROR",
        }
    }
}

/// Prints a line of a result.
pub fn line(text: impl AsRef<str>) {
    print(&format!("{}\n", text.as_ref()));
}

/// Prints a text as it is.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // Who does not read any more does not want to know either.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a line on standard error.
pub fn complain(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
}

/// Logs for information.
pub fn info(logger: &str, message: impl AsRef<str>) {
    log(Level::Info, logger, message.as_ref());
}

/// Logs a warning.
pub fn warn(logger: &str, message: impl AsRef<str>) {
    log(Level::Warn, logger, message.as_ref());
}

/// Logs an error.
pub fn error(logger: &str, message: impl AsRef<str>) {
    log(Level::Error, logger, message.as_ref());
}

fn log(level: Level, logger: &str, message: &str) {
    line(formatted(Timestamp::now(), &TimeZone::system(), level, logger, message));
}

/// `2026-11-21 07:45:30,214 INFO  org.apache.flink.yarn.YarnClusterDescriptor                  [] - message`
fn formatted(now: Timestamp, zone: &TimeZone, level: Level, logger: &str, message: &str) -> String {
    let time = now.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S,%3f").to_string();
    format!("{time} {} {logger:<60} [] - {message}", level.as_str())
}

/// Prints what made the program fail, with everything that caused it.
pub fn failure(error: &anyhow::Error) {
    complain(failure_text(error.as_ref()));
}

fn failure_text(error: &(dyn Error + 'static)) -> String {
    let mut text =
        format!("\n{}\n The program finished with the following exception:\n\n{error}", "-".repeat(60));
    let mut last = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let message = current.to_string();
        // Wrappers that only repeat their cause would say everything twice.
        if !last.contains(&message) {
            text.push_str(&format!("\nCaused by: {message}"));
        }
        last = message;
        cause = current.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_looks_as_scripts_expect_it() {
        let now = Timestamp::from_millisecond(1_795_247_130_214).unwrap();
        assert_eq!(
            formatted(
                now,
                &TimeZone::UTC,
                Level::Info,
                DESCRIPTOR,
                "Submitting application master application_1_1"
            ),
            "2026-11-21 07:45:30,214 INFO  org.apache.flink.yarn.YarnClusterDescriptor                  [] - Submitting application master application_1_1"
        );
    }

    #[test]
    fn a_failure_has_its_causes_and_says_nothing_twice() {
        let error = anyhow::anyhow!("no such queue")
            .context("Could not deploy Yarn job cluster.")
            .context("The main method caused an error: Could not deploy Yarn job cluster.");
        assert_eq!(
            failure_text(error.as_ref()),
            "\n------------------------------------------------------------\n The program finished with the following exception:\n\n\
             The main method caused an error: Could not deploy Yarn job cluster.\nCaused by: no such queue"
        );
    }
}
