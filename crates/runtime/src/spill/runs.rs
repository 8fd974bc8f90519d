//! Sorted runs in temporary files, and their merging.
//!
//! Entries are in order of hash, then of time; among equal ones, in the order in which their runs were written, and within a
//! run in the order in which they were given.

use super::{SpillError, SpillSettings, block, read_failed, write_failed};
use crate::element::Data;
use crate::state::store::directory::LocalDirectory;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::marker::PhantomData;
use std::path::PathBuf;

/// How many runs are merged at once: each has a block in memory and an open file.
const FAN_IN: usize = 64;
const BUFFER: usize = 2 * block::TARGET;

/// A value with what it is sorted by.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<T> {
    /// The hash of its key.
    pub hash: u64,
    /// Its time.
    pub at: i64,
    /// The value.
    pub value: T,
}

/// Runs of entries in temporary files; removed on drop.
pub struct Runs<T> {
    settings: SpillSettings,
    /// One directory for each that is configured, made when it is needed.
    directories: Vec<LocalDirectory>,
    files: Vec<PathBuf>,
    number: usize,
    bytes: u64,
    types: PhantomData<fn() -> T>,
}

impl<T: Data> Runs<T> {
    /// No run yet, and no directory.
    pub fn new(settings: SpillSettings) -> Runs<T> {
        let (directories, files) = (Vec::new(), Vec::new());
        Runs { settings, directories, files, number: 0, bytes: 0, types: PhantomData }
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Bytes that were written, those of runs that were merged again included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes a run of entries that are in order.
    ///
    /// # Errors
    /// A file that cannot be written, or a value that refuses to be serialised.
    pub fn write(
        &mut self,
        entries: impl Iterator<Item = Result<Entry<T>, SpillError>>,
    ) -> Result<(), SpillError> {
        let path = self.next_path()?;
        let file = File::create(&path).map_err(|error| write_failed(&path, error))?;
        let mut file = BufWriter::with_capacity(BUFFER, file);
        let mut body = Vec::with_capacity(block::TARGET + 1024);
        for entry in entries {
            let entry = entry?;
            body.extend(entry.hash.to_le_bytes());
            body.extend(entry.at.to_le_bytes());
            body = postcard::to_extend(&entry.value, body).map_err(SpillError::record::<T>)?;
            if body.len() >= block::TARGET {
                self.bytes += body.len() as u64;
                block::write(&mut file, &path, &body)?;
                body.clear();
            }
        }
        self.bytes += body.len() as u64;
        if !body.is_empty() {
            block::write(&mut file, &path, &body)?;
        }
        file.flush().map_err(|error| write_failed(&path, error))?;
        self.files.push(path);
        Ok(())
    }

    fn next_path(&mut self) -> Result<PathBuf, SpillError> {
        let wanted = self.settings.directories.len().max(1);
        if self.directories.len() < wanted {
            self.directories.push(self.settings.directory(self.directories.len())?);
        }
        let directory = &self.directories[self.number % self.directories.len()];
        self.number += 1;
        Ok(directory.path().join(format!("run-{}", self.number)))
    }

    /// All entries of all runs in order. Merges in several passes where there are too many runs for one.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn merge(mut self) -> Result<Merged<T>, SpillError> {
        while self.files.len() > FAN_IN {
            let files = std::mem::take(&mut self.files);
            for part in files.chunks(FAN_IN) {
                let merge = Merge::open(part)?;
                self.write(merge)?;
                part.iter().for_each(|file| drop(std::fs::remove_file(file)));
            }
        }
        Ok(Merged { merge: Merge::open(&self.files)?, _files: self })
    }
}

/// One run while it is read.
struct RunReader {
    path: PathBuf,
    file: BufReader<File>,
    at: u64,
    body: Vec<u8>,
    read: usize,
}

impl RunReader {
    fn open(path: &PathBuf) -> Result<RunReader, SpillError> {
        let file = File::open(path).map_err(|error| read_failed(path, error))?;
        let file = BufReader::with_capacity(BUFFER, file);
        Ok(RunReader { path: path.clone(), file, at: 0, body: Vec::new(), read: 0 })
    }

    fn next<T: Data>(&mut self) -> Result<Option<Entry<T>>, SpillError> {
        if self.read == self.body.len() {
            if !block::read(&mut self.file, &self.path, self.at, &mut self.body)? {
                return Ok(None);
            }
            self.at += (block::HEAD + self.body.len()) as u64;
            self.read = 0;
        }
        let rest = &self.body[self.read..];
        let damaged = || SpillError::Damaged { path: self.path.clone(), at: self.at };
        let (hash, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (at, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (value, rest) = postcard::take_from_bytes::<T>(rest).map_err(SpillError::record::<T>)?;
        self.read = self.body.len() - rest.len();
        Ok(Some(Entry { hash: u64::from_le_bytes(*hash), at: i64::from_le_bytes(*at), value }))
    }
}

/// Several runs while they are merged.
struct Merge<T> {
    readers: Vec<RunReader>,
    heads: Vec<Option<T>>,
    order: BinaryHeap<Reverse<(u64, i64, usize)>>,
}

impl<T: Data> Merge<T> {
    fn open(files: &[PathBuf]) -> Result<Merge<T>, SpillError> {
        let readers = files.iter().map(RunReader::open).collect::<Result<Vec<_>, _>>()?;
        let heads = readers.iter().map(|_| None).collect();
        let mut merge = Merge { readers, heads, order: BinaryHeap::new() };
        for run in 0..merge.readers.len() {
            merge.refill(run)?;
        }
        Ok(merge)
    }

    fn refill(&mut self, run: usize) -> Result<(), SpillError> {
        if let Some(entry) = self.readers[run].next()? {
            self.order.push(Reverse((entry.hash, entry.at, run)));
            self.heads[run] = Some(entry.value);
        }
        Ok(())
    }

    fn take(&mut self) -> Result<Option<Entry<T>>, SpillError> {
        let Some(Reverse((hash, at, run))) = self.order.pop() else { return Ok(None) };
        let Some(value) = self.heads[run].take() else { return Ok(None) };
        self.refill(run)?;
        Ok(Some(Entry { hash, at, value }))
    }
}

impl<T: Data> Iterator for Merge<T> {
    type Item = Result<Entry<T>, SpillError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.take().transpose()
    }
}

/// The entries of all runs, in order. The files are removed with it.
pub struct Merged<T> {
    merge: Merge<T>,
    _files: Runs<T>,
}

impl<T: Data> Iterator for Merged<T> {
    type Item = Result<Entry<T>, SpillError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.merge.next()
    }
}
