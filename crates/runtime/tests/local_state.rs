//! Local copies of checkpoints' files: read in place of the files, verified, given up for them, and removed in time.

#![allow(clippy::unwrap_used)]

use kvick_core::checkpoint::{SnapshotTarget, StateFile, StateHandle};
use kvick_core::config::Configuration;
use kvick_core::ids::JobId;
use kvick_filesystem::blocking::FileSystems;
use kvick_runtime::snapshot::writer::SnapshotFile;
use kvick_runtime::snapshot::{LocalState, StateReader};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn files() -> Arc<FileSystems> {
    Arc::new(FileSystems::new(kvick_filesystem::Context::new(BTreeMap::<String, String>::new())))
}

struct World {
    remote: tempfile::TempDir,
    local: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        World { remote: tempfile::tempdir().unwrap(), local: tempfile::tempdir().unwrap() }
    }

    fn process(&self, owner: &str) -> Option<Arc<LocalState>> {
        let config: Configuration = [("execution.state-recovery.from-local", "true")].into_iter().collect();
        LocalState::of(&config, &[self.local.path().display().to_string()], JobId(1), owner)
    }

    /// Writes two pieces of state into the file of one task's snapshot.
    fn write(&self, local: Option<Arc<LocalState>>, checkpoint: u64) -> [StateHandle; 2] {
        let directory = self.remote.path().display().to_string();
        let target = SnapshotTarget::Directory {
            exclusive: directory.clone(),
            shared: directory.clone(),
            task_owned: directory,
            inline_threshold: 0,
        };
        let file = SnapshotFile::new(files(), target, format!("state-{checkpoint}"));
        let mut file = file.with_local(local, checkpoint);
        let handles = [b"first".as_slice(), b"second"].map(|bytes| {
            let mut part = file.part();
            part.write(bytes).unwrap();
            part.finish().unwrap()
        });
        file.close().unwrap();
        handles
    }

    fn read(&self, local: Option<Arc<LocalState>>, handle: &StateHandle) -> Result<Vec<u8>, String> {
        let directory = Some(self.remote.path().display().to_string());
        let reader = StateReader::new(files(), directory).with_local(local);
        reader.read(handle).map_err(|error| error.to_string())
    }

    fn copies(&self) -> Vec<PathBuf> {
        files_below(self.local.path())
    }
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        match entry.path().is_dir() {
            true => found.extend(files_below(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

#[test]
fn state_is_read_from_its_copy_also_by_the_next_process_on_the_node() {
    let world = World::new();
    let [first, second] = world.write(world.process("a"), 3);
    std::fs::write(world.remote.path().join("state-3"), b"not what was written").unwrap();
    for process in ["a", "b"] {
        assert_eq!(world.read(world.process(process), &first).unwrap(), b"first");
        assert_eq!(world.read(world.process(process), &second).unwrap(), b"second");
    }
    let error = world.read(None, &first).unwrap_err();
    assert!(error.contains("is damaged"), "{error}");
}

#[test]
fn a_copy_that_is_damaged_cut_off_or_gone_is_given_up_for_the_file() {
    let world = World::new();
    let [_, second] = world.write(world.process("a"), 3);
    let copy = world.copies().pop().unwrap();
    for damage in [Some(b"firstsecont".as_slice()), Some(b"firstsec"), None] {
        match damage {
            Some(bytes) => std::fs::write(&copy, bytes).unwrap(),
            None => std::fs::remove_file(&copy).unwrap(),
        }
        assert_eq!(world.read(world.process("a"), &second).unwrap(), b"second");
    }
}

#[test]
fn copies_go_with_the_next_completed_checkpoint_and_the_rest_with_the_job() {
    let world = World::new();
    let (own, other) = (world.process("a").unwrap(), world.process("b").unwrap());
    for checkpoint in [3, 4, 5] {
        world.write(Some(Arc::clone(&own)), checkpoint);
    }
    world.write(Some(Arc::clone(&other)), 2);
    own.completed(4);
    let names: Vec<_> = world.copies().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(!names.iter().any(|name| name == "state-3"), "{names:?}");
    own.remove();
    assert_eq!(world.copies().len(), 1);
    other.remove();
    assert_eq!(std::fs::read_dir(world.local.path().join("kvick-local-state")).unwrap().count(), 0);
}

#[test]
fn a_snapshot_that_is_given_up_leaves_no_copy_and_names_do_not_lead_elsewhere() {
    let world = World::new();
    let local = world.process("a");
    let directory = world.remote.path().display().to_string();
    let target = SnapshotTarget::Directory {
        exclusive: directory.clone(),
        shared: directory.clone(),
        task_owned: directory,
        inline_threshold: 0,
    };
    let mut file = SnapshotFile::new(files(), target, "state-9".to_string()).with_local(local.clone(), 9);
    file.part().write(b"half").unwrap();
    file.discard();
    assert_eq!(world.copies(), Vec::<PathBuf>::new());
    std::fs::write(world.local.path().join("secret"), b"secret").unwrap();
    let file = StateFile::Own("../../../secret".to_string());
    let handle = StateHandle::File { file, offset: 0, length: 6, checksum: 0 };
    let error = world.read(local, &handle).unwrap_err();
    assert!(!error.contains("kvick-local-state"), "{error}");
}

#[test]
fn without_the_option_there_are_no_copies() {
    let world = World::new();
    let dirs = [world.local.path().display().to_string()];
    assert!(LocalState::of(&Configuration::default(), &dirs, JobId(1), "a").is_none());
    let config: Configuration = [("state.backend.local-recovery", "true")].into_iter().collect();
    assert!(LocalState::of(&config, &dirs, JobId(1), "a").is_some());
}
