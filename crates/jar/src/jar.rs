//! Reading a jar: what it holds, which program is meant, and unpacking it.

use crate::error::JarError;
use crate::glibc::running_glibc;
use crate::manifest::{Entry, Manifest};
use crate::{ENGINE_VERSION, sha256_hex};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
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
        if fs::read(&program).is_ok_and(|bytes| sha256_hex(&bytes) == selected.entry.sha256) {
            return Ok(program);
        }
        let mut archive = open_archive(&self.path)?;
        for name in self.names.iter().filter(|name| is_extra_file(name)) {
            let bytes = self.read(&mut archive, name)?;
            self.place(dir, name, &bytes, 0o644)?;
        }
        let bytes = self.read(&mut archive, &selected.entry.path)?;
        if sha256_hex(&bytes) != selected.entry.sha256 {
            let why = "its SHA-256 is not the one that the manifest states";
            return Err(self.corrupt(&selected.entry.path, why));
        }
        self.place(dir, &selected.entry.entry, &bytes, 0o755)?;
        Ok(program)
    }

    fn read(&self, archive: &mut ZipArchive<BufReader<File>>, name: &str) -> Result<Vec<u8>, JarError> {
        let mut file = archive.by_name(name).map_err(|error| self.corrupt(name, &error.to_string()))?;
        if file.enclosed_name().is_none() {
            return Err(self.corrupt(name, "its name leads out of the directory that it is unpacked into"));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| self.corrupt(name, &error.to_string()))?;
        Ok(bytes)
    }

    /// Writes a file under a temporary name and renames it: whoever sees it sees it whole.
    fn place(&self, dir: &Path, name: &str, bytes: &[u8], mode: u32) -> Result<(), JarError> {
        let to = dir.join(name);
        let write = || -> io::Result<()> {
            let parent = to.parent().unwrap_or(dir);
            fs::create_dir_all(parent)?;
            let mut file = tempfile::NamedTempFile::new_in(parent)?;
            io::Write::write_all(&mut file, bytes)?;
            file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
            // Closed before it gets its name: a program that is open for writing cannot be run.
            file.into_temp_path().persist(&to)?;
            Ok(())
        };
        let (path, dir) = (self.path.clone(), dir.to_path_buf());
        write().map_err(|source| JarError::Unpack { path, dir, source })
    }

    fn corrupt(&self, entry: &str, why: &str) -> JarError {
        JarError::Corrupt { path: self.path.clone(), entry: entry.to_string(), why: why.to_string() }
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
