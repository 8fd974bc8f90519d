//! Epoch milliseconds as the texts that the queries ask for, in UTC.

use compact_str::CompactString;

const DAY: i64 = 86_400_000;
const MINUTE: i64 = 60_000;

/// Year, month (from 1) and day of the month of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
fn civil(day: i64) -> (i64, i64, i64) {
    // Years are counted from 1 March, so that the leap day is a year's last one. 719,468 days lie between 0000-03-01 and
    // 1970-01-01; 146,097 are four centuries.
    let day = day + 719_468;
    let (centuries, rest) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (rest - rest / 1_460 + rest / 36_524 - rest / 146_096) / 365;
    let of_year = rest - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    (year + 400 * centuries, month, of_month)
}

fn two(value: i64) -> [u8; 2] {
    [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]
}

/// `yyyy-MM-dd` of a year from 0 to 9999. The text needs no allocation.
pub fn date(millis: i64) -> CompactString {
    let (year, month, day) = civil(millis.div_euclid(DAY));
    let ([a, b], [c, d]) = (two(year / 100), two(year % 100));
    let ([e, f], [g, h]) = (two(month), two(day));
    ascii(&[a, b, c, d, b'-', e, f, b'-', g, h])
}

/// `HH:mm`.
pub fn hour_and_minute(millis: i64) -> CompactString {
    let minutes = millis.rem_euclid(DAY) / MINUTE;
    let ([a, b], [c, d]) = (two(minutes / 60), two(minutes % 60));
    ascii(&[a, b, b':', c, d])
}

/// The hour of the day, 0 to 23.
pub fn hour(millis: i64) -> i64 {
    millis.rem_euclid(DAY) / (60 * MINUTE)
}

fn ascii(bytes: &[u8]) -> CompactString {
    // Digits and signs only: never the default.
    CompactString::new(std::str::from_utf8(bytes).unwrap_or_default())
}

/// Epoch milliseconds of `yyyy-MM-ddTHH:mm[:ss[.fraction]]`, with an optional `Z`; `None` for anything else.
pub fn parse(text: &str) -> Option<i64> {
    let (date, clock) = text.strip_suffix('Z').unwrap_or(text).split_once(['T', ' '])?;
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let mut parts = clock.split(':');
    let (hours, minutes) = (parts.next()?.parse::<i64>().ok()?, parts.next()?.parse::<i64>().ok()?);
    let seconds = parts.next().map_or(Some(0.0), |seconds| seconds.parse::<f64>().ok())?;
    let of_day = (hours * 60 + minutes) * MINUTE + (seconds * 1000.0).round() as i64;
    Some(day_of(year, month, day)? * DAY + of_day)
}

/// The day counted from 1970-01-01, found by asking [`civil`], so that there is one calendar.
fn day_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let guess = (year - 1970) * 365 + (year - 1969).div_euclid(4) + (month - 1) * 30;
    (guess - 40..guess + 80).find(|at| civil(*at) == (year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_the_calendars() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(1_436_918_400_000), "2015-07-15");
        assert_eq!(date(951_782_400_000), "2000-02-29");
        assert_eq!(date(-1), "1969-12-31");
        assert_eq!(hour_and_minute(1_436_918_400_000 + 13 * 3_600_000 + 7 * 60_000), "13:07");
        assert_eq!(hour(1_436_918_400_000 + 13 * 3_600_000), 13);
    }

    #[test]
    fn what_flink_prints_is_read() {
        assert_eq!(parse("2015-07-15T00:00"), Some(1_436_918_400_000));
        assert_eq!(parse("2015-07-15T00:00:10.25Z"), Some(1_436_918_410_250));
        assert_eq!(parse("2000-02-29T00:00:01"), Some(951_782_401_000));
        assert_eq!(parse("2015-02-30T00:00:01"), None);
        assert_eq!(parse("lots of words"), None);
    }
}
