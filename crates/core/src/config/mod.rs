//! Configuration: flat keys and values, as in `flink-conf.yaml`, `-D` and the REST API.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Keys and values, flat, in key order. Values stay text until an option gives them a type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Configuration(pub BTreeMap<String, String>);

impl Configuration {
    /// The raw value of a key.
    pub fn raw(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Sets a key, replacing what it had.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }

    /// Puts another configuration over this one: its keys win.
    pub fn overlay(&mut self, stronger: &Configuration) {
        self.0.extend(stronger.0.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
}
