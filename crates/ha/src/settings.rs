//! Which store the configuration asks for, and where it is.

use super::{FileStore, HaError, HaStore, NoStore, ZooKeeperStore};
use kvick_core::config::{ConfigError, Configuration, options};
pub use kvick_core::ha::HaKind;
use kvick_filesystem::{FileSystem, FileSystems, FsPath};
use std::sync::Arc;
use std::time::Duration;

/// How ZooKeeper is reached (`high-availability.zookeeper.*`).
#[derive(Debug, Clone)]
pub struct ZooKeeperSettings {
    /// `host:port,…`.
    pub quorum: String,
    /// The application's node.
    pub root: String,
    /// After how long without word a session ends.
    pub session_timeout: Duration,
    /// How long one connection may take.
    pub connection_timeout: Duration,
    /// Pause before an act is tried again.
    pub retry_wait: Duration,
    /// How often it is tried again.
    pub retries: u32,
    /// Whether only the creator may see and change the nodes (`creator`), or everybody (`open`).
    pub creator_only: bool,
}

/// What of the configuration decides how things survive.
#[derive(Debug, Clone)]
pub struct HaSettings {
    /// Which store.
    pub kind: HaKind,
    /// The application's own directory, as a URI; none where nothing is kept.
    pub directory: Option<String>,
    /// Where ZooKeeper is, if that is the store.
    pub zookeeper: Option<ZooKeeperSettings>,
}

impl HaSettings {
    /// Reads the settings of an application with this staging directory.
    ///
    /// # Errors
    /// What is missing or wrong, and what to set.
    pub fn from_config(config: &Configuration, staging: Option<&str>) -> Result<HaSettings, HaError> {
        let kind = HaKind::from_config(config).map_err(|error| HaError::Settings(error.to_string()))?;
        if kind == HaKind::None {
            return Ok(HaSettings { kind, directory: None, zookeeper: None });
        }
        let id = cluster_id(config, staging)?;
        let directory = match (value(config.get(&options::HA_STORAGE))?, staging) {
            (Some(storage), _) => format!("{}/{id}", storage.trim_end_matches('/')),
            (None, Some(staging)) => format!("{}/ha", staging.trim_end_matches('/')),
            (None, None) => {
                let text =
                    "there is no staging directory to keep records in: set high-availability.storageDir";
                return Err(HaError::Settings(text.to_string()));
            }
        };
        let zookeeper = match kind {
            HaKind::ZooKeeper => Some(ZooKeeperSettings::from_config(config, &id)?),
            _ => None,
        };
        Ok(HaSettings { kind, directory: Some(directory), zookeeper })
    }
}

/// `high-availability.cluster-id`, or the application's id, which is the name of its staging directory.
fn cluster_id(config: &Configuration, staging: Option<&str>) -> Result<String, HaError> {
    let configured = config.is_set(&options::HA_CLUSTER_ID);
    let own = staging.and_then(|dir| dir.trim_end_matches('/').rsplit('/').next());
    let id = match own {
        Some(own) if !configured => own.to_string(),
        _ => value(config.get(&options::HA_CLUSTER_ID))?,
    };
    Ok(id.trim_matches('/').to_string())
}

fn value<T>(read: Result<T, ConfigError>) -> Result<T, HaError> {
    read.map_err(|error| HaError::Settings(error.to_string()))
}

impl ZooKeeperSettings {
    fn from_config(config: &Configuration, id: &str) -> Result<ZooKeeperSettings, HaError> {
        let quorum = value(config.get(&options::HA_ZK_QUORUM))?.filter(|quorum| !quorum.trim().is_empty());
        let missing = "high-availability.type is zookeeper, but high-availability.zookeeper.quorum (host:port,…) is not set";
        let root = value(config.get(&options::HA_ZK_ROOT))?;
        Ok(ZooKeeperSettings {
            quorum: quorum.ok_or_else(|| HaError::Settings(missing.to_string()))?.replace(' ', ""),
            root: format!("/{}/{id}", root.trim_matches('/')).replace("//", "/"),
            session_timeout: value(config.get(&options::HA_ZK_SESSION))?,
            connection_timeout: value(config.get(&options::HA_ZK_CONNECTION))?,
            retry_wait: value(config.get(&options::HA_ZK_RETRY))?,
            retries: value(config.get(&options::HA_ZK_ATTEMPTS))?,
            creator_only: value(config.get(&options::HA_ZK_ACL))?.eq_ignore_ascii_case("creator"),
        })
    }
}

/// The store of the application with this configuration and staging directory. Nothing is connected before it is used.
///
/// # Errors
/// What is missing or wrong in the configuration.
pub fn open(
    config: &Configuration,
    staging: Option<&str>,
    files: &FileSystems,
) -> Result<Arc<dyn HaStore>, HaError> {
    let ha = HaSettings::from_config(config, staging)?;
    let Some(directory) = &ha.directory else { return Ok(Arc::new(NoStore)) };
    let (fs, root): (Arc<dyn FileSystem>, FsPath) = files.locate(directory)?;
    Ok(match ha.zookeeper {
        Some(zookeeper) => Arc::new(ZooKeeperStore::new(zookeeper, fs, root)),
        None => Arc::new(FileStore::new(fs, root)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)], staging: Option<&str>) -> Result<HaSettings, HaError> {
        let mut config = Configuration::default();
        for (key, value) in pairs {
            config.0.insert((*key).to_string(), (*value).to_string());
        }
        HaSettings::from_config(&config, staging)
    }

    #[test]
    fn records_lie_in_the_staging_directory_unless_a_storage_is_named() {
        let staging = Some("hdfs://nn:1/user/u/.flink/application_1_2");
        let ha = settings(&[], staging).unwrap();
        assert_eq!(ha.directory.as_deref(), Some("hdfs://nn:1/user/u/.flink/application_1_2/ha"));
        let ha = settings(&[("high-availability.storageDir", "hdfs:///ha/")], staging).unwrap();
        assert_eq!(ha.directory.as_deref(), Some("hdfs:///ha/application_1_2"));
        assert_eq!(settings(&[("high-availability", "none")], staging).unwrap().directory, None);
        assert!(settings(&[], None).unwrap_err().to_string().contains("high-availability.storageDir"));
    }

    #[test]
    fn zookeeper_needs_its_servers_and_has_a_node_of_the_applications_name() {
        let staging = Some("hdfs:///s/application_1_2");
        let error = settings(&[("high-availability.type", "zookeeper")], staging).unwrap_err();
        assert!(error.to_string().contains("high-availability.zookeeper.quorum"), "{error}");
        let pairs = [
            ("high-availability.type", "zookeeper"),
            ("high-availability.zookeeper.quorum", "a:1, b:2"),
            ("high-availability.cluster-id", "/mine"),
        ];
        let zookeeper = settings(&pairs, staging).unwrap().zookeeper.unwrap();
        assert_eq!((zookeeper.quorum.as_str(), zookeeper.root.as_str()), ("a:1,b:2", "/flink/mine"));
        let default = settings(&pairs[..2], staging).unwrap().zookeeper.unwrap();
        assert_eq!(default.root, "/flink/application_1_2");
    }
}
