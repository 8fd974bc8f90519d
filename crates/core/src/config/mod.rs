//! Configuration: flat keys and values, as in `flink-conf.yaml`, `-D` and the REST API.
//!
//! [`Configuration`] holds text. An option of [`options`] gives a key its type, default and documentation; [`Layers`]
//! puts layers over each other and remembers where a value came from; [`check()`] finds mistyped keys and bad values;
//! [`memory`] derives the sizes of containers and what is in them. Nothing here reads a file or an environment.

mod check;
mod flat;
pub mod memory;
pub mod options;
mod ports;
mod resolve;
mod state_backend;
mod value;

pub use check::{Finding, check, check_values, edit_distance, is_secret, shown};
pub use flat::{FlatEntry, parse_flat};
pub use ports::PortRange;
pub use resolve::{Layers, Origin};
pub use state_backend::BackendKind;
pub use value::{ConfigValue, MemorySize, ValueKind, parse_duration};

use options::{ConfigOption, OptionInfo};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Keys and values, flat, in key order. Values stay text until an option gives them a type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Configuration(pub BTreeMap<String, String>);

/// A value that is not of its option's type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Could not parse value '{value}' for key '{key}': expected {expected}.")]
pub struct ConfigError {
    /// The key under which the value stands: the option's own, or an older name of it.
    pub key: String,
    /// The value; masked where the key names a secret.
    pub value: String,
    /// What would have been right.
    pub expected: &'static str,
}

impl Configuration {
    /// The raw value of a key.
    pub fn raw(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Sets a key, replacing what it had.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }

    /// Puts another configuration over this one: its keys win, also over other names of the same option here, so that
    /// `-D restart-strategy=none` wins over a file's `restart-strategy.type`.
    pub fn overlay(&mut self, stronger: &Configuration) {
        for key in stronger.0.keys() {
            for other in options::names_beside(key).filter(|other| stronger.raw(other).is_none()) {
                self.0.remove(other);
            }
        }
        self.0.extend(stronger.0.iter().map(|(k, v)| (k.clone(), v.clone())));
    }

    /// The value of an option, or its default. An `Option<T>` option is `None` where nothing is set.
    ///
    /// # Errors
    /// The value is not of the option's type.
    pub fn get<T: ConfigValue>(&self, option: &ConfigOption<T>) -> Result<T, ConfigError> {
        let (key, text) = match self.entry(&option.info) {
            Some(entry) => entry,
            None => match option.info.default {
                Some(default) => (option.info.key, default),
                None => return T::absent().ok_or_else(|| bad::<T>(option.info.key, "")),
            },
        };
        T::parse(text).ok_or_else(|| bad::<T>(key, text))
    }

    /// Whether an option is set, under its key or an older name of it.
    pub fn is_set<T>(&self, option: &ConfigOption<T>) -> bool {
        self.entry(&option.info).is_some()
    }

    /// Sets an option from text.
    pub fn set_option<T>(&mut self, option: &ConfigOption<T>, value: impl Into<String>) {
        self.set(option.info.key, value);
    }

    /// The error for an option whose value is of its type, and not one of those that it may have.
    pub fn unexpected<T>(&self, option: &ConfigOption<T>, expected: &'static str) -> ConfigError {
        let (key, value) = self.entry(&option.info).unwrap_or((option.key(), ""));
        ConfigError { key: key.to_string(), value: shown(key, value).to_string(), expected }
    }

    /// The key and the raw value under which an option is set: its own key first, then its older names.
    pub fn entry(&self, option: &OptionInfo) -> Option<(&'static str, &str)> {
        let mut keys = std::iter::once(option.key).chain(option.aliases.iter().copied());
        keys.find_map(|key| self.raw(key).map(|value| (key, value)))
    }

    /// What stands below a prefix: the rest of the key and the value.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let from = self.0.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.map_while(move |(key, value)| key.strip_prefix(prefix).map(|rest| (rest, value.as_str())))
            .filter(|(rest, _)| !rest.is_empty())
    }
}

fn bad<T: ConfigValue>(key: &str, value: &str) -> ConfigError {
    ConfigError { key: key.to_string(), value: shown(key, value).to_string(), expected: T::KIND.expected() }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Configuration {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Configuration {
        Configuration(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_has_its_value_else_its_default_and_an_older_name_counts() {
        let mut config = Configuration::default();
        assert_eq!(config.get(&options::PARALLELISM), Ok(1));
        config.set("restart-strategy", "fixed-delay");
        assert_eq!(config.get(&options::RESTART_STRATEGY), Ok(Some("fixed-delay".to_string())));
        config.set("restart-strategy.type", "none");
        assert_eq!(config.get(&options::RESTART_STRATEGY), Ok(Some("none".to_string())));
    }

    #[test]
    fn an_older_name_on_top_wins_over_the_newer_one_below() {
        let mut config: Configuration =
            [("state.backend.type", "hashmap"), ("rest.port", "1")].into_iter().collect();
        config.overlay(&[("state.backend", "rocksdb")].into_iter().collect());
        assert_eq!(config.get(&options::STATE_BACKEND), Ok(BackendKind::RocksDb));
        assert_eq!(config.get(&options::REST_PORT), Ok(1));
    }

    #[test]
    fn a_bad_value_is_named_with_its_key_and_what_is_expected() {
        let config: Configuration = [("heartbeat.timeout", "soon")].into_iter().collect();
        let error = config.get(&options::HEARTBEAT_TIMEOUT).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Could not parse value 'soon' for key 'heartbeat.timeout': expected a duration such as 500ms, 10 s, 1 min or 2h \
             (a bare number is milliseconds)."
        );
    }

    #[test]
    fn a_prefix_selects_what_is_below_it() {
        let config: Configuration =
            [("a.b", "0"), ("a.env.X", "1"), ("a.env.Y", "2"), ("a.envy", "3")].into_iter().collect();
        assert_eq!(config.below("a.env.").collect::<Vec<_>>(), [("X", "1"), ("Y", "2")]);
    }
}
