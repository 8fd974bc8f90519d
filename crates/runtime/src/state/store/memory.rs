//! Memory that all stores of a job in this process share: one cache and one limit for write buffers, as large as the slots
//! that use it have together.
//!
//! A task does not know its slot, but with slot sharing the subtasks of one index are in one slot: there are as many slots
//! as there are different indexes among the stores that are open.

use super::options::RocksDbOptions;
use super::plugin::{PluginMemory, StatePlugin};
use crate::state::StateError;
use crate::task::lock;
use kvick_core::ids::JobId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

/// The memory of one job in this process.
pub struct SharedMemory {
    memory: PluginMemory,
    per_slot: u64,
    /// Open stores by subtask index.
    users: Mutex<BTreeMap<u32, usize>>,
}

static JOBS: Mutex<BTreeMap<JobId, Weak<SharedMemory>>> = Mutex::new(BTreeMap::new());

impl SharedMemory {
    /// The memory of a job, made for its first store; none where each store has its own.
    ///
    /// # Errors
    /// The plugin cannot make it.
    pub fn of(
        job: JobId,
        plugin: StatePlugin,
        options: &RocksDbOptions,
    ) -> Result<Option<Arc<SharedMemory>>, StateError> {
        let Some(wanted) = &options.memory else { return Ok(None) };
        let mut jobs = lock(&JOBS);
        jobs.retain(|_, memory| memory.strong_count() > 0);
        if let Some(memory) = jobs.get(&job).and_then(Weak::upgrade) {
            return Ok(Some(memory));
        }
        let memory = plugin.memory(wanted)?;
        let users = Mutex::default();
        let shared = Arc::new(SharedMemory { memory, per_slot: wanted.capacity, users });
        jobs.insert(job, Arc::downgrade(&shared));
        Ok(Some(shared))
    }

    /// Bytes in use.
    pub fn usage(&self) -> u64 {
        self.memory.usage()
    }

    /// Bytes that may be in use.
    pub fn capacity(&self) -> u64 {
        self.per_slot.saturating_mul(lock(&self.users).len().max(1) as u64)
    }

    pub(crate) fn plugin_memory(&self) -> &PluginMemory {
        &self.memory
    }

    fn change(&self, act: impl FnOnce(&mut BTreeMap<u32, usize>)) {
        let mut users = lock(&self.users);
        let before = users.len();
        act(&mut users);
        let after = users.len().max(1);
        if after != before {
            // A store works with the former limit as well; the next change sets it right.
            let _ = self.memory.resize(self.per_slot.saturating_mul(after as u64));
        }
    }
}

/// A store's use of the memory, counted until it is dropped.
pub(crate) struct MemoryUse {
    memory: Arc<SharedMemory>,
    subtask: u32,
}

impl MemoryUse {
    pub fn new(memory: Arc<SharedMemory>, subtask: u32) -> MemoryUse {
        memory.change(|users| *users.entry(subtask).or_default() += 1);
        MemoryUse { memory, subtask }
    }

    pub fn memory(&self) -> &SharedMemory {
        &self.memory
    }
}

impl Drop for MemoryUse {
    fn drop(&mut self) {
        self.memory.change(|users| {
            let count = users.entry(self.subtask).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                users.remove(&self.subtask);
            }
        });
    }
}
