//! Files wherever they are: one small trait over the local disk and HDFS, and what Kvick builds from it — staging
//! directories, a content-addressed upload cache, input splits and their lines, output that appears only when whole.
//!
//! Reading order: [`path`] (names), [`filesystem`] (the trait), [`context`] (what a name means), [`registry`] (who serves it),
//! [`local`] and [`hdfs`] (the two that exist), [`blocking`] (the same for threads without a runtime); then [`staging`],
//! [`cache`], [`splits`], [`lines`], [`output`], each of which knows only the trait.
//!
//! It must not know jobs, containers or the command line: who stages what, and when, is decided by its callers.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod blocking;
pub mod cache;
pub mod context;
pub mod error;
pub mod filesystem;
pub mod hdfs;
pub mod lines;
pub mod local;
pub mod output;
pub mod path;
pub mod registry;
pub mod splits;
pub mod staging;
mod unique;
mod user;

pub use context::Context;
pub use error::{FsError, Result};
pub use filesystem::{CreateOptions, FileStatus, FileSystem, Reader, Writer};
pub use path::FsPath;
pub use registry::FileSystems;
