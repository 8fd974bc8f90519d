//! The completed checkpoints that are kept, oldest first; the last one is what the job is restored from.

use crate::checkpoint::message::SnapshotKind;
use crate::checkpoint::metadata::CheckpointMetadata;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A checkpoint that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletedCheckpoint {
    /// What it consists of.
    pub metadata: Arc<CheckpointMetadata>,
    /// Its own directory; none where all state is inline.
    pub directory: Option<String>,
    /// What a person would name to restore from it.
    pub external_path: String,
    /// Whether the job removes it once it is not needed any more.
    pub owned: bool,
    /// Whether later checkpoints of this job may refer to its files.
    pub referable: bool,
}

impl CompletedCheckpoint {
    /// Its number.
    pub fn id(&self) -> u64 {
        self.metadata.checkpoint
    }

    /// What it was taken for.
    pub fn kind(&self) -> SnapshotKind {
        self.metadata.kind
    }
}

/// The ones that are kept.
#[derive(Debug, Clone, Default)]
pub(super) struct CompletedStore {
    list: Vec<CompletedCheckpoint>,
    retained: usize,
}

impl CompletedStore {
    pub fn new(retained: usize) -> CompletedStore {
        CompletedStore { list: Vec::new(), retained: retained.max(1) }
    }

    /// Adds the newest; returns those that are not kept any more, oldest first.
    pub fn add(&mut self, completed: CompletedCheckpoint) -> Vec<CompletedCheckpoint> {
        self.list.push(completed);
        let surplus = self.list.len().saturating_sub(self.retained);
        self.list.drain(..surplus).collect()
    }

    pub fn latest(&self) -> Option<&CompletedCheckpoint> {
        self.list.last()
    }

    pub fn all(&self) -> &[CompletedCheckpoint] {
        &self.list
    }

    /// Takes the newest out, unless it is the only one.
    pub fn take_latest(&mut self) -> Option<CompletedCheckpoint> {
        if self.list.len() > 1 { self.list.pop() } else { None }
    }

    pub fn take_oldest(&mut self) -> Option<CompletedCheckpoint> {
        (!self.list.is_empty()).then(|| self.list.remove(0))
    }

    /// Shared files that the kept ones refer to.
    pub fn shared_files(&self) -> BTreeSet<String> {
        self.list.iter().flat_map(|c| c.metadata.shared_files()).map(str::to_string).collect()
    }
}
