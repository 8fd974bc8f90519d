//! Reads state back and verifies that it is what was written.

use super::local::{Expected, LocalState};
use crate::state::StateError;
use kvick_core::checkpoint::{StateFile, StateHandle};
use kvick_filesystem::blocking::{FileSystems, Reader};
use kvick_filesystem::{FsError, FsPath};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3Default;

const BUFFER: usize = 256 << 10;

/// Reads the state of one checkpoint.
#[derive(Clone)]
pub struct StateReader {
    files: Arc<FileSystems>,
    directory: Option<String>,
    local: Option<Arc<LocalState>>,
}

impl StateReader {
    /// A reader for a checkpoint in a directory; none where all state is inline.
    pub fn new(files: Arc<FileSystems>, directory: Option<String>) -> StateReader {
        StateReader { files, directory, local: None }
    }

    /// The same, but what has a local copy is read from there.
    #[must_use]
    pub fn with_local(mut self, local: Option<Arc<LocalState>>) -> StateReader {
        self.local = local;
        self
    }

    /// Reads a piece of state whole.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written.
    pub fn read(&self, handle: &StateHandle) -> Result<Vec<u8>, StateError> {
        let mut source = self.open(handle)?;
        let mut bytes = Vec::with_capacity(usize::try_from(handle.bytes()).unwrap_or(0).min(64 << 20));
        source.read_to_end(&mut bytes).map_err(|error| source.failed(&error))?;
        source.finish()?;
        Ok(bytes)
    }

    /// Opens a piece of state; what was read is verified by [`HandleReader::finish`].
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(&self, handle: &StateHandle) -> Result<HandleReader, StateError> {
        match handle {
            StateHandle::Inline { bytes } => {
                let source = Source::Inline(Cursor::new(Arc::clone(&bytes.0)));
                Ok(HandleReader::new(source, bytes.0.len() as u64, None, "the checkpoint's metadata".into()))
            }
            StateHandle::File { file, offset, length, checksum } => {
                let path = self.path(file)?;
                let failed = |source| StateError::Read { path: path.to_string(), source };
                let source = match self.local_copy(handle) {
                    Some(copy) => local_source(&copy, *offset)
                        .map_err(|error| failed(io_failed("read", &path, &error)))?,
                    None => self.file_source(&path, *offset, *length).map_err(failed)?,
                };
                let place = format!("{path} (bytes {offset} to {})", offset.saturating_add(*length));
                Ok(HandleReader::new(source, *length, Some(*checksum), place))
            }
        }
    }

    fn file_source(&self, path: &FsPath, offset: u64, length: u64) -> Result<Source, FsError> {
        let mut reader = self.files.get(path)?.open(path)?;
        reader.expect_until(offset.saturating_add(length));
        reader.seek(SeekFrom::Start(offset)).map_err(|error| io_failed("read", path, &error))?;
        Ok(Source::File(Box::new(BufReader::with_capacity(BUFFER, reader))))
    }

    /// The local file that has this piece of state, where there is one; its bytes were verified.
    pub(crate) fn local_copy(&self, handle: &StateHandle) -> Option<PathBuf> {
        let (Some(local), StateHandle::File { file, offset, length, checksum }) = (&self.local, handle)
        else {
            return None;
        };
        let place = self.path(file).ok()?;
        let piece = Expected { offset: *offset, length: *length, checksum: *checksum };
        local.find(place.name(), &piece, &place.to_string())
    }

    /// The whole path of a file of the checkpoint.
    ///
    /// # Errors
    /// The name cannot be resolved.
    pub fn path(&self, file: &StateFile) -> Result<FsPath, StateError> {
        let failed = |path: &str, source| StateError::Read { path: path.to_string(), source };
        match (file, &self.directory) {
            (StateFile::Shared(path), _) => self.files.resolve(path).map_err(|e| failed(path, e)),
            (StateFile::Own(name), Some(directory)) => {
                Ok(self.files.resolve(directory).map_err(|e| failed(directory, e))?.join(name))
            }
            (StateFile::Own(name), None) => Err(StateError::Damaged {
                place: name.clone(),
                reason: "the checkpoint names a file, but no directory".to_string(),
            }),
        }
    }

    /// The file systems.
    pub fn files(&self) -> &Arc<FileSystems> {
        &self.files
    }
}

/// A failed read or write of a file, as an error of its file system.
pub(super) fn io_failed(operation: &'static str, path: &FsPath, error: &io::Error) -> FsError {
    FsError::Other { operation, path: path.to_string(), reason: error.to_string() }
}

enum Source {
    Inline(Cursor<Arc<[u8]>>),
    File(Box<BufReader<Reader>>),
    Local(BufReader<File>),
}

fn local_source(copy: &std::path::Path, offset: u64) -> io::Result<Source> {
    let mut file = File::open(copy)?;
    file.seek(SeekFrom::Start(offset))?;
    Ok(Source::Local(BufReader::with_capacity(BUFFER, file)))
}

/// A piece of state being read.
pub struct HandleReader {
    source: Source,
    left: u64,
    length: u64,
    checksum: Option<u64>,
    hash: Xxh3Default,
    place: String,
}

impl HandleReader {
    fn new(source: Source, length: u64, checksum: Option<u64>, place: String) -> HandleReader {
        HandleReader { source, left: length, length, checksum, hash: Xxh3Default::new(), place }
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.length - self.left
    }

    /// Reads on to a position, and past it into `buffer`, which is filled anew with `length` bytes.
    ///
    /// # Errors
    /// As [`HandleReader::failed`].
    pub fn piece(&mut self, offset: u64, length: u64, buffer: &mut Vec<u8>) -> Result<(), StateError> {
        self.skip(offset.saturating_sub(self.position()))?;
        buffer.clear();
        let read = self.by_ref().take(length).read_to_end(buffer).map_err(|error| self.failed(&error))?;
        if read as u64 == length && offset + length == self.position() {
            return Ok(());
        }
        Err(self.damaged(format!("its key groups reach beyond its {} bytes", self.length)))
    }

    fn skip(&mut self, count: u64) -> Result<(), StateError> {
        let skipped = io::copy(&mut self.by_ref().take(count), &mut io::sink());
        skipped.map(drop).map_err(|error| self.failed(&error))
    }

    /// Reads what is left and compares the checksum.
    ///
    /// # Errors
    /// [`StateError::Damaged`].
    pub fn finish(&mut self) -> Result<(), StateError> {
        self.skip(self.left)?;
        let found = self.hash.digest();
        match self.checksum {
            _ if self.left > 0 => Err(self.damaged(format!("{} bytes are missing", self.left))),
            Some(checksum) if checksum != found => {
                Err(self.damaged(format!("its checksum is {found:016x}, not {checksum:016x}")))
            }
            _ => Ok(()),
        }
    }

    /// The error of a failed read.
    pub fn failed(&self, error: &io::Error) -> StateError {
        self.damaged(format!("it cannot be read: {error}"))
    }

    /// Says that this piece is not what was written.
    pub fn damaged(&self, reason: String) -> StateError {
        StateError::Damaged { place: self.place.clone(), reason }
    }
}

impl Read for HandleReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let count = match &mut self.source {
            Source::Inline(bytes) => bytes.read(&mut buffer[..wanted])?,
            Source::File(reader) => reader.read(&mut buffer[..wanted])?,
            Source::Local(reader) => reader.read(&mut buffer[..wanted])?,
        };
        if self.checksum.is_some() {
            self.hash.update(&buffer[..count]);
        }
        self.left -= count as u64;
        Ok(count)
    }
}
