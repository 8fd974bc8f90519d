//! A part file as it stands in a checkpoint, and what is done with it after a failure.

use crate::error::{TaskError, TaskResult};
use crate::log;
use kvick_filesystem::blocking::{FileSystem, FileSystems};
use kvick_filesystem::output::{OutputFile, PendingFile};
use kvick_filesystem::{FsError, FsPath};
use serde::{Deserialize, Serialize};

/// A part that is not finished: closed and to be committed, or in progress and to be gone on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartFile {
    /// Its bucket.
    pub bucket: String,
    /// Where it is.
    pub in_progress: String,
    /// Where it is to be.
    pub target: String,
    /// How many of its bytes belong to the checkpoint.
    pub length: u64,
    /// Files of earlier attempts that go with its commit.
    pub superseded: Vec<String>,
}

impl PartFile {
    pub(super) fn of(bucket: &str, file: &PendingFile) -> PartFile {
        PartFile {
            bucket: bucket.to_string(),
            in_progress: file.in_progress.to_string(),
            target: file.target.to_string(),
            length: file.length,
            superseded: file.superseded.iter().map(FsPath::to_string).collect(),
        }
    }

    fn located(&self, systems: &FileSystems) -> Result<(FileSystem, PendingFile), FsError> {
        let (files, target) = systems.locate(&self.target)?;
        let in_progress = systems.resolve(&self.in_progress)?;
        let superseded =
            self.superseded.iter().map(|path| systems.resolve(path)).collect::<Result<_, _>>()?;
        let length = self.length;
        Ok((files, PendingFile { in_progress, target, length, overwrite: false, superseded }))
    }

    /// Gives the part its name.
    ///
    /// # Errors
    /// It is gone, and its name is not there either; or the file system fails.
    pub(super) fn commit(&self, systems: &FileSystems, ignore_missing: bool) -> TaskResult {
        match self.located(systems).and_then(|(files, pending)| pending.commit(&files)) {
            Err(error) if error.is_not_found() && ignore_missing => {
                log::warn(&format!("the part {} is gone; it counts as read", self.target));
                Ok(())
            }
            Err(error) if error.is_not_found() => Err(TaskError::caused(
                format!(
                    "the part {} is to be committed, and neither it nor {} is there: it was lost, or was taken away after an \
                     earlier commit (then use FileSink::ignore_missing_pending_files)",
                    self.target, self.in_progress
                ),
                &error,
            )),
            committed => committed.map_err(|error| {
                TaskError::caused(format!("cannot commit the part {}", self.target), &error)
            }),
        }
    }

    /// Takes the file over from whoever wrote it; what fails is met again when it is opened.
    pub(super) fn settle(&self, systems: &FileSystems) {
        let settled = self.located(systems).and_then(|(files, pending)| {
            if files.exists(&pending.in_progress)? { files.settle(&pending.in_progress) } else { Ok(()) }
        });
        if let Err(error) = settled {
            log::warn(&format!("the part {} is still somebody else's: {error}", self.target));
        }
    }

    /// Goes on with the part; `None` when it was finished later than the checkpoint that is being restored.
    ///
    /// # Errors
    /// It is gone or has lost bytes, or the file system fails.
    pub(super) fn resume(&self, systems: &FileSystems) -> TaskResult<Option<OutputFile>> {
        let failed = |error: FsError| {
            TaskError::caused(format!("cannot go on with the part {} of the checkpoint", self.target), &error)
        };
        let (files, pending) = self.located(systems).map_err(failed)?;
        if files.exists(&pending.target).map_err(failed)? {
            log::warn(&format!(
                "the part {} was finished after the checkpoint from which the job starts (it is not the latest one): what was \
                 written to it since then will be written again, to another part",
                self.target
            ));
            return Ok(None);
        }
        OutputFile::resume(&files, &pending).map(Some).map_err(failed)
    }
}
