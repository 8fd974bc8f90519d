//! Writes the parts of one task's snapshot: small ones into the acknowledgement, the others one after the other into one
//! file, whose name no other attempt has.

use super::local::{LocalCopy, LocalState};
use super::reader::io_failed;
use crate::state::StateError;
use kvick_core::checkpoint::{SnapshotTarget, StateFile, StateHandle};
use kvick_filesystem::blocking::{FileSystems, Writer};
use kvick_filesystem::{CreateOptions, FsError, FsPath};
use std::io::Write;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3Default;

/// Bytes gathered before they are hashed and handed to the file.
const CHUNK: usize = 128 << 10;

/// The file of one task's snapshot, made when the first part needs it.
pub struct SnapshotFile {
    files: Arc<FileSystems>,
    target: SnapshotTarget,
    name: String,
    writer: Option<Writer>,
    written: u64,
    elsewhere: u64,
    others: Vec<FsPath>,
    /// Where local copies go, and for which checkpoint.
    local: Option<(Arc<LocalState>, u64)>,
    copy: Option<LocalCopy>,
}

impl SnapshotFile {
    /// No file yet. `name` must be unique within the directory.
    pub fn new(files: Arc<FileSystems>, target: SnapshotTarget, name: String) -> SnapshotFile {
        SnapshotFile {
            files,
            target,
            name,
            writer: None,
            written: 0,
            elsewhere: 0,
            others: Vec::new(),
            local: None,
            copy: None,
        }
    }

    /// The same, with a local copy for a checkpoint.
    #[must_use]
    pub fn with_local(mut self, local: Option<Arc<LocalState>>, checkpoint: u64) -> SnapshotFile {
        self.local = local.map(|local| (local, checkpoint));
        self
    }

    /// A writer for the next part.
    pub fn part(&mut self) -> PartWriter<'_> {
        let limit = match &self.target {
            SnapshotTarget::Inline { max_bytes } => *max_bytes,
            SnapshotTarget::Directory { inline_threshold, .. } => *inline_threshold,
        };
        PartWriter { file: self, limit, pending: Vec::new(), hash: Xxh3Default::new(), spilled: None }
    }

    /// Bytes written into files so far.
    pub fn written(&self) -> u64 {
        self.written + self.elsewhere
    }

    /// Closes the file: only then is it whole.
    ///
    /// # Errors
    /// Whatever keeps it from being stored.
    pub fn close(mut self) -> Result<u64, StateError> {
        if let Some(writer) = self.writer.take() {
            let path = writer.path().to_string();
            writer.close().map_err(|source| StateError::Write { path, source })?;
        }
        if let Some(copy) = self.copy.take() {
            copy.keep();
        }
        Ok(self.written + self.elsewhere)
    }

    /// Removes what was written: nobody will refer to it. What cannot be removed is the coordinator's to clean up.
    pub fn discard(mut self) {
        let own = self.writer.take().map(|writer| writer.path().clone());
        for path in own.into_iter().chain(std::mem::take(&mut self.others)) {
            if let Ok(system) = self.files.get(&path) {
                let _ = system.delete(&path, false);
            }
        }
    }

    fn writer(&mut self) -> Result<&mut Writer, StateError> {
        let opened = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let path = self.path()?;
                self.copy = self.local.as_ref().and_then(|(local, id)| local.create(*id, &self.name));
                self.create(&path).map_err(|source| StateError::Write { path: path.to_string(), source })?
            }
        };
        Ok(self.writer.insert(opened))
    }

    fn path(&self) -> Result<FsPath, StateError> {
        let SnapshotTarget::Directory { exclusive, .. } = &self.target else {
            let SnapshotTarget::Inline { max_bytes } = self.target else {
                unreachable!("two kinds of targets")
            };
            return Err(StateError::TooLarge { state: self.name.clone(), limit: max_bytes });
        };
        let failed = |source| StateError::Write { path: exclusive.clone(), source };
        Ok(self.files.resolve(exclusive).map_err(failed)?.join(&self.name))
    }

    fn create(&self, path: &FsPath) -> Result<Writer, FsError> {
        self.files.get(path)?.create(path, &CreateOptions::default())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let writer = self.writer()?;
        let written = writer.write_all(bytes);
        let path = writer.path().clone();
        written.map_err(|error| StateError::Write {
            path: path.to_string(),
            source: io_failed("write", &path, &error),
        })?;
        if let Some(copy) = &mut self.copy {
            copy.write(bytes);
        }
        self.written += bytes.len() as u64;
        Ok(())
    }
}

/// Takes the bytes of one part.
pub struct PartWriter<'a> {
    file: &'a mut SnapshotFile,
    limit: u64,
    pending: Vec<u8>,
    hash: Xxh3Default,
    /// Where in the file this part begins, and how much of it is there, once it is too large to be inline.
    spilled: Option<(u64, u64)>,
}

impl PartWriter<'_> {
    /// Lets less of this part be inline than of others, where there are files: for parts of which there are many.
    pub fn inline_at_most(&mut self, bytes: u64) {
        if matches!(self.file.target, SnapshotTarget::Directory { .. }) {
            self.limit = self.limit.min(bytes);
        }
    }

    /// Bytes of this part so far.
    pub fn position(&self) -> u64 {
        self.spilled.map_or(0, |(_, length)| length) + self.pending.len() as u64
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// The file cannot be written, or the part is too large to be inline and there is no directory.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        self.pending.extend_from_slice(bytes);
        self.pass_on()
    }

    /// Lets `fill` add bytes without a copy between.
    ///
    /// # Errors
    /// As [`PartWriter::write`].
    pub fn fill<E>(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E>
    where
        E: From<StateError>,
    {
        fill(&mut self.pending)?;
        Ok(self.pass_on()?)
    }

    fn pass_on(&mut self) -> Result<(), StateError> {
        let full = match self.spilled {
            None => self.pending.len() as u64 > self.limit,
            Some(_) => self.pending.len() >= CHUNK,
        };
        if full { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), StateError> {
        let (start, length) = self.spilled.unwrap_or((self.file.written, 0));
        self.hash.update(&self.pending);
        self.file.write(&self.pending)?;
        self.spilled = Some((start, length + self.pending.len() as u64));
        self.pending.clear();
        Ok(())
    }

    /// Ends the part; the writer can take another one afterwards.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(&mut self) -> Result<StateHandle, StateError> {
        if self.spilled.is_none() {
            return Ok(StateHandle::Inline { bytes: std::mem::take(&mut self.pending).into() });
        }
        self.spill()?;
        let (offset, length) = self.spilled.take().unwrap_or_default();
        let checksum = self.hash.digest();
        self.hash.reset();
        Ok(StateHandle::File { file: StateFile::Own(self.file.name.clone()), offset, length, checksum })
    }

    /// The file systems, for parts that have files of their own.
    pub fn files(&self) -> &Arc<FileSystems> {
        &self.file.files
    }

    /// Where the snapshot goes.
    pub fn target(&self) -> &SnapshotTarget {
        &self.file.target
    }

    /// Keeps a local copy of a file that never changes and that this snapshot refers to by a name.
    pub(crate) fn keep_local(&self, name: &str, from: &std::path::Path) {
        if let Some((local, checkpoint)) = &self.file.local {
            local.link(*checkpoint, name, from);
        }
    }

    /// A name that no other attempt uses, for parts that have files of their own.
    pub fn unique_name(&self) -> &str {
        &self.file.name
    }

    /// Counts a file that a part has written itself, and removes it should the snapshot fail.
    pub fn wrote(&mut self, path: FsPath, bytes: u64) {
        self.file.others.push(path);
        self.file.elsewhere += bytes;
    }
}
