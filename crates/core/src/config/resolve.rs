//! Layers of configuration, weakest first, and where each effective value came from.

use super::Configuration;
use std::fmt;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The option's default.
    Default,
    /// A configuration file.
    File(String),
    /// The properties file that `yarn-session` left behind.
    SessionProperties(String),
    /// An option of the command line that has its own letter, such as `-ytm`.
    Flag,
    /// `-D` or `-yD` on the command line.
    Dynamic,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => f.write_str(path),
            Origin::SessionProperties(path) => write!(f, "session properties {path}"),
            Origin::Flag => f.write_str("command line option"),
            Origin::Dynamic => f.write_str("-D on the command line"),
        }
    }
}

/// Configurations over each other.
#[derive(Debug, Clone, Default)]
pub struct Layers(Vec<(Origin, Configuration)>);

impl Layers {
    /// No layer yet.
    pub fn new() -> Layers {
        Layers::default()
    }

    /// Puts a layer over those that are there: its keys win.
    pub fn push(&mut self, origin: Origin, config: Configuration) {
        self.0.push((origin, config));
    }

    /// What results: [`Configuration::overlay`], layer by layer.
    pub fn effective(&self) -> Configuration {
        let mut result = Configuration::default();
        self.0.iter().for_each(|(_, layer)| result.overlay(layer));
        result
    }

    /// Where the effective value of a key came from.
    pub fn origin(&self, key: &str) -> Origin {
        let strongest = self.0.iter().rev().find(|(_, layer)| layer.raw(key).is_some());
        strongest.map_or(Origin::Default, |(origin, _)| origin.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options;

    fn layer(pairs: &[(&str, &str)]) -> Configuration {
        pairs.iter().copied().collect()
    }

    #[test]
    fn the_strongest_layer_wins_and_is_known() {
        let mut layers = Layers::new();
        layers.push(
            Origin::File("conf/config.yaml".into()),
            layer(&[("parallelism.default", "1"), ("a", "x")]),
        );
        layers.push(Origin::Dynamic, layer(&[("parallelism.default", "4")]));
        assert_eq!(layers.effective(), layer(&[("parallelism.default", "4"), ("a", "x")]));
        assert_eq!(layers.origin("parallelism.default"), Origin::Dynamic);
        assert_eq!(layers.origin("a").to_string(), "conf/config.yaml");
        assert_eq!(layers.origin("b"), Origin::Default);
    }

    #[test]
    fn an_older_name_in_a_stronger_layer_wins_over_the_newer_one_below() {
        let mut layers = Layers::new();
        layers.push(Origin::File("f".into()), layer(&[("restart-strategy.type", "fixed-delay")]));
        layers.push(Origin::Dynamic, layer(&[("restart-strategy", "none")]));
        let config = layers.effective();
        assert_eq!(config.get(&options::RESTART_STRATEGY), Ok(Some("none".into())));
    }
}
