//! Snapshots: what operators hand over at a barrier, how it is written beside the stream, and how it is read back.
//!
//! Owns the format of keyed and operator state in files. Knows nothing of barriers' ways or of who asked for a snapshot.
//!
//! Reading order: this file → `part` → [`mod@format`] → [`writer`] → [`writers`] → [`reader`].

mod copy;
pub mod format;
mod groups;
mod list;
pub mod local;
mod part;
pub mod reader;
mod restore;
mod table;
pub mod writer;
pub mod writers;

pub(crate) use copy::copy_part;
pub use list::restore_list;
pub use local::LocalState;
pub use part::{SnapshotPart, WrittenPart};
pub use reader::StateReader;
pub(crate) use restore::{restore_map_table, restore_table};
pub(crate) use table::{EntryReader, schema_of};
pub use writer::PartWriter;
pub use writers::{GiveUp, SnapshotJob, SnapshotWriters};

use crate::element::{Barrier, Data, Key, Namespace};
use crate::state::{KeyedBackend, MapTable, StateError, Table};
use crate::task::OperatorIdentity;
use kvick_core::checkpoint::{Redistribution, SnapshotKind};
use kvick_core::ids::VertexId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The parts of a snapshot, by operator.
pub(crate) type Parts = BTreeMap<VertexId, Vec<Box<dyn SnapshotPart>>>;

/// Takes what the operators of a task hand over at a barrier. Handing over shares; writing happens later.
pub struct OperatorSnapshot {
    barrier: Arc<Barrier>,
    operator: OperatorIdentity,
    parts: Parts,
}

impl OperatorSnapshot {
    /// An empty snapshot that starts with the operator at the head of a task.
    pub fn new(barrier: Arc<Barrier>, operator: OperatorIdentity) -> OperatorSnapshot {
        OperatorSnapshot { barrier, operator, parts: Parts::new() }
    }

    /// The checkpoint's number.
    pub fn checkpoint(&self) -> u64 {
        self.barrier.id
    }

    /// What the snapshot is taken for.
    pub fn kind(&self) -> SnapshotKind {
        self.barrier.kind
    }

    /// The barrier, with all that was ordered.
    pub fn barrier(&self) -> &Arc<Barrier> {
        &self.barrier
    }

    /// The operator that is handing over.
    pub fn operator(&self) -> &OperatorIdentity {
        &self.operator
    }

    /// Goes on with another operator and returns the one before.
    pub(crate) fn enter(&mut self, operator: OperatorIdentity) -> OperatorIdentity {
        std::mem::replace(&mut self.operator, operator)
    }

    /// Adds a part to the state of the current operator.
    pub fn add(&mut self, part: Box<dyn SnapshotPart>) {
        self.parts.entry(self.operator.id).or_default().push(part);
    }

    /// Hands over a table.
    ///
    /// # Errors
    /// What its backend fails with.
    pub fn table<K: Key, N: Namespace, V: Data>(
        &mut self,
        table: &mut Table<K, N, V>,
    ) -> Result<(), StateError> {
        table::hand_over(table, self)
    }

    /// Hands over a table of maps.
    ///
    /// # Errors
    /// What its backend fails with.
    pub fn map_table<K: Key, N: Namespace, UK: Namespace, UV: Data>(
        &mut self,
        table: &mut MapTable<K, N, UK, UV>,
    ) -> Result<(), StateError> {
        table::hand_over_map(table, self)
    }

    /// Hands over what the backend itself has: restored state that no table has claimed, and the files of its store.
    ///
    /// # Errors
    /// What the backend fails with.
    pub fn backend<K: Key>(&mut self, backend: &mut KeyedBackend<K>) -> Result<(), StateError> {
        backend.hand_over(self)
    }

    /// Hands over an operator state: elements that are dealt out again by a rule when the job is restored.
    ///
    /// # Errors
    /// An element that refuses to be serialised.
    pub fn list<V: Data>(
        &mut self,
        name: &str,
        redistribution: Redistribution,
        elements: &[V],
    ) -> Result<(), StateError> {
        let part = list::ListPart::of(name, redistribution, elements)?;
        self.add(Box::new(part));
        Ok(())
    }

    /// The parts handed over.
    pub(crate) fn into_parts(self) -> Parts {
        self.parts
    }
}
