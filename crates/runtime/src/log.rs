//! Log lines of a job program: to standard error, which is the log of whoever spawned it.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

fn line(level: &str, message: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let thread = std::thread::current();
    let time = utc(now.as_secs(), now.subsec_millis());
    // Not `eprintln!`: it panics once nobody reads the log any more, and a worker outlives whoever spawned it.
    let _ = writeln!(std::io::stderr(), "{time} {level:<5} [{}] {message}", thread.name().unwrap_or("-"));
}

/// Something a person may want to know.
pub fn info(message: &str) {
    line("INFO", message);
}

/// Something that may be wrong.
pub fn warn(message: &str) {
    line("WARN", message);
}

/// Something that is wrong.
pub fn error(message: &str) {
    line("ERROR", message);
}

/// `YYYY-MM-DDThh:mm:ss.mmmZ`, by Howard Hinnant's `civil_from_days`.
fn utc(seconds: u64, millis: u32) -> String {
    let days = seconds / 86_400 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_time_is_written_as_a_calendar_date() {
        assert_eq!(super::utc(951_782_400, 7), "2000-02-29T00:00:00.007Z");
        assert_eq!(super::utc(1_795_256_999, 0), "2026-11-21T10:29:59.000Z");
    }
}
