//! The patterns by which buckets are named: what of java.time's `DateTimeFormatter.ofPattern` has a meaning for directories.
//!
//! Letters stand for parts of a time, text in quotes for itself. What is not known is refused, so that no job that was written for
//! Flink silently gets other directories. Knows no files.

use std::fmt::Write;

const KNOWN: &str = "there are yyyy, yy, MM, dd, HH, mm and ss, and M, d, H, m and s without a leading zero; \
                     text is to be put in single quotes";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Year,
    /// Its last two digits.
    YearOfCentury,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// With so many digits at least.
    Number(Field, usize),
}

/// A pattern that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

impl Pattern {
    /// # Errors
    /// What of the pattern has no meaning, and what there is.
    pub fn parse(mut rest: &str) -> Result<Pattern, String> {
        let mut parts = Vec::new();
        while let Some(first) = rest.chars().next() {
            let (part, length) = match first {
                '\'' => quoted(rest)?,
                letter if letter.is_ascii_alphabetic() => number(rest, letter)?,
                '[' | ']' | '{' | '}' | '#' => {
                    return Err(format!("{first:?} has a meaning for java.time and none here: {KNOWN}"));
                }
                other => (Part::Text(other.to_string()), other.len_utf8()),
            };
            parts.push(part);
            rest = &rest[length..];
        }
        Ok(Pattern(parts))
    }

    /// Appends what the pattern makes of a second since 1970, in local time.
    pub fn format(&self, second: i64, out: &mut String) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Number(field, digits) => {
                    let (value, width) = (field.of(second), *digits);
                    // Writing to a string does not fail.
                    let _ = write!(out, "{value:0width$}");
                }
            }
        }
    }
}

/// The quoted text that begins here, and how much of the pattern it is. Two quotes within it are one, as are two around nothing.
fn quoted(rest: &str) -> Result<(Part, usize), String> {
    let (mut text, mut from) = (String::new(), 1);
    while let Some(length) = rest[from..].find('\'') {
        text.push_str(&rest[from..from + length]);
        from += length + 1;
        if !rest[from..].starts_with('\'') {
            let text = if text.is_empty() { "'".to_string() } else { text };
            return Ok((Part::Text(text), from));
        }
        text.push('\'');
        from += 1;
    }
    Err(format!("the quote before {:?} does not end", &rest[1..]))
}

/// The letters that begin here, and how many there are.
fn number(rest: &str, letter: char) -> Result<(Part, usize), String> {
    let length = rest.len() - rest.trim_start_matches(letter).len();
    let field = match (letter, length) {
        ('y' | 'u', 2) => Field::YearOfCentury,
        ('y' | 'u', 1 | 4) => Field::Year,
        ('M', 1 | 2) => Field::Month,
        ('d', 1 | 2) => Field::Day,
        ('H', 1 | 2) => Field::Hour,
        ('m', 1 | 2) => Field::Minute,
        ('s', 1 | 2) => Field::Second,
        _ => return Err(format!("{:?} is not known: {KNOWN}", &rest[..length])),
    };
    Ok((Part::Number(field, length), length))
}

impl Field {
    fn of(self, second: i64) -> i64 {
        let (year, month, day) = civil(second.div_euclid(86_400));
        let of_day = second.rem_euclid(86_400);
        match self {
            Field::Year => year,
            Field::YearOfCentury => year.rem_euclid(100),
            Field::Month => month,
            Field::Day => day,
            Field::Hour => of_day / 3600,
            Field::Minute => of_day / 60 % 60,
            Field::Second => of_day % 60,
        }
    }
}

/// Year, month and day of a day since 1970-01-01, by the proleptic Gregorian calendar: years begin in March here, so that the
/// leap day is a year's last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-07T09:05:04Z.
    const SECOND: i64 = 1_772_874_304;

    fn formatted(pattern: &str) -> String {
        let mut text = String::new();
        Pattern::parse(pattern).unwrap().format(SECOND, &mut text);
        text
    }

    #[test]
    fn letters_quotes_and_everything_else_mean_what_they_mean_to_java() {
        assert_eq!(formatted("uuuu-MM-dd--HH"), "2026-03-07--09");
        assert_eq!(formatted("yy.M.d H:m:s"), "26.3.7 9:5:4");
        assert_eq!(formatted("y/MMdd/HHmmss"), "2026/0307/090504");
        assert_eq!(formatted("'dt='yyyy-MM-dd/'hour='HH"), "dt=2026-03-07/hour=09");
        assert_eq!(formatted("HH 'o''clock' ''''yy''"), "09 o'clock '26'");
        assert_eq!(formatted("dd_ä=%"), "07_ä=%");
    }

    #[test]
    fn what_has_no_meaning_is_named() {
        let refused = |pattern| Pattern::parse(pattern).unwrap_err();
        for (pattern, named) in
            [("dt=yyyy", "\"t\""), ("yyyy-MMM", "\"MMM\""), ("yyy", "\"yyy\""), ("YYYY", "\"YYYY\"")]
        {
            let reason = refused(pattern);
            assert!(reason.starts_with(named) && reason.contains("single quotes"), "{pattern}: {reason}");
        }
        assert!(refused("yyyy[-MM]").starts_with("'['"));
        assert_eq!(refused("yyyy 'dt"), "the quote before \"dt\" does not end");
    }
}
