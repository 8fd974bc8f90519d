//! Output files that appear under their name only when whole.
//!
//! Owns the in-progress name and the step from it to the final one, in the two halves that a two-phase commit needs:
//! [`OutputFile::prepare`] stores everything under the in-progress name, [`PendingFile::commit`] renames, and may be repeated.
//! Between the two stands [`OutputFile::persist`]: it stores what was written so far, and [`OutputFile::resume`] goes on from
//! there after a crash, in a copy. A copy, because whoever wrote the file may still be alive and write on, and because
//! HDFS files cannot be cut off everywhere. The old file stays until the copy was committed: a checkpoint may refer to it.

use std::io::{self, Read, Write};

use crate::blocking::{FileSystem, Writer};
use crate::error::{FsError, Result};
use crate::filesystem::CreateOptions;
use crate::path::FsPath;
use crate::unique;

/// A file being written under a hidden name beside its target. Dropped unfinished, it removes what it wrote.
pub struct OutputFile {
    fs: FileSystem,
    /// `None` once the file is prepared or given up.
    writer: Option<Writer>,
    pending: PendingFile,
    /// Something that outlives this process may refer to the file: it is not removed any more.
    persisted: bool,
}

/// A complete file that waits for its name. Plain data, for whoever must remember it across a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingFile {
    /// Where it is.
    pub in_progress: FsPath,
    /// Where it is to be.
    pub target: FsPath,
    /// Its length in bytes.
    pub length: u64,
    /// Whether it replaces what is there.
    pub overwrite: bool,
    /// Files that this one was copied from, to be removed with the commit.
    pub superseded: Vec<FsPath>,
}

impl OutputFile {
    /// Begins a file that will be `target`. `options.overwrite` counts at the end: until then an existing file stays.
    ///
    /// # Errors
    /// [`FsError::AlreadyExists`] at once when `target` is there and is not to be replaced; else those of creating a file.
    pub fn create(fs: &FileSystem, target: &FsPath, options: &CreateOptions) -> Result<Self> {
        if !options.overwrite && fs.exists(target)? {
            return Err(FsError::AlreadyExists { operation: "create", path: target.to_string() });
        }
        let in_progress = in_progress_path(target)?;
        let exclusive = CreateOptions { overwrite: false, ..options.clone() };
        let writer = fs.create(&in_progress, &exclusive)?;
        let (target, overwrite) = (target.clone(), options.overwrite);
        let pending = PendingFile { in_progress, target, length: 0, overwrite, superseded: Vec::new() };
        Ok(Self { fs: fs.clone(), writer: Some(writer), pending, persisted: false })
    }

    /// Goes on with a file where [`OutputFile::persist`] left it: its first `from.length` bytes are copied to a new
    /// in-progress file. Whatever was written behind them is left out, and the old file is left as it is.
    ///
    /// # Errors
    /// [`FsError::NotFound`] when the old file is gone, [`FsError::Corrupt`] when it has lost bytes; those of copying.
    pub fn resume(fs: &FileSystem, from: &PendingFile) -> Result<Self> {
        fs.settle(&from.in_progress)?;
        let mut source = fs.open(&from.in_progress)?;
        let options = CreateOptions { overwrite: from.overwrite, ..CreateOptions::default() };
        let mut output = Self::create(fs, &from.target, &options)?;
        let failed = |error: io::Error| match error.downcast::<FsError>() {
            Ok(own) => own,
            Err(error) => FsError::from_io("copy", &from.in_progress, &error),
        };
        let copied = io::copy(&mut source.by_ref().take(from.length), &mut output).map_err(failed)?;
        if copied < from.length {
            let reason = format!("it has {copied} bytes, and {} were stored", from.length);
            return Err(FsError::Corrupt {
                operation: "go on with",
                path: from.in_progress.to_string(),
                reason,
            });
        }
        output.pending.superseded = from.superseded.clone();
        output.pending.superseded.push(from.in_progress.clone());
        Ok(output)
    }

    /// Stores everything written so far, so that it outlives this process and [`OutputFile::resume`] can go on from it.
    ///
    /// # Errors
    /// Those of writing.
    pub fn persist(&mut self) -> Result<PendingFile> {
        if let Some(writer) = &mut self.writer {
            writer.sync()?;
            self.pending.length = writer.length();
        }
        self.persisted = true;
        Ok(self.pending.clone())
    }

    /// Bytes written so far.
    pub fn length(&self) -> u64 {
        self.writer.as_ref().map_or(self.pending.length, Writer::length)
    }

    /// Whether somebody may go on from what [`OutputFile::persist`] told.
    pub fn is_persisted(&self) -> bool {
        self.persisted
    }

    /// Stores the whole file under its in-progress name.
    ///
    /// # Errors
    /// Those of writing; the file is then removed, unless it was persisted before.
    pub fn prepare(mut self) -> Result<PendingFile> {
        if let Some(writer) = self.writer.take() {
            let closed = writer.close_durably();
            self.pending.length = closed.inspect_err(|_| self.give_up())?;
        }
        Ok(self.pending.clone())
    }

    fn give_up(&self) {
        if !self.persisted {
            self.pending.discard_quietly(&self.fs);
        }
    }

    /// Completes the file under its own name.
    ///
    /// # Errors
    /// Those of writing and renaming; the file is then removed.
    pub fn finish(self) -> Result<FsPath> {
        let fs = self.fs.clone();
        let pending = self.prepare()?;
        pending.commit(&fs).inspect_err(|_| pending.discard_quietly(&fs))?;
        Ok(pending.target)
    }
}

/// Hidden (a leading dot), so that readers of the directory pass over it.
fn in_progress_path(target: &FsPath) -> Result<FsPath> {
    let name = format!(".{}.inprogress.{}", target.name(), unique::suffix());
    let parent = target
        .parent()
        .ok_or_else(|| FsError::IsADirectory { operation: "create", path: target.to_string() })?;
    Ok(parent.join(&name))
}

impl PendingFile {
    /// Gives the file its name. Done already, it does nothing: a commit may be repeated after a crash.
    ///
    /// # Errors
    /// [`FsError::AlreadyExists`] when something else took the name; [`FsError::NotFound`] when the file is gone.
    pub fn commit(&self, fs: &FileSystem) -> Result<()> {
        match fs.rename(&self.in_progress, &self.target, self.overwrite) {
            Err(error)
                if (error.is_not_found() || error.is_already_exists()) && self.was_committed(fs)? => {}
            outcome => outcome?,
        }
        for old in &self.superseded {
            // It is hidden and complete without: not worth a failure.
            if let Err(error) = fs.delete(old, false) {
                tracing::warn!(%error, "an output file that another one has superseded stays behind");
            }
        }
        Ok(())
    }

    /// Removes the file, if it was not committed.
    ///
    /// # Errors
    /// Those of deleting.
    pub fn discard(&self, fs: &FileSystem) -> Result<()> {
        fs.delete(&self.in_progress, false).map(drop)
    }

    fn was_committed(&self, fs: &FileSystem) -> Result<bool> {
        if fs.exists(&self.in_progress)? {
            return Ok(false);
        }
        match fs.stat(&self.target) {
            Ok(status) => Ok(!status.is_directory && status.length == self.length),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// For paths on which another error is already on its way to the caller.
    fn discard_quietly(&self, fs: &FileSystem) {
        if let Err(error) = self.discard(fs) {
            tracing::warn!(%error, "an unfinished output file stays behind");
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.writer.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            self.give_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, FsPath) {
        let dir = tempfile::tempdir().unwrap();
        let path = FsPath::local(dir.path()).unwrap();
        (dir, path)
    }

    fn names(path: &FsPath) -> Vec<String> {
        FileSystem::local().list(path).unwrap().iter().map(|entry| entry.path.name().to_owned()).collect()
    }

    #[test]
    fn a_file_appears_only_when_finished() {
        let (_dir, root) = directory();
        let fs = FileSystem::local();
        let mut output =
            OutputFile::create(&fs, &root.join("out/part-1"), &CreateOptions::default()).unwrap();
        output.write_all(b"hello").unwrap();
        assert!(names(&root.join("out")).iter().all(|name| name.starts_with('.')));
        output.finish().unwrap();
        assert_eq!(names(&root.join("out")), ["part-1"]);
        assert_eq!(fs.read(&root.join("out/part-1")).unwrap(), &b"hello"[..]);
    }

    #[test]
    fn a_file_that_is_given_up_leaves_nothing() {
        let (_dir, root) = directory();
        let mut output =
            OutputFile::create(&FileSystem::local(), &root.join("x"), &CreateOptions::default()).unwrap();
        output.write_all(b"half").unwrap();
        drop(output);
        assert!(names(&root).is_empty());
    }

    #[test]
    fn a_file_goes_on_where_it_was_persisted_however_much_was_written_since() {
        let (_dir, root) = directory();
        let (fs, target) = (FileSystem::local(), root.join("x"));
        let mut first = OutputFile::create(&fs, &target, &CreateOptions::default()).unwrap();
        first.write_all(b"kept ").unwrap();
        let point = first.persist().unwrap();
        first.write_all(b"lost").unwrap();
        first.flush().unwrap();
        drop(first);
        for _ in 0..2 {
            // The second time it is as after another crash: nothing was persisted since.
            let mut again = OutputFile::resume(&fs, &point).unwrap();
            again.write_all(b"and new").unwrap();
        }
        let mut last = OutputFile::resume(&fs, &point).unwrap();
        last.write_all(b"and last").unwrap();
        let pending = last.prepare().unwrap();
        assert_eq!(names(&root).len(), 2, "the old file stays until the new one is committed");
        pending.commit(&fs).unwrap();
        pending.commit(&fs).unwrap();
        assert_eq!(fs.read(&target).unwrap(), &b"kept and last"[..]);
        assert_eq!(names(&root), ["x"]);
        assert!(OutputFile::resume(&fs, &point).err().unwrap().is_not_found());
    }

    #[test]
    fn a_file_that_lost_bytes_is_not_gone_on_with() {
        let (_dir, root) = directory();
        let fs = FileSystem::local();
        let mut output = OutputFile::create(&fs, &root.join("x"), &CreateOptions::default()).unwrap();
        output.write_all(b"12345").unwrap();
        let mut point = output.persist().unwrap();
        point.length = 6;
        let error = OutputFile::resume(&fs, &point).err().unwrap();
        assert!(matches!(error, FsError::Corrupt { .. }), "{error}");
        assert_eq!(names(&root).len(), 1, "what was copied is removed");
    }

    #[test]
    fn an_existing_file_stays_until_it_is_replaced() {
        let (_dir, root) = directory();
        let (fs, target) = (FileSystem::local(), root.join("x"));
        fs.write(&target, b"old", &CreateOptions::default()).unwrap();
        assert!(
            OutputFile::create(&fs, &target, &CreateOptions::default()).err().unwrap().is_already_exists()
        );
        let mut output = OutputFile::create(&fs, &target, &CreateOptions::overwriting()).unwrap();
        output.write_all(b"new").unwrap();
        assert_eq!(fs.read(&target).unwrap(), &b"old"[..]);
        output.finish().unwrap();
        assert_eq!(fs.read(&target).unwrap(), &b"new"[..]);
    }

    #[test]
    fn a_commit_may_be_repeated_but_takes_nobody_elses_name() {
        let (_dir, root) = directory();
        let (fs, target) = (FileSystem::local(), root.join("x"));
        let prepared = |content: &[u8]| {
            let mut output = OutputFile::create(&fs, &target, &CreateOptions::default()).unwrap();
            output.write_all(content).unwrap();
            output.prepare().unwrap()
        };
        let (first, second) = (prepared(b"first"), prepared(b"second"));
        first.commit(&fs).unwrap();
        first.commit(&fs).unwrap();
        assert!(second.commit(&fs).unwrap_err().is_already_exists());
        second.discard(&fs).unwrap();
        assert!(second.commit(&fs).is_err(), "another file's commit must not pass for its own");
        assert_eq!(fs.read(&target).unwrap(), &b"first"[..]);
    }
}
