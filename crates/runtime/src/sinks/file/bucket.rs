//! Into which directory under the output path a record goes.

use super::pattern::Pattern;

/// What is known of a record beside the record itself. Times in epoch milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketContext {
    /// The record's event time.
    pub timestamp: Option<i64>,
    /// Now.
    pub processing_time: i64,
}

/// Chooses the bucket of a record: a directory under the output path, with slashes for directories within directories. A
/// function from a record to a `String` is one.
pub trait BucketAssigner<T>: Clone + Send + 'static {
    /// Appends the bucket's name to an empty text; the output path itself if it stays empty.
    fn assign(&mut self, record: &T, context: &BucketContext, bucket: &mut String);
}

impl<T, F: FnMut(&T) -> String + Clone + Send + 'static> BucketAssigner<T> for F {
    fn assign(&mut self, record: &T, _context: &BucketContext, bucket: &mut String) {
        *bucket = self(record);
    }
}

/// Everything into the output path itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct BasePathBucketAssigner;

impl<T> BucketAssigner<T> for BasePathBucketAssigner {
    fn assign(&mut self, _record: &T, _context: &BucketContext, _bucket: &mut String) {}
}

/// By processing time: a bucket for every hour, `yyyy-MM-dd--HH`, or another pattern.
///
/// Times are UTC unless an offset is given: subtasks on machines with different settings must agree.
#[derive(Debug, Clone)]
pub struct DateTimeBucketAssigner {
    pattern: Pattern,
    offset_seconds: i64,
    event_time: bool,
    /// The second for which `text` holds.
    second: i64,
    text: String,
}

impl Default for DateTimeBucketAssigner {
    fn default() -> Self {
        DateTimeBucketAssigner::new("yyyy-MM-dd--HH")
    }
}

impl DateTimeBucketAssigner {
    /// Buckets by a pattern of java.time's `DateTimeFormatter`: `yyyy` (or `uuuu`), `yy` for its last two digits, `MM`, `dd`,
    /// `HH`, `mm` and `ss`; `M`, `d`, `H`, `m` and `s` for the same without a leading zero. Text in single quotes stands for itself
    /// (`'dt='yyyy-MM-dd`), as does everything that is neither a letter nor one of `[]{}#`; `''` is a quote.
    ///
    /// # Panics
    /// A pattern with other letters, which java.time knows or may know some day, or with a quote that does not end.
    #[track_caller]
    pub fn new(pattern: &str) -> Self {
        let pattern = match Pattern::parse(pattern) {
            Ok(parsed) => parsed,
            Err(reason) => panic!("the pattern {pattern:?} of a DateTimeBucketAssigner: {reason}"),
        };
        DateTimeBucketAssigner {
            pattern,
            offset_seconds: 0,
            event_time: false,
            second: i64::MIN,
            text: String::new(),
        }
    }

    /// Local time is this many seconds ahead of UTC.
    #[must_use]
    pub fn with_utc_offset(mut self, seconds: i32) -> Self {
        self.offset_seconds = i64::from(seconds);
        self
    }

    /// By the record's event time, where it has one.
    #[must_use]
    pub fn by_event_time(mut self) -> Self {
        self.event_time = true;
        self
    }
}

impl<T> BucketAssigner<T> for DateTimeBucketAssigner {
    fn assign(&mut self, _record: &T, context: &BucketContext, bucket: &mut String) {
        let event_time = context.timestamp.filter(|_| self.event_time);
        let millis = event_time.unwrap_or(context.processing_time);
        let second = millis.div_euclid(1000) + self.offset_seconds;
        if second != self.second {
            self.text.clear();
            self.pattern.format(second, &mut self.text);
            self.second = second;
        }
        bucket.push_str(&self.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(
        assigner: &mut impl BucketAssigner<u8>,
        timestamp: Option<i64>,
        processing_time: i64,
    ) -> String {
        let mut bucket = String::new();
        assigner.assign(&1, &BucketContext { timestamp, processing_time }, &mut bucket);
        bucket
    }

    #[test]
    fn a_bucket_is_named_by_the_calendar() {
        let mut hourly = DateTimeBucketAssigner::default();
        assert_eq!(bucket(&mut hourly, None, 951_782_400_000), "2000-02-29--00");
        assert_eq!(bucket(&mut hourly, Some(0), 1_795_256_999_999), "2026-11-21--10");
        let mut nested = DateTimeBucketAssigner::new("'dt='yyyyMMdd/HHmm.ss").with_utc_offset(-3600);
        assert_eq!(bucket(&mut nested, None, 0), "dt=19691231/2300.00");
        assert_eq!(bucket(&mut hourly.by_event_time(), Some(-1), 5), "1969-12-31--23");
        assert_eq!(bucket(&mut |n: &u8| format!("n={n}"), None, 5), "n=1");
    }

    #[test]
    #[should_panic(expected = "the pattern \"dt=yyyy\" of a DateTimeBucketAssigner: \"t\"")]
    fn a_pattern_that_means_nothing_is_refused_where_it_is_given() {
        DateTimeBucketAssigner::new("dt=yyyy");
    }
}
