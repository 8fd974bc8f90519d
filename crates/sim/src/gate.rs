//! What has to be durable before it counts: the end of a job and another graph of it. The model of the application master's shell
//! that holds effects back until the store has the record, however slow the store is; if the application master dies before,
//! the record may be there or not.

use crate::world::{Happening, World};
use kvick_core::checkpoint::CheckpointEffect;
use kvick_core::ids::JobId;
use kvick_core::job::{JobResult, JobSubmission};
use kvick_core::master::{Effect, Master};
use std::collections::VecDeque;

/// For how long the store may reject writes, in milliseconds; the shell gives up after ten minutes.
const REJECTS: u64 = 120_000;

/// A record on its way to the store.
#[derive(Debug)]
enum Record {
    Ended(Box<JobResult>),
    Graph(JobId, Box<JobSubmission>),
}

/// Effects that wait, and for what.
#[derive(Debug, Default)]
pub struct Gate {
    writing: Vec<Record>,
    held: VecDeque<Effect>,
    /// How many of those wait for what is being written now; later ones may have more to wait for.
    releasing: usize,
}

impl Gate {
    /// Whether effects are being held back.
    pub fn is_closed(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether the effects that are held back discard this checkpoint.
    pub fn discards(&self, of: JobId, id: u64) -> bool {
        self.held.iter().any(|effect| {
            matches!(effect, Effect::Checkpoint { job, effect: CheckpointEffect::Discard { checkpoint, .. } }
                if *job == of && *checkpoint == Some(id))
        })
    }
}

fn records_of(master: &Master, effects: &[Effect]) -> Vec<Record> {
    let record = |effect: &Effect| match effect {
        Effect::JobEnded { result } => Some(Record::Ended(result.clone())),
        Effect::JobGraphChanged { job } => {
            let now = master.job(*job)?.submission().clone();
            Some(Record::Graph(*job, Box::new(now)))
        }
        _ => None,
    };
    effects.iter().filter_map(record).collect()
}

impl World {
    /// The effects that may be performed now.
    pub(crate) fn admit(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        if self.gate.is_closed() {
            self.gate.held.extend(effects);
            return Vec::new();
        }
        let records = records_of(&self.master, &effects);
        if records.is_empty() {
            return effects;
        }
        self.gate.writing = records;
        self.gate.releasing = effects.len();
        self.gate.held = effects.into();
        // A write that is rejected is made again until it is done: all that shows is that it takes long.
        let longest = if self.fault(20) { 15_000 } else { 100 };
        let rejected = if self.fault(3) { self.random.between(1, REJECTS) } else { 0 };
        self.outcome.rejections += u32::from(rejected > 0);
        let at = self.now() + rejected;
        let more = self.random.between(0, longest);
        self.at(at + more, Happening::Durable);
        Vec::new()
    }

    /// The store has what was being written.
    pub(crate) fn durable(&mut self) {
        self.settle_writing(true);
        let count = self.gate.releasing.min(self.gate.held.len());
        let first: Vec<Effect> = self.gate.held.drain(..count).collect();
        let later: Vec<Effect> = std::mem::take(&mut self.gate.held).into();
        self.perform_all(first);
        if !self.alive {
            return;
        }
        let admitted = if later.is_empty() { later } else { self.admit(later) };
        self.perform_all(admitted);
    }

    /// The application master is dead: what it was writing may have arrived.
    pub(crate) fn gate_dies(&mut self) {
        let arrived = self.random.chance(50);
        self.settle_writing(arrived);
        self.gate = Gate::default();
    }

    fn settle_writing(&mut self, arrived: bool) {
        for record in std::mem::take(&mut self.gate.writing).into_iter().filter(|_| arrived) {
            match record {
                Record::Ended(result) => {
                    self.store.jobs.remove(&result.job_id);
                    self.store.results.insert(result.job_id, *result);
                }
                Record::Graph(job, now) => {
                    if let Some((kept, _)) = self.store.jobs.get_mut(&job) {
                        *kept = *now;
                    }
                }
            }
        }
    }
}
