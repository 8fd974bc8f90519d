//! Hadoop's configuration: `core-site.xml`, `hdfs-site.xml` and `yarn-site.xml`, the few defaults that are needed, and typed access.
//! Owns the rules by which keys get their values; knows a key's meaning only where it names an address.

mod addresses;
mod substitute;
mod values;
mod xml;

pub use xml::XmlError;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The files that are read, in this order: later ones win, unless an earlier one said `final`.
const FILES: [&str; 3] = ["core-site.xml", "hdfs-site.xml", "yarn-site.xml"];

/// Values that hold when no file says otherwise (`core-default.xml`, `yarn-default.xml`).
const DEFAULTS: [(&str, &str); 12] = [
    ("fs.defaultFS", "file:///"),
    ("hadoop.security.authentication", "simple"),
    ("hadoop.security.token.service.use_ip", "true"),
    ("hadoop.rpc.protection", "authentication"),
    ("yarn.resourcemanager.hostname", "0.0.0.0"),
    ("yarn.resourcemanager.ha.enabled", "false"),
    ("yarn.resourcemanager.connect.max-wait.ms", "900000"),
    ("yarn.client.nodemanager-connect.max-wait-ms", "180000"),
    ("yarn.am.liveness-monitor.expiry-interval-ms", "900000"),
    ("yarn.resourcemanager.am.max-attempts", "2"),
    ("yarn.scheduler.minimum-allocation-mb", "1024"),
    ("yarn.nodemanager.resource.memory-mb", "8192"),
];

/// Old names that still occur in files, and what they are called now (`Configuration.DeprecationDelta`).
const DEPRECATED: [(&str, &str); 4] = [
    ("fs.default.name", "fs.defaultFS"),
    ("dfs.federation.nameservices", "dfs.nameservices"),
    ("dfs.namenode.rpc.address", "dfs.namenode.rpc-address"),
    ("hadoop.configured.node.mapping", "net.topology.configured.node.mapping"),
];

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfError {
    /// The environment names no directory.
    #[error(
        "no Hadoop configuration: set HADOOP_CONF_DIR (or YARN_CONF_DIR) to the directory of core-site.xml and yarn-site.xml"
    )]
    NoDirectory,
    /// A named directory is none.
    #[error("the Hadoop configuration directory {} (from {origin}) does not exist or cannot be read", path.display())]
    BadDirectory {
        /// The directory.
        path: PathBuf,
        /// The variable that names it.
        origin: &'static str,
    },
    /// A file could not be read or understood.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// A value is not of the type that its key has.
    #[error("{key} is '{value}' (in {origin}), but {expected} is needed")]
    BadValue {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// The file that says so.
        origin: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// One key's raw value and where it comes from.
#[derive(Debug, Clone)]
struct Entry {
    value: String,
    origin: String,
}

/// A resolved Hadoop configuration.
#[derive(Debug, Clone, Default)]
pub struct HadoopConf {
    entries: BTreeMap<String, Entry>,
    finals: HashSet<String>,
    directories: Vec<PathBuf>,
}

impl HadoopConf {
    /// The configuration that the environment names: `HADOOP_CONF_DIR` and `YARN_CONF_DIR`, else `$HADOOP_HOME/etc/hadoop`.
    ///
    /// # Errors
    /// When it names none or a file there is malformed.
    pub fn load_default() -> Result<Self, ConfError> {
        let mut directories: Vec<PathBuf> = Vec::new();
        for origin in ["HADOOP_CONF_DIR", "YARN_CONF_DIR"] {
            let Some(path) = std::env::var_os(origin).filter(|value| !value.is_empty()).map(PathBuf::from)
            else {
                continue;
            };
            if !path.is_dir() {
                return Err(ConfError::BadDirectory { path, origin });
            }
            directories.push(path);
        }
        if directories.is_empty() {
            let home = std::env::var_os("HADOOP_HOME").map(|home| PathBuf::from(home).join("etc/hadoop"));
            directories.extend(home.filter(|path| path.is_dir()));
        }
        directories.dedup();
        if directories.is_empty() { Err(ConfError::NoDirectory) } else { Self::load(&directories) }
    }

    /// The configuration in these directories; of each file the first directory that has it is read.
    ///
    /// # Errors
    /// When a file cannot be read or is malformed.
    pub fn load(directories: &[impl AsRef<Path>]) -> Result<Self, ConfError> {
        let mut conf = Self::with_defaults();
        conf.directories = directories.iter().map(|path| path.as_ref().to_owned()).collect();
        for name in FILES {
            let found =
                conf.directories.iter().map(|directory| directory.join(name)).find(|path| path.is_file());
            if let Some(path) = found {
                conf.add_file(&path)?;
            }
        }
        Ok(conf)
    }

    /// Only what Hadoop defaults to.
    pub fn with_defaults() -> Self {
        let entry = |value: &str| Entry { value: value.to_owned(), origin: "the defaults".to_owned() };
        let entries = DEFAULTS.iter().map(|(key, value)| ((*key).to_owned(), entry(value))).collect();
        Self { entries, ..Self::default() }
    }

    /// Reads one more file over what is there.
    ///
    /// # Errors
    /// When the file cannot be read or is malformed.
    pub fn add_file(&mut self, path: &Path) -> Result<(), ConfError> {
        for property in xml::read(path)? {
            let origin = format!("{}:{}", property.file.display(), property.line);
            self.put(&property.name, property.value, origin, property.is_final);
        }
        Ok(())
    }

    fn put(&mut self, key: &str, value: String, origin: String, is_final: bool) {
        let key = current_name(key);
        if self.finals.contains(key) {
            return;
        }
        self.entries.insert(key.to_owned(), Entry { value, origin });
        if is_final {
            self.finals.insert(key.to_owned());
        }
    }

    /// Sets a key, as an option of a command line does; wins over files, but not over `final`.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.put(key, value.into(), "the command line".to_owned(), false);
    }

    /// The directories that were read.
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// A key's value with its variables substituted, untrimmed.
    pub fn get(&self, key: &str) -> Option<String> {
        let entry = self.entries.get(current_name(key))?;
        Some(substitute::substitute(&entry.value, &|name| self.variable(name)))
    }

    fn variable(&self, name: &str) -> Option<String> {
        let user = || (name == "user.name").then(crate::rpc::current_user);
        self.entries.get(current_name(name)).map(|entry| entry.value.clone()).or_else(user)
    }

    /// A key's trimmed value, if there is any text in it.
    pub fn get_trimmed(&self, key: &str) -> Option<String> {
        self.get(key).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// A key's trimmed value or `default`.
    pub fn get_or(&self, key: &str, default: &str) -> String {
        self.get_trimmed(key).unwrap_or_else(|| default.to_owned())
    }

    /// `true` or `false` in any case; anything else is `default`, as in Hadoop.
    pub fn get_bool(&self, key: &str, default: bool) -> bool {
        self.get_trimmed(key).and_then(|value| values::boolean(&value)).unwrap_or(default)
    }

    /// A decimal or `0x` number, `default` when the key has no value.
    ///
    /// # Errors
    /// [`ConfError::BadValue`] when the value is no such number.
    pub fn get_u64(&self, key: &str, default: u64) -> Result<u64, ConfError> {
        self.parsed(key, default, values::integer, "a number")
    }

    /// A duration: a number with a unit (`ns us ms s m h d`) or without, then in `unit`; `default` when the key has no value.
    ///
    /// # Errors
    /// [`ConfError::BadValue`] when the value is no such duration.
    pub fn get_duration(&self, key: &str, default: Duration, unit: Duration) -> Result<Duration, ConfError> {
        self.parsed(key, default, |value| values::duration(value, unit), "a duration such as 30s or 500ms")
    }

    /// A comma-separated list, trimmed, without empty items.
    pub fn get_list(&self, key: &str) -> Vec<String> {
        let value = self.get(key).unwrap_or_default();
        value.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    }

    fn parsed<T>(
        &self,
        key: &str,
        default: T,
        parse: impl Fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Result<T, ConfError> {
        match self.get_trimmed(key) {
            None => Ok(default),
            Some(value) => parse(&value).ok_or_else(|| self.bad(key, value, expected)),
        }
    }

    fn bad(&self, key: &str, value: String, expected: &'static str) -> ConfError {
        let origin = self
            .entries
            .get(current_name(key))
            .map_or_else(|| "the defaults".to_owned(), |entry| entry.origin.clone());
        ConfError::BadValue { key: key.to_owned(), value, origin, expected }
    }

    /// Every key with its value, variables substituted, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (String, String)> {
        self.entries.keys().filter_map(|key| self.get(key).map(|value| (key.clone(), value)))
    }

    /// Whether the cluster demands Kerberos (or delegation tokens).
    pub fn is_secure(&self) -> bool {
        self.get_or("hadoop.security.authentication", "simple").eq_ignore_ascii_case("kerberos")
    }
}

fn current_name(key: &str) -> &str {
    DEPRECATED.iter().find(|(old, _)| *old == key).map_or(key, |(_, new)| new)
}

#[cfg(test)]
mod tests;
