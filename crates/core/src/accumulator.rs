//! Accumulators: what subtasks count, and how the counts of many become one.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The value of an accumulator in one subtask, or merged over many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value")]
pub enum Accumulator {
    /// A sum of integers; Flink prints its type as `java.lang.Long`.
    LongCounter(i64),
    /// A sum of floating point numbers.
    DoubleCounter(f64),
    /// The smallest integer seen.
    LongMinimum(i64),
    /// The largest integer seen.
    LongMaximum(i64),
    /// Values in the order of arrival, each as text.
    List(Vec<String>),
    /// How often each integer was seen.
    Histogram(BTreeMap<i64, u64>),
}

/// Accumulators whose names begin so are the engine's own and not shown.
pub const INTERNAL_PREFIX: &str = "$internal.";

/// What the names of metrics of user code begin with: they travel beside accumulators, as
/// `<prefix><operator>.<group>.<name>`.
pub const METRIC_PREFIX: &str = "$internal.metric.";

/// Accumulators by name.
pub type Accumulators = BTreeMap<String, Accumulator>;

/// What a subtask that has finished leaves for the result of its job: the lists among the engine's own accumulators.
pub type Results = BTreeMap<String, Vec<String>>;

/// What of these accumulators is a part of the job's result, and not only a count.
pub fn results_in(accumulators: &Accumulators) -> Results {
    let result = |(name, value): (&String, &Accumulator)| match value {
        Accumulator::List(values) if name.starts_with(INTERNAL_PREFIX) && !values.is_empty() => {
            Some((name.clone(), values.clone()))
        }
        _ => None,
    };
    accumulators.iter().filter_map(result).collect()
}

/// Adds what finished subtasks have left to the accumulators of a job.
pub fn merge_results(total: &mut Accumulators, results: &Results) {
    for (name, values) in results {
        let part = Accumulator::List(values.clone());
        merge_into(total, &Accumulators::from([(name.clone(), part)]));
    }
}

impl Accumulator {
    /// Adds the value of another subtask. Of two kinds under one name the first one stays.
    pub fn merge(&mut self, other: &Accumulator) {
        match (self, other) {
            (Accumulator::LongCounter(a), Accumulator::LongCounter(b)) => *a = a.wrapping_add(*b),
            (Accumulator::DoubleCounter(a), Accumulator::DoubleCounter(b)) => *a += b,
            (Accumulator::LongMinimum(a), Accumulator::LongMinimum(b)) => *a = (*a).min(*b),
            (Accumulator::LongMaximum(a), Accumulator::LongMaximum(b)) => *a = (*a).max(*b),
            (Accumulator::List(a), Accumulator::List(b)) => a.extend(b.iter().cloned()),
            (Accumulator::Histogram(a), Accumulator::Histogram(b)) => {
                for (value, count) in b {
                    *a.entry(*value).or_default() += count;
                }
            }
            _ => {}
        }
    }

    /// The Java class name under which Flink's users know this kind.
    pub fn java_type(&self) -> &'static str {
        match self {
            Accumulator::LongCounter(_) | Accumulator::LongMinimum(_) | Accumulator::LongMaximum(_) => {
                "java.lang.Long"
            }
            Accumulator::DoubleCounter(_) => "java.lang.Double",
            Accumulator::List(_) => "java.util.ArrayList",
            Accumulator::Histogram(_) => "java.util.TreeMap",
        }
    }
}

/// The accumulators that are shown: the engine's own are left out.
pub fn shown(all: &Accumulators) -> impl Iterator<Item = (&String, &Accumulator)> {
    all.iter().filter(|(name, _)| !name.starts_with(INTERNAL_PREFIX))
}

/// Merges the accumulators of one subtask into a total.
pub fn merge_into(total: &mut Accumulators, part: &Accumulators) {
    for (name, value) in part {
        match total.get_mut(name) {
            Some(sum) => sum.merge(value),
            None => {
                total.insert(name.clone(), value.clone());
            }
        }
    }
}
