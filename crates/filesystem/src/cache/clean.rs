//! Removing cache entries that nobody needs. Owns the policy told at the top of [`super`], and the order of steps that keeps
//! it true while submissions go on.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{REFERENCES, USED, UploadCache};
use crate::error::Result;
use crate::filesystem::FileStatus;
use crate::path::FsPath;
use crate::unique;

/// Entries on their way out have this before their hash: nobody finds them any more.
const LEAVING: &str = ".leaving-";

/// What a clean-up did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Hashes of the entries removed.
    pub removed: Vec<String>,
    /// How many entries stay.
    pub kept: usize,
}

impl UploadCache {
    /// Removes entries to which no application directory refers and that no submission has used for `unused_for`, which
    /// must be longer than any submission may take (days, rather than minutes).
    ///
    /// # Errors
    /// The file system's. What is removed by then stays removed.
    pub async fn clean(&self, unused_for: Duration) -> Result<Cleaned> {
        let Some(entries) = none_if_absent(self.fs().list(&self.root).await)? else {
            return Ok(Cleaned::default());
        };
        let referred = self.referred().await?;
        let mut cleaned = Cleaned::default();
        for entry in entries.iter().filter(|entry| entry.is_directory) {
            let hash = entry.path.name().to_owned();
            if hash.starts_with(LEAVING) {
                self.finish_leaving(entry, unused_for).await?;
            } else if !referred.contains(&hash) && self.remove_if_unused(entry, unused_for).await? {
                cleaned.removed.push(hash);
            } else {
                cleaned.kept += 1;
            }
        }
        Ok(cleaned)
    }

    /// The hashes to which application directories refer.
    async fn referred(&self) -> Result<BTreeSet<String>> {
        let mut referred = BTreeSet::new();
        for application in self.staging.applications().await? {
            let directory = self.staging.application_directory(&application)?.join(REFERENCES);
            let entries = none_if_absent(self.fs().list(&directory).await)?.unwrap_or_default();
            referred.extend(entries.iter().map(|entry| entry.path.name().to_owned()));
        }
        Ok(referred)
    }

    /// Takes the entry out of sight, looks again whether somebody has marked it meanwhile, and only then deletes it. Whoever
    /// comes after the renaming uploads anew.
    async fn remove_if_unused(&self, entry: &FileStatus, unused_for: Duration) -> Result<bool> {
        if !is_long_ago(self.last_used(entry, &entry.path).await?, unused_for) {
            return Ok(false);
        }
        let hidden = self.root.join(&format!("{LEAVING}{}-{}", entry.path.name(), unique::suffix()));
        if none_if_absent(self.fs().rename(&entry.path, &hidden, false).await)?.is_none() {
            return Ok(false);
        }
        if !is_long_ago(self.last_used(entry, &hidden).await?, unused_for) {
            return self.put_back(&hidden, &entry.path).await.map(|()| false);
        }
        self.fs().delete(&hidden, true).await.map(|_| true)
    }

    /// Unless another one was uploaded in its place already.
    async fn put_back(&self, hidden: &FsPath, place: &FsPath) -> Result<()> {
        match self.fs().rename(hidden, place, false).await {
            Err(error) if error.is_already_exists() => self.fs().delete(hidden, true).await.map(drop),
            outcome => outcome,
        }
    }

    /// When the entry, which is now at `place`, was last used; the entry's own time when it bears no mark.
    async fn last_used(&self, entry: &FileStatus, place: &FsPath) -> Result<u64> {
        let mark = none_if_absent(self.fs().stat(&place.join(USED)).await)?;
        Ok(mark.map_or(entry.modification_time, |mark| mark.modification_time))
    }

    /// An entry that a clean-up hid and then did not live to delete.
    async fn finish_leaving(&self, entry: &FileStatus, unused_for: Duration) -> Result<()> {
        if is_long_ago(entry.modification_time, unused_for) {
            self.fs().delete(&entry.path, true).await?;
        }
        Ok(())
    }
}

fn is_long_ago(milliseconds: u64, unused_for: Duration) -> bool {
    let then = UNIX_EPOCH + Duration::from_millis(milliseconds);
    // A time in the future (clocks differ) is recent.
    SystemTime::now().duration_since(then).is_ok_and(|age| age >= unused_for)
}

/// Others clean and finish at the same time: what has gone is no error.
fn none_if_absent<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
