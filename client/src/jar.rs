//! The user's jar: opened, checked, and its program unpacked to be run here.

use crate::args::UsageError;
use anyhow::{Result, anyhow};
use kvick_jar::{Jar, JarError};
use std::path::{Path, PathBuf};

/// A program out of a jar, ready to be run. Dropping it removes the unpacked files.
pub struct UnpackedProgram {
    /// The jar, as an absolute path.
    pub jar: PathBuf,
    /// The program.
    pub program: PathBuf,
    _dir: tempfile::TempDir,
}

/// Opens a jar, chooses the entry point and unpacks it.
///
/// # Errors
/// A jar that is none, is Java's, is for another machine or engine, or has no such entry point.
pub fn unpack(jar: &str, entry: Option<&str>) -> Result<UnpackedProgram> {
    let path = absolute(jar)?;
    let opened = Jar::open(&path).map_err(|error| unusable(jar, error))?;
    let selected = opened.select(entry, kvick_jar::HOST_TARGET)?;
    let dir = tempfile::Builder::new().prefix("kvick-job-").tempdir()?;
    let program = opened.unpack(&selected, dir.path())?;
    Ok(UnpackedProgram { jar: path, program, _dir: dir })
}

/// Checks a jar as far as that is possible without running it.
///
/// # Errors
/// As [`unpack`].
pub fn check(jar: &str, entry: Option<&str>) -> Result<PathBuf> {
    let path = absolute(jar)?;
    let opened = Jar::open(&path).map_err(|error| unusable(jar, error))?;
    opened.select(entry, kvick_jar::HOST_TARGET)?;
    Ok(path)
}

fn absolute(jar: &str) -> Result<PathBuf> {
    let plain = jar.strip_prefix("file://").or_else(|| jar.strip_prefix("file:")).unwrap_or(jar);
    if plain.contains("://") {
        return Err(anyhow!(
            "The jar '{jar}' is not a local file; remote jars are not supported by this version yet."
        ));
    }
    if !Path::new(plain).is_file() {
        return Err(unreadable(format!("JAR file does not exist: {jar}")).into());
    }
    Ok(std::path::absolute(plain)?)
}

fn unreadable(why: String) -> UsageError {
    UsageError(format!("Could not get job jar and dependencies from JAR file: {why}"))
}

/// A file that is no jar is a mistake in the command line; a jar that cannot be run here has its own words.
fn unusable(jar: &str, error: JarError) -> anyhow::Error {
    match error {
        JarError::NotAZip { .. } => unreadable(format!("Error while opening jar file '{jar}'")).into(),
        other => anyhow::Error::new(other),
    }
}
