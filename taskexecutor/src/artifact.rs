//! Job programs on this node: the jar from the working directory or the cache on the file system, unpacked once.

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use kvick_core::job::{Artifact, ProgramSpec};
use kvick_filesystem::FileSystems;
use kvick_jar::Jar;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;

/// Where programs are kept, and how missing jars are fetched.
#[derive(Clone)]
pub struct ProgramStore {
    dir: PathBuf,
    filesystems: Arc<FileSystems>,
    /// Held while a jar is fetched: several jobs may need the same one at once.
    fetching: Arc<Mutex<()>>,
}

impl ProgramStore {
    /// A store below a directory of this container.
    pub fn new(dir: PathBuf, filesystems: FileSystems) -> ProgramStore {
        ProgramStore { dir, filesystems: Arc::new(filesystems), fetching: Arc::default() }
    }

    /// The path of an unpacked program, ready to run.
    ///
    /// # Errors
    /// If the jar cannot be fetched, is not what was submitted, or does not hold the program.
    pub async fn prepare(&self, program: &ProgramSpec) -> Result<PathBuf> {
        let jar = self.locate(&program.jar).await?;
        let dir = self.dir.join("programs").join(&program.jar.sha256);
        let entry = program.entry.clone();
        tokio::task::spawn_blocking(move || unpack(&jar, entry.as_deref(), &dir)).await?
    }

    /// The jar as a local file: localised by YARN under its own name, or fetched and kept by its hash.
    async fn locate(&self, jar: &Artifact) -> Result<PathBuf> {
        let localised = PathBuf::from(&jar.name);
        if has_length(&localised, jar.size) {
            return Ok(localised);
        }
        let kept = self.dir.join("jars").join(&jar.sha256).join(&jar.name);
        let _one_at_a_time = self.fetching.lock().await;
        if !has_length(&kept, jar.size) {
            self.fetch(jar, &kept)
                .await
                .with_context(|| format!("cannot fetch the job's jar from {}", jar.uri))?;
        }
        Ok(kept)
    }

    async fn fetch(&self, jar: &Artifact, to: &Path) -> Result<()> {
        if let Some(dir) = to.parent() {
            tokio::fs::create_dir_all(dir).await?;
        }
        let partial = to.with_extension("part");
        self.download(&jar.uri, &partial).await?;
        let found = kvick_jar::sha256_of(std::fs::File::open(&partial)?)?;
        if found != jar.sha256 {
            bail!("its SHA-256 is {found}, but {} was submitted", jar.sha256);
        }
        tokio::fs::rename(&partial, to).await?;
        Ok(())
    }

    /// Copies a file piece by piece: what a task executor once had in memory it would keep.
    async fn download(&self, uri: &str, to: &Path) -> Result<()> {
        let (fs, path) = self.filesystems.locate(uri)?;
        let reader = fs.open(&path).await?;
        let mut pieces = reader.stream(0..reader.length());
        let mut file = tokio::fs::File::create(to).await?;
        while let Some(piece) = pieces.next().await {
            file.write_all(&piece?).await?;
        }
        file.flush().await?;
        Ok(())
    }
}

fn has_length(path: &Path, length: u64) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() == length)
}

fn unpack(jar: &Path, entry: Option<&str>, dir: &Path) -> Result<PathBuf> {
    let jar = Jar::open(jar)?;
    let selected = jar.select(entry, kvick_jar::HOST_TARGET)?;
    Ok(jar.unpack(&selected, dir)?)
}
