//! A file as `std::io::Write`. Owns the buffer between small writes and the file.

use std::fs::File;
use std::io::{self, Write};

use bytes::Bytes;

use super::wait_for;
use crate::error::{FsError, Result};
use crate::path::FsPath;

/// Bytes collected before they are handed on: a few HDFS packets.
const BUFFER: usize = 256 << 10;

/// A file being written. Dropped without [`Writer::close`], it leaves undefined content.
pub struct Writer {
    target: Target,
    buffer: Vec<u8>,
    /// Bytes already handed on.
    passed: u64,
    path: FsPath,
}

enum Target {
    Local(File),
    Remote(Box<dyn crate::Writer>),
}

impl Writer {
    pub(super) fn local(path: FsPath, file: File) -> Self {
        Self::new(path, Target::Local(file))
    }

    pub(super) fn remote(path: FsPath, writer: Box<dyn crate::Writer>) -> Self {
        Self::new(path, Target::Remote(writer))
    }

    fn new(path: FsPath, target: Target) -> Self {
        Self { target, buffer: Vec::new(), passed: 0, path }
    }

    /// The name it was created under.
    pub fn path(&self) -> &FsPath {
        &self.path
    }

    /// Bytes written so far, buffered ones included.
    pub fn length(&self) -> u64 {
        self.passed + self.buffer.len() as u64
    }

    /// Returns when everything written so far is on stable storage and visible to new readers.
    ///
    /// # Errors
    /// Whatever keeps it from being stored.
    pub fn sync(&mut self) -> Result<()> {
        self.pass_on()?;
        match &mut self.target {
            Target::Local(file) => {
                file.sync_data().map_err(|error| FsError::from_io("sync", &self.path, &error))
            }
            Target::Remote(writer) => wait_for(writer.sync()),
        }
    }

    /// Completes the file and tells its length in bytes.
    ///
    /// # Errors
    /// Whatever keeps it from being stored.
    pub fn close(mut self) -> Result<u64> {
        self.pass_on()?;
        if let Target::Remote(writer) = &mut self.target {
            wait_for(writer.close())?;
        }
        Ok(self.passed)
    }

    /// [`Writer::close`], and a local file is on its disk afterwards; a remote one is where its file system keeps files.
    ///
    /// # Errors
    /// Whatever keeps it from being stored.
    pub fn close_durably(mut self) -> Result<u64> {
        if matches!(self.target, Target::Local(_)) {
            self.sync()?;
        }
        self.close()
    }

    fn pass_on(&mut self) -> Result<()> {
        let piece = std::mem::take(&mut self.buffer);
        self.passed += piece.len() as u64;
        match &mut self.target {
            _ if piece.is_empty() => Ok(()),
            Target::Local(file) => {
                let written =
                    file.write_all(&piece).map_err(|error| FsError::from_io("write", &self.path, &error));
                self.buffer = piece;
                self.buffer.clear();
                written
            }
            Target::Remote(writer) => wait_for(writer.write(Bytes::from(piece))),
        }
    }
}

impl Write for Writer {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(data);
        if self.buffer.len() >= BUFFER {
            self.pass_on()?;
        }
        Ok(data.len())
    }

    /// Hands the buffer on; for stable storage use [`Writer::sync`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(self.pass_on()?)
    }
}
