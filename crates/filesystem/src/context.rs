//! Which file system a name means, and how to reach it: Hadoop's configuration, the user, patience.
//!
//! Owns the resolution of what a user wrote into an [`FsPath`], and the table of file systems already connected. Does
//! not read configuration files: the caller hands in resolved keys.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::{FsError, Result};
use crate::filesystem::FileSystem;
use crate::hdfs::HdfsFileSystem;
use crate::local::LocalFileSystem;
use crate::path::{FsPath, WrittenPath};

/// The schemes that [`FileSystems::get`] can serve, as error messages list them.
pub const SUPPORTED_SCHEMES: &str = "file, hdfs, viewfs";

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

/// The name of the user this process belongs to: as Java, by the user id, where the environment may tell of somebody else (in
/// a container `USER` is the submitter). Users that only a directory service knows go by the environment after all.
pub(crate) fn system_user() -> String {
    let id = rustix::process::getuid().as_raw();
    let listed = std::fs::read_to_string("/etc/passwd").ok().and_then(|passwd| name_in_passwd(&passwd, id));
    let named = |key| std::env::var(key).ok().filter(|name: &String| !name.is_empty());
    listed.or_else(|| named("USER")).or_else(|| named("LOGNAME")).unwrap_or_else(|| id.to_string())
}

/// The first name with this user id in the text of `/etc/passwd` (`name:password:id:…`).
fn name_in_passwd(passwd: &str, id: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, listed) = (fields.next()?, fields.nth(1)?);
        (listed.parse() == Ok(id)).then(|| name.to_owned())
    })
}

/// The file systems of one context: each connected once, when first asked for.
pub struct FileSystems {
    context: Context,
    connected: Mutex<BTreeMap<(String, String), Arc<dyn FileSystem>>>,
}

impl FileSystems {
    /// No connection is made yet.
    pub fn new(context: Context) -> Self {
        Self { context, connected: Mutex::default() }
    }

    /// What it was made with.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Adds a file system of one's own for its scheme and this authority (empty: names without one).
    pub fn insert(&self, authority: &str, file_system: Arc<dyn FileSystem>) {
        let key = (file_system.scheme().to_owned(), authority.to_owned());
        self.connected.lock().unwrap_or_else(PoisonError::into_inner).insert(key, file_system);
    }

    /// The complete name that `text` stands for; see [`Context::resolve`].
    ///
    /// # Errors
    /// [`FsError::InvalidPath`].
    pub fn resolve(&self, text: &str) -> Result<FsPath> {
        self.context.resolve(text)
    }

    /// The file system that `path` is in. Nothing is sent yet: a NameNode that is away is noticed by the first operation.
    ///
    /// # Errors
    /// [`FsError::UnsupportedScheme`], or what is wrong with the configuration.
    pub fn get(&self, path: &FsPath) -> Result<Arc<dyn FileSystem>> {
        let key = (path.scheme().to_owned(), path.authority().to_owned());
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = connected.get(&key) {
            return Ok(Arc::clone(known));
        }
        let file_system = connect(&self.context, path)?;
        connected.insert(key, Arc::clone(&file_system));
        Ok(file_system)
    }

    /// [`FileSystems::resolve`] and [`FileSystems::get`] in one.
    ///
    /// # Errors
    /// Theirs.
    pub fn locate(&self, text: &str) -> Result<(Arc<dyn FileSystem>, FsPath)> {
        let path = self.resolve(text)?;
        Ok((self.get(&path)?, path))
    }
}

/// A file system for `path`, not shared with anybody.
///
/// # Errors
/// [`FsError::UnsupportedScheme`], or what is wrong with the configuration.
pub fn connect(context: &Context, path: &FsPath) -> Result<Arc<dyn FileSystem>> {
    match path.scheme() {
        "file" => Ok(Arc::new(LocalFileSystem::new())),
        "hdfs" | "viewfs" => Ok(Arc::new(HdfsFileSystem::connect(context, path)?)),
        scheme => Err(FsError::UnsupportedScheme {
            scheme: scheme.to_owned(),
            path: path.to_string(),
            supported: SUPPORTED_SCHEMES,
        }),
    }
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
    fn the_user_is_who_the_user_id_belongs_to() {
        let passwd = "root:x:0:0::/root:/bin/sh\n# comment\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(name_in_passwd(passwd, 1000).as_deref(), Some("ada"));
        assert_eq!(name_in_passwd(passwd, 100), None);
        assert_eq!(Context::default().with_user("eve").effective_user(), "eve");
    }

    #[test]
    fn a_file_uri_with_a_host_is_refused() {
        let error = context().resolve("file://host/x").unwrap_err().to_string();
        assert!(error.contains("'host'"), "{error}");
        assert_eq!(resolved(&context(), "file://localhost/x"), "file:/x");
    }

    #[test]
    fn an_unknown_scheme_names_itself_and_what_would_do() {
        let systems = FileSystems::new(context());
        let error = systems.locate("s3://bucket/x").err().unwrap().to_string();
        assert!(
            error.contains("'s3'") && error.contains("s3://bucket/x") && error.contains("hdfs"),
            "{error}"
        );
    }

    #[test]
    fn one_file_system_is_connected_once() {
        let systems = FileSystems::new(context());
        let (first, _) = systems.locate("/a").unwrap();
        let (second, _) = systems.locate("file:///b").unwrap();
        assert!(Arc::ptr_eq(&first, &second));
    }
}
