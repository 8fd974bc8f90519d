//! The slots of a job: logical shared slots, and the real ones that fill them.
//!
//! Where the regions of a job run after one another, a real slot fills one shared slot now and another later; in between it
//! is loose.

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
    /// Real slots that fill no shared one.
    loose: Vec<SlotId>,
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

    /// How many real slots there are, loose ones included.
    pub fn held(&self) -> usize {
        self.filled() + self.loose.len()
    }

    /// How many of the real slots are on none of these executors.
    pub fn held_off(&self, executors: &BTreeSet<ExecutorId>) -> usize {
        let filling = self.shared.iter().filter_map(|shared| shared.slot.as_ref());
        filling.chain(&self.loose).filter(|slot| !executors.contains(&slot.executor)).count()
    }

    /// Adds loose slots.
    pub fn add_loose(&mut self, slots: Vec<SlotId>) {
        self.loose.extend(slots);
    }

    /// Empties every shared slot but these: what was in them is loose.
    pub fn loosen_all_but(&mut self, in_use: &BTreeSet<usize>) {
        let unused = self.shared.iter_mut().enumerate().filter(|(index, _)| !in_use.contains(index));
        for (_, shared) in unused.filter(|(_, shared)| shared.slot.is_some()) {
            shared.before = shared.slot.as_ref().map(|slot| slot.executor.clone());
            self.loose.extend(shared.slot.take());
        }
    }

    /// Fills all of these shared slots with loose ones where there are enough, else none; best with one of the executor
    /// that it was on before, else with one of those that are `known`.
    pub fn fill_all(&mut self, wanted: &BTreeSet<usize>, known: impl Fn(&ExecutorId) -> bool) {
        let empty = |index: &&usize| self.shared.get(**index).is_some_and(|shared| shared.slot.is_none());
        let empty: Vec<usize> = wanted.iter().filter(empty).copied().collect();
        if empty.len() > self.loose.len() {
            return;
        }
        for index in empty {
            let shared = &mut self.shared[index];
            let strange =
                |slot: &SlotId| (shared.before.as_ref() != Some(&slot.executor), !known(&slot.executor));
            let best = (0..self.loose.len()).min_by_key(|position| strange(&self.loose[*position]));
            shared.slot = best.map(|position| self.loose.remove(position));
        }
    }

    /// Takes away all loose slots on some executors, and as many more as `surplus` says, first those that are not `known`.
    pub fn take_loose(
        &mut self,
        leaving: &BTreeSet<ExecutorId>,
        surplus: usize,
        known: impl Fn(&ExecutorId) -> bool,
    ) -> Vec<SlotId> {
        let mut taken: Vec<SlotId> =
            self.loose.extract_if(.., |slot| leaving.contains(&slot.executor)).collect();
        self.loose.sort_by_key(|slot| !known(&slot.executor));
        taken.extend(self.loose.split_off(self.loose.len().saturating_sub(surplus)));
        taken
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

    /// Empties every shared slot on an executor; returns their indices. Loose slots there are gone too.
    pub fn lose_executor(&mut self, executor: &ExecutorId) -> BTreeSet<usize> {
        self.loose.retain(|slot| slot.executor != *executor);
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
        let filling = self.shared.iter().filter_map(|shared| shared.slot.as_ref());
        filling.chain(&self.loose).map(|slot| slot.executor.clone()).collect()
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
        let mut pool = SlotPool { shared: vec![empty; 3], ..SlotPool::default() };
        assert!(pool.fill(vec![slot("a", 0), slot("b", 0), slot("c", 0)]).is_empty());
        pool.lose_executor(&ExecutorId("b".to_string()));
        pool.lose_executor(&ExecutorId("c".to_string()));
        let left = pool.fill(vec![slot("d", 0), slot("c", 1), slot("d", 1)]);
        let executors: Vec<_> = (0..3).map(|i| pool.executor(i).unwrap().0.as_str()).collect();
        assert_eq!(executors, ["a", "d", "c"]);
        assert_eq!(left, [slot("d", 1)]);
    }
    #[test]
    fn a_group_of_shared_slots_is_filled_whole_or_not_at_all() {
        let empty = SharedSlot { group: String::new(), slot: None, before: None };
        let mut pool = SlotPool { shared: vec![empty; 4], ..SlotPool::default() };
        let nobody = |_: &ExecutorId| false;
        pool.add_loose(vec![slot("a", 0), slot("b", 0), slot("c", 0)]);
        pool.fill_all(&BTreeSet::from([0, 1, 2, 3]), nobody);
        assert_eq!((pool.filled(), pool.held()), (0, 3));
        pool.fill_all(&BTreeSet::from([1, 3]), |executor| executor.0 == "c");
        assert_eq!(pool.executor(1).unwrap().0, "c", "where a worker is");
        // The one that is filled already counts.
        pool.fill_all(&BTreeSet::from([0, 1]), nobody);
        assert_eq!((pool.filled(), pool.held()), (3, 3));
        pool.loosen_all_but(&BTreeSet::from([0]));
        assert_eq!((pool.filled(), pool.held()), (1, 3));
        pool.fill_all(&BTreeSet::from([1]), nobody);
        assert_eq!(pool.executor(1).unwrap().0, "c", "where it was before");
        assert_eq!(pool.take_loose(&BTreeSet::new(), 5, nobody), [slot("a", 0)]);
    }
}
