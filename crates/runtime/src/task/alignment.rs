//! Barriers of all channels of a task: when a checkpoint's have all come, and which channels wait until then.
//!
//! A machine without IO. In exactly-once mode a channel that has delivered the barrier is blocked until the others have too;
//! in at-least-once mode nothing is blocked, and several checkpoints may be counted at once. A channel that was closed counts
//! as having delivered everything. Each barrier is answered at most once: aligned, or given up for a newer one.

use crate::element::Barrier;
use kvick_core::checkpoint::BarrierAlignment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many aborted checkpoints are remembered, for barriers that come late.
const ABORTED_REMEMBERED: usize = 64;

/// A checkpoint some of whose barriers have come.
#[derive(Debug)]
struct Pending {
    barrier: Arc<Barrier>,
    delivered: BTreeSet<usize>,
}

/// What follows from a barrier, a closed channel or an order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Outcome {
    /// All barriers of this checkpoint have come: the snapshot is to be taken now.
    pub aligned: Option<Arc<Barrier>>,
    /// These checkpoints will not be aligned: a newer one was met first.
    pub given_up: Vec<u64>,
    /// All channels go on. Comes before [`Outcome::block`].
    pub unblock: bool,
    /// The channel must wait.
    pub block: bool,
    /// The first barrier of a checkpoint has come.
    pub first: bool,
}

/// Aligns the barriers of one task.
#[derive(Debug)]
pub(super) struct Alignment {
    open: BTreeSet<usize>,
    pending: BTreeMap<u64, Pending>,
    /// The newest checkpoint that was aligned.
    newest: u64,
    aborted: BTreeSet<u64>,
    /// An order for a task all of whose producers have finished; it holds once their last records are processed.
    ordered: Option<Arc<Barrier>>,
}

impl Alignment {
    pub fn new(channels: usize) -> Alignment {
        Alignment {
            open: (0..channels).collect(),
            pending: BTreeMap::new(),
            newest: 0,
            aborted: BTreeSet::new(),
            ordered: None,
        }
    }

    /// A channel delivered a barrier.
    pub fn barrier(&mut self, channel: usize, barrier: Arc<Barrier>) -> Outcome {
        let id = barrier.id;
        let mut outcome = Outcome::default();
        if self.is_late(id) {
            return outcome;
        }
        let exactly_once = barrier.alignment != BarrierAlignment::AtLeastOnce;
        if exactly_once {
            if self.pending.keys().any(|known| *known > id) {
                return outcome;
            }
            outcome.given_up = self.give_up_before(id);
            outcome.unblock = !outcome.given_up.is_empty();
        }
        let pending = self.pending.entry(id).or_insert_with(|| {
            outcome.first = true;
            Pending { barrier, delivered: BTreeSet::new() }
        });
        pending.delivered.insert(channel);
        if !self.complete(&mut outcome) {
            outcome.block = exactly_once;
        }
        outcome
    }

    /// Nothing follows on a channel.
    pub fn closed(&mut self, channel: usize) -> Outcome {
        let mut outcome = Outcome::default();
        self.open.remove(&channel);
        self.complete(&mut outcome);
        outcome
    }

    /// The task itself was ordered to take a snapshot, as no producer of it runs.
    pub fn order(&mut self, barrier: Arc<Barrier>) -> Outcome {
        let mut outcome = Outcome::default();
        if !self.is_late(barrier.id) {
            self.ordered = Some(barrier);
            self.complete(&mut outcome);
        }
        outcome
    }

    /// A checkpoint will not come to be.
    pub fn aborted(&mut self, id: u64) -> Outcome {
        self.aborted.insert(id);
        while self.aborted.len() > ABORTED_REMEMBERED {
            self.aborted.pop_first();
        }
        if self.ordered.as_ref().is_some_and(|ordered| ordered.id == id) {
            self.ordered = None;
        }
        Outcome { unblock: self.pending.remove(&id).is_some(), ..Outcome::default() }
    }

    fn is_late(&self, id: u64) -> bool {
        id <= self.newest || self.aborted.contains(&id)
    }

    fn give_up_before(&mut self, id: u64) -> Vec<u64> {
        let later = self.pending.split_off(&id);
        std::mem::replace(&mut self.pending, later).into_keys().collect()
    }

    /// Looks for a checkpoint whose barriers have all come; the newest of several stands for all.
    fn complete(&mut self, outcome: &mut Outcome) -> bool {
        let whole = |p: &&Pending| self.open.iter().all(|channel| p.delivered.contains(channel));
        let by_barriers = self.pending.values().rev().find(whole).map(|p| Arc::clone(&p.barrier));
        let ordered = self.ordered.take_if(|_| self.open.is_empty());
        let Some(barrier) = ordered.into_iter().chain(by_barriers).max_by_key(|barrier| barrier.id) else {
            return false;
        };
        outcome.given_up.extend(self.give_up_before(barrier.id));
        self.pending.remove(&barrier.id);
        self.newest = barrier.id;
        outcome.unblock = true;
        outcome.aligned = Some(barrier);
        true
    }
}

#[cfg(test)]
#[path = "alignment_tests.rs"]
mod tests;
