//! What the application master is told by YARN and by the client: environment, credentials, configuration.

use anyhow::{Context, Result};
use kvick_core::application_spec::{
    APPLICATION_SECRET, ApplicationMode, ApplicationSpec, CONFIG_SECRET, HADOOP_SECRET, SHARED_SECRET,
};
use kvick_core::config::{ConfigError, Configuration, options};
use kvick_core::ha::Epoch;
use kvick_core::master::{MasterMode, MasterSettings};
use kvick_core::resources::ResourceSettings;
use kvick_core::time::Millis;
use kvick_process::container::{log_dir, required};
use kvick_yarn::credentials::Credentials;
use kvick_yarn::ids::{ApplicationAttemptId, ContainerId};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// All that an application master needs to know at its start.
#[derive(Debug)]
pub struct Settings {
    /// Which application master this is. Its attempt is the epoch of all that it says.
    pub epoch: Epoch,
    /// The node manager's host: where this process is reached.
    pub host: String,
    /// The container's log directory.
    pub log_dir: PathBuf,
    /// What the client asked for.
    pub spec: ApplicationSpec,
    /// The effective configuration.
    pub config: Configuration,
    /// The application's shared secret.
    pub secret: String,
    /// Resolved Hadoop properties.
    pub hadoop: BTreeMap<String, String>,
    /// Tokens and secrets of the container.
    pub credentials: Credentials,
}

impl Settings {
    /// Reads the environment that YARN and the client prepared.
    ///
    /// # Errors
    /// Names what is missing or wrong.
    pub fn from_environment() -> Result<Settings> {
        let container: ContainerId = required("CONTAINER_ID")?.parse().context("CONTAINER_ID")?;
        let credentials = Credentials::from_environment().context("the container's credentials")?;
        Ok(Settings {
            epoch: epoch(container.attempt_id),
            host: required("NM_HOST")?,
            log_dir: log_dir(),
            spec: json(&credentials, APPLICATION_SECRET)?,
            config: json(&credentials, CONFIG_SECRET)?,
            secret: credentials.secret_text(SHARED_SECRET)?.to_string(),
            hadoop: json(&credentials, HADOOP_SECRET)?,
            credentials,
        })
    }

    /// The application's id: the name of its staging directory. `None` where there is none.
    pub fn application(&self) -> Option<String> {
        let name = self.spec.staging_dir.as_deref()?.trim_end_matches('/').rsplit('/').next()?;
        Some(name.to_string())
    }

    /// What the master machine acts on.
    ///
    /// # Errors
    /// The first value of the configuration that is not of its option's type.
    pub fn master(&self) -> Result<MasterSettings, ConfigError> {
        let mode = match &self.spec.mode {
            ApplicationMode::Session => MasterMode::Session,
            ApplicationMode::PerJob { detached, .. } => MasterMode::PerJob { detached: *detached },
            ApplicationMode::Application { .. } => MasterMode::Application,
        };
        Ok(MasterSettings {
            checkpoints: true,
            mode,
            resources: ResourceSettings::from_config(&self.config, self.spec.executor.slots)?,
            heartbeat_interval: self.config.get(&options::HEARTBEAT_INTERVAL)?.into(),
            job_expiration: Millis(self.config.get(&options::JOBSTORE_EXPIRATION)?.saturating_mul(1_000)),
            result_wait: self.config.get(&options::CLIENT_TIMEOUT)?.into(),
        })
    }
}

fn epoch(id: ApplicationAttemptId) -> Epoch {
    Epoch {
        cluster_timestamp: id.application_id.cluster_timestamp.unsigned_abs(),
        application: id.application_id.id.unsigned_abs(),
        attempt: u64::from(id.attempt.unsigned_abs()),
    }
}

fn json<T: serde::de::DeserializeOwned>(credentials: &Credentials, alias: &str) -> Result<T> {
    serde_json::from_str(credentials.secret_text(alias)?)
        .with_context(|| format!("{alias} in the credentials"))
}
