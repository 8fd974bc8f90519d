//! Reading a jar: what it holds, which program is meant, and unpacking it.

use crate::ENGINE_VERSION;
use crate::digest::{CopyFault, copy_hashing, sha256_of};
use crate::error::JarError;
use crate::glibc::running_glibc;
use crate::manifest::{Entry, Manifest};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempPath};
use zip::ZipArchive;

/// The manifest's path in a jar.
const MANIFEST: &str = "META-INF/MANIFEST.MF";

/// The longest manifest that is read, in bytes.
const MAX_MANIFEST: u64 = 1024 * 1024;

/// A jar that was opened.
#[derive(Debug)]
pub struct Jar {
    path: PathBuf,
    manifest: Manifest,
    names: Vec<String>,
}

/// The program that was chosen in a jar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// What the manifest says of it.
    pub entry: Entry,
}

impl Jar {
    /// Opens a jar and reads its manifest.
    ///
    /// # Errors
    /// If there is no such file, or it is no job jar.
    pub fn open(path: &Path) -> Result<Jar, JarError> {
        let mut archive = open_archive(path)?;
        let names: Vec<String> = archive.file_names().flatten().map(Cow::into_owned).collect();
        let java = || JarError::JavaJar(path.to_path_buf());
        if !names.iter().any(|name| name == MANIFEST) {
            return Err(if names.iter().any(|name| name.ends_with(".class")) {
                java()
            } else {
                no_manifest(path)
            });
        }
        let manifest = Manifest::parse(&read_manifest(&mut archive, path)?);
        if manifest.engine_version.is_none() {
            return Err(java());
        }
        Ok(Jar { path: path.to_path_buf(), manifest, names })
    }

    /// What the jar says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Finds the program for an entry point (`-c`; else the manifest's `Main-Class`) and a target triple. A dotted class
    /// name also finds the entry point that its last segment names.
    ///
    /// # Errors
    /// If there is none that can run here.
    pub fn select(&self, entry: Option<&str>, target: &str) -> Result<Selected, JarError> {
        self.check_engine()?;
        let available = self.manifest.entry_names();
        let path = self.path.clone();
        let Some(asked) = entry.or(self.manifest.main_class.as_deref()) else {
            return match available.as_slice() {
                [only] => self.for_target(only, target),
                _ => Err(JarError::NoMainClass { path, available }),
            };
        };
        let last = asked.rsplit('.').next().unwrap_or(asked);
        let exact = available.iter().find(|name| *name == asked);
        match exact.or_else(|| available.iter().find(|name| *name == last)) {
            Some(name) => self.for_target(name, target),
            None => Err(JarError::NoSuchEntry { path, asked: asked.to_string(), available }),
        }
    }

    fn for_target(&self, entry: &str, target: &str) -> Result<Selected, JarError> {
        let programs = self.manifest.entries.iter().filter(|e| e.entry == entry);
        match programs.clone().find(|e| e.target == target) {
            Some(found) => {
                self.check_glibc(found)?;
                Ok(Selected { entry: found.clone() })
            }
            None => Err(JarError::ForeignTarget {
                path: self.path.clone(),
                entry: entry.to_string(),
                has: programs.map(|e| e.target.clone()).collect(),
                needs: target.to_string(),
            }),
        }
    }

    fn check_engine(&self) -> Result<(), JarError> {
        let jar = self.manifest.engine_version.clone().unwrap_or_default();
        if compatible(&jar, ENGINE_VERSION) {
            return Ok(());
        }
        Err(JarError::EngineMismatch { path: self.path.clone(), jar, engine: ENGINE_VERSION.to_string() })
    }

    fn check_glibc(&self, entry: &Entry) -> Result<(), JarError> {
        let (Ok(needs), Some(has)) = (entry.glibc.parse(), running_glibc()) else { return Ok(()) };
        if needs > has {
            return Err(JarError::GlibcTooNew { path: self.path.clone(), needs, has });
        }
        Ok(())
    }

    /// Unpacks a program and the jar's other files into a directory, and returns the program's path, ready to run. Doing
    /// it again, or at the same time from another process, does no harm.
    ///
    /// # Errors
    /// If something in the jar is damaged, or the directory cannot be written.
    pub fn unpack(&self, selected: &Selected, dir: &Path) -> Result<PathBuf, JarError> {
        let program = dir.join(&selected.entry.entry);
        if File::open(&program).and_then(sha256_of).is_ok_and(|found| found == selected.entry.sha256) {
            return Ok(program);
        }
        let mut archive = open_archive(&self.path)?;
        for name in self.names.iter().filter(|name| is_extra_file(name)) {
            self.place(&mut archive, name, dir, name, 0o644)?.keep(self, dir)?;
        }
        let placed = self.place(&mut archive, &selected.entry.path, dir, &selected.entry.entry, 0o755)?;
        if placed.sha256 != selected.entry.sha256 {
            let why = "its SHA-256 is not the one that the manifest states";
            return Err(self.corrupt(&selected.entry.path, why));
        }
        placed.keep(self, dir)?;
        Ok(program)
    }

    /// Writes a file of the jar under a temporary name, piece by piece.
    fn place(
        &self,
        archive: &mut ZipArchive<BufReader<File>>,
        name: &str,
        dir: &Path,
        to: &str,
        mode: u32,
    ) -> Result<Placed, JarError> {
        let mut entry = archive.by_name(name).map_err(|error| self.corrupt(name, &error.to_string()))?;
        if entry.enclosed_name().is_none() {
            return Err(self.corrupt(name, "its name leads out of the directory that it is unpacked into"));
        }
        let to = dir.join(to);
        let parent = to.parent().unwrap_or(dir);
        let create = || -> io::Result<NamedTempFile> {
            fs::create_dir_all(parent)?;
            let file = NamedTempFile::new_in(parent)?;
            file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
            Ok(file)
        };
        let mut file = create().map_err(|source| self.unpack_failed(dir, source))?;
        let sha256 = copy_hashing(&mut entry, &mut file).map_err(|fault| match fault {
            CopyFault::Read(error) => self.corrupt(name, &error.to_string()),
            CopyFault::Write(source) => self.unpack_failed(dir, source),
        })?;
        // Closed before it gets its name: a program that is open for writing cannot be run.
        Ok(Placed { file: file.into_temp_path(), to, sha256 })
    }

    fn unpack_failed(&self, dir: &Path, source: io::Error) -> JarError {
        JarError::Unpack { path: self.path.clone(), dir: dir.to_path_buf(), source }
    }

    fn corrupt(&self, entry: &str, why: &str) -> JarError {
        JarError::Corrupt { path: self.path.clone(), entry: entry.to_string(), why: why.to_string() }
    }
}

/// A file that was unpacked and has not got its name yet: whoever sees it under its name sees it whole.
struct Placed {
    file: TempPath,
    to: PathBuf,
    sha256: String,
}

impl Placed {
    fn keep(self, jar: &Jar, dir: &Path) -> Result<(), JarError> {
        self.file.persist(&self.to).map_err(|error| jar.unpack_failed(dir, error.error))
    }
}

fn open_archive(path: &Path) -> Result<ZipArchive<BufReader<File>>, JarError> {
    let unreadable = |source| JarError::Unreadable { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => JarError::NotFound(path.to_path_buf()),
        _ => unreadable(error),
    })?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(JarError::NotAFile(path.to_path_buf()));
    }
    ZipArchive::new(BufReader::new(file))
        .map_err(|error| JarError::NotAZip { path: path.to_path_buf(), why: error.to_string() })
}

fn read_manifest(archive: &mut ZipArchive<BufReader<File>>, path: &Path) -> Result<String, JarError> {
    let corrupt =
        |why: String| JarError::Corrupt { path: path.to_path_buf(), entry: MANIFEST.to_string(), why };
    let file = archive.by_name(MANIFEST).map_err(|error| corrupt(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(MAX_MANIFEST).read_to_end(&mut bytes).map_err(|error| corrupt(error.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn no_manifest(path: &Path) -> JarError {
    let why = "there is none; a job jar is made by `cargo kvick jar`".to_string();
    JarError::Corrupt { path: path.to_path_buf(), entry: MANIFEST.to_string(), why }
}

/// Whether a file of the jar is unpacked beside the program.
fn is_extra_file(name: &str) -> bool {
    !name.ends_with('/') && !name.starts_with("META-INF/") && !name.starts_with("bin/")
}

/// Whether a program built with version `jar` runs under `engine`: same major, and while that is 0 same minor.
fn compatible(jar: &str, engine: &str) -> bool {
    let parts = |version: &str| -> Option<(u32, u32)> {
        let mut numbers = version.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    match (parts(jar), parts(engine)) {
        (Some((0, minor)), Some((0, own))) => minor == own,
        (Some((major, _)), Some((own, _))) => major == own,
        _ => false,
    }
}
