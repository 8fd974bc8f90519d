//! The lines of text files: a file, or all files under a directory, cut into ranges that subtasks read in parallel.
//!
//! Every subtask lists the input itself and takes its share of the ranges; so the input must not change while a job starts.

use super::collection::share;
use crate::element::BATCH_SIZE;
use crate::error::{TaskError, TaskResult};
use crate::operator::Output;
use crate::task::{Poll, Source, TaskContext};
use kvick_filesystem::FsError;
use kvick_filesystem::blocking::{FileSystem, FileSystems, Reader};
use kvick_filesystem::lines::{self, LineReader};
use kvick_filesystem::splits::{Split, SplitOptions, input_files_blocking, split};

/// Ranges below this size are not worth opening a file.
const SMALLEST_SPLIT: u64 = 1024 * 1024;

/// A source of lines.
pub struct TextFileSource {
    path: String,
    files: Option<FileSystem>,
    splits: Vec<Split>,
    current: Option<LineReader<Reader>>,
}

impl TextFileSource {
    /// The lines of a file, or of the files under a directory whose names do not start with `_` or `.`.
    pub fn new(path: String) -> Self {
        TextFileSource { path, files: None, splits: Vec::new(), current: None }
    }

    fn list(&self, systems: &FileSystems, parallelism: u32) -> Result<(FileSystem, Vec<Split>), FsError> {
        let (files, path) = systems.locate(&self.path)?;
        let options = SplitOptions {
            minimum_splits: parallelism as usize,
            minimum_size: SMALLEST_SPLIT,
            recursive: true,
        };
        let found = input_files_blocking(&files, &path, &options)?;
        Ok((files, split(&found, &options)))
    }

    fn failed(&self, error: &FsError) -> TaskError {
        TaskError::caused(format!("cannot read the input path {}", self.path), error)
    }

    /// Emits some lines; `false` when there is nothing left.
    fn read(&mut self, out: &mut Output<String>) -> Result<bool, FsError> {
        if self.current.is_none() {
            let (Some(files), Some(next)) = (&self.files, self.splits.pop()) else { return Ok(false) };
            self.current = Some(lines::open(files, &next)?);
        }
        if let Some(reader) = &mut self.current {
            for _ in 0..BATCH_SIZE {
                match reader.next_line()? {
                    Some(line) => out.push(text(line)),
                    None => {
                        self.current = None;
                        break;
                    }
                }
            }
        }
        Ok(true)
    }
}

impl Source for TextFileSource {
    type Out = String;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let listed = self.list(&context.job.files, context.parallelism);
        let (files, splits) = listed.map_err(|error| self.failed(&error))?;
        self.files = Some(files);
        self.splits = splits[share(splits.len(), context.subtask(), context.parallelism)].to_vec();
        self.splits.reverse();
        Ok(())
    }

    fn poll(&mut self, out: &mut Output<String>) -> TaskResult<Poll> {
        let more = self.read(out).map_err(|error| self.failed(&error))?;
        Ok(if more { Poll::More } else { Poll::End })
    }
}

/// Bytes that are no UTF-8 become U+FFFD.
fn text(line: &[u8]) -> String {
    match std::str::from_utf8(line) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(line).into_owned(),
    }
}
