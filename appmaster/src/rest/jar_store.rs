//! Uploaded jars: a directory of this container, and where the processes of a job can fetch them from.

use super::error::RestError;
use super::logs::check_name;
use crate::filesystems;
use crate::settings::Settings;
use kvick_core::config::options;
use kvick_core::job::Artifact;
use kvick_filesystem::cache::{CachedFile, Upload, UploadOptions};
use kvick_filesystem::staging::Staging;
use kvick_filesystem::{FileSystems, FsError};
use kvick_jar::{Jar, JarError, Manifest};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use tokio::runtime::Handle;

/// The scheme by which a submission names a jar that was uploaded here: `jar://<id>`.
const SCHEME: &str = "jar://";

/// A jar that was uploaded.
#[derive(Debug)]
pub struct StoredJar {
    /// `<random>_<name>`, by which it is named in paths.
    pub id: String,
    /// When it was uploaded, epoch milliseconds.
    pub uploaded: u64,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl StoredJar {
    /// The name under which it was uploaded.
    pub fn name(&self) -> &str {
        name_of(&self.id)
    }
}

fn name_of(id: &str) -> &str {
    id.split_once('_').map_or(id, |(_, name)| name)
}

/// All uploaded jars. Cheap to clone.
#[derive(Clone)]
pub struct JarStore {
    dir: PathBuf,
    settings: Arc<Settings>,
    filesystems: Arc<FileSystems>,
}

impl JarStore {
    /// The store of this application: below `web.upload.dir`, else `web.tmpdir`, else the container's working directory.
    pub fn new(settings: Arc<Settings>) -> JarStore {
        let set = |option| settings.config.get(option).ok().flatten();
        let base = set(&options::WEB_UPLOAD).or_else(|| set(&options::WEB_TMPDIR)).unwrap_or_default();
        let dir = PathBuf::from(base).join("flink-web-upload");
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        JarStore { dir, filesystems: Arc::new(filesystems::connect(&settings)), settings }
    }

    /// The directory, which is made if need be.
    ///
    /// # Errors
    /// 500 if it cannot be made.
    pub fn dir(&self) -> Result<&Path, RestError> {
        std::fs::create_dir_all(&self.dir).map_err(|e| self.broken(&e))?;
        Ok(&self.dir)
    }

    /// Where jars are unpacked.
    pub fn programs(&self) -> PathBuf {
        self.dir.join("programs")
    }

    /// Works on files without holding up the task that drives the cluster.
    async fn blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce(&JarStore) -> Result<R, RestError> + Send + 'static,
    ) -> Result<R, RestError> {
        let store = self.clone();
        let worked = tokio::task::spawn_blocking(move || work(&store)).await;
        worked.unwrap_or_else(|error| Err(RestError::internal(error.to_string())))
    }

    /// All jars, the latest first. What is no jar (any more) is passed over.
    ///
    /// # Errors
    /// 500 if the directory cannot be read.
    pub async fn list(&self) -> Result<Vec<StoredJar>, RestError> {
        self.blocking(JarStore::read_dir).await
    }

    fn read_dir(&self) -> Result<Vec<StoredJar>, RestError> {
        let entries = std::fs::read_dir(self.dir()?).map_err(|e| self.broken(&e))?;
        let mut jars: Vec<StoredJar> = entries.flatten().filter_map(|entry| stored(&entry.path())).collect();
        jars.sort_by(|a, b| b.uploaded.cmp(&a.uploaded).then(a.id.cmp(&b.id)));
        Ok(jars)
    }

    /// Takes a file into the store, if it is a job jar. Returns where it is now.
    ///
    /// # Errors
    /// 400 for what is none, 500 if it cannot be kept.
    pub async fn take(&self, uploaded: tempfile::TempPath, name: &str) -> Result<PathBuf, RestError> {
        check_name(name)?;
        let name = name.to_string();
        self.blocking(move |store| {
            Jar::open(&uploaded).map_err(|error| not_a_jar(&error, &uploaded, &name))?;
            let kept = store.dir()?.join(format!("{}_{name}", crate::program::random_job_id()));
            uploaded.persist(&kept).map_err(|e| store.broken(&e.error))?;
            Ok(kept)
        })
        .await
    }

    /// The file of a jar.
    ///
    /// # Errors
    /// 400 for what is no id, 404 if there is no such jar.
    pub fn find(&self, id: &str) -> Result<PathBuf, RestError> {
        check_name(id).map_err(|_| RestError::path_parameter("jarid", id))?;
        let path = self.dir.join(id);
        if path.is_file() {
            return Ok(path);
        }
        Err(RestError::not_found(format!("Jar file {id} does not exist; GET /jars lists those that do")))
    }

    /// Removes a jar. Jobs that run from it go on.
    ///
    /// # Errors
    /// As [`JarStore::find`].
    pub fn remove(&self, id: &str) -> Result<(), RestError> {
        std::fs::remove_file(self.find(id)?).map_err(|e| self.broken(&e))
    }

    /// The jar with its hash, without making it available to others.
    ///
    /// # Errors
    /// As [`JarStore::find`].
    pub async fn artifact(&self, id: &str) -> Result<Artifact, RestError> {
        let (path, name) = (self.find(id)?, name_of(id).to_string());
        self.blocking(move |store| {
            let bytes = std::fs::read(&path).map_err(|e| store.broken(&e))?;
            Ok(Artifact {
                name,
                uri: format!("file://{}", path.display()),
                size: bytes.len() as u64,
                sha256: kvick_jar::sha256_hex(&bytes),
            })
        })
        .await
    }

    /// Makes a jar available to task executors: in the application's cache where there is one, else as a local file,
    /// which is enough where all run on one machine.
    ///
    /// # Errors
    /// As [`JarStore::find`], or 500 if the cache cannot be written.
    pub async fn publish(&self, id: &str) -> Result<Artifact, RestError> {
        let Some(cache) = self.settings.spec.cache_dir.clone() else { return self.artifact(id).await };
        let upload = Upload { local: self.find(id)?, name: name_of(id).to_string() };
        let (store, runtime) = (self.clone(), Handle::current());
        // On a thread of its own, for the future of an upload cannot be moved between threads as a handler's must.
        let uploading = tokio::task::spawn_blocking(move || runtime.block_on(store.upload(&cache, upload)));
        let failed = |why: String| {
            RestError::internal(format!("cannot upload the jar {id} for the task executors: {why}"))
        };
        let uploaded = uploading.await.map_err(|error| failed(error.to_string()))?;
        let cached = uploaded.map_err(|error| failed(chain(&error)))?;
        Ok(Artifact {
            name: cached.name,
            uri: cached.path.to_string(),
            sha256: cached.sha256,
            size: cached.length,
        })
    }

    async fn upload(&self, cache: &str, upload: Upload) -> Result<CachedFile, FsError> {
        let (fs, path) = self.filesystems.locate(cache)?;
        // `<staging directory>/.flink/cache`
        let base = path.parent().and_then(|dir| dir.parent());
        let cache = Staging::new(fs, base.as_ref()).cache();
        let options = UploadOptions::default();
        let cached = cache.put(&[upload], &options, &|_| {}).await?;
        if let Some(application) = self.application() {
            cache.refer(&application, &cached).await?;
        }
        let cached = cached.into_iter().next();
        cached.ok_or_else(|| FsError::NotFound { operation: "upload to", path: path.to_string() })
    }

    /// The application whose staging directory keeps what it refers to in the cache.
    fn application(&self) -> Option<String> {
        let name = self.settings.spec.staging_dir.as_deref()?.trim_end_matches('/').rsplit('/').next()?;
        name.starts_with("application_").then(|| name.to_string())
    }

    /// A jar as a submission names it, made available if it was uploaded here (`jar://<id>`).
    ///
    /// # Errors
    /// As [`JarStore::publish`].
    pub async fn resolve(&self, artifact: Artifact) -> Result<Artifact, RestError> {
        match artifact.uri.strip_prefix(SCHEME) {
            Some(id) => self.publish(id).await,
            None => Ok(artifact),
        }
    }

    fn broken(&self, error: &io::Error) -> RestError {
        RestError::internal(format!("the directory of uploaded jars {}: {error}", self.dir.display()))
    }
}

fn stored(path: &Path) -> Option<StoredJar> {
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let uploaded = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_millis() as u64;
    let manifest = Jar::open(path).ok()?.manifest().clone();
    Some(StoredJar { id: path.file_name()?.to_str()?.to_string(), uploaded, manifest })
}

/// The words of the jar's error with the name that the user gave, not that of our temporary file.
fn not_a_jar(error: &JarError, path: &Path, name: &str) -> RestError {
    RestError::bad_request(error.to_string().replace(&path.display().to_string(), name))
}

/// An error with its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
