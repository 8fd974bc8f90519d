//! What has to be durable before it counts: the end of a job and another graph of it. The model of the application master's shell
//! that holds effects back until the store has the record, however slow the store is; if the application master dies before,
//! the record may be there or not.

use crate::outage::PATIENCE;
use crate::world::{Happening, World};
use kvick_core::checkpoint::CheckpointEffect;
use kvick_core::ids::JobId;
use kvick_core::job::{JobResult, JobSubmission};
use kvick_core::master::{Effect, HeldEffects, Master};

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
    /// What the store did not take for too long, and takes when it is back.
    backlog: Vec<Record>,
    /// As the shell holds them.
    pub held: HeldEffects,
}

impl Gate {
    /// Whether effects are being held back.
    pub fn is_closed(&self) -> bool {
        self.held.is_closed()
    }

    /// Whether something waits for the store that nobody waits for any more.
    pub fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Whether the end of a job is told though it is not recorded.
    pub fn tells_unrecorded(&self, job: JobId) -> bool {
        self.backlog.iter().any(|record| matches!(record, Record::Ended(result) if result.job_id == job))
    }

    /// What is being written is not waited for any more.
    pub fn give_up_writing(&mut self) {
        self.backlog.append(&mut self.writing);
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
            self.gate.held.add(effects);
            return Vec::new();
        }
        let records = records_of(&self.master, &effects);
        if records.is_empty() {
            return effects;
        }
        self.gate.writing = records;
        self.gate.held.close(effects);
        if self.store_gives_up() {
            self.outcome.unrecorded += 1;
            self.at(self.now() + PATIENCE, Happening::NotRecorded);
            return Vec::new();
        }
        // A write that is rejected is made again until it is done: all that shows is that it takes long.
        let longest = if self.fault(20) { 15_000 } else { 100 };
        let rejected = if self.fault(3) { self.random.between(1, REJECTS) } else { 0 };
        self.outcome.rejections += u32::from(rejected > 0);
        let at = self.now() + rejected + self.outage.lasts(self.now());
        let more = self.random.between(0, longest);
        self.at(at + more, Happening::Durable);
        Vec::new()
    }

    /// The store has what was being written.
    pub(crate) fn durable(&mut self) {
        self.settle_writing(true);
        self.release();
    }

    /// What has waited may be done.
    pub(crate) fn release(&mut self) {
        let (first, later) = self.gate.held.release();
        self.perform_all(first);
        if !self.alive {
            return;
        }
        let admitted = if later.is_empty() { later } else { self.admit(later) };
        self.perform_all(admitted);
    }

    /// The application master is dead: what it was writing may have arrived.
    pub(crate) fn gate_dies(&mut self) {
        let arrived = self.random.chance(50) && self.outage.lasts(self.now()) == 0;
        self.settle_writing(arrived);
        self.gate = Gate::default();
    }

    /// The store takes what it did not take before.
    pub(crate) fn store_is_back(&mut self) {
        let backlog = std::mem::take(&mut self.gate.backlog);
        self.keep(backlog);
    }

    fn settle_writing(&mut self, arrived: bool) {
        let written = std::mem::take(&mut self.gate.writing);
        if arrived {
            self.keep(written);
        }
    }

    fn keep(&mut self, records: Vec<Record>) {
        for record in records {
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
