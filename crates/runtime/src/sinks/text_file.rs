//! Writes records as lines into part files of a directory: `part-<subtask>-<n>`.
//!
//! A part is written under a hidden name and gets its own when it is complete, so that a reader of the directory sees
//! whole parts only.

use super::Sink;
use crate::element::Batch;
use crate::error::{TaskError, TaskResult};
use crate::options;
use crate::task::TaskContext;
use crate::text;
use kvick_core::config::options::FS_OVERWRITE;
use kvick_filesystem::blocking::FileSystem;
use kvick_filesystem::output::OutputFile;
use kvick_filesystem::{CreateOptions, FsError, FsPath};
use serde::Serialize;
use std::io::Write;

const BUFFER: usize = 256 * 1024;

/// A sink of lines.
pub struct TextFileSink {
    directory: String,
    part: Option<OutputFile>,
    buffer: Vec<u8>,
}

impl TextFileSink {
    /// A sink that writes into a directory, which must hold no parts yet unless `fs.overwrite-files` is set.
    pub fn new(directory: String) -> Self {
        TextFileSink { directory, part: None, buffer: Vec::with_capacity(BUFFER + 4096) }
    }

    fn failed(&self, error: &(dyn std::error::Error + 'static)) -> TaskError {
        TaskError::caused(format!("cannot write to {}", self.directory), error)
    }

    fn flush(&mut self) -> TaskResult {
        if let Some(part) = &mut self.part {
            let written = part.write_all(&self.buffer);
            written.map_err(|error| self.failed(&error))?;
        }
        self.buffer.clear();
        Ok(())
    }

    fn start_part(&self, context: &TaskContext) -> Result<Option<OutputFile>, FsError> {
        let (files, directory) = context.job.files.locate(&self.directory)?;
        // A later attempt replaces what an earlier one of the same job wrote.
        let overwrite = context.execution.attempt > 0 || overwrites(context);
        if !overwrite && is_taken(&files, &directory, context)? {
            return Ok(None);
        }
        let options = if overwrite { CreateOptions::overwriting() } else { CreateOptions::default() };
        let part = directory.join(&format!("part-{}-0", context.subtask()));
        OutputFile::create(&files, &part, &options).map(Some)
    }
}

fn overwrites(context: &TaskContext) -> bool {
    options::value(&context.job.config, &FS_OVERWRITE)
}

/// Whether the path is a file, or a directory with a part that this job would write or that it would seem to have written.
/// (Other subtasks of this very job may have written theirs already.)
fn is_taken(files: &FileSystem, directory: &FsPath, context: &TaskContext) -> Result<bool, FsError> {
    match files.stat(directory) {
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(error),
        Ok(status) if !status.is_directory => return Ok(true),
        Ok(_) => {}
    }
    let foreign = |name: &str| {
        part_index(name).is_some_and(|index| index == context.subtask() || index >= context.parallelism)
    };
    Ok(files.list(directory)?.iter().any(|entry| foreign(entry.path.name())))
}

/// The subtask in `part-<subtask>-<n>`.
fn part_index(name: &str) -> Option<u32> {
    name.strip_prefix("part-")?.split_once('-')?.0.parse().ok()
}

impl<T: Serialize + 'static> Sink<T> for TextFileSink {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.part = self.start_part(context).map_err(|error| self.failed(&error))?;
        if self.part.is_none() {
            return Err(TaskError::failed(format!(
                "output path {} already exists: remove it, name another, or set fs.overwrite-files: true",
                self.directory
            )));
        }
        Ok(())
    }

    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        for record in &batch.records {
            text::append(&mut self.buffer, record).map_err(|error| self.failed(&error))?;
            self.buffer.push(b'\n');
        }
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn end(&mut self) -> TaskResult {
        self.flush()?;
        if let Some(part) = self.part.take() {
            part.finish().map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    fn close(&mut self) {
        // Dropped unfinished, it removes what it wrote.
        self.part = None;
    }
}
