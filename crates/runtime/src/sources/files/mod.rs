//! Records from files: a file, or all files under a directory, read once or watched for new ones.
//!
//! Where lines can be told apart, files are cut into ranges that subtasks read in parallel. What a record is decides a
//! [`FileFormat`]. A file that is watched for must appear whole under its name (be moved there), and each file is read once,
//! whatever becomes of it later.

mod csv;
mod lines;

pub use csv::{CsvFormat, CsvReader};
pub use lines::{JsonLines, LineFormat, Lines, LinesReader, TextLines};

use super::split::{SplitReader, SplitSource};
use crate::error::{BoxError, TaskError, TaskResult};
use crate::task::TaskContext;
use kvick_filesystem::blocking::{FileSystem, FileSystems};
use kvick_filesystem::splits::{Split, SplitOptions, input_files_blocking, split};
use kvick_filesystem::{FileStatus, FsError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Ranges below this size are not worth opening a file.
const SMALLEST_SPLIT: u64 = 1024 * 1024;

/// How records stand in files.
pub trait FileFormat: Clone + Send + 'static {
    /// The records.
    type Out: Send + 'static;
    /// Reads the records of one range of a file; its position is a byte of the file.
    type Reader: SplitReader<Out = Self::Out, Position = u64>;

    /// Whether reading may begin in the middle of a file. Where not, every file is one split.
    fn is_splittable(&self) -> bool;

    /// Opens a range of a file, at its beginning or where an earlier reader was.
    ///
    /// # Errors
    /// Whatever keeps the file from being opened.
    fn open(&self, files: &FileSystem, split: &Split, position: Option<u64>) -> TaskResult<Self::Reader>;
}

/// A range of a file, as it stands in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSplit {
    /// The file's full name.
    pub path: String,
    /// The first byte.
    pub start: u64,
    /// How many bytes; the largest number for a whole file however long it is.
    pub length: u64,
}

/// A source of the records in files: Flink's `FileSource.forRecordStreamFormat(format, paths)`.
#[derive(Clone)]
pub struct FileSource<F> {
    paths: Vec<String>,
    format: F,
    interval: Option<Duration>,
    recursive: bool,
    parallelism: u32,
    systems: Option<Arc<FileSystems>>,
}

impl<F: FileFormat> FileSource<F> {
    /// The records of a file, or of the files under a directory (and the directories in it) whose names do not start with
    /// `_` or `.`.
    pub fn new(format: F, path: impl Into<String>) -> FileSource<F> {
        let paths = vec![path.into()];
        FileSource { paths, format, interval: None, recursive: true, parallelism: 1, systems: None }
    }

    /// Reads this file or directory as well.
    #[must_use]
    pub fn and_path(mut self, path: impl Into<String>) -> Self {
        self.paths.push(path.into());
        self
    }

    /// Never ends: looks for new files each time the interval has passed, and reads each of them once. A directory that does
    /// not exist yet is waited for.
    #[must_use]
    pub fn monitor_continuously(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// Whether directories within directories are looked into.
    #[must_use]
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.recursive = recursive;
        self
    }

    fn systems(&self) -> TaskResult<&FileSystems> {
        self.systems.as_deref().ok_or_else(|| TaskError::failed("the file source was not opened"))
    }

    fn found(&self, path: &str, options: &SplitOptions) -> TaskResult<Vec<FileStatus>> {
        let listed =
            self.systems()?.locate(path).and_then(|(fs, path)| input_files_blocking(&fs, &path, options));
        match listed {
            Err(error) if error.is_not_found() && self.interval.is_some() => Ok(Vec::new()),
            listed => listed.map_err(|error| unreadable(path, &error)),
        }
    }
}

fn unreadable(path: &str, error: &FsError) -> TaskError {
    TaskError::caused(format!("cannot read the input path {path}"), error)
}

/// A record that is not what the format expects.
fn malformed(path: impl std::fmt::Display, byte: u64, error: &BoxError) -> TaskError {
    TaskError::caused(format!("the record at byte {byte} of {path} cannot be read"), error.as_ref())
}

impl<F: FileFormat> SplitSource for FileSource<F> {
    type Out = F::Out;
    type Split = FileSplit;
    type Position = u64;
    type Reader = F::Reader;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.parallelism = context.parallelism;
        self.systems = Some(Arc::clone(&context.job.files));
        Ok(())
    }

    /// Files that are watched for are read whole: the path alone says which.
    fn id(&self, split: &FileSplit) -> String {
        if self.interval.is_some() { split.path.clone() } else { format!("{}@{}", split.path, split.start) }
    }

    fn splits(&mut self) -> TaskResult<Vec<FileSplit>> {
        let options = SplitOptions {
            minimum_splits: self.parallelism as usize,
            minimum_size: SMALLEST_SPLIT,
            recursive: self.recursive,
        };
        let mut found = Vec::new();
        for path in &self.paths {
            found.extend(self.found(path, &options)?);
        }
        if self.interval.is_some() || !self.format.is_splittable() {
            return Ok(found.iter().map(whole).collect());
        }
        Ok(split(&found, &options).iter().map(FileSplit::from).collect())
    }

    fn discovery_interval(&self) -> Option<Duration> {
        self.interval
    }

    fn reader(&mut self, split: &FileSplit, position: Option<u64>) -> TaskResult<F::Reader> {
        let located = self.systems()?.locate(&split.path);
        let (files, path) = located.map_err(|error| unreadable(&split.path, &error))?;
        let range = Split { path, start: split.start, length: split.length, file_length: split.length };
        self.format.open(&files, &range, position)
    }
}

fn whole(file: &FileStatus) -> FileSplit {
    FileSplit { path: file.path.to_string(), start: 0, length: u64::MAX }
}

impl From<&Split> for FileSplit {
    fn from(split: &Split) -> FileSplit {
        FileSplit { path: split.path.to_string(), start: split.start, length: split.length }
    }
}
