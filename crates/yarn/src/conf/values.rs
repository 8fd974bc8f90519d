//! The text forms of typed values. Owns grammar only.

use std::time::Duration;

/// `Configuration.getBoolean`.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// `Configuration.getLong`: decimal, or hexadecimal after `0x`.
pub(super) fn integer(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `Configuration.getTimeDuration`.
pub(super) fn duration(text: &str, unit: Duration) -> Option<Duration> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let unit = match suffix.trim() {
        "" => unit,
        "ns" => Duration::from_nanos(1),
        "us" => Duration::from_micros(1),
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        "d" => Duration::from_secs(86400),
        _ => return None,
    };
    let nanos = u128::from(number.parse::<u64>().ok()?).checked_mul(unit.as_nanos())?;
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, (nanos % 1_000_000_000) as u32))
}

/// `host:port`; brackets around an IPv6 address are dropped.
pub(super) fn address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.trim().rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then_some(())?;
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_have_units_or_take_the_keys() {
        let ms = Duration::from_millis(1);
        assert_eq!(duration("1500", ms), Some(Duration::from_millis(1500)));
        assert_eq!(duration(" 2 h ", ms), Some(Duration::from_secs(7200)));
        assert_eq!(duration("30S", ms), Some(Duration::from_secs(30)));
        for bad in ["", "s", "-1", "1w", "1.5s", "99999999999999999999d"] {
            assert_eq!(duration(bad, ms), None, "{bad}");
        }
    }

    #[test]
    fn numbers_may_be_hexadecimal() {
        assert_eq!((integer("0x10"), integer(" 10 "), integer("ten")), (Some(16), Some(10), None));
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let _ = (boolean(&text), integer(&text), duration(&text, Duration::from_secs(1)), address(&text));
        }
    }
}
