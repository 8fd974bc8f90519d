//! Files whose records are lines: text, JSON, or whatever a line can be decoded to.

use super::{FileFormat, malformed, unreadable};
use crate::element::{BATCH_SIZE, Data};
use crate::error::{BoxError, TaskResult};
use crate::operator::Output;
use crate::sources::split::SplitReader;
use crate::task::Poll;
use kvick_filesystem::FsPath;
use kvick_filesystem::blocking::{FileSystem, Reader};
use kvick_filesystem::lines::{self, LineReader};
use kvick_filesystem::splits::Split;
use std::marker::PhantomData;

/// What a line is decoded to.
pub trait LineFormat: Clone + Send + 'static {
    /// The records.
    type Out: Send + 'static;

    /// The record of a line, given without its end; `None` to pass over it.
    ///
    /// # Errors
    /// The line is no record.
    fn decode(&self, line: &[u8]) -> Result<Option<Self::Out>, BoxError>;
}

/// Lines as text. Bytes that are no UTF-8 become U+FFFD.
#[derive(Debug, Clone, Copy, Default)]
pub struct TextLines;

impl LineFormat for TextLines {
    type Out = String;

    #[inline]
    fn decode(&self, line: &[u8]) -> Result<Option<String>, BoxError> {
        Ok(Some(match std::str::from_utf8(line) {
            Ok(text) => text.to_owned(),
            Err(_) => String::from_utf8_lossy(line).into_owned(),
        }))
    }
}

/// One JSON value on each line; empty lines are passed over.
pub struct JsonLines<T> {
    ignore_errors: bool,
    types: PhantomData<fn() -> T>,
}

impl<T> Clone for JsonLines<T> {
    fn clone(&self) -> Self {
        JsonLines { ignore_errors: self.ignore_errors, types: PhantomData }
    }
}

impl<T> Default for JsonLines<T> {
    fn default() -> Self {
        JsonLines { ignore_errors: false, types: PhantomData }
    }
}

impl<T> JsonLines<T> {
    /// Passes over lines that cannot be read, instead of failing the job.
    #[must_use]
    pub fn ignore_parse_errors(mut self) -> Self {
        self.ignore_errors = true;
        self
    }
}

impl<T: Data> LineFormat for JsonLines<T> {
    type Out = T;

    fn decode(&self, line: &[u8]) -> Result<Option<T>, BoxError> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        match serde_json::from_slice(line) {
            Ok(record) => Ok(Some(record)),
            Err(_) if self.ignore_errors => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Files of lines.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lines<L>(pub L);

impl<L: LineFormat> FileFormat for Lines<L> {
    type Out = L::Out;
    type Reader = LinesReader<L>;

    fn is_splittable(&self) -> bool {
        true
    }

    fn open(&self, files: &FileSystem, split: &Split, position: Option<u64>) -> TaskResult<LinesReader<L>> {
        let opened = match position {
            Some(position) => lines::resume(files, split, position),
            None => lines::open(files, split),
        };
        let lines = opened.map_err(|error| unreadable(&split.path.to_string(), &error))?;
        let (format, path) = (self.0.clone(), split.path.clone());
        Ok(LinesReader { format, lines, path, begun: position.is_some() })
    }
}

/// Reads the lines of one range of a file.
pub struct LinesReader<L> {
    format: L,
    lines: LineReader<Reader>,
    path: FsPath,
    begun: bool,
}

impl<L: LineFormat> SplitReader for LinesReader<L> {
    type Out = L::Out;
    type Position = u64;

    fn read(&mut self, out: &mut Output<L::Out>) -> TaskResult<Poll> {
        for _ in 0..BATCH_SIZE {
            let before = self.lines.position();
            let next = self.lines.next_line().map_err(|error| unreadable(&self.path.to_string(), &error))?;
            let Some(line) = next else { return Ok(Poll::End) };
            match self.format.decode(line) {
                Ok(Some(record)) => out.push(record),
                Ok(None) => {}
                Err(error) => return Err(malformed(&self.path, before, &error)),
            }
        }
        self.begun = true;
        Ok(Poll::More)
    }

    /// The first line of a range may belong to the range before it: only once lines were read is it known where one begins.
    fn position(&self) -> Option<u64> {
        self.begun.then(|| self.lines.position())
    }
}
