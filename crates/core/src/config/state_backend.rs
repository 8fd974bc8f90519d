//! Where keyed state is kept (`state.backend.type`): the names that count, Flink's older ones and those of its factories among them.
//!
//! Knows nothing of how a backend works, nor of whether its plugin is there.

use super::{ConfigValue, ValueKind};

/// Where keyed state is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackendKind {
    /// In memory.
    #[default]
    HashMap,
    /// In RocksDB, on the local disk.
    RocksDb,
}

/// Names of the backend in memory, in lower case: today's, those of `state.backend` before Flink 1.13, and the factories of each.
const HASH_MAP: &[&str] = &[
    "hashmap",
    "memory",
    "jobmanager",
    "filesystem",
    "org.apache.flink.runtime.state.hashmap.hashmapstatebackendfactory",
    "org.apache.flink.runtime.state.memory.memorystatebackendfactory",
    "org.apache.flink.runtime.state.filesystem.fsstatebackendfactory",
];

/// Names of the backend on disk, in lower case: its factories have stood in three places.
const ROCKS_DB: &[&str] = &[
    "rocksdb",
    "org.apache.flink.contrib.streaming.state.embeddedrocksdbstatebackendfactory",
    "org.apache.flink.contrib.streaming.state.rocksdbstatebackendfactory",
    "org.apache.flink.state.rocksdb.embeddedrocksdbstatebackendfactory",
];

impl ConfigValue for BackendKind {
    const KIND: ValueKind = ValueKind::StateBackend;

    fn parse(text: &str) -> Option<BackendKind> {
        let name = text.trim().to_ascii_lowercase();
        let is = |names: &[&str]| names.contains(&name.as_str());
        if is(HASH_MAP) {
            return Some(BackendKind::HashMap);
        }
        is(ROCKS_DB).then_some(BackendKind::RocksDb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Configuration, options};

    fn backend(key: &str, name: &str) -> Result<BackendKind, String> {
        let config: Configuration = [(key, name)].into_iter().collect();
        config.get(&options::STATE_BACKEND).map_err(|error| error.to_string())
    }

    #[test]
    fn a_backend_has_its_name_of_today_of_old_and_of_its_factory() {
        for name in
            ["hashmap", "HashMap", "org.apache.flink.runtime.state.hashmap.HashMapStateBackendFactory"]
        {
            assert_eq!(backend("state.backend.type", name), Ok(BackendKind::HashMap), "{name}");
        }
        for name in ["memory", "jobmanager", "filesystem"] {
            assert_eq!(backend("state.backend", name), Ok(BackendKind::HashMap), "{name}");
        }
        let factory = "org.apache.flink.contrib.streaming.state.EmbeddedRocksDBStateBackendFactory";
        for name in ["rocksdb", " RocksDB ", factory] {
            assert_eq!(backend("state.backend", name), Ok(BackendKind::RocksDb), "{name}");
        }
        assert_eq!(Configuration::default().get(&options::STATE_BACKEND), Ok(BackendKind::HashMap));
    }

    #[test]
    fn any_other_name_is_refused_with_those_that_are_known() {
        let refused = backend("state.backend.type", "rocks").unwrap_err();
        assert_eq!(
            refused,
            "Could not parse value 'rocks' for key 'state.backend.type': expected hashmap or rocksdb (or the name of Flink's \
             factory of either; state backends of one's own cannot be loaded)."
        );
    }
}
