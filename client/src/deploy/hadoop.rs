//! The Hadoop around us: its configuration, the user, HDFS, the ResourceManager.

use crate::console;
use crate::user::hadoop_user;
use anyhow::{Context as _, Result, bail};
use kvick_core::config::{Configuration, options};
use kvick_filesystem::{Context, FileSystems, FsPath};
use kvick_yarn::client::YarnClient;
use kvick_yarn::conf::{ConfError, HadoopConf};
use kvick_yarn::credentials::{Credentials, RM_DELEGATION_TOKEN};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How long a ResourceManager that does not answer is tried: it may be restarting or failing over.
const PATIENCE: Duration = Duration::from_secs(8);
/// Keys with these prefixes are handed on to Hadoop and YARN.
const HADOOP_PREFIX: &str = "flink.hadoop.";
const YARN_PREFIX: &str = "flink.yarn.";

/// Hadoop as this client sees it.
pub struct Hadoop {
    /// Its configuration, with what ours adds to it.
    pub conf: HadoopConf,
    /// As whom it is spoken to.
    pub user: String,
    /// Its file systems.
    pub files: FileSystems,
}

impl Hadoop {
    /// Reads the configuration; calls nobody.
    ///
    /// # Errors
    /// No configuration directory, or a file in it that is malformed.
    pub fn load(config: &Configuration) -> Result<Hadoop> {
        let mut conf = load_conf(config)?;
        for (key, value) in config.below(HADOOP_PREFIX) {
            conf.set(key, value);
        }
        for (key, value) in config.below(YARN_PREFIX) {
            conf.set(&format!("yarn.{key}"), value);
        }
        let user = hadoop_user();
        let mut context = Context::new(conf.iter()).with_user(&user);
        if let Some(scheme) = config.get(&options::FS_DEFAULT_SCHEME)? {
            context = context.with_default_scheme(scheme);
        }
        context.token_file = std::env::var_os("HADOOP_TOKEN_FILE_LOCATION").map(PathBuf::from);
        Ok(Hadoop { conf, user, files: FileSystems::new(context) })
    }

    /// The same; `None` where there is no Hadoop around us.
    ///
    /// # Errors
    /// A configuration that is there and malformed.
    pub fn find(config: &Configuration) -> Result<Option<Hadoop>> {
        match Hadoop::load(config) {
            Err(error) if matches!(error.downcast_ref(), Some(ConfError::NoDirectory)) => Ok(None),
            loaded => loaded.map(Some),
        }
    }

    /// A client of the ResourceManager.
    ///
    /// # Errors
    /// The configuration names no address.
    pub fn yarn(&self) -> Result<YarnClient> {
        self.check_security()?;
        let targets = self.conf.resource_manager_addresses()?;
        if let Some(address) = targets.first() {
            let logger = "org.apache.hadoop.yarn.client.DefaultNoHARMFailoverProxyProvider";
            console::info(
                logger,
                format!("Connecting to ResourceManager at {}:{}", address.host, address.port),
            );
        }
        Ok(YarnClient::connect(&self.conf, &self.user, PATIENCE)?)
    }

    fn check_security(&self) -> Result<()> {
        let has_token = || {
            Ok::<_, anyhow::Error>(
                Credentials::from_environment()?.token_of_kind(RM_DELEGATION_TOKEN).is_some(),
            )
        };
        if self.conf.is_secure() && !has_token()? {
            bail!(
                "Hadoop security with Kerberos is enabled but there are no delegation tokens. This version does not log in to Kerberos by itself yet: provide tokens in the file that HADOOP_TOKEN_FILE_LOCATION names."
            );
        }
        Ok(())
    }

    /// The root of the file system that paths without scheme belong to (`fs.defaultFS`).
    ///
    /// # Errors
    /// It is no URI.
    pub fn default_root(&self) -> Result<FsPath> {
        let uri = self.conf.get_or("fs.defaultFS", "file:///");
        self.files.resolve(&uri).with_context(|| format!("fs.defaultFS in core-site.xml is '{uri}'"))
    }

    /// Every key of the configuration, for the processes that have no such files.
    pub fn properties(&self) -> BTreeMap<String, String> {
        self.conf.iter().collect()
    }
}

fn load_conf(config: &Configuration) -> Result<HadoopConf> {
    let named = [config.get(&options::HADOOP_CONF_DIR)?, config.get(&options::YARN_CONF_DIR)?];
    let directories: Vec<String> = named.into_iter().flatten().collect();
    let from_environment =
        ["HADOOP_CONF_DIR", "YARN_CONF_DIR"].iter().any(|name| std::env::var_os(name).is_some());
    if directories.is_empty() || from_environment {
        return Ok(HadoopConf::load_default()?);
    }
    Ok(HadoopConf::load(&directories)?)
}
