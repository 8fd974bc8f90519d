//! Files of comma-separated values, read into any type that `serde` can read: structs by the header's names or, without
//! a header, by position; tuples by position.
//!
//! A quoted field may hold line feeds, so nobody can tell in the middle of a file where a record begins: each file is read
//! by one subtask.

use super::{FileFormat, malformed, unreadable};
use crate::element::{BATCH_SIZE, Data};
use crate::error::{TaskError, TaskResult};
use crate::operator::Output;
use crate::sources::split::SplitReader;
use crate::task::Poll;
use csv::{Position, ReaderBuilder, StringRecord, Trim};
use kvick_filesystem::FsPath;
use kvick_filesystem::blocking::{FileSystem, Reader};
use kvick_filesystem::splits::Split;
use std::marker::PhantomData;

/// Comma-separated values as records of type `T`.
pub struct CsvFormat<T> {
    delimiter: u8,
    quote: u8,
    comment: Option<u8>,
    header: bool,
    ignore_errors: bool,
    types: PhantomData<fn() -> T>,
}

impl<T> Clone for CsvFormat<T> {
    fn clone(&self) -> Self {
        CsvFormat { types: PhantomData, ..*self }
    }
}

impl<T> Default for CsvFormat<T> {
    fn default() -> Self {
        let (delimiter, quote) = (b',', b'"');
        CsvFormat { delimiter, quote, comment: None, header: false, ignore_errors: false, types: PhantomData }
    }
}

impl<T> CsvFormat<T> {
    /// What stands between fields, instead of a comma.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// What stands around fields that hold delimiters, instead of `"`.
    #[must_use]
    pub fn quote(mut self, quote: u8) -> Self {
        self.quote = quote;
        self
    }

    /// Lines that begin with this are passed over.
    #[must_use]
    pub fn comment(mut self, comment: u8) -> Self {
        self.comment = Some(comment);
        self
    }

    /// The first record of each file names the fields.
    #[must_use]
    pub fn with_header(mut self) -> Self {
        self.header = true;
        self
    }

    /// Passes over records that cannot be read, instead of failing the job.
    #[must_use]
    pub fn ignore_parse_errors(mut self) -> Self {
        self.ignore_errors = true;
        self
    }
}

impl<T: Data> FileFormat for CsvFormat<T> {
    type Out = T;
    type Reader = CsvReader<T>;

    fn is_splittable(&self) -> bool {
        false
    }

    fn open(&self, files: &FileSystem, split: &Split, position: Option<u64>) -> TaskResult<CsvReader<T>> {
        let path = split.path.clone();
        let input = files.open(&path).map_err(|error| unreadable(&path.to_string(), &error))?;
        let mut reader = ReaderBuilder::new()
            .delimiter(self.delimiter)
            .quote(self.quote)
            .comment(self.comment)
            .has_headers(self.header)
            .trim(Trim::Headers)
            .from_reader(input);
        let failed = |error| TaskError::caused(format!("cannot read the file {path}"), &error);
        let header = if self.header { Some(reader.headers().map_err(failed)?.clone()) } else { None };
        if let Some(byte) = position {
            let mut there = Position::new();
            there.set_byte(byte);
            reader.seek(there).map_err(failed)?;
        }
        let (record, ignore_errors) = (StringRecord::new(), self.ignore_errors);
        Ok(CsvReader { reader, header, record, ignore_errors, path, types: PhantomData })
    }
}

/// Reads the records of one file.
pub struct CsvReader<T> {
    reader: csv::Reader<Reader>,
    header: Option<StringRecord>,
    record: StringRecord,
    ignore_errors: bool,
    path: FsPath,
    types: PhantomData<fn() -> T>,
}

impl<T: Data> CsvReader<T> {
    /// The next record that can be read; the outer `None` at the end of the file.
    fn next(&mut self) -> Result<Option<Option<T>>, csv::Error> {
        match self.reader.read_record(&mut self.record) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            // A failed read is never passed over; a record of another length or not of UTF-8 may be.
            Err(error) if self.ignore_errors && !error.is_io_error() => return Ok(Some(None)),
            Err(error) => return Err(error),
        }
        match self.record.deserialize(self.header.as_ref()) {
            Ok(record) => Ok(Some(Some(record))),
            Err(_) if self.ignore_errors => Ok(Some(None)),
            Err(error) => Err(error),
        }
    }
}

impl<T: Data> SplitReader for CsvReader<T> {
    type Out = T;
    type Position = u64;

    fn read(&mut self, out: &mut Output<T>) -> TaskResult<Poll> {
        for _ in 0..BATCH_SIZE {
            let before = self.reader.position().byte();
            match self.next() {
                Ok(Some(Some(record))) => out.push(record),
                Ok(Some(None)) => {}
                Ok(None) => return Ok(Poll::End),
                Err(error) => return Err(malformed(&self.path, before, &error.into())),
            }
        }
        Ok(Poll::More)
    }

    fn position(&self) -> Option<u64> {
        Some(self.reader.position().byte())
    }
}
