//! The RocksDB state backend in containers: a plugin of the distribution, shipped where there is one.
//!
//! A program may choose its state backend only once it runs, so that the plugin goes with every application of a distribution
//! that has it: it is uploaded once, and nodes keep it by its content. What is checked is that a job which names the backend
//! in its configuration is not submitted in vain.

use super::wanted::{Files, Kind, Wanted};
use crate::settings::files::home;
use anyhow::{Result, bail};
use kvick_core::config::{BackendKind, Configuration, options};
use kvick_core::launch::{PLUGINS_DIR_ENV, ROCKSDB_PLUGIN};
use std::path::PathBuf;

/// Adds the plugin to what is to be uploaded, unless it is `provided`.
///
/// # Errors
/// It is not there, and the configuration asks for it.
pub(super) fn add(config: &Configuration, provided: &Files, wanted: &mut Wanted) -> Result<()> {
    if provided.contains_key(ROCKSDB_PLUGIN) {
        return Ok(());
    }
    match find() {
        Some(path) => wanted.add(ROCKSDB_PLUGIN, path, Kind::Engine),
        None => check(config, false),
    }
}

/// Refuses a job that needs the plugin where there is none.
///
/// # Errors
/// As said.
pub(super) fn check(config: &Configuration, available: bool) -> Result<()> {
    if !available && config.get(&options::STATE_BACKEND)? == BackendKind::RocksDb {
        bail!(
            "The state backend 'rocksdb' (state.backend.type) is a plugin that this distribution does not have. Run \
             scripts/build-plugins.sh and scripts/build-dist.sh in Kvick's sources, or copy {ROCKSDB_PLUGIN} into the directory \
             'plugins' of the distribution (or one that {PLUGINS_DIR_ENV} names); or use the state backend 'hashmap'."
        );
    }
    Ok(())
}

/// Where the environment says, or in `plugins` of the distribution.
fn find() -> Option<PathBuf> {
    let named = std::env::var_os(PLUGINS_DIR_ENV).map(PathBuf::from);
    let directory = named.or_else(|| home().map(|home| home.join("plugins")))?;
    Some(directory.join(ROCKSDB_PLUGIN)).filter(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_asks_for_a_missing_plugin_is_told_how_to_get_it() {
        for key in ["state.backend.type", "state.backend"] {
            let config: Configuration = [(key, "RocksDB")].into_iter().collect();
            let refused = check(&config, false).unwrap_err().to_string();
            assert!(refused.contains("scripts/build-plugins.sh"), "{refused}");
            assert!(check(&config, true).is_ok());
        }
        assert!(check(&Configuration::default(), false).is_ok());
    }
}
