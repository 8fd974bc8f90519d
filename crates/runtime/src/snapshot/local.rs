//! Local copies of the files of checkpoints, so that a task that starts again where it ran need not fetch them.
//!
//! Files of checkpoints have names that nobody else ever uses: a local file of that name is the file, or damaged, which its
//! checksum tells. So nobody but the worker needs to know of the copies, and the checkpoint itself stays what counts: whatever is
//! wrong here costs time alone. Workers of a job on one node see each other's copies; each removes its own.

use crate::options;
use crate::task::lock;
use kvick_core::config::Configuration;
use kvick_core::config::options::FROM_LOCAL;
use kvick_core::ids::JobId;
use kvick_core::local_files::{LOCAL_STATE, local_state_dirs};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use xxhash_rust::xxh3::Xxh3Default;

const CHUNK: usize = 256 << 10;

/// The local copies of one job in one process.
#[derive(Debug)]
pub struct LocalState {
    /// One for each disk: the directories of the job.
    roots: Vec<PathBuf>,
    owner: String,
    backs_up: bool,
    recovers: bool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// By checkpoint, what belongs to it.
    files: BTreeMap<u64, BTreeSet<String>>,
    /// What was said already, so that it is said once.
    said: BTreeSet<String>,
}

impl LocalState {
    /// As the configuration wants it; none where it wants none. `owner` tells the processes of a job on one machine apart.
    pub fn of(
        config: &Configuration,
        tmp_dirs: &[String],
        job: JobId,
        owner: &str,
    ) -> Option<Arc<LocalState>> {
        let (backs_up, recovers) = (options::local_backup(config), options::value(config, &FROM_LOCAL));
        let dirs = local_state_dirs(config, tmp_dirs);
        if !(backs_up || recovers) || dirs.is_empty() {
            return None;
        }
        let roots = dirs.iter().map(|dir| Path::new(dir).join(LOCAL_STATE).join(job.to_string())).collect();
        Some(Arc::new(LocalState {
            roots,
            owner: owner.to_string(),
            backs_up,
            recovers,
            known: Mutex::default(),
        }))
    }

    fn own_dirs(&self) -> impl Iterator<Item = PathBuf> {
        self.roots.iter().map(|root| root.join(&self.owner))
    }

    /// Where a file of this name goes: files are dealt out to the disks.
    fn place(&self, checkpoint: u64, name: &str) -> Option<PathBuf> {
        if !self.backs_up || !is_plain(name) {
            return None;
        }
        lock(&self.known).files.entry(checkpoint).or_default().insert(name.to_string());
        let index = crate::hash::stable_hash(name) as usize % self.roots.len();
        Some(self.roots[index].join(&self.owner).join(name))
    }

    /// A file for the copy of one that is being written for a checkpoint.
    pub(super) fn create(&self, checkpoint: u64, name: &str) -> Option<LocalCopy> {
        let path = self.place(checkpoint, name)?;
        let made = make_parent(&path).and_then(|()| File::create(&path));
        match made {
            Ok(file) => Some(LocalCopy { path, file: Some(file), kept: false }),
            Err(error) => {
                self.failed(&path, &error);
                None
            }
        }
    }

    /// Keeps a file that never changes, for a checkpoint that it is part of: by a link where that can be, else as a copy.
    pub(crate) fn link(&self, checkpoint: u64, name: &str, from: &Path) {
        let Some(path) = self.place(checkpoint, name) else { return };
        if path.exists() {
            return;
        }
        if let Err(error) = make_parent(&path).and_then(|()| link_or_copy(from, &path)) {
            self.failed(&path, &error);
        }
    }

    fn failed(&self, path: &Path, error: &io::Error) {
        let place = path.parent().unwrap_or(path).display();
        self.say(
            format!("cannot keep local copies of checkpoints in {place}: {error}; there are none there"),
            true,
        );
    }

    /// Says something once.
    fn say(&self, text: String, is_warning: bool) {
        if lock(&self.known).said.insert(text.clone()) {
            if is_warning { crate::log::warn(&text) } else { crate::log::info(&text) }
        }
    }

    /// The copy of a part of a file, if it is there and is what it should be. `place` is where it is a copy of.
    pub(super) fn find(&self, name: &str, piece: &Expected, place: &str) -> Option<PathBuf> {
        if !self.recovers || !is_plain(name) {
            return None;
        }
        let from = place.rsplit_once('/').map_or(place, |(directory, _)| directory);
        let Some(path) = self.copies(name).find(|path| path.is_file()) else {
            self.say(
                format!("local recovery: not all of {from} has local copies: state is read from there"),
                false,
            );
            return None;
        };
        match piece.check(&path) {
            Ok(()) => {
                let copies = path.parent().unwrap_or(&path).display();
                self.say(
                    format!("local recovery: state of {from} is read from its local copies in {copies}"),
                    false,
                );
                Some(path)
            }
            Err(reason) => {
                let text = format!(
                    "local recovery: the local copy {} is damaged ({reason}): state is read from {place}",
                    path.display()
                );
                self.say(text, true);
                None
            }
        }
    }

    /// Where a copy of this name may be: first our own, then those of other processes of the job.
    fn copies<'a>(&'a self, name: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
        let others = self.roots.iter().filter_map(|root| fs::read_dir(root).ok()).flatten().flatten();
        self.own_dirs().chain(others.map(|entry| entry.path())).map(move |dir| dir.join(name))
    }

    /// A checkpoint is durable: what belongs neither to it nor to a later one goes.
    pub fn completed(&self, checkpoint: u64) {
        if !self.backs_up {
            return;
        }
        // Held to the end: whatever is made after this is not looked at, whatever was made before is known.
        let mut known = lock(&self.known);
        known.files = known.files.split_off(&checkpoint);
        known.said.clear();
        let kept: BTreeSet<&String> = known.files.values().flatten().collect();
        for entry in self.own_dirs().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten() {
            if !kept.contains(&entry.file_name().to_string_lossy().into_owned()) {
                // What stays behind goes with the next one, or with the job.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// The job has ended: removes the copies of this process.
    pub fn remove(&self) {
        for (dir, root) in self.own_dirs().zip(&self.roots) {
            let removed = fs::remove_dir_all(&dir);
            if let Err(error) = removed.as_ref()
                && error.kind() != io::ErrorKind::NotFound
            {
                crate::log::warn(&format!("cannot remove the local directory {}: {error}", dir.display()));
            }
            // Only where no other process has something there.
            let _ = fs::remove_dir(root);
        }
    }
}

/// Names come from files that anybody may have written.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains('/')
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Makes a file of this name with the content of another: the same file where the file system can.
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(_) => fs::copy(from, to).map(drop),
    }
}

/// A part of a file, as a checkpoint describes it.
pub(super) struct Expected {
    pub offset: u64,
    pub length: u64,
    pub checksum: u64,
}

impl Expected {
    /// Reads the part of a copy, and tells what is wrong with it.
    fn check(&self, path: &Path) -> Result<(), String> {
        match self.checksum_of(path) {
            Ok(found) if found == self.checksum => Ok(()),
            Ok(found) => Err(format!("its checksum is {found:016x}, not {:016x}", self.checksum)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn checksum_of(&self, path: &Path) -> io::Result<u64> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let (mut part, mut chunk, mut hash) = (file.take(self.length), vec![0; CHUNK], Xxh3Default::new());
        loop {
            match part.read(&mut chunk)? {
                0 if part.limit() > 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                0 => return Ok(hash.digest()),
                count => hash.update(&chunk[..count]),
            }
        }
    }
}

/// A copy that is being written. Removed unless it is kept.
#[derive(Debug)]
pub(super) struct LocalCopy {
    path: PathBuf,
    file: Option<File>,
    kept: bool,
}

impl LocalCopy {
    /// Adds what was added to the file itself. A copy that cannot be written is given up; the checkpoint does not suffer.
    pub fn write(&mut self, bytes: &[u8]) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.write_all(bytes)
        {
            crate::log::warn(&format!("the local copy {} is given up: {error}", self.path.display()));
            self.file = None;
        }
    }

    /// The file is whole.
    pub fn keep(mut self) {
        self.kept = self.file.is_some();
    }
}

impl Drop for LocalCopy {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}
