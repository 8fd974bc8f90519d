//! Records in a directory of a file system, fenced by application and YARN attempt.
//!
//! Each attempt has a directory of its own below the application's, and in it a journal: `<number>.snapshot` holds all
//! that is kept, `<number>.changes` what was changed since. Every file is created exclusively, is never changed, and
//! proves that it is whole.
//!
//! The fence: an attempt first makes its directory, then reads the journal of the attempt before, then writes its own
//! snapshot. From then on nobody reads the older journal. An attempt that has written looks for a later directory before it
//! says so: if there is none, the later attempt will read what was written; if there is one, this attempt is fenced.

use super::leader::{epochs, latest, publish};
use super::{HaError, HaStore};
use async_trait::async_trait;
use kvick_core::ha::{Change, Contents, Epoch, Leader, RecordFile};
use kvick_filesystem::{CreateOptions, FileSystem, FsError, FsPath};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;
use tracing::{info, warn};

const SNAPSHOT: &str = "snapshot";
const CHANGES: &str = "changes";

/// How many files of changes there are between two snapshots.
const CHANGES_PER_SNAPSHOT: u64 = 100;

/// Records of one application in its directory.
pub struct FileStore {
    fs: Arc<dyn FileSystem>,
    root: FsPath,
    journal: Mutex<Option<Journal>>,
}

/// The journal of this attempt.
struct Journal {
    epoch: Epoch,
    /// The number of the last file.
    last: u64,
    /// The number of the newest snapshot, and of the one before.
    snapshots: (u64, u64),
    /// All that is kept, the changes that are being written included.
    contents: Contents,
}

/// The files of a journal by number.
#[derive(Default)]
struct Listing {
    snapshots: BTreeMap<u64, FsPath>,
    changes: BTreeMap<u64, FsPath>,
}

impl FileStore {
    /// Records below this directory, which is the application's own.
    pub fn new(fs: Arc<dyn FileSystem>, root: FsPath) -> FileStore {
        FileStore { fs, root, journal: Mutex::new(None) }
    }

    fn directory(&self, epoch: Epoch) -> FsPath {
        self.root.join(&epoch.key())
    }

    fn file(&self, epoch: Epoch, number: u64, kind: &str) -> FsPath {
        self.directory(epoch).join(&format!("{number:010}.{kind}"))
    }

    /// Refuses to go on if there is a later attempt.
    async fn check_fence(&self, own: Epoch) -> Result<(), HaError> {
        match epochs(self.fs.as_ref(), &self.root).await?.last() {
            Some(&by) if by > own => Err(HaError::Fenced { by, own }),
            _ => Ok(()),
        }
    }

    async fn create(&self, epoch: Epoch, path: &FsPath, changes: &[Change]) -> Result<(), HaError> {
        let bytes = RecordFile { epoch: epoch.attempt, body: changes }.encode()?;
        // A directory that was removed is not made anew: what was in it before would be missing.
        let options = CreateOptions { create_parents: false, ..CreateOptions::default() }.mode(0o600);
        match self.fs.write(path, bytes.into(), &options).await {
            Err(error) if error.is_not_found() => {
                Err(HaError::Gone { directory: self.directory(epoch).to_string() })
            }
            written => Ok(written?),
        }
    }

    async fn listing(&self, epoch: Epoch) -> Result<Listing, HaError> {
        let mut listing = Listing::default();
        for entry in self.fs.list(&self.directory(epoch)).await? {
            let name = entry.path.name().to_string();
            let Some((number, kind)) = name.split_once('.') else { continue };
            let Ok(number) = number.parse() else { continue };
            match kind {
                SNAPSHOT => drop(listing.snapshots.insert(number, entry.path)),
                CHANGES => drop(listing.changes.insert(number, entry.path)),
                _ => {}
            }
        }
        Ok(listing)
    }

    /// The changes in a file; `None`, and a line in the log, if it is not whole.
    async fn changes_in(&self, path: &FsPath) -> Result<Option<Vec<Change>>, HaError> {
        let bytes = match self.fs.read(path).await {
            Ok(bytes) => bytes,
            Err(error @ FsError::NotFound { .. }) => {
                warn!("a record file is missing, what was before it is used: {error}");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        match RecordFile::<Vec<Change>>::decode(&bytes) {
            Ok(file) => Ok(Some(file.body)),
            Err(error) => {
                warn!("the record file {path} is passed over, what was before it is used: {error}");
                Ok(None)
            }
        }
    }

    /// What an attempt left; `None` if it never came to write a snapshot.
    async fn read_journal(&self, epoch: Epoch) -> Result<Option<Contents>, HaError> {
        let listing = self.listing(epoch).await?;
        for (&number, path) in listing.snapshots.iter().rev() {
            let Some(changes) = self.changes_in(path).await? else { continue };
            let mut contents = Contents::default();
            changes.into_iter().for_each(|change| contents.apply(change));
            self.replay(&listing, number, &mut contents).await?;
            return Ok(Some(contents));
        }
        Ok(None)
    }

    /// Applies what was changed after a snapshot.
    async fn replay(&self, listing: &Listing, from: u64, contents: &mut Contents) -> Result<(), HaError> {
        let mut expected = from + 1;
        for (&number, path) in listing.changes.range(from + 1..) {
            if number != expected && !listing.snapshots.contains_key(&expected) {
                warn!("record file {expected} is missing before {path}: what was before it is used");
            }
            expected = number + 1;
            for change in self.changes_in(path).await?.unwrap_or_default() {
                contents.apply(change);
            }
        }
        Ok(())
    }

    /// What the attempts up to this one left, or all of them: the latest that came to write a snapshot counts.
    async fn predecessors(&self, own: Option<Epoch>) -> Result<Contents, HaError> {
        for epoch in epochs(self.fs.as_ref(), &self.root).await?.into_iter().rev() {
            if own.is_none_or(|own| epoch <= own)
                && let Some(contents) = self.read_journal(epoch).await?
            {
                info!("{epoch} left {} jobs, {} results", contents.jobs.len(), contents.results.len());
                return Ok(contents);
            }
        }
        Ok(Contents::default())
    }

    /// Removes the journals that no later attempt could need: all but this one's and the one before.
    async fn remove_old(&self, own: Epoch) {
        let Ok(all) = epochs(self.fs.as_ref(), &self.root).await else { return };
        let older: Vec<Epoch> = all.into_iter().filter(|epoch| *epoch < own).collect();
        for epoch in older.iter().rev().skip(1) {
            if let Err(error) = self.fs.delete(&self.directory(*epoch), true).await {
                warn!("old records stay: {error}");
            }
        }
    }

    /// Writes all that is kept as one file, and removes what the snapshot before the last one replaced.
    async fn snapshot(&self, journal: &mut Journal) -> Result<(), HaError> {
        journal.last += 1;
        let path = self.file(journal.epoch, journal.last, SNAPSHOT);
        self.create(journal.epoch, &path, &journal.contents.as_changes()).await?;
        journal.snapshots = (journal.last, journal.snapshots.0);
        let listing = self.listing(journal.epoch).await?;
        let before = ..journal.snapshots.1;
        let old = listing.snapshots.range(before).chain(listing.changes.range(before));
        for (_, path) in old {
            self.fs.delete(path, false).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl HaStore for FileStore {
    async fn take_over(&self, leader: &Leader) -> Result<Contents, HaError> {
        let epoch = leader.epoch;
        let mut slot = self.journal.lock().await;
        self.check_fence(epoch).await?;
        // First the claim, then the reading: see the module's words on the fence.
        self.fs.mkdirs(&self.directory(epoch), 0o700).await?;
        let contents = self.predecessors(Some(epoch)).await?;
        let last = self.listing(epoch).await?;
        let last = last.snapshots.keys().chain(last.changes.keys()).max().copied().unwrap_or(0);
        let mut journal = Journal { epoch, last, snapshots: (0, 0), contents: contents.clone() };
        let (written, published) =
            tokio::join!(self.snapshot(&mut journal), publish(self.fs.as_ref(), &self.root, leader));
        written.and(published)?;
        self.check_fence(epoch).await?;
        *slot = Some(journal);
        self.remove_old(epoch).await;
        Ok(contents)
    }

    async fn leader(&self) -> Result<Option<Leader>, HaError> {
        latest(self.fs.as_ref(), &self.root).await
    }

    async fn contents(&self) -> Result<Contents, HaError> {
        self.predecessors(None).await
    }

    async fn write(&self, changes: &[Change]) -> Result<(), HaError> {
        let mut slot = self.journal.lock().await;
        let journal =
            slot.as_mut().ok_or_else(|| HaError::Lost("this attempt has not taken over".to_string()))?;
        // Whatever becomes of this file, its number is used: a second try makes another one.
        journal.last += 1;
        let path = self.file(journal.epoch, journal.last, CHANGES);
        self.create(journal.epoch, &path, changes).await?;
        self.check_fence(journal.epoch).await?;
        changes.iter().cloned().for_each(|change| journal.contents.apply(change));
        if journal.last - journal.snapshots.0 >= CHANGES_PER_SNAPSHOT
            && let Err(error) = self.snapshot(journal).await
        {
            warn!("the records of this application are not tidied up: {error}");
        }
        Ok(())
    }

    async fn clean_up(&self) -> Result<(), HaError> {
        let slot = self.journal.lock().await;
        if let Some(journal) = slot.as_ref() {
            self.check_fence(journal.epoch).await?;
        }
        self.fs.delete(&self.root, true).await?;
        Ok(())
    }
}
