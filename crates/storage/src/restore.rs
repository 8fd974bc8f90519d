//! The checkpoint or savepoint that a job is to start from, read from where its configuration says it is.

use crate::error::StorageError;
use crate::storage::CheckpointStorage;
use kvick_core::checkpoint::{RestoreSource, RestoreWish};
use kvick_core::config::Configuration;

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
