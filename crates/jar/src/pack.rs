//! Writing a jar.

use crate::error::JarError;
use crate::glibc::needed_glibc;
use crate::manifest::{Entry, Manifest};
use crate::{ENGINE_VERSION, sha256_hex};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A program to pack.
#[derive(Debug, Clone)]
pub struct PackEntry {
    /// The entry point that it is.
    pub entry: String,
    /// The target triple that it was built for.
    pub target: String,
    /// The program.
    pub program: PathBuf,
}

/// What goes into a jar.
#[derive(Debug, Clone, Default)]
pub struct PackSpec {
    /// The entry point to take when `-c` names none.
    pub main_class: Option<String>,
    /// The programs.
    pub entries: Vec<PackEntry>,
    /// Other files, with the path that they have beside the unpacked program.
    pub files: Vec<(String, PathBuf)>,
}

/// Writes a jar; it appears under its name only when it is whole.
///
/// # Errors
/// If a program cannot be read or the jar cannot be written.
pub fn pack(spec: &PackSpec, to: &Path) -> Result<(), JarError> {
    let failed = |why: String| JarError::Write { path: to.to_path_buf(), why };
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(dir).map_err(|e| failed(e.to_string()))?;
    write_zip(spec, file.as_file()).map_err(&failed)?;
    let made_readable = file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    made_readable.map_err(|e| failed(e.to_string()))?;
    file.persist(to).map_err(|e| failed(e.to_string()))?;
    Ok(())
}

fn write_zip(spec: &PackSpec, file: &File) -> Result<(), String> {
    let mut programs = Vec::new();
    let mut manifest = Manifest {
        main_class: spec.main_class.clone(),
        engine_version: Some(ENGINE_VERSION.to_string()),
        entries: Vec::new(),
    };
    for entry in &spec.entries {
        let bytes = read(&entry.program)?;
        manifest.entries.push(describe(entry, &bytes));
        programs.push(bytes);
    }
    let mut zip = ZipWriter::new(file);
    // One time stamp for all: the same programs make the same jar, byte for byte.
    let options = SimpleFileOptions::default().last_modified_time(zip::DateTime::default());
    let stored = options.compression_method(CompressionMethod::Deflated).unix_permissions(0o644);
    add(&mut zip, "META-INF/MANIFEST.MF", manifest.write().as_bytes(), stored)?;
    for (entry, bytes) in manifest.entries.iter().zip(&programs) {
        add(&mut zip, &entry.path, bytes, stored.unix_permissions(0o755))?;
    }
    for (name, path) in &spec.files {
        add(&mut zip, name, &read(path)?, stored)?;
    }
    zip.finish().map_err(|e| e.to_string())?;
    Ok(())
}

fn describe(entry: &PackEntry, program: &[u8]) -> Entry {
    Entry {
        entry: entry.entry.clone(),
        target: entry.target.clone(),
        path: format!("bin/{}/{}", entry.target, entry.entry),
        sha256: sha256_hex(program),
        glibc: needed_glibc(program).map(|version| version.to_string()).unwrap_or_default(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn add(
    zip: &mut ZipWriter<&File>,
    name: &str,
    bytes: &[u8],
    options: SimpleFileOptions,
) -> Result<(), String> {
    zip.start_file(name, options).map_err(|e| e.to_string())?;
    zip.write_all(bytes).map_err(|e| e.to_string())
}
