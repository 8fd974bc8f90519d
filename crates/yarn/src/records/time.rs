//! Moments in the text form that YARN's timeouts have (`yyyy-MM-dd'T'HH:mm:ss.SSSZ`).

use std::time::{SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400;

/// The moment in UTC, to the millisecond, as `2026-11-21T11:30:00.000+0000`; one before 1970 is taken for 1970.
pub(crate) fn iso8601(moment: SystemTime) -> String {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    let (year, month, day) = date(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}+0000")
}

/// The Gregorian date so many days after 1970-01-01, counted in years that begin in March so that a leap day comes last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn moments_have_the_text_that_date_gives_them() {
        let at = |millis| iso8601(UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(at(0), "1970-01-01T00:00:00.000+0000");
        assert_eq!(at(951_827_696_007), "2000-02-29T12:34:56.007+0000");
        assert_eq!(at(1_795_246_061_534), "2026-11-21T07:27:41.534+0000");
        assert_eq!(at(4_107_542_399_999), "2100-02-28T23:59:59.999+0000");
        assert_eq!(at(4_107_542_400_000), "2100-03-01T00:00:00.000+0000");
    }
}
