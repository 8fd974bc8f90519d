//! Metrics of user code under the names that Flink's REST API gives them: `<operator>.<group>.<name>`, behind which a
//! histogram has its statistics (`_min`, `_p99`, …, as `MetricStore` names them) and a meter is its rate.
//!
//! They come with the accumulators of a task (`kvick_core::accumulator::METRIC_PREFIX`).

use super::measured::{Measured, Metrics};
use kvick_core::accumulator::{Accumulator, Accumulators, METRIC_PREFIX};
use std::collections::BTreeMap;

/// The quantiles of a histogram that are shown.
const QUANTILES: [(&str, f64); 7] = [
    ("_median", 0.5),
    ("_p75", 0.75),
    ("_p90", 0.9),
    ("_p95", 0.95),
    ("_p98", 0.98),
    ("_p99", 0.99),
    ("_p999", 0.999),
];

/// The metrics of user code in one subtask.
pub fn of(accumulators: &Accumulators) -> Metrics {
    let named = accumulators.range(METRIC_PREFIX.to_string()..);
    let named = named.map_while(|(name, value)| Some((name.strip_prefix(METRIC_PREFIX)?, value)));
    named.flat_map(|(name, value)| measured(name, value)).collect()
}

fn measured(name: &str, value: &Accumulator) -> Metrics {
    let one = |measured| vec![(name.to_string(), measured)];
    match value {
        Accumulator::LongCounter(n) | Accumulator::LongMinimum(n) | Accumulator::LongMaximum(n) => {
            one(Measured::Whole(*n))
        }
        Accumulator::DoubleCounter(x) => one(Measured::Real(*x)),
        Accumulator::Histogram(counts) => statistics(name, counts),
        // No metric is a list.
        Accumulator::List(_) => Metrics::new(),
    }
}

/// What is said of the values that a histogram remembers; zeros where there are none.
fn statistics(name: &str, counts: &BTreeMap<i64, u64>) -> Metrics {
    let total: u64 = counts.values().sum();
    let of_values = |weigh: &dyn Fn(f64) -> f64| {
        let sum: f64 = counts.iter().map(|(value, count)| weigh(*value as f64) * *count as f64).sum();
        if total == 0 { 0.0 } else { sum / total as f64 }
    };
    let mean = of_values(&|value| value);
    let deviation = of_values(&|value| (value - mean).powi(2)).sqrt();
    let end = |key: Option<&i64>| Measured::Whole(key.copied().unwrap_or_default());
    let named = |suffix: &str, value| (format!("{name}{suffix}"), value);
    let mut all = vec![
        named("_count", Measured::Whole(i64::try_from(total).unwrap_or(i64::MAX))),
        named("_min", end(counts.keys().next())),
        named("_max", end(counts.keys().next_back())),
        named("_mean", Measured::Real(mean)),
        named("_stddev", Measured::Real(deviation)),
    ];
    all.extend(
        QUANTILES.map(|(suffix, share)| named(suffix, Measured::Real(quantile(counts, total, share)))),
    );
    all
}

/// The smallest value that is not exceeded by this share of all.
fn quantile(counts: &BTreeMap<i64, u64>, total: u64, share: f64) -> f64 {
    let rank = (share * total as f64).ceil() as u64;
    let mut seen = 0;
    let found = counts.iter().find(|(_, count)| {
        seen += **count;
        seen >= rank
    });
    found.map_or(0.0, |(value, _)| *value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(metrics: &Metrics, name: &str) -> Option<Measured> {
        metrics.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn every_kind_is_shown_under_the_name_that_flink_gives_it() {
        let named = |name: &str| format!("{METRIC_PREFIX}{name}");
        let values = (1..=100).map(|value| (value, 1)).collect();
        let all = of(&Accumulators::from([
            ("rows".to_string(), Accumulator::LongCounter(9)),
            (named("Map.errors"), Accumulator::LongCounter(3)),
            (named("Map.load"), Accumulator::DoubleCounter(0.5)),
            (named("Map.parser.length"), Accumulator::Histogram(values)),
        ]));
        assert_eq!(value(&all, "rows"), None, "an accumulator is no metric");
        assert_eq!(value(&all, "Map.errors"), Some(Measured::Whole(3)));
        assert_eq!(value(&all, "Map.load"), Some(Measured::Real(0.5)));
        let of_length = |statistic: &str| value(&all, &format!("Map.parser.length_{statistic}"));
        assert_eq!(of_length("count"), Some(Measured::Whole(100)));
        assert_eq!(
            (of_length("min"), of_length("max")),
            (Some(Measured::Whole(1)), Some(Measured::Whole(100)))
        );
        assert_eq!(
            (of_length("mean"), of_length("p99")),
            (Some(Measured::Real(50.5)), Some(Measured::Real(99.0)))
        );
        let Some(Measured::Real(deviation)) = of_length("stddev") else { panic!("no deviation") };
        assert!((deviation - 28.866).abs() < 0.001, "{deviation}");
    }

    #[test]
    fn a_histogram_without_values_is_zero_everywhere() {
        let all = measured("Map.length", &Accumulator::Histogram(BTreeMap::new()));
        assert_eq!(all.len(), 12);
        assert!(all.iter().all(|(_, v)| matches!(v, Measured::Whole(0) | Measured::Real(0.0))), "{all:?}");
    }
}
