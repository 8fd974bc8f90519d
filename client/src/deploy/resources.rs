//! The files of an application: which they are, bringing them into the upload cache, and what YARN must be told of them.

use super::hadoop::Hadoop;
use super::plugins;
use super::progress::{Progress, Screen};
use super::ship;
use super::wanted::{Files, Kind, Wanted, everybody_enters, file_name};
use crate::settings::files::home;
use anyhow::{Context, Result, anyhow};
use kvick_core::application_spec::{LocalFile, Visibility};
use kvick_core::config::{Configuration, options};
use kvick_core::job::Artifact;
use kvick_core::launch::{EXECUTOR_PROGRAM, MASTER_PROGRAM, ROCKSDB_PLUGIN};
use kvick_filesystem::cache::{self, CachedFile, UploadOptions};
use kvick_filesystem::staging::Staging;
use kvick_filesystem::{FileSystem, FsPath};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What an application needs, in the cache.
pub struct Resources {
    /// The staging directory.
    pub staging: Staging,
    /// What was found or put in the cache, each content once.
    pub cached: Vec<CachedFile>,
    /// For the application master's container.
    pub master: Files,
    /// For task executors' containers.
    pub executor: Files,
    /// The jar, where there is one, by its name and what names its content.
    pub jar: Option<(LocalFile, Artifact)>,
}

/// The staging directory that the configuration names, or the one in the user's home directory.
pub fn staging(hadoop: &Hadoop, config: &Configuration) -> Result<Staging> {
    match config.get(&options::YARN_STAGING)? {
        Some(base) => {
            let base = under_default(hadoop, &base)?;
            Ok(Staging::new(hadoop.files.get(&base)?, Some(&base)))
        }
        None => Ok(Staging::new(hadoop.files.get(&hadoop.default_root()?)?, None)),
    }
}

/// A path without scheme is one of the default file system.
fn under_default(hadoop: &Hadoop, text: &str) -> Result<FsPath> {
    if text.starts_with('/') {
        return Ok(hadoop.default_root()?.with_path(text));
    }
    Ok(hadoop.files.resolve(text)?)
}

/// Puts the engine's programs, the jar and what else is to be shipped into the cache.
///
/// # Errors
/// A file that is not there, or a file system that does not take it.
pub async fn provide(
    hadoop: &Hadoop,
    config: &Configuration,
    jar: Option<&Path>,
    screen: &Screen,
) -> Result<Resources> {
    let staging = staging(hadoop, config)?;
    let provided = ship::provided(hadoop, config).await?;
    let mut wanted = Wanted::default();
    for program in [MASTER_PROGRAM, EXECUTOR_PROGRAM] {
        if !provided.contains_key(program) {
            wanted.add(program, engine_program(program)?, Kind::Engine)?;
        }
    }
    plugins::add(config, &provided, &mut wanted)?;
    if let Some(jar) = jar {
        wanted.add(&file_name(jar)?, jar.to_path_buf(), Kind::Jar)?;
    }
    let mut remote = ship::shipped(hadoop, config, &mut wanted).await?;
    remote.extend(provided);
    let cached = upload(&staging, config, &wanted, screen).await?;
    assemble(staging, cached, &wanted, remote).await
}

/// Puts one jar into the cache, for a cluster that runs already.
///
/// # Errors
/// As [`provide`].
pub async fn provide_jar(hadoop: &Hadoop, config: &Configuration, jar: &Path) -> Result<Artifact> {
    let staging = staging(hadoop, config)?;
    let mut wanted = Wanted::default();
    wanted.add(&file_name(jar)?, jar.to_path_buf(), Kind::Jar)?;
    // The program waits for its job to be submitted.
    let cached = upload(&staging, config, &wanted, &Screen::free()).await?;
    let cached = cached.first().ok_or_else(|| anyhow!("{} was not uploaded", jar.display()))?;
    Ok(artifact(cached))
}

/// The jar where it is.
///
/// # Errors
/// It cannot be read.
pub async fn local_jar(jar: &Path) -> Result<Artifact> {
    let unreadable = || format!("Cannot read {}", jar.display());
    let (sha256, size) = cache::content_of(jar).await.with_context(unreadable)?;
    Ok(Artifact { name: file_name(jar)?, uri: format!("file://{}", jar.display()), sha256, size })
}

/// In `FLINK_LIB_DIR`, in `lib` of the distribution, or beside this program.
fn engine_program(name: &str) -> Result<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf));
    let from_environment = std::env::var_os("FLINK_LIB_DIR").map(PathBuf::from);
    let directories = [from_environment, home().map(|home| home.join("lib")), beside];
    let mut candidates = directories.into_iter().flatten().map(|dir| dir.join(name));
    candidates.find(|path| path.is_file()).ok_or_else(|| {
        anyhow!("The program '{name}' is missing: it should be in the lib directory of the distribution (or in FLINK_LIB_DIR)")
    })
}

async fn upload(
    staging: &Staging,
    config: &Configuration,
    wanted: &Wanted,
    screen: &Screen,
) -> Result<Vec<CachedFile>> {
    let replication =
        u32::try_from(config.get(&options::YARN_FILE_REPLICATION)?).ok().filter(|copies| *copies > 0);
    let progress = Progress::new(wanted.uploads.iter().map(|upload| upload.name.as_str()), screen);
    let upload_options = UploadOptions { replication, ..UploadOptions::default() };
    let report = |step| progress.report(step);
    let cached = staging.cache().put(&wanted.uploads, &upload_options, &report).await;
    progress.finish();
    Ok(cached?)
}

async fn assemble(
    staging: Staging,
    cached: Vec<CachedFile>,
    wanted: &Wanted,
    remote: Files,
) -> Result<Resources> {
    let public = match cached.first() {
        Some(first) => is_public(staging.file_system(), &first.path).await,
        None => false,
    };
    let mut resources =
        Resources { staging, cached: Vec::new(), master: remote.clone(), executor: remote, jar: None };
    for (file, (key, kind)) in cached.iter().zip(&wanted.keys) {
        let visibility =
            if *kind == Kind::Engine && public { Visibility::Public } else { Visibility::Private };
        let local = LocalFile {
            uri: file.path.to_string(),
            size: file.length,
            timestamp: file.modification_time,
            archive: *kind == Kind::Archive,
            visibility,
        };
        resources.place(key, *kind, local, file);
    }
    resources.master.remove(EXECUTOR_PROGRAM);
    resources.master.remove(ROCKSDB_PLUGIN);
    resources.executor.remove(MASTER_PROGRAM);
    let mut seen = BTreeSet::new();
    resources.cached = cached.into_iter().filter(|file| seen.insert(file.sha256.clone())).collect();
    Ok(resources)
}

impl Resources {
    fn place(&mut self, key: &str, kind: Kind, local: LocalFile, file: &CachedFile) {
        match kind {
            Kind::Engine if key == MASTER_PROGRAM => {
                self.master.insert(key.to_string(), local);
            }
            Kind::Engine => {
                self.executor.insert(key.to_string(), local);
            }
            Kind::Jar => {
                self.executor.insert(key.to_string(), local.clone());
                self.jar = Some((local, artifact(file)));
            }
            Kind::File | Kind::Archive => {
                self.master.insert(key.to_string(), local.clone());
                self.executor.insert(key.to_string(), local);
            }
        }
    }
}

fn artifact(file: &CachedFile) -> Artifact {
    Artifact {
        name: file.name.clone(),
        uri: file.path.to_string(),
        sha256: file.sha256.clone(),
        size: file.length,
    }
}

/// Whether YARN counts a file as public: everybody may read it, and enter every directory above it. What cannot be found
/// out is taken as a no.
async fn is_public(fs: &Arc<dyn FileSystem>, file: &FsPath) -> bool {
    let readable = fs.stat(file).await.is_ok_and(|status| status.permission & 0o004 != 0);
    readable && everybody_enters(fs, file.parent()).await
}
