//! What can be wrong with a jar, in words for the person who typed its name.

use crate::glibc::GlibcVersion;
use std::io;
use std::path::PathBuf;

/// Why a jar cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JarError {
    /// There is no such file.
    #[error("JAR file does not exist: {}", .0.display())]
    NotFound(PathBuf),
    /// It is a directory or a device.
    #[error("JAR file is not a file: {}", .0.display())]
    NotAFile(PathBuf),
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The jar.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no zip file.
    #[error("{} is not a jar: it is no zip file ({why})", path.display())]
    NotAZip {
        /// The file.
        path: PathBuf,
        /// What the zip reader said.
        why: String,
    },
    /// Something in it is damaged.
    #[error("{} is damaged: {entry}: {why}", path.display())]
    Corrupt {
        /// The jar.
        path: PathBuf,
        /// What in it.
        entry: String,
        /// What is wrong.
        why: String,
    },
    /// It is made for a Java virtual machine.
    #[error(
        "{} is a Java jar. Kvick runs native job programs: write the job with the kvick crate and pack it with \
         `cargo kvick jar`",
        .0.display()
    )]
    JavaJar(PathBuf),
    /// It has no entry point of that name.
    #[error(
        "The program's entry point class '{asked}' was not found in the jar file {}. It has: {}",
        path.display(),
        available.join(", ")
    )]
    NoSuchEntry {
        /// The jar.
        path: PathBuf,
        /// What was asked for with `-c`.
        asked: String,
        /// What there is.
        available: Vec<String>,
    },
    /// It names no default entry point.
    #[error(
        "{} names no Main-Class: choose an entry point with -c. It has: {}",
        path.display(),
        available.join(", ")
    )]
    NoMainClass {
        /// The jar.
        path: PathBuf,
        /// What there is.
        available: Vec<String>,
    },
    /// Its program is built for other machines.
    #[error(
        "{} holds '{entry}' for {}, but this cluster runs {needs}: pack it with `cargo kvick jar --target {needs}`",
        path.display(),
        has.join(", ")
    )]
    ForeignTarget {
        /// The jar.
        path: PathBuf,
        /// The entry point.
        entry: String,
        /// The targets that it was built for.
        has: Vec<String>,
        /// The target that is needed.
        needs: String,
    },
    /// It was built with another version of the engine.
    #[error(
        "{} was built with version {jar} of the kvick crate, this is version {engine}: build it again with that version",
        path.display()
    )]
    EngineMismatch {
        /// The jar.
        path: PathBuf,
        /// The version that it was built with.
        jar: String,
        /// This version.
        engine: String,
    },
    /// Its program needs a newer C library.
    #[error(
        "{} needs glibc {needs}, this machine has {has}: build it on a system as old as the oldest node",
        path.display()
    )]
    GlibcTooNew {
        /// The jar.
        path: PathBuf,
        /// The version that it needs.
        needs: GlibcVersion,
        /// The version that there is.
        has: GlibcVersion,
    },
    /// It could not be unpacked.
    #[error("cannot unpack {} into {}: {source}", path.display(), dir.display())]
    Unpack {
        /// The jar.
        path: PathBuf,
        /// Where to.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It could not be written.
    #[error("cannot write {}: {why}", path.display())]
    Write {
        /// The jar.
        path: PathBuf,
        /// Why.
        why: String,
    },
}
