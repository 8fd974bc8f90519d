//! The application master dies and YARN starts the next attempt: what is durable survives, task executors live on.

use crate::checkpoints::Event;
use crate::network::NetworkEvent;
use crate::world::{Happening, World};
use kvick_core::checkpoint::{CompletedCheckpoint, KeptCheckpoints};
use kvick_core::ids::{ExecutionId, ExecutorId, JobId};
use kvick_core::job::{JobResult, JobSubmission};
use kvick_core::master::{Legacy, Master, RecoveredJob};
use kvick_core::time::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// What survives an application master.
#[derive(Debug, Default)]
pub struct ModelStore {
    /// Jobs that are to be run, with the time of their submission.
    pub jobs: BTreeMap<JobId, (JobSubmission, u64)>,
    /// How jobs have ended.
    pub results: BTreeMap<JobId, JobResult>,
    /// Completed checkpoints.
    pub completed: BTreeMap<(JobId, u64), CompletedCheckpoint>,
    /// Every attempt that has ever kept a result.
    pub kept: BTreeSet<(JobId, ExecutionId)>,
    /// How often jobs were started again.
    pub restarts: BTreeMap<JobId, u32>,
    /// Checkpoints that are being stored.
    pub storing: BTreeMap<(JobId, u64), CompletedCheckpoint>,
}

impl Happening {
    /// Whether this is known, or being done, by nobody but the application master that has died.
    fn dies_with_master(&self) -> bool {
        matches!(
            self,
            Happening::Grant
                | Happening::Durable
                | Happening::NotRecorded
                | Happening::Checkpoint(Event::Prepared(..) | Event::Stored(..))
        )
    }
}

impl World {
    /// The application master's process dies, whatever it was doing.
    pub(crate) fn master_dies(&mut self) {
        if !self.alive || self.gate.has_backlog() {
            return;
        }
        self.outcome.takeovers += 1;
        self.alive = false;
        self.queue.retain(|_, happening| !happening.dies_with_master());
        self.gate_dies();
        self.disconnect_all();
        for record in self.storage.jobs.values_mut() {
            record.given_up.clear();
            // Those who waited for an answer have lost their connection instead.
            record.callers.values_mut().filter(|answers| **answers == 0).for_each(|answers| *answers = 1);
        }
        self.outcome.moves += self.master.jobs().map(|(_, job)| job.moves()).sum::<u32>();
        self.settle_storing();
        let pause = self.random.between(500, 15_000).max(self.outage.lasts(self.now()));
        self.at(self.now() + pause, Happening::MasterStarts);
    }

    /// A checkpoint that was being stored is durable, or it is not: nobody was told.
    fn settle_storing(&mut self) {
        for ((job, id), completed) in std::mem::take(&mut self.store.storing) {
            let restore_point = self.storage.job(job).storing.remove(&id).unwrap_or(false);
            if restore_point && self.random.chance(50) && self.outage.lasts(self.now()) == 0 {
                self.storage.complete(job, id);
                self.store.completed.insert((job, id), completed);
            } else if self.random.chance(50) {
                // Its metadata is there, and no record of it.
                self.storage.job(job).unrecorded.insert(id);
            }
        }
    }

    /// The next attempt begins with what was kept, and the containers that YARN says still run.
    pub(crate) fn master_starts(&mut self) {
        self.alive = true;
        self.epoch += 1;
        self.forget_wishes();
        // What the one before gave back may not have reached YARN; this one hears of it and decides anew.
        let now = self.now();
        for lent in self.yarn.lent.values_mut() {
            lent.given_back = false;
            lent.gone_since = lent.gone_since.map(|_| now);
        }
        let settings = self.master.settings().clone();
        self.master = Master::new(Millis(self.now()), settings);
        let ids: Vec<JobId> = self.store.jobs.keys().copied().collect();
        let kept: Vec<KeptCheckpoints> = ids.into_iter().map(|job| self.kept(job)).collect();
        let jobs = self.store.jobs.values().zip(kept);
        let legacy = Legacy {
            epoch: self.epoch,
            jobs: jobs.map(|((job, at), kept)| self.recovered(job, *at, kept)).collect(),
            results: self.store.results.values().cloned().collect(),
            // YARN's books: those among them whose task executors are gone, which it does not know yet.
            containers: self.yarn.lent.keys().cloned().collect(),
        };
        self.decide(|m, now, fx| {
            let refused = m.recover(now, legacy, fx);
            assert!(refused.is_empty(), "{refused:?}");
        });
        self.yarn.excluded.clear();
        self.tell_of_nodes();
        for id in self.executors.keys().cloned().collect::<Vec<ExecutorId>>() {
            let longest = if self.fault(5) { 20_000 } else { 3_000 };
            self.network_soon(longest, NetworkEvent::Reconnects(id));
        }
    }

    /// What can be read of a job's completed checkpoints: at times not the newest, which may be the only one.
    fn kept(&mut self, job: JobId) -> KeptCheckpoints {
        let own = (job, 0)..=(job, u64::MAX);
        let mut completed: Vec<CompletedCheckpoint> =
            self.store.completed.range(own).map(|(_, completed)| completed.clone()).collect();
        let damaged =
            completed.last().filter(|newest| newest.directory.is_some()).map(CompletedCheckpoint::id);
        if let Some(id) = damaged.filter(|_| self.fault(6)) {
            self.outcome.unreadable += 1;
            completed.pop();
            self.store.completed.remove(&(job, id));
            let record = self.storage.job(job);
            record.completed = completed.iter().map(CompletedCheckpoint::id).collect();
            record.unreadable.insert(id);
        }
        let record = self.storage.job(job);
        record.nothing_left = completed.is_empty() && !record.unreadable.is_empty();
        let lost = record.nothing_left.then(|| "it is damaged".to_string());
        let taken = record.unreadable.last().into_iter().chain(record.unrecorded.last()).copied();
        let newest = taken.chain(completed.last().map(CompletedCheckpoint::id)).max();
        let unreadable = record.unreadable.clone();
        KeptCheckpoints { completed, unreadable, lost, next_id: newest.unwrap_or(0) + 1 }
    }

    fn recovered(&self, job: &JobSubmission, submitted: u64, checkpoints: KeptCheckpoints) -> RecoveredJob {
        RecoveredJob {
            submission: job.clone(),
            submitted: Millis(submitted),
            source: None,
            checkpoints,
            restarts: self.store.restarts.get(&job.job_id).copied().unwrap_or(0),
        }
    }
}
