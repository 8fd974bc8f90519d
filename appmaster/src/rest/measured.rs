//! Measured values: how a scope's names and values are answered, and how those of many members are aggregated.

use super::Answer;
use super::error::RestError;
use axum::Json;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A measured value.
#[derive(Debug, Clone, PartialEq)]
pub enum Measured {
    /// A count, an instant or a span.
    Whole(i64),
    /// A rate.
    Real(f64),
    /// Anything else; it is not aggregated.
    Text(String),
}

impl Measured {
    fn text(&self) -> String {
        match self {
            Measured::Whole(n) => n.to_string(),
            Measured::Real(x) => format!("{x:?}"),
            Measured::Text(text) => text.clone(),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Measured::Whole(n) => Some(*n as f64),
            Measured::Real(x) => Some(*x),
            Measured::Text(_) => None,
        }
    }
}

/// Names and values.
pub type Metrics = Vec<(String, Measured)>;

/// A metric that counts.
pub fn whole(name: &str, value: u64) -> (String, Measured) {
    (name.to_string(), Measured::Whole(i64::try_from(value).unwrap_or(i64::MAX)))
}

/// A metric that is a rate.
pub fn real(name: &str, value: f64) -> (String, Measured) {
    (name.to_string(), Measured::Real(value))
}

/// Query of a scope.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    /// Names, separated by commas; without it the names that there are are listed.
    get: Option<String>,
}

/// Query of an aggregating scope.
#[derive(Debug, Deserialize)]
pub struct Aggregates {
    get: Option<String>,
    agg: Option<String>,
    /// Only these jobs.
    #[serde(default)]
    pub jobs: String,
    /// Only these task executors.
    #[serde(default)]
    pub taskmanagers: String,
    /// Only these subtasks, `0,2-3`.
    #[serde(default)]
    pub subtasks: String,
}

/// The answer of a scope.
pub fn answer(metrics: &Metrics, wanted: &Wanted) -> Json<Value> {
    let Some(names) = &wanted.get else { return Json(names_of(metrics.iter())) };
    let asked: Vec<&str> = names.split(',').collect();
    let found = metrics.iter().filter(|(name, _)| asked.contains(&name.as_str()));
    Json(found.map(|(name, value)| json!({ "id": name, "value": value.text() })).collect())
}

fn names_of<'a>(metrics: impl Iterator<Item = &'a (String, Measured)>) -> Value {
    let mut names: Vec<&str> = metrics.map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| json!({ "id": name })).collect()
}

/// The aggregations that Flink knows.
const AGGREGATIONS: [&str; 5] = ["min", "max", "avg", "sum", "skew"];

/// The answer of an aggregating scope over its members.
///
/// # Errors
/// 400 for an aggregation that Flink does not know.
pub fn aggregate(members: &[Metrics], query: &Aggregates) -> Answer {
    let Some(names) = &query.get else { return Ok(Json(names_of(members.iter().flatten()))) };
    let wanted: Vec<&str> = query.agg.as_deref().map_or(AGGREGATIONS.to_vec(), |a| a.split(',').collect());
    if let Some(unknown) = wanted.iter().find(|a| !AGGREGATIONS.contains(a)) {
        return Err(RestError::query_parameter("agg", unknown));
    }
    let aggregated = names.split(',').filter_map(|name| {
        let of_name = members.iter().flatten().filter(|(n, _)| n == name);
        let values: Vec<f64> = of_name.filter_map(|(_, value)| value.number()).collect();
        (!values.is_empty()).then(|| aggregated(name, &values, &wanted))
    });
    Ok(Json(aggregated.collect()))
}

fn aggregated(name: &str, values: &[f64], wanted: &[&str]) -> Value {
    let sum: f64 = values.iter().sum();
    let avg = sum / values.len() as f64;
    let mut fields = Map::from_iter([("id".to_string(), json!(name))]);
    for aggregation in wanted {
        let value = match *aggregation {
            "min" => values.iter().copied().fold(f64::INFINITY, f64::min),
            "max" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            "avg" => avg,
            "sum" => sum,
            _ => skew(values, avg),
        };
        fields.insert((*aggregation).to_string(), json!(value));
    }
    Value::Object(fields)
}

/// The mean distance from the average, in per cent of it.
fn skew(values: &[f64], avg: f64) -> f64 {
    if avg == 0.0 {
        return 0.0;
    }
    let distance: f64 = values.iter().map(|v| (v - avg).abs()).sum();
    distance / values.len() as f64 / avg.abs() * 100.0
}

/// The parts of a list with commas.
pub fn listed(filter: &str) -> Vec<&str> {
    filter.split(',').filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(get: &str, agg: Option<&str>) -> Aggregates {
        let none = String::new;
        Aggregates {
            get: Some(get.to_string()),
            agg: agg.map(str::to_string),
            jobs: none(),
            taskmanagers: none(),
            subtasks: none(),
        }
    }

    #[test]
    fn aggregation_over_two_subtasks_gives_the_numbers_of_flink() {
        let members = [vec![whole("n", 37_600)], vec![whole("n", 37_608)]];
        let Json(all) = aggregate(&members, &query("n", None)).unwrap();
        let expected = json!([{ "id": "n", "min": 37_600.0, "max": 37_608.0, "avg": 37_604.0, "sum": 75_208.0,
            "skew": 0.010_637_166_258_908_625 }]);
        assert_eq!(all, expected);
        let Json(max) = aggregate(&members, &query("n,unknown", Some("max"))).unwrap();
        assert_eq!(max, json!([{ "id": "n", "max": 37_608.0 }]));
    }

    #[test]
    fn an_unknown_aggregation_is_refused() {
        let error = aggregate(&[], &query("n", Some("median"))).err().unwrap();
        assert!(error.message.contains("(agg) from value \"median\""), "{error}");
    }
}
