//! The files of a store as state: what is new goes up once, what an earlier checkpoint has is referred to.
//!
//! `*.sst` files never change once they are there: they go to the directory that checkpoints share. The few others (`CURRENT`,
//! `MANIFEST-*`) are the checkpoint's own. A savepoint has everything to itself, so that it can be moved.

use super::directory::{LocalDirectory, failed};
use crate::parallel::in_parallel;
use crate::snapshot::local::link_or_copy;
use crate::snapshot::{PartWriter, SnapshotPart, StateReader, WrittenPart};
use crate::state::StateError;
use crate::task::lock;
use kvick_core::checkpoint::{KeyGroups, KeyedData, KeyedState, SnapshotTarget, StateFile, StateHandle};
use kvick_filesystem::blocking::FileSystems;
use kvick_filesystem::{CreateOptions, FsError, FsPath};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use xxhash_rust::xxh3::Xxh3Default;

/// The kind of state that consists of a store's files.
pub(crate) const FILES_KIND: &str = "rocksdb/1";
const CHUNK: usize = 256 << 10;

/// Files by the store's own names.
pub(crate) type Files = BTreeMap<String, StateHandle>;

/// What was uploaded for which checkpoint.
#[derive(Clone, Default)]
pub(crate) struct Uploads(Arc<Mutex<BTreeMap<u64, Files>>>);

impl Uploads {
    /// What may be referred to by a checkpoint with this base. What is older than the base never will be again.
    pub fn of(&self, base: Option<u64>) -> Files {
        let mut uploads = lock(&self.0);
        let Some(base) = base else { return Files::new() };
        *uploads = uploads.split_off(&base);
        uploads.get(&base).cloned().unwrap_or_default()
    }

    /// Notes the shared ones among the files of a checkpoint.
    pub fn record(&self, checkpoint: u64, files: &Files) {
        let shared = files.iter().filter(|(_, handle)| handle.shared_file().is_some());
        let shared = shared.map(|(name, handle)| (name.clone(), handle.clone())).collect();
        lock(&self.0).insert(checkpoint, shared);
    }
}

/// A store's files at one moment, to be uploaded.
pub(crate) struct FilesPart {
    pub directory: LocalDirectory,
    pub key_groups: KeyGroups,
    pub checkpoint: u64,
    pub base: Option<u64>,
    pub uploads: Uploads,
    pub threads: usize,
    /// A savepoint refers to nothing outside of it.
    pub savepoint: bool,
}

/// A file that is uploaded by itself.
struct Upload {
    name: String,
    from: PathBuf,
    to: FsPath,
    /// What refers to it.
    file: StateFile,
}

impl SnapshotPart for FilesPart {
    fn write(self: Box<Self>, out: &mut PartWriter<'_>) -> Result<WrittenPart, StateError> {
        let known = if self.savepoint { Files::new() } else { self.uploads.of(self.base) };
        let mut files = Files::new();
        let mut pending = Vec::new();
        for (name, path, size) in list(self.directory.path())? {
            match known.get(&name).filter(|handle| handle.bytes() == size) {
                Some(handle) => {
                    let shared = handle.shared_file().and_then(|shared| shared.rsplit('/').next());
                    out.keep_local(shared.unwrap_or_default(), &path);
                    files.insert(name, handle.clone());
                }
                None => match self.place(out, &name)? {
                    Some((to, file)) => {
                        out.wrote(to.clone(), size);
                        out.keep_local(to.name(), &path);
                        pending.push(Upload { name, from: path, to, file });
                    }
                    None => drop(files.insert(name, own(out, &path)?)),
                },
            }
        }
        let systems = Arc::clone(out.files());
        let uploaded = in_parallel(&pending, self.threads, |file| upload(&systems, file))?;
        files.extend(pending.into_iter().map(|file| file.name).zip(uploaded));
        if !self.savepoint {
            self.uploads.record(self.checkpoint, &files);
        }
        let (kind, key_groups) = (FILES_KIND.to_string(), self.key_groups);
        Ok(WrittenPart::Keyed(KeyedState { kind, key_groups, data: KeyedData::Files { files } }))
    }
}

fn is_immutable(name: &str) -> bool {
    name.ends_with(".sst")
}

/// The files that a store is opened from.
fn list(directory: &Path) -> Result<Vec<(String, PathBuf, u64)>, StateError> {
    let read = |error| failed("read the directory", directory, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(read)? {
        let entry = entry.map_err(read)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_immutable(&name) || name == "CURRENT" || name.starts_with("MANIFEST-") {
            found.push((name, entry.path(), entry.metadata().map_err(read)?.len()));
        }
    }
    found.sort();
    Ok(found)
}

impl FilesPart {
    /// Where a file goes that is uploaded by itself; none where it becomes a part of the snapshot's own file.
    fn place(&self, out: &PartWriter<'_>, name: &str) -> Result<Option<(FsPath, StateFile)>, StateError> {
        let SnapshotTarget::Directory { shared, exclusive, .. } = out.target() else { return Ok(None) };
        if !is_immutable(name) {
            return Ok(None);
        }
        let directory = if self.savepoint { exclusive } else { shared };
        let failed = |source| StateError::Write { path: directory.clone(), source };
        let unique = format!("{}-{name}", out.unique_name());
        let path = out.files().resolve(directory).map_err(failed)?.join(&unique);
        let file = if self.savepoint { StateFile::Own(unique) } else { StateFile::Shared(path.to_string()) };
        Ok(Some((path, file)))
    }
}

/// Copies a file into the snapshot's own one.
fn own(out: &mut PartWriter<'_>, path: &Path) -> Result<StateHandle, StateError> {
    let mut chunk = vec![0; CHUNK];
    let mut file = File::open(path).map_err(|error| failed("open", path, error))?;
    loop {
        match file.read(&mut chunk).map_err(|error| failed("read", path, error))? {
            0 => return out.finish(),
            count => out.write(&chunk[..count])?,
        }
    }
}

fn upload(systems: &FileSystems, file: &Upload) -> Result<StateHandle, StateError> {
    let write_error = |source| StateError::Write { path: file.to.to_string(), source };
    let other = |error: &io::Error| {
        let (path, reason) = (file.to.to_string(), error.to_string());
        write_error(FsError::Other { operation: "write", path, reason })
    };
    let system = systems.get(&file.to).map_err(write_error)?;
    let mut writer = system.create(&file.to, &CreateOptions::default()).map_err(write_error)?;
    let mut source = File::open(&file.from).map_err(|error| failed("open", &file.from, error))?;
    let (mut chunk, mut hash, mut length) = (vec![0; CHUNK], Xxh3Default::new(), 0);
    loop {
        let count = source.read(&mut chunk).map_err(|error| failed("read", &file.from, error))?;
        if count == 0 {
            break;
        }
        hash.update(&chunk[..count]);
        length += count as u64;
        writer.write_all(&chunk[..count]).map_err(|error| other(&error))?;
    }
    writer.close().map_err(write_error)?;
    Ok(StateHandle::File { file: file.file.clone(), offset: 0, length, checksum: hash.digest() })
}

/// Whether a piece of state is all of a local file.
fn is_whole(handle: &StateHandle, copy: &Path) -> bool {
    let all = copy.metadata().is_ok_and(|metadata| metadata.len() == handle.bytes());
    all && matches!(handle, StateHandle::File { offset: 0, .. })
}

/// Fetches a store's files into a directory, and verifies them.
pub(crate) fn download(
    files: &Files,
    reader: &StateReader,
    directory: &Path,
    threads: usize,
) -> Result<(), StateError> {
    let files: Vec<(&String, &StateHandle)> = files.iter().collect();
    for (name, _) in &files {
        // Names come from a file that anybody may have written.
        if name.contains('/') || name.starts_with('.') {
            let reason = "it is no name of a file of a store".to_string();
            return Err(StateError::Damaged { place: (*name).clone(), reason });
        }
    }
    in_parallel(&files, threads, |(name, handle)| fetch(reader, handle, &directory.join(name))).map(drop)
}

fn fetch(reader: &StateReader, handle: &StateHandle, to: &Path) -> Result<(), StateError> {
    // A store never writes into a file that is there: it may be the very file.
    if let Some(copy) = reader.local_copy(handle).filter(|copy| is_whole(handle, copy)) {
        return link_or_copy(&copy, to).map_err(|error| failed("make", to, error));
    }
    let mut source = reader.open(handle)?;
    let mut file = File::create(to).map_err(|error| failed("make", to, error))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match source.read(&mut chunk).map_err(|error| source.failed(&error))? {
            0 => return source.finish(),
            count => file.write_all(&chunk[..count]).map_err(|error| failed("write", to, error))?,
        }
    }
}
