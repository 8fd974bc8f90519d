//! What a name means, and how to reach what it names: Hadoop's configuration, the user, patience.
//!
//! Owns the resolution of what a user wrote into an [`FsPath`]. Does not read configuration files: the caller hands in
//! resolved keys.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{FsError, Result};
use crate::path::{FsPath, WrittenPath};
use crate::user::system_user;

/// See [`Context::in_background`].
const BACKGROUND_PATIENCE: Duration = Duration::from_secs(15);

/// Everything a file system needs to know of its surroundings.
#[derive(Debug, Clone)]
pub struct Context {
    /// Hadoop's keys with variables expanded (`core-site.xml`, `hdfs-site.xml`); the whole truth: no file is read here.
    pub hadoop: BTreeMap<String, String>,
    /// As whom to act on a cluster without authentication; `None` means `HADOOP_USER_NAME`, then the system's user.
    pub user: Option<String>,
    /// Flink's `fs.default-scheme`: what a path without a scheme means, as `hdfs://nn:8020/`; `None` means local files.
    pub default_scheme: Option<String>,
    /// What relative local paths count from; `None` means the current directory.
    pub working_directory: Option<PathBuf>,
    /// Where the delegation tokens are. The HDFS client reads `HADOOP_TOKEN_FILE_LOCATION` afresh at every connection
    /// and nothing else, so this must be the same file; connecting says so when it is not.
    pub token_file: Option<PathBuf>,
    /// How long a call is tried again whose connection is refused (a NameNode that is restarting or failing over), or that
    /// meets a NameNode in safe mode.
    pub patience: Duration,
    /// How long one answer of the NameNode may take.
    pub call_timeout: Duration,
    /// How long a piece of data may take on its way from or to a DataNode.
    pub data_timeout: Duration,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            hadoop: BTreeMap::new(),
            user: None,
            default_scheme: None,
            working_directory: None,
            token_file: None,
            patience: Duration::from_secs(3),
            call_timeout: Duration::from_secs(15),
            data_timeout: Duration::from_secs(60),
        }
    }
}

impl Context {
    /// A context with these Hadoop keys and defaults for the rest.
    pub fn new<K: Into<String>, V: Into<String>>(hadoop: impl IntoIterator<Item = (K, V)>) -> Self {
        let hadoop = hadoop.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        Self { hadoop, ..Self::default() }
    }

    /// The same for another user.
    pub fn with_user(self, user: impl Into<String>) -> Self {
        Self { user: Some(user.into()), ..self }
    }

    /// The same for programs that nobody waits in front of: a NameNode that restarts or is in safe mode is waited for about
    /// as long as Java's client does (`ipc.client.connect.max.retries`, 10, a second apart), so that what runs need not fail
    /// and begin again.
    pub fn in_background(self) -> Self {
        Self { patience: BACKGROUND_PATIENCE, ..self }
    }

    /// The same with Flink's `fs.default-scheme`.
    pub fn with_default_scheme(self, scheme: impl Into<String>) -> Self {
        Self { default_scheme: Some(scheme.into()), ..self }
    }

    /// A Hadoop key's value without surrounding blanks; `None` when unset or empty.
    pub(crate) fn key(&self, name: &str) -> Option<&str> {
        self.hadoop.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// As whom to act, by Hadoop's rule for clusters without authentication.
    pub(crate) fn effective_user(&self) -> String {
        let from_environment = || std::env::var("HADOOP_USER_NAME").ok().filter(|name| !name.is_empty());
        self.user.clone().or_else(from_environment).unwrap_or_else(system_user)
    }

    /// The complete name that `text` stands for.
    ///
    /// # Errors
    /// [`FsError::InvalidPath`] when the text is no path, or leaves out what the configuration does not supply.
    pub fn resolve(&self, text: &str) -> Result<FsPath> {
        let written = WrittenPath::parse(text)?;
        match written.scheme.as_deref() {
            None => self.resolve_bare(&written.path),
            Some("file") => resolve_file(text, &written),
            Some(scheme) => {
                let authority = match written.authority.as_deref() {
                    None | Some("") => self.default_authority(text, scheme)?,
                    Some(authority) => authority.to_owned(),
                };
                Ok(FsPath::new(scheme, &authority, &written.path))
            }
        }
    }

    /// A path without a scheme: under `fs.default-scheme` where that is set (a relative one in the home directory).
    fn resolve_bare(&self, path: &str) -> Result<FsPath> {
        let Some(default) = self.default_scheme.as_deref() else {
            return FsPath::local(&self.working_directory.clone().unwrap_or_default().join(path));
        };
        let root = self.resolve_default_scheme(default)?;
        if path.starts_with('/') {
            Ok(root.with_path(path))
        } else {
            Ok(home_directory(self, &root).join(path))
        }
    }

    fn resolve_default_scheme(&self, default: &str) -> Result<FsPath> {
        if WrittenPath::parse(default)?.scheme.is_none() {
            let reason = "fs.default-scheme must be a URI such as hdfs://namenode:8020/".to_owned();
            return Err(FsError::InvalidPath { path: default.to_owned(), reason });
        }
        Ok(self.resolve(default)?.with_path("/"))
    }

    /// The authority that `scheme:/path` leaves out: `fs.defaultFS`'s, if that has the same scheme.
    fn default_authority(&self, text: &str, scheme: &str) -> Result<String> {
        let default = self.key("fs.defaultFS").map(WrittenPath::parse).transpose()?;
        match default {
            Some(WrittenPath { scheme: Some(other), authority: Some(authority), .. })
                if other == scheme && !authority.is_empty() =>
            {
                Ok(authority)
            }
            _ => Err(FsError::InvalidPath {
                path: text.to_owned(),
                reason: format!(
                    "it names no host, and fs.defaultFS (in core-site.xml; is HADOOP_CONF_DIR set?) names none for {scheme} either"
                ),
            }),
        }
    }
}

fn resolve_file(text: &str, written: &WrittenPath) -> Result<FsPath> {
    match written.authority.as_deref() {
        None | Some("" | "localhost") => Ok(FsPath::new("file", "", &written.path)),
        Some(host) => Err(FsError::InvalidPath {
            path: text.to_owned(),
            reason: format!("local files have no host, but it names '{host}' (write file:///…)"),
        }),
    }
}

/// The home directory on `root`'s file system: `dfs.user.home.dir.prefix` (default `/user`) and the user's name, or `$HOME`.
pub(crate) fn home_directory(context: &Context, root: &FsPath) -> FsPath {
    if root.scheme() == "file" {
        return root.with_path(&std::env::var("HOME").unwrap_or_else(|_| "/".to_owned()));
    }
    let prefix = context.key("dfs.user.home.dir.prefix").unwrap_or("/user");
    root.with_path(prefix).join(&context.effective_user())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        let mut context = Context::new([("fs.defaultFS", " hdfs://nn:8020/ ")]).with_user("ada");
        context.working_directory = Some("/home/ada/job".into());
        context
    }

    fn resolved(context: &Context, text: &str) -> String {
        context.resolve(text).unwrap().to_string()
    }

    #[test]
    fn bare_paths_are_local_unless_there_is_a_default_scheme() {
        let local = context();
        assert_eq!(resolved(&local, "in.txt"), "file:/home/ada/job/in.txt");
        assert_eq!(resolved(&local, "/in.txt"), "file:/in.txt");
        let remote = context().with_default_scheme("hdfs:///");
        assert_eq!(resolved(&remote, "/in.txt"), "hdfs://nn:8020/in.txt");
        assert_eq!(resolved(&remote, "in.txt"), "hdfs://nn:8020/user/ada/in.txt");
        assert_eq!(resolved(&remote, "file:///in.txt"), "file:/in.txt");
    }

    #[test]
    fn a_left_out_authority_is_the_default_file_systems() {
        assert_eq!(resolved(&context(), "hdfs:///x"), "hdfs://nn:8020/x");
        assert_eq!(resolved(&context(), "hdfs:/x"), "hdfs://nn:8020/x");
        assert_eq!(resolved(&context(), "hdfs://other/x"), "hdfs://other/x");
        let error = Context::default().resolve("hdfs:///x").unwrap_err().to_string();
        assert!(error.contains("fs.defaultFS") && error.contains("hdfs:///x"), "{error}");
        assert!(context().resolve("viewfs:///x").is_err());
    }

    #[test]
    fn a_user_that_is_named_is_who_acts() {
        assert_eq!(Context::default().with_user("eve").effective_user(), "eve");
    }

    #[test]
    fn a_file_uri_with_a_host_is_refused() {
        let error = context().resolve("file://host/x").unwrap_err().to_string();
        assert!(error.contains("'host'"), "{error}");
        assert_eq!(resolved(&context(), "file://localhost/x"), "file:/x");
    }
}
