//! What a task executor is told by whoever starts its container: environment, credentials, configuration.

use anyhow::{Context, Result};
use kvick_core::application_spec::{CONFIG_SECRET, HADOOP_SECRET, SHARED_SECRET};
use kvick_core::config::{Configuration, options};
use kvick_core::ha::Epoch;
use kvick_core::host::WorkerSpec;
use kvick_core::ids::ExecutorId;
use kvick_core::launch;
use kvick_core::local_files::tmp_dirs;
use kvick_filesystem::FileSystems;
use kvick_process::container::{directories, log_dir, required};
use kvick_yarn::credentials::Credentials;
use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::time::Duration;

/// All that a task executor needs to know at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The container's id.
    pub id: ExecutorId,
    /// `host:port` of the application master.
    pub master: String,
    /// Which application master that is.
    pub epoch: Epoch,
    /// The application's directory, where later attempts of the application master say where they are.
    pub ha_dir: Option<String>,
    /// Number of slots.
    pub slots: u32,
    /// The host under which workers of this task executor are reached.
    pub host: String,
    /// The container's first log directory.
    pub log_dir: PathBuf,
    /// Directories for temporary files.
    pub local_dirs: Vec<String>,
    /// The effective configuration of the cluster.
    pub config: Configuration,
    /// The application's shared secret.
    pub secret: String,
    /// Resolved Hadoop properties.
    pub hadoop: BTreeMap<String, String>,
    /// The user as whom file systems are accessed.
    pub user: String,
    /// How often to send a heartbeat until the application master says otherwise.
    pub heartbeat_interval: Duration,
    /// How long the link to the application master may be down.
    pub link_timeout: Duration,
}

impl Settings {
    /// Reads the environment that YARN and the application master prepared.
    ///
    /// # Errors
    /// Names what is missing or wrong.
    pub fn from_environment() -> Result<Settings> {
        let credentials = Credentials::from_environment().context("the container's credentials")?;
        let hadoop = match credentials.secret(HADOOP_SECRET) {
            Some(json) => serde_json::from_slice(json).context("the Hadoop properties in the credentials")?,
            None => BTreeMap::new(),
        };
        let config: Configuration = serde_json::from_str(credentials.secret_text(CONFIG_SECRET)?)
            .context("the configuration in the credentials")?;
        Ok(Settings {
            heartbeat_interval: config.get(&options::HEARTBEAT_INTERVAL)?,
            link_timeout: config.get(&options::HEARTBEAT_TIMEOUT)?,
            id: ExecutorId(required("CONTAINER_ID")?),
            master: required(launch::MASTER_ENV)?,
            epoch: required(launch::EPOCH_ENV)?.parse().context(launch::EPOCH_ENV)?,
            ha_dir: env::var(launch::HA_DIR_ENV).ok(),
            slots: required(launch::SLOTS_ENV)?.parse().context(launch::SLOTS_ENV)?,
            host: required("NM_HOST")?,
            log_dir: log_dir(),
            local_dirs: directories("LOCAL_DIRS"),
            config,
            secret: credentials.secret_text(SHARED_SECRET)?.to_string(),
            hadoop,
            user: required("USER")?,
        })
    }
}

impl Settings {
    /// The file systems as this application reaches them.
    pub fn filesystems(&self) -> FileSystems {
        let context = kvick_filesystem::Context::new(self.hadoop.clone()).with_user(self.user.clone());
        FileSystems::new(context.in_background())
    }

    /// Where this task executor keeps programs: its container's working directory.
    pub fn work_dir(&self) -> PathBuf {
        env::current_dir().unwrap_or_else(|_| env::temp_dir())
    }

    /// Fills in what only the task executor knows of a worker.
    pub fn complete(&self, spec: &mut WorkerSpec) {
        spec.host.clone_from(&self.host);
        spec.bind_address = self.config.raw("taskmanager.bind-host").unwrap_or("0.0.0.0").to_string();
        spec.data_ports = data_ports(&self.config).to_string();
        spec.secret.clone_from(&self.secret);
        spec.tmp_dirs = tmp_dirs(&self.config).unwrap_or_else(|| self.local_dirs.clone());
        spec.hadoop.clone_from(&self.hadoop);
        spec.user.clone_from(&self.user);
        // What the process was sized to, so that a state backend knows its share.
        for option in [options::TM_MANAGED.key(), options::TASK_SLOTS.key()] {
            if let Some(value) = self.config.raw(option) {
                spec.config.set(option, value);
            }
        }
    }
}

/// The ports on which workers listen: `taskmanager.data.bind-port`, else `taskmanager.data.port`, else any.
fn data_ports(config: &Configuration) -> &str {
    let set = config.entry(&options::DATA_BIND_PORT.info).or_else(|| config.entry(&options::DATA_PORT.info));
    set.map_or("0", |(_, ports)| ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_bind_their_own_ports_where_some_are_set() {
        let announced = ("taskmanager.data.port", "50100-50200");
        let config = |pairs: &[(&str, &str)]| -> Configuration { pairs.iter().copied().collect() };
        assert_eq!(data_ports(&config(&[])), "0");
        assert_eq!(data_ports(&config(&[announced])), "50100-50200");
        assert_eq!(data_ports(&config(&[announced, ("taskmanager.data.bind-port", "7000")])), "7000");
    }
}
