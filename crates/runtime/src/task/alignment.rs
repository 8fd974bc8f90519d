//! Barriers of all channels of a task: when a snapshot is to be taken, which channels wait until then, and of which channels
//! the records in flight belong to it.
//!
//! A machine without IO. In exactly-once mode a channel that has delivered the barrier is blocked until the others have too;
//! in at-least-once mode nothing is blocked, and several checkpoints may be counted at once. A channel that was closed counts
//! as having delivered everything. Each barrier is answered at most once: with a snapshot, or given up for a newer one.
//!
//! A barrier may overtake: it is *announced* when it arrives, wherever in its channel, and from a moment on (at once, or after
//! a time of alignment) the snapshot is taken as if it had been delivered everywhere. What is then before it in the other
//! channels is recorded, channel by channel, until each has been *reached* by its barrier. Some channels nobody may overtake:
//! those are aligned in any case.

use crate::element::Barrier;
use kvick_core::checkpoint::BarrierAlignment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// How many checkpoints are remembered that were aborted, and that were answered, for barriers that come late.
const REMEMBERED: usize = 64;

/// A checkpoint some of whose barriers have come.
#[derive(Debug)]
struct Pending {
    barrier: Arc<Barrier>,
    delivered: BTreeSet<usize>,
}

/// A barrier that has arrived and may overtake.
#[derive(Debug)]
struct Announced {
    barrier: Arc<Barrier>,
    /// From when on it does.
    at: Instant,
}

/// A snapshot that was taken before all barriers were delivered.
#[derive(Debug)]
struct Recording {
    id: u64,
    /// The channels in which records before the barrier may still come.
    missing: BTreeSet<usize>,
}

/// What follows from a barrier, a closed channel or an order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Outcome {
    /// The snapshot of this checkpoint is to be taken now.
    pub aligned: Option<Arc<Barrier>>,
    /// The channels of which records in flight belong to that snapshot, each until [`Alignment::reached`].
    pub overtaken: Vec<usize>,
    /// All records in flight of this checkpoint were recorded.
    pub recorded: Option<u64>,
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
    /// Channels in which nothing is overtaken.
    in_order: BTreeSet<usize>,
    pending: BTreeMap<u64, Pending>,
    announced: Option<Announced>,
    recording: Option<Recording>,
    /// The newest checkpoint that was answered with a snapshot.
    newest: u64,
    answered: BTreeSet<u64>,
    aborted: BTreeSet<u64>,
    /// An order for a task all of whose producers have finished; it holds once their last records are processed.
    ordered: Option<Arc<Barrier>>,
}

impl Alignment {
    /// The alignment of a task with that many channels; barriers of those in `in_order` never overtake.
    pub fn new(channels: usize, in_order: BTreeSet<usize>) -> Alignment {
        Alignment {
            open: (0..channels).collect(),
            in_order,
            pending: BTreeMap::new(),
            announced: None,
            recording: None,
            newest: 0,
            answered: BTreeSet::new(),
            aborted: BTreeSet::new(),
            ordered: None,
        }
    }

    /// A channel delivered a barrier: all before it was processed. If it may overtake, it does from `at` on.
    pub fn barrier(&mut self, channel: usize, barrier: Arc<Barrier>, at: Instant, now: Instant) -> Outcome {
        let id = barrier.id;
        let mut outcome = Outcome::default();
        if self.recording.as_ref().is_some_and(|recording| recording.id == id) {
            outcome.recorded = self.reached(channel);
            return outcome;
        }
        let exactly_once = barrier.alignment != BarrierAlignment::AtLeastOnce;
        if self.is_late(id) {
            // A newer one has overtaken it before it was met anywhere.
            if exactly_once && !self.answered.contains(&id) && !self.aborted.contains(&id) {
                self.forget(id);
                outcome.given_up.push(id);
            }
            return outcome;
        }
        if exactly_once {
            if self.pending.keys().any(|known| *known > id) {
                self.forget(id);
                outcome.given_up.push(id);
                return outcome;
            }
            outcome.given_up = self.give_up_before(id);
            outcome.unblock = !outcome.given_up.is_empty();
        }
        outcome.first = self.is_first(id);
        self.announce(&barrier, at);
        let pending =
            self.pending.entry(id).or_insert_with(|| Pending { barrier, delivered: BTreeSet::new() });
        pending.delivered.insert(channel);
        if !self.complete(&mut outcome) && !self.overtake(now, &mut outcome) {
            outcome.block = exactly_once;
        }
        outcome
    }

    /// A barrier that may overtake has arrived in a channel, behind what is not yet processed.
    pub fn announced(&mut self, barrier: &Arc<Barrier>, at: Instant, now: Instant) -> Outcome {
        let mut outcome = Outcome::default();
        if !self.is_late(barrier.id) {
            outcome.first = self.is_first(barrier.id);
            self.announce(barrier, at);
            self.overtake(now, &mut outcome);
        }
        outcome
    }

    /// Time has passed: a barrier may overtake now.
    pub fn tick(&mut self, now: Instant) -> Outcome {
        let mut outcome = Outcome::default();
        self.overtake(now, &mut outcome);
        outcome
    }

    /// Whether a barrier waits until it may overtake.
    pub fn waits(&self) -> bool {
        self.announced.is_some()
    }

    /// When [`Alignment::tick`] is wanted.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        self.announced.as_ref().map(|announced| announced.at).filter(|at| *at > now)
    }

    /// Whether records in flight of this channel belong to a snapshot that was taken: those before the barrier of which
    /// checkpoint.
    pub fn records(&self, channel: usize) -> Option<u64> {
        self.recording.as_ref().filter(|r| r.missing.contains(&channel)).map(|r| r.id)
    }

    /// All records before the barrier in a channel were recorded. Says whether that was the last channel, of which checkpoint.
    pub fn reached(&mut self, channel: usize) -> Option<u64> {
        let recording = self.recording.as_mut()?;
        recording.missing.remove(&channel);
        self.recording.take_if(|recording| recording.missing.is_empty()).map(|recording| recording.id)
    }

    /// Nothing follows on a channel.
    pub fn closed(&mut self, channel: usize, now: Instant) -> Outcome {
        let recorded = self.reached(channel);
        let mut outcome = Outcome { recorded, ..Outcome::default() };
        self.open.remove(&channel);
        let _ = self.complete(&mut outcome) || self.overtake(now, &mut outcome);
        outcome
    }

    /// The task itself was ordered to take a snapshot, as no producer of it runs.
    pub fn order(&mut self, barrier: Arc<Barrier>, at: Instant, now: Instant) -> Outcome {
        let mut outcome = Outcome::default();
        if !self.is_late(barrier.id) {
            self.announce(&barrier, at);
            self.ordered = Some(barrier);
            let _ = self.complete(&mut outcome) || self.overtake(now, &mut outcome);
        }
        outcome
    }

    /// A checkpoint will not come to be.
    pub fn aborted(&mut self, id: u64) -> Outcome {
        self.forget(id);
        self.recording.take_if(|recording| recording.id == id);
        self.announced.take_if(|announced| announced.barrier.id == id);
        self.ordered.take_if(|ordered| ordered.id == id);
        Outcome { unblock: self.pending.remove(&id).is_some(), ..Outcome::default() }
    }

    /// Barriers of this checkpoint are ignored from now on.
    fn forget(&mut self, id: u64) {
        remember(&mut self.aborted, id);
    }

    fn is_late(&self, id: u64) -> bool {
        id <= self.newest || self.aborted.contains(&id)
    }

    fn is_first(&self, id: u64) -> bool {
        !self.pending.contains_key(&id) && self.announced.as_ref().is_none_or(|a| a.barrier.id != id)
    }

    fn announce(&mut self, barrier: &Arc<Barrier>, at: Instant) {
        if !barrier.alignment.may_overtake() {
            return;
        }
        match &mut self.announced {
            Some(known) if known.barrier.id > barrier.id => {}
            Some(known) if known.barrier.id == barrier.id => known.at = known.at.min(at),
            _ => self.announced = Some(Announced { barrier: Arc::clone(barrier), at }),
        }
    }

    fn give_up_before(&mut self, id: u64) -> Vec<u64> {
        let later = self.pending.split_off(&id);
        let given_up: Vec<u64> = std::mem::replace(&mut self.pending, later).into_keys().collect();
        given_up.iter().for_each(|id| self.forget(*id));
        given_up
    }

    /// Looks for a checkpoint whose barriers have all come; the newest of several stands for all.
    fn complete(&mut self, outcome: &mut Outcome) -> bool {
        let whole = |p: &&Pending| self.open.iter().all(|channel| p.delivered.contains(channel));
        let by_barriers = self.pending.values().rev().find(whole).map(|p| Arc::clone(&p.barrier));
        let ordered = self.ordered.take_if(|_| self.open.is_empty());
        let Some(barrier) = ordered.into_iter().chain(by_barriers).max_by_key(|barrier| barrier.id) else {
            return false;
        };
        self.answer(&barrier, outcome);
        outcome.aligned = Some(barrier);
        true
    }

    /// Looks whether the barrier that was announced overtakes: its time has come, no older one is being aligned, and it was
    /// delivered wherever it must be.
    fn overtake(&mut self, now: Instant, outcome: &mut Outcome) -> bool {
        let Some(Announced { barrier, .. }) = self.announced.as_ref().filter(|a| a.at <= now) else {
            return false;
        };
        let barrier = Arc::clone(barrier);
        if self.pending.keys().any(|known| *known < barrier.id) {
            return false;
        }
        let delivered = self.pending.get(&barrier.id).map(|p| &p.delivered);
        let met = |channel: &&usize| delivered.is_some_and(|delivered| delivered.contains(*channel));
        let missing: BTreeSet<usize> = self.open.iter().filter(|c| !met(c)).copied().collect();
        if !missing.is_disjoint(&self.in_order) {
            return false;
        }
        self.answer(&barrier, outcome);
        outcome.overtaken = missing.iter().copied().collect();
        self.recording = Some(Recording { id: barrier.id, missing });
        let alignment = BarrierAlignment::Unaligned;
        outcome.aligned = Some(Arc::new(Barrier { alignment, ..Barrier::clone(&barrier) }));
        true
    }

    /// The snapshot of a checkpoint is taken now.
    fn answer(&mut self, barrier: &Arc<Barrier>, outcome: &mut Outcome) {
        let id = barrier.id;
        // What an older one still misses comes in vain: one is recorded at a time.
        if let Some(older) = self.recording.take() {
            self.forget(older.id);
            outcome.given_up.push(older.id);
        }
        outcome.given_up.extend(self.give_up_before(id));
        self.pending.remove(&id);
        self.announced.take_if(|announced| announced.barrier.id <= id);
        self.ordered.take_if(|ordered| ordered.id <= id);
        self.newest = id;
        remember(&mut self.answered, id);
        outcome.unblock = true;
    }
}

fn remember(all: &mut BTreeSet<u64>, id: u64) {
    all.insert(id);
    while all.len() > REMEMBERED {
        all.pop_first();
    }
}

#[cfg(test)]
#[path = "overtaking_tests.rs"]
mod overtaking_tests;
#[cfg(test)]
#[path = "alignment_tests.rs"]
mod tests;
