//! The slots of a job: logical shared slots, and the real ones that fill them.

use crate::graph::{JobGraph, TaskRef};
use crate::ids::{ExecutorId, SlotId};
use std::collections::{BTreeMap, BTreeSet};

/// A place for one subtask of each vertex of a slot sharing group.
#[derive(Debug, Clone)]
pub struct SharedSlot {
    /// The slot sharing group.
    pub group: String,
    /// The real slot, once granted.
    pub slot: Option<SlotId>,
    /// Where the slot was that it had before: local copies of its state may be there.
    pub before: Option<ExecutorId>,
}

/// All shared slots of a job.
#[derive(Debug, Clone, Default)]
pub struct SlotPool {
    shared: Vec<SharedSlot>,
    first_of_group: BTreeMap<String, usize>,
}

impl SlotPool {
    /// The shared slots that a graph needs: for each group as many as its widest vertex has subtasks.
    pub fn for_graph(graph: &JobGraph) -> SlotPool {
        let mut widest: BTreeMap<&str, u32> = BTreeMap::new();
        for vertex in &graph.vertices {
            let width = widest.entry(&vertex.slot_sharing_group).or_default();
            *width = (*width).max(vertex.parallelism);
        }
        let mut pool = SlotPool::default();
        for (group, width) in widest {
            pool.first_of_group.insert(group.to_string(), pool.shared.len());
            let slot = SharedSlot { group: group.to_string(), slot: None, before: None };
            pool.shared.extend(std::iter::repeat_n(slot, width as usize));
        }
        pool
    }

    /// The index of the shared slot in which a subtask runs.
    pub fn index_of(&self, graph: &JobGraph, task: TaskRef) -> usize {
        let group = &graph.vertices[task.vertex].slot_sharing_group;
        self.first_of_group.get(group).copied().unwrap_or(0) + task.subtask as usize
    }

    /// The executor behind a shared slot, where it is filled.
    pub fn executor(&self, index: usize) -> Option<&ExecutorId> {
        self.shared.get(index)?.slot.as_ref().map(|s| &s.executor)
    }

    /// How many shared slots there are.
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.shared.is_empty()
    }

    /// How many are filled.
    pub fn filled(&self) -> usize {
        self.shared.iter().filter(|s| s.slot.is_some()).count()
    }

    /// Fills empty shared slots with granted ones, each with one of the executor that it was on before where there is one;
    /// returns those for which there was no use.
    pub fn fill(&mut self, mut granted: Vec<SlotId>) -> Vec<SlotId> {
        for shared in self.shared.iter_mut().filter(|s| s.slot.is_none()) {
            let known = |slot: &SlotId| shared.before.as_ref() == Some(&slot.executor);
            if let Some(found) = granted.iter().position(known) {
                shared.slot = Some(granted.remove(found));
            }
        }
        let mut granted = granted.into_iter();
        for shared in self.shared.iter_mut().filter(|s| s.slot.is_none()) {
            match granted.next() {
                Some(slot) => shared.slot = Some(slot),
                None => break,
            }
        }
        granted.collect()
    }

    /// Fills one shared slot with a real one.
    pub fn bind(&mut self, index: usize, slot: SlotId) {
        if let Some(shared) = self.shared.get_mut(index) {
            shared.slot = Some(slot);
        }
    }

    /// Empties every shared slot on an executor; returns their indices.
    pub fn lose_executor(&mut self, executor: &ExecutorId) -> BTreeSet<usize> {
        let mut lost = BTreeSet::new();
        for (index, shared) in self.shared.iter_mut().enumerate() {
            if shared.slot.as_ref().is_some_and(|s| s.executor == *executor) {
                shared.before = shared.slot.take().map(|slot| slot.executor);
                lost.insert(index);
            }
        }
        lost
    }

    /// Empties every shared slot; returns what was in them.
    pub fn take_slots(&mut self) -> Vec<SlotId> {
        let take = |shared: &mut SharedSlot| {
            shared.before = shared.slot.as_ref().map(|slot| slot.executor.clone());
            shared.slot.take()
        };
        self.shared.iter_mut().filter_map(take).collect()
    }

    /// How many shared slots are on these executors.
    pub fn filled_on(&self, executors: &BTreeSet<ExecutorId>) -> usize {
        let there =
            |shared: &&SharedSlot| shared.slot.as_ref().is_some_and(|s| executors.contains(&s.executor));
        self.shared.iter().filter(there).count()
    }

    /// Empties every shared slot on these executors; returns what was in them.
    pub fn leave(&mut self, executors: &BTreeSet<ExecutorId>) -> Vec<SlotId> {
        let there = |slot: &mut SlotId| executors.contains(&slot.executor);
        self.shared.iter_mut().filter_map(|shared| shared.slot.take_if(there)).collect()
    }

    /// Every executor that holds a slot of this job.
    pub fn executors(&self) -> BTreeSet<ExecutorId> {
        self.shared.iter().filter_map(|s| Some(s.slot.as_ref()?.executor.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(executor: &str, index: u32) -> SlotId {
        SlotId { executor: ExecutorId(executor.to_string()), index }
    }

    #[test]
    fn a_shared_slot_goes_back_to_where_its_state_may_be() {
        let empty = SharedSlot { group: String::new(), slot: None, before: None };
        let mut pool = SlotPool { shared: vec![empty; 3], first_of_group: BTreeMap::new() };
        assert!(pool.fill(vec![slot("a", 0), slot("b", 0), slot("c", 0)]).is_empty());
        pool.lose_executor(&ExecutorId("b".to_string()));
        pool.lose_executor(&ExecutorId("c".to_string()));
        let left = pool.fill(vec![slot("d", 0), slot("c", 1), slot("d", 1)]);
        let executors: Vec<_> = (0..3).map(|i| pool.executor(i).unwrap().0.as_str()).collect();
        assert_eq!(executors, ["a", "d", "c"]);
        assert_eq!(left, [slot("d", 1)]);
    }
}
