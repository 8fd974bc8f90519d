//! The lines of text files: a file, or all files of a directory, cut into byte ranges that subtasks read in parallel.
//!
//! A line belongs to the range in which it starts (Hadoop's rule). Names that start with `_` or `.` are left out.

use super::collection::share;
use crate::element::BATCH_SIZE;
use crate::error::{TaskError, TaskResult};
use crate::operator::Output;
use crate::task::{Poll, Source, TaskContext};
use memchr::memchr;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const BLOCK: usize = 256 * 1024;
/// Ranges below this size are not worth a seek.
const SMALLEST_SPLIT: u64 = 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Split {
    path: PathBuf,
    start: u64,
    end: u64,
}

/// A source of lines.
pub struct TextFileSource {
    path: String,
    splits: Vec<Split>,
    current: Option<SplitReader>,
}

impl TextFileSource {
    /// The lines of a file or of the files in a directory.
    pub fn new(path: String) -> Self {
        TextFileSource { path, splits: Vec::new(), current: None }
    }
}

impl Source for TextFileSource {
    type Out = String;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        let local = local_path(&self.path)?;
        let mut files = Vec::new();
        list(&local, &mut files).map_err(|error| {
            TaskError::caused(format!("cannot read the input path {}", self.path), &error)
        })?;
        let splits = cut(&files, context.parallelism);
        self.splits = splits[share(splits.len(), context.subtask(), context.parallelism)].to_vec();
        self.splits.reverse();
        Ok(())
    }

    fn poll(&mut self, out: &mut Output<String>) -> TaskResult<Poll> {
        let Some(reader) = &mut self.current else {
            let Some(split) = self.splits.pop() else { return Ok(Poll::End) };
            let name = split.path.display().to_string();
            self.current = Some(SplitReader::open(split).map_err(|e| read_failed(&name, &e))?);
            return Ok(Poll::More);
        };
        let more = reader.lines(out).map_err(|e| read_failed(&self.path, &e))?;
        if !more {
            self.current = None;
        }
        Ok(Poll::More)
    }
}

fn read_failed(path: &str, error: &std::io::Error) -> TaskError {
    TaskError::caused(format!("cannot read {path}"), error)
}

/// The local path of `file:///a`, `file:/a` or `/a`.
pub(crate) fn local_path(text: &str) -> TaskResult<PathBuf> {
    let Some((scheme, rest)) = text.split_once(':').filter(|(s, _)| is_scheme(s)) else {
        return Ok(PathBuf::from(text));
    };
    if scheme != "file" {
        return Err(TaskError::failed(format!(
            "cannot access {text}: the file system \"{scheme}\" is not supported here; \"file\" is"
        )));
    }
    let path = rest.strip_prefix("//").map_or(rest, |after| after.trim_start_matches(|c| c != '/'));
    Ok(PathBuf::from(path))
}

fn is_scheme(text: &str) -> bool {
    text.len() > 1 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

fn list(path: &Path, files: &mut Vec<(PathBuf, u64)>) -> std::io::Result<()> {
    let metadata = fs::metadata(path)?;
    if metadata.is_file() {
        files.push((path.to_path_buf(), metadata.len()));
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let hidden = entry.file_name().to_string_lossy().starts_with(['_', '.']);
        if !hidden {
            list(&entry.path(), files)?;
        }
    }
    Ok(())
}

/// Cuts files into ranges, a few for each subtask.
fn cut(files: &[(PathBuf, u64)], parallelism: u32) -> Vec<Split> {
    let total: u64 = files.iter().map(|(_, length)| length).sum();
    let size = total.div_ceil(u64::from(parallelism).max(1)).max(SMALLEST_SPLIT);
    let mut splits = Vec::new();
    for (path, length) in files {
        for start in (0..*length).step_by(size as usize) {
            splits.push(Split { path: path.clone(), start, end: length.min(&(start + size)).to_owned() });
        }
    }
    splits
}

struct SplitReader {
    file: File,
    /// The file's offset of `block[0]`.
    offset: u64,
    block: Vec<u8>,
    /// The first byte of the next line in `block`.
    next: usize,
    end: u64,
    at_end: bool,
}

impl SplitReader {
    fn open(split: Split) -> std::io::Result<SplitReader> {
        let mut file = File::open(&split.path)?;
        // The line that starts at the split's first byte is ours: begin one byte earlier and skip to the line's end.
        let offset = split.start.saturating_sub(1);
        file.seek(SeekFrom::Start(offset))?;
        let mut reader =
            SplitReader { file, offset, block: Vec::new(), next: 0, end: split.end, at_end: false };
        if split.start > 0 {
            reader.skip_line()?;
        }
        Ok(reader)
    }

    fn skip_line(&mut self) -> std::io::Result<()> {
        loop {
            if let Some(at) = memchr(b'\n', &self.block[self.next..]) {
                self.next += at + 1;
                return Ok(());
            }
            self.next = self.block.len();
            if !self.fill()? {
                return Ok(());
            }
        }
    }

    /// Drops what was read and reads more behind what is left; `false` at the end of the file.
    fn fill(&mut self) -> std::io::Result<bool> {
        self.block.drain(..self.next);
        self.offset += self.next as u64;
        self.next = 0;
        let before = self.block.len();
        self.block.resize(before + BLOCK, 0);
        let count = self.file.read(&mut self.block[before..])?;
        self.block.truncate(before + count);
        self.at_end = count == 0;
        Ok(count > 0)
    }

    /// Emits some lines; `false` when the split is done.
    fn lines(&mut self, out: &mut Output<String>) -> std::io::Result<bool> {
        for _ in 0..BATCH_SIZE {
            if self.offset + self.next as u64 >= self.end {
                return Ok(false);
            }
            let length = loop {
                if let Some(at) = memchr(b'\n', &self.block[self.next..]) {
                    break Some(at);
                }
                if self.at_end || !self.fill()? {
                    break None;
                }
            };
            let Some(length) = length else {
                if self.next < self.block.len() {
                    out.push(text(&self.block[self.next..]));
                }
                return Ok(false);
            };
            out.push(text(&self.block[self.next..self.next + length]));
            self.next += length + 1;
        }
        Ok(true)
    }
}

fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(line).into_owned(),
    }
}
