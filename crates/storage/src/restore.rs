//! The checkpoint or savepoint that a job is to start from, as its configuration names it (`execution.state-recovery.*`).

use crate::error::StorageError;
use crate::storage::CheckpointStorage;
use kvick_core::checkpoint::{ClaimMode, RestoreSource};
use kvick_core::config::{ConfigError, Configuration, options};
use kvick_filesystem::{Context, FileSystems};

/// What the configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreWish {
    /// Directory or metadata file.
    pub path: String,
    /// To whom the files belong.
    pub claim: ClaimMode,
    /// Whether state without operator may be left out.
    pub allow_non_restored: bool,
}

impl RestoreWish {
    /// Reads `execution.state-recovery.{path,claim-mode,ignore-unclaimed-state}`; none where no path is set.
    ///
    /// # Errors
    /// The first value that is not of its option's type.
    pub fn from_config(config: &Configuration) -> Result<Option<RestoreWish>, ConfigError> {
        let Some(path) = config.get(&options::RESTORE_PATH)?.filter(|path| !path.trim().is_empty()) else {
            return Ok(None);
        };
        let value = config.get(&options::RESTORE_CLAIM)?;
        let claim = ClaimMode::parse(&value).ok_or_else(|| ConfigError {
            key: options::RESTORE_CLAIM.key().to_string(),
            value,
            expected: "NO_CLAIM, CLAIM or LEGACY",
        })?;
        let allow_non_restored = config.get(&options::RESTORE_IGNORE)?;
        Ok(Some(RestoreWish { path: path.trim().to_string(), claim, allow_non_restored }))
    }
}

impl CheckpointStorage {
    /// What a job with this configuration is to start from; nothing where it is to begin anew.
    ///
    /// # Errors
    /// There is no such checkpoint, or it cannot be read.
    pub async fn restore_source(
        &self,
        config: &Configuration,
    ) -> Result<Option<RestoreSource>, StorageError> {
        let Some(wish) = RestoreWish::from_config(config)? else { return Ok(None) };
        let located = self.read(&wish.path).await?;
        Ok(Some(RestoreSource {
            metadata: located.metadata,
            directory: located.directory,
            claim: wish.claim,
            allow_non_restored: wish.allow_non_restored,
        }))
    }
}

/// The same for a thread without a runtime.
///
/// # Errors
/// As [`CheckpointStorage::restore_source`].
pub fn restore_source_blocking(
    context: Context,
    config: &Configuration,
) -> Result<Option<RestoreSource>, StorageError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let storage = CheckpointStorage::new(FileSystems::new(context));
    runtime.map_err(StorageError::Thread)?.block_on(storage.restore_source(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn wish(pairs: &[(&str, &str)]) -> Result<Option<RestoreWish>, ConfigError> {
        let entries: BTreeMap<String, String> =
            pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        RestoreWish::from_config(&Configuration(entries))
    }

    #[test]
    fn old_and_new_names_say_the_same() {
        assert_eq!(wish(&[]).unwrap(), None);
        let old = [("execution.savepoint.path", "/s"), ("execution.savepoint-restore-mode", "claim")];
        let new = [("execution.state-recovery.path", "/s"), ("execution.state-recovery.claim-mode", "CLAIM")];
        assert_eq!(wish(&old).unwrap(), wish(&new).unwrap());
        assert_eq!(wish(&old).unwrap().unwrap().claim, ClaimMode::Claim);
    }

    #[test]
    fn an_unknown_claim_mode_is_named() {
        let pairs =
            [("execution.state-recovery.path", "/s"), ("execution.state-recovery.claim-mode", "MINE")];
        assert_eq!(wish(&pairs).unwrap_err().value, "MINE");
    }
}
