//! The types of option values and their text forms: numbers, memory sizes, durations, lists.
//!
//! Knows no key. The syntaxes are Flink's (`MemorySize.parse`, `TimeUtils.parseDuration`, `ConfigurationUtils`).

use super::{BackendKind, PortRange};
use crate::graph::RuntimeMode;
use std::fmt;
use std::time::Duration;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct MemorySize(pub u64);

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

impl MemorySize {
    /// That many mebibytes.
    pub const fn mib(mebibytes: u64) -> MemorySize {
        MemorySize(mebibytes * MIB)
    }

    /// Whole mebibytes, rounded down.
    pub const fn to_mib(self) -> u64 {
        self.0 / MIB
    }

    /// Reads `123`, `64k`, `1600m`, `2 gb`, …; a number without unit is multiplied by `bare` bytes.
    pub fn parse_with(text: &str, bare: u64) -> Option<MemorySize> {
        let (number, unit) = number_and_unit(text)?;
        let factor = match unit.as_str() {
            "" => bare,
            "b" | "bytes" => 1,
            "k" | "kb" | "kibibytes" => KIB,
            "m" | "mb" | "mebibytes" => MIB,
            "g" | "gb" | "gibibytes" => GIB,
            "t" | "tb" | "tebibytes" => TIB,
            _ => return None,
        };
        number.checked_mul(factor).map(MemorySize)
    }
}

impl fmt::Display for MemorySize {
    /// `128.000mb (134217728 bytes)`, as Flink's messages show sizes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            bytes if bytes >= TIB => (TIB, "tb"),
            bytes if bytes >= GIB => (GIB, "gb"),
            bytes if bytes >= MIB => (MIB, "mb"),
            bytes if bytes >= KIB => (KIB, "kb"),
            bytes => return write!(f, "{bytes} bytes"),
        };
        // Exact up to 2^53 bytes, and only shown.
        write!(f, "{:.3}{name} ({} bytes)", self.0 as f64 / unit as f64, self.0)
    }
}

fn number_and_unit(text: &str) -> Option<(u64, String)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..digits].parse().ok()?;
    Some((number, text[digits..].trim().to_ascii_lowercase()))
}

/// Reads `3s`, `500 ms`, `1 min`, `2 h`, `1 d`, …; a bare number is milliseconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs);
    match unit.as_str() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => {
            Some(Duration::from_millis(number))
        }
        "s" | "sec" | "secs" | "second" | "seconds" => seconds(1),
        "m" | "min" | "minute" | "minutes" => seconds(60),
        "h" | "hour" | "hours" => seconds(3600),
        "d" | "day" | "days" => seconds(86400),
        "µs" | "us" | "micro" | "micros" | "microsecond" | "microseconds" => {
            Some(Duration::from_micros(number))
        }
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// The form that a value must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A whole number that is not negative.
    Count,
    /// A decimal number.
    Float,
    /// Anything.
    Text,
    /// Texts separated by `;`.
    List,
    /// A memory size.
    Memory,
    /// A duration.
    Duration,
    /// Ports and ranges of ports.
    Ports,
    /// `STREAMING`, `BATCH` or `AUTOMATIC`.
    RuntimeMode,
    /// A name of a state backend.
    StateBackend,
}

impl ValueKind {
    /// What a value must be, for messages.
    pub const fn expected(self) -> &'static str {
        match self {
            ValueKind::Bool => "true or false",
            ValueKind::Int => "a whole number",
            ValueKind::Count => "a whole number that is not negative",
            ValueKind::Float => "a decimal number",
            ValueKind::Text => "text",
            ValueKind::List => "texts separated by ';'",
            ValueKind::Memory => "a memory size such as 64k, 1600m or 2g (a bare number is bytes)",
            ValueKind::Duration => {
                "a duration such as 500ms, 10 s, 1 min or 2h (a bare number is milliseconds)"
            }
            ValueKind::Ports => "a port, a range such as 50100-50200, or a list of both separated by ','",
            ValueKind::RuntimeMode => "STREAMING, BATCH or AUTOMATIC",
            ValueKind::StateBackend => {
                "hashmap or rocksdb (or the name of Flink's factory of either; state backends of one's own cannot be loaded)"
            }
        }
    }

    /// Whether a text has this form.
    pub fn accepts(self, text: &str) -> bool {
        match self {
            ValueKind::Bool => bool::parse(text).is_some(),
            ValueKind::Int => i64::parse(text).is_some(),
            ValueKind::Count => u64::parse(text).is_some(),
            ValueKind::Float => f64::parse(text).is_some(),
            ValueKind::Text | ValueKind::List => true,
            ValueKind::Memory => MemorySize::parse(text).is_some(),
            ValueKind::Duration => parse_duration(text).is_some(),
            ValueKind::Ports => PortRange::parse(text).is_some(),
            ValueKind::RuntimeMode => RuntimeMode::parse(text).is_some(),
            ValueKind::StateBackend => BackendKind::parse(text).is_some(),
        }
    }
}

/// A type that an option's value can have.
pub trait ConfigValue: Sized {
    /// The form of its text.
    const KIND: ValueKind;

    /// Reads the text; `None` if it is not of this form.
    fn parse(text: &str) -> Option<Self>;

    /// The value of an option that is not set and has no default: only `Option` has one.
    fn absent() -> Option<Self> {
        None
    }
}

macro_rules! parsed_from_str {
    ($($type:ty => $kind:ident),*) => {$(
        impl ConfigValue for $type {
            const KIND: ValueKind = ValueKind::$kind;

            fn parse(text: &str) -> Option<Self> {
                text.trim().parse().ok()
            }
        }
    )*};
}

parsed_from_str!(i32 => Int, i64 => Int, u16 => Count, u32 => Count, u64 => Count, String => Text);

impl ConfigValue for bool {
    const KIND: ValueKind = ValueKind::Bool;

    fn parse(text: &str) -> Option<bool> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
}

impl ConfigValue for f64 {
    const KIND: ValueKind = ValueKind::Float;

    fn parse(text: &str) -> Option<f64> {
        text.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }
}

impl ConfigValue for Vec<String> {
    const KIND: ValueKind = ValueKind::List;

    fn parse(text: &str) -> Option<Vec<String>> {
        Some(text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_string).collect())
    }
}

impl ConfigValue for MemorySize {
    const KIND: ValueKind = ValueKind::Memory;

    fn parse(text: &str) -> Option<MemorySize> {
        MemorySize::parse_with(text, 1)
    }
}

impl ConfigValue for Duration {
    const KIND: ValueKind = ValueKind::Duration;

    fn parse(text: &str) -> Option<Duration> {
        parse_duration(text)
    }
}

impl ConfigValue for RuntimeMode {
    const KIND: ValueKind = ValueKind::RuntimeMode;

    /// `AUTOMATIC` is streaming here; whether every source is bounded is known only to the program.
    fn parse(text: &str) -> Option<RuntimeMode> {
        match text.trim().to_ascii_uppercase().as_str() {
            "STREAMING" | "AUTOMATIC" => Some(RuntimeMode::Streaming),
            "BATCH" => Some(RuntimeMode::Batch),
            _ => None,
        }
    }
}

impl<T: ConfigValue> ConfigValue for Option<T> {
    const KIND: ValueKind = T::KIND;

    fn parse(text: &str) -> Option<Option<T>> {
        T::parse(text).map(Some)
    }

    fn absent() -> Option<Option<T>> {
        Some(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_sizes_have_units_of_1024_and_default_to_bytes() {
        let sizes = [
            ("123", 123),
            ("64k", 65536),
            ("1600m", 1600 << 20),
            ("2 GB", 2 << 30),
            ("1tb", 1 << 40),
            ("7b", 7),
        ];
        for (text, bytes) in sizes {
            assert_eq!(MemorySize::parse(text), Some(MemorySize(bytes)), "{text}");
        }
        assert_eq!(MemorySize::parse_with("1024", 1 << 20), Some(MemorySize::mib(1024)));
        for text in ["", "m", "1.5g", "-1m", "12x", "99999999999t"] {
            assert_eq!(MemorySize::parse(text), None, "{text}");
        }
    }

    #[test]
    fn durations_have_flinks_units_and_default_to_milliseconds() {
        let cases = [("500", 500), ("3s", 3000), ("500 ms", 500), ("1 min", 60_000), ("2 h", 7_200_000)];
        for (text, millis) in cases {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse_duration("1 d"), Some(Duration::from_secs(86400)));
        assert_eq!(parse_duration("soon"), None);
    }

    #[test]
    fn sizes_are_shown_as_flink_shows_them() {
        let shown = |bytes| MemorySize(bytes).to_string();
        assert_eq!(shown(0), "0 bytes");
        assert_eq!(shown(134_217_728), "128.000mb (134217728 bytes)");
        assert_eq!(shown(107_374_184), "102.400mb (107374184 bytes)");
        assert_eq!(shown(17_179_869_184), "16.000gb (17179869184 bytes)");
    }
}
