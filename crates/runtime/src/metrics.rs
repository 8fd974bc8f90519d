//! Metrics of user code: counters, gauges, meters and histograms, by name within an operator.
//!
//! They are read when the task reports, and travel beside its accumulators under an internal name, so they cost user code an
//! atomic operation, or for histograms an uncontended lock.

use crate::task::lock;
use kvick_core::accumulator::{Accumulator, Accumulators, METRIC_PREFIX};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What the names of metrics begin with among the accumulators of a task: `<prefix><operator>.<group>.<name>`.
pub fn metric_prefix() -> String {
    METRIC_PREFIX.to_string()
}

/// The longest that a part of a metric's name that comes from an operator may be (Flink's `METRIC_OPERATOR_NAME_MAX_LENGTH`).
const LONGEST_OPERATOR: usize = 80;

/// A part of a metric's name as Flink's REST API has it: what would cut the name into other parts becomes `_`
/// (`MetricQueryService.replaceInvalidChars`).
fn part(name: &str) -> String {
    name.replace([' ', '.', ':', ','], "_")
}

/// Over which span a meter's rate is taken.
const RATE_SPAN: Duration = Duration::from_secs(60);

/// How many values a histogram remembers.
const HISTOGRAM_VALUES: usize = 1024;

/// Counts up and down.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicI64>);

impl Counter {
    /// One more.
    #[inline]
    pub fn inc(&self) {
        self.inc_by(1);
    }

    /// So many more.
    #[inline]
    pub fn inc_by(&self, count: i64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// One less.
    #[inline]
    pub fn dec(&self) {
        self.inc_by(-1);
    }

    /// The count.
    pub fn count(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts events, and tells how many there are in a second.
#[derive(Debug, Clone)]
pub struct Meter {
    count: Counter,
    samples: Arc<Mutex<VecDeque<(Instant, i64)>>>,
}

impl Default for Meter {
    fn default() -> Self {
        Meter {
            count: Counter::default(),
            samples: Arc::new(Mutex::new(VecDeque::from([(Instant::now(), 0)]))),
        }
    }
}

impl Meter {
    /// An event.
    #[inline]
    pub fn mark_event(&self) {
        self.count.inc();
    }

    /// So many events.
    #[inline]
    pub fn mark_events(&self, count: i64) {
        self.count.inc_by(count);
    }

    /// Number of events.
    pub fn count(&self) -> i64 {
        self.count.count()
    }

    /// Events per second, over the last minute or since the beginning.
    pub fn rate(&self) -> f64 {
        let (now, count) = (Instant::now(), self.count());
        let mut samples = lock(&self.samples);
        samples.push_back((now, count));
        // The oldest sample kept is the youngest that is at least the span old.
        while samples.get(1).is_some_and(|(at, _)| now - *at >= RATE_SPAN) {
            samples.pop_front();
        }
        let (since, before) = samples.front().copied().unwrap_or((now, count));
        let seconds = (now - since).as_secs_f64();
        if seconds > 0.0 { (count - before) as f64 / seconds } else { 0.0 }
    }
}

/// Remembers the last values.
#[derive(Debug, Clone, Default)]
pub struct Histogram(Arc<Mutex<VecDeque<i64>>>);

impl Histogram {
    /// Adds a value.
    pub fn update(&self, value: i64) {
        let mut values = lock(&self.0);
        if values.len() == HISTOGRAM_VALUES {
            values.pop_front();
        }
        values.push_back(value);
    }

    /// How often each of the last values was seen.
    pub fn values(&self) -> BTreeMap<i64, u64> {
        let mut counts = BTreeMap::new();
        lock(&self.0).iter().for_each(|value| *counts.entry(*value).or_default() += 1);
        counts
    }
}

type GaugeFn = Arc<dyn Fn() -> f64 + Send + Sync>;

#[derive(Clone)]
enum Metric {
    Counter(Counter),
    Gauge(GaugeFn),
    Meter(Meter),
    Histogram(Histogram),
}

/// The metrics of one task, by whole name.
#[derive(Default)]
pub struct MetricRegistry(Mutex<BTreeMap<String, Metric>>);

impl std::fmt::Debug for MetricRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(lock(&self.0).keys()).finish()
    }
}

impl MetricRegistry {
    /// The metric of a name; the first of a name stays, whatever its kind.
    fn get(&self, name: String, metric: Metric) -> Metric {
        lock(&self.0).entry(name).or_insert(metric).clone()
    }

    /// Adds the values to a report.
    pub fn report(&self, into: &mut Accumulators) {
        for (name, metric) in lock(&self.0).iter() {
            let mut put = |suffix: &str, value| {
                into.insert(format!("{METRIC_PREFIX}{name}{suffix}"), value);
            };
            match metric {
                Metric::Counter(counter) => put("", Accumulator::LongCounter(counter.count())),
                Metric::Gauge(gauge) => put("", Accumulator::DoubleCounter(gauge())),
                Metric::Meter(meter) => {
                    put("", Accumulator::DoubleCounter(meter.rate()));
                    put(".count", Accumulator::LongCounter(meter.count()));
                }
                Metric::Histogram(histogram) => put("", Accumulator::Histogram(histogram.values())),
            }
        }
    }
}

/// The metrics of an operator, or of a group within it.
#[derive(Debug, Clone)]
pub struct MetricGroup {
    registry: Arc<MetricRegistry>,
    scope: String,
}

impl MetricGroup {
    /// The metrics of an operator of this name.
    pub fn new(registry: Arc<MetricRegistry>, operator: &str) -> MetricGroup {
        let operator: String = operator.chars().take(LONGEST_OPERATOR).collect();
        MetricGroup { registry, scope: part(&operator) }
    }

    /// A group within this one.
    #[must_use]
    pub fn add_group(&self, name: &str) -> MetricGroup {
        MetricGroup { registry: Arc::clone(&self.registry), scope: format!("{}.{}", self.scope, part(name)) }
    }

    fn get(&self, name: &str, metric: Metric) -> Metric {
        self.registry.get(format!("{}.{}", self.scope, part(name)), metric)
    }

    /// A counter. Of one name there is one metric in a group; a name that was given to another kind is counted unseen.
    pub fn counter(&self, name: &str) -> Counter {
        let new = Counter::default();
        match self.get(name, Metric::Counter(new.clone())) {
            Metric::Counter(known) => known,
            _ => new,
        }
    }

    /// A value that is asked for when it is reported.
    pub fn gauge(&self, name: &str, value: impl Fn() -> f64 + Send + Sync + 'static) {
        self.get(name, Metric::Gauge(Arc::new(value)));
    }

    /// A meter.
    pub fn meter(&self, name: &str) -> Meter {
        let new = Meter::default();
        match self.get(name, Metric::Meter(new.clone())) {
            Metric::Meter(known) => known,
            _ => new,
        }
    }

    /// A histogram.
    pub fn histogram(&self, name: &str) -> Histogram {
        let new = Histogram::default();
        match self.get(name, Metric::Histogram(new.clone())) {
            Metric::Histogram(known) => known,
            _ => new,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_reported_by_operator_group_and_name() {
        let registry = Arc::new(MetricRegistry::default());
        let group = MetricGroup::new(Arc::clone(&registry), "Source: map").add_group("parser");
        group.counter("errors").inc_by(3);
        group.counter("errors").dec();
        group.gauge("load", || 0.5);
        group.meter("lines").mark_events(7);
        [5, 5, 9].iter().for_each(|value| group.histogram("length").update(*value));
        let mut report = Accumulators::new();
        registry.report(&mut report);
        let of = |name: &str| report.get(&format!("{}Source__map.parser.{name}", metric_prefix())).cloned();
        assert_eq!(of("errors"), Some(Accumulator::LongCounter(2)));
        assert_eq!(of("load"), Some(Accumulator::DoubleCounter(0.5)));
        assert_eq!(of("lines.count"), Some(Accumulator::LongCounter(7)));
        assert_eq!(of("length"), Some(Accumulator::Histogram(BTreeMap::from([(5, 2), (9, 1)]))));
    }
}
