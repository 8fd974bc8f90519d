//! Which store an application uses, and how often YARN may start its application master.

use crate::config::{ConfigError, Configuration, options};

/// Where records are kept (`high-availability.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaKind {
    /// In a directory of a file system: the default on YARN, for it needs no other service.
    FileSystem,
    /// In ZooKeeper.
    ZooKeeper,
    /// Nowhere: a lost application master is the end of its jobs.
    None,
}

/// A value of `high-availability.type` that this engine does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "high-availability.type is '{0}': known are 'filesystem' (the default on YARN), 'zookeeper' and 'NONE'; services of one's own \
     (Java classes) cannot be loaded"
)]
pub struct UnknownHaKind(pub String);

impl HaKind {
    /// What a configuration asks for.
    ///
    /// # Errors
    /// It names a kind that there is not.
    pub fn from_config(config: &Configuration) -> Result<HaKind, UnknownHaKind> {
        let Some(text) = config.get(&options::HA_TYPE).ok().flatten() else { return Ok(HaKind::FileSystem) };
        match text.trim().to_ascii_lowercase().as_str() {
            "filesystem" => Ok(HaKind::FileSystem),
            "zookeeper" => Ok(HaKind::ZooKeeper),
            "none" => Ok(HaKind::None),
            _ => Err(UnknownHaKind(text)),
        }
    }

    /// How many attempts an application asks YARN for: what is configured; else, where jobs survive their application
    /// master, as many as the cluster allows (`yarn.resourcemanager.am.max-attempts`); else one.
    ///
    /// # Errors
    /// The configured number is none.
    pub fn attempts(self, config: &Configuration, cluster_max: u32) -> Result<u32, ConfigError> {
        let configured = config.get(&options::YARN_ATTEMPTS)?;
        Ok(configured.unwrap_or(if self == HaKind::None { 1 } else { cluster_max }).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Configuration {
        let mut config = Configuration::default();
        for (key, value) in pairs {
            config.0.insert((*key).to_string(), (*value).to_string());
        }
        config
    }

    #[test]
    fn the_file_system_is_the_default_and_the_old_key_counts() {
        let kind = |pairs: &[(&str, &str)]| HaKind::from_config(&config(pairs));
        assert_eq!(kind(&[]), Ok(HaKind::FileSystem));
        assert_eq!(kind(&[("high-availability.type", "ZOOKEEPER")]), Ok(HaKind::ZooKeeper));
        assert_eq!(kind(&[("high-availability", "NONE")]), Ok(HaKind::None));
        let error = kind(&[("high-availability", "org.example.Factory")]).unwrap_err();
        assert!(error.to_string().contains("org.example.Factory") && error.to_string().contains("zookeeper"));
    }

    #[test]
    fn without_a_store_there_is_one_attempt_unless_more_are_asked_for() {
        let attempts = |kind: HaKind, pairs: &[(&str, &str)]| kind.attempts(&config(pairs), 2).unwrap();
        assert_eq!(attempts(HaKind::FileSystem, &[]), 2);
        assert_eq!(attempts(HaKind::None, &[]), 1);
        assert_eq!(attempts(HaKind::None, &[("yarn.application-attempts", "4")]), 4);
        assert_eq!(attempts(HaKind::ZooKeeper, &[("yarn.application-attempts", "0")]), 1);
    }
}
