//! Writes records as lines into part files of a directory: `part-<subtask>-<n>`.
//!
//! A part is written under a hidden name (`.part-….inprogress`) and gets its own when it is complete, so that a reader of
//! the directory sees whole parts only.

use super::Sink;
use crate::element::Batch;
use crate::error::{TaskError, TaskResult};
use crate::sources::local_path;
use crate::task::TaskContext;
use crate::text;
use serde::Serialize;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

const BUFFER: usize = 256 * 1024;

/// A sink of lines.
pub struct TextFileSink {
    directory: String,
    part: Option<Part>,
    buffer: Vec<u8>,
}

struct Part {
    file: File,
    in_progress: PathBuf,
    finished: PathBuf,
}

impl TextFileSink {
    /// A sink that writes into a directory, which must not exist or be empty unless `fs.overwrite-files` is set.
    pub fn new(directory: String) -> Self {
        TextFileSink { directory, part: None, buffer: Vec::new() }
    }

    fn flush(&mut self) -> TaskResult {
        if let Some(part) = &mut self.part {
            part.file.write_all(&self.buffer).map_err(|e| write_failed(&part.in_progress, &e))?;
        }
        self.buffer.clear();
        Ok(())
    }
}

fn write_failed(path: &Path, error: &std::io::Error) -> TaskError {
    TaskError::caused(format!("cannot write {}", path.display()), error)
}

/// The name of the first part of a subtask.
fn part_name(subtask: u32) -> String {
    format!("part-{subtask}-0")
}

impl<T: Serialize + 'static> Sink<T> for TextFileSink {
    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let directory = local_path(&self.directory)?;
        let overwrite = crate::options::flag(&context.job.config, "fs.overwrite-files");
        let finished = directory.join(part_name(context.subtask()));
        if !overwrite && (directory.is_file() || finished.exists()) {
            return Err(TaskError::failed(format!(
                "output path {} already exists: remove it, name another, or set fs.overwrite-files: true",
                self.directory
            )));
        }
        fs::create_dir_all(&directory).map_err(|e| write_failed(&directory, &e))?;
        let in_progress =
            directory.join(format!(".{}.inprogress.{}", part_name(context.subtask()), context.job.job_id));
        let file = File::create(&in_progress).map_err(|e| write_failed(&in_progress, &e))?;
        self.part = Some(Part { file, in_progress, finished });
        Ok(())
    }

    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        for record in &batch.records {
            text::append(&mut self.buffer, record)
                .map_err(|e| TaskError::caused("cannot write a record", &e))?;
            self.buffer.push(b'\n');
        }
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn end(&mut self) -> TaskResult {
        self.flush()?;
        if let Some(part) = self.part.take() {
            fs::rename(&part.in_progress, &part.finished).map_err(|e| write_failed(&part.finished, &e))?;
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some(part) = self.part.take() {
            let _ = fs::remove_file(&part.in_progress);
        }
    }
}
