//! Looks after the workers: that they speak, how much memory they have, and what is told of one that is lost.

use super::{Place, Supervisor};
use crate::memory_guard::Verdict;
use kvick_core::executor::{ExecutorMetrics, FromExecutor, Holdings};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::JobId;
use kvick_process::memory;
use kvick_yarn::ids::ContainerId;
use std::time::Duration;
use tracing::warn;

impl Supervisor {
    /// A worker is lost, for this reason.
    pub(super) fn lost(&mut self, job: JobId, failure: Failure) {
        warn!(%job, "{failure}");
        let failure = self.with_place(failure);
        self.say(FromExecutor::WorkerLost { job_id: job, failure });
    }

    /// A worker's failure with where it was, and how to see more of it.
    fn with_place(&self, failure: Failure) -> Failure {
        let (id, host) = (&self.settings.id, &self.settings.host);
        let more = match id.0.parse::<ContainerId>() {
            Ok(container) => {
                let application = container.attempt_id.application_id;
                format!("More: yarn logs -applicationId {application} -containerId {id}")
            }
            Err(_) => format!("More: the log files in {}", self.settings.log_dir.display()),
        };
        let before = if failure.detail.is_empty() { String::new() } else { format!("{}\n", failure.detail) };
        failure.with_detail(format!("{before}It ran in {id} on {host}. {more}"))
    }

    /// A worker with tasks says something every second. One that has said nothing for `heartbeat.timeout` hangs as a whole
    /// (it is paused, or its machine's memory thrashes), and its tasks go on elsewhere. Time is counted in heartbeats of this
    /// process, so that a pause of the task executor itself is not held against its workers.
    pub(super) fn end_silent_workers(&mut self) {
        let timeout = self.settings.link_timeout;
        let most = timeout.as_millis().div_ceil(self.heartbeat.as_millis().max(1)) as u32;
        let busy = |holdings: &mut Holdings, job| {
            let tasks = holdings.worker(job).map(|worker| worker.tasks.iter());
            tasks.is_some_and(|mut tasks| tasks.any(|task| !task.report.state.is_terminal()))
        };
        let mut silent = Vec::new();
        for (job, place) in &mut self.workers {
            let Place::Running(worker) = place else { continue };
            let Some(silence) = &mut worker.silence else { continue };
            *silence = if busy(&mut self.holdings, *job) { *silence + 1 } else { 0 };
            if *silence > most {
                silent.push(*job);
            }
        }
        silent.into_iter().for_each(|job| self.end_silent(job, timeout));
    }

    pub(super) fn end_silent(&mut self, job: JobId, timeout: Duration) {
        let Some(Place::Running(worker)) = self.workers.remove(&job) else { return };
        let pid = worker.process.pid().unwrap_or_default();
        let text = format!(
            "the worker process {pid} of the job has said nothing for {timeout:?} (heartbeat.timeout): it hangs, and is killed"
        );
        worker.process.kill();
        self.lost(job, Failure::new(FailureKind::WorkerLost, text).with_detail(worker.last_words()));
    }

    /// Looks how much memory workers have, and ends the one that has the most before YARN ends the container.
    pub(super) fn look_at_memory(&mut self) {
        // Whatever ends a worker later, this is how much it had.
        let resident = |(job, place): (&JobId, &Place)| match place {
            Place::Running(worker) => Some((*job, worker.resident_bytes())),
            Place::Preparing(..) | Place::Stopping(_) => None,
        };
        let workers: Vec<(JobId, u64)> = self.workers.iter().filter_map(resident).collect();
        let Some(guard) = self.guard else { return };
        let own = memory::resident_bytes(std::process::id()).unwrap_or_default();
        let Some(Verdict { job, failure }) = guard.judge(own, &workers) else { return };
        if let Some(Place::Running(worker)) = self.workers.remove(&job) {
            worker.process.kill();
            let failure = failure.with_detail(worker.last_words());
            self.workers.insert(job, Place::Stopping(worker));
            self.lost(job, failure);
        }
    }

    pub(super) fn send_heartbeat(&mut self) {
        let resident = self.workers.values().map(|place| match place {
            Place::Running(worker) | Place::Stopping(worker) => worker.resident_bytes(),
            Place::Preparing(..) => 0,
        });
        let metrics = ExecutorMetrics {
            resident_bytes: memory::resident_bytes(std::process::id()).unwrap_or_default(),
            workers_resident_bytes: resident.sum(),
            workers: self.workers.len() as u32,
            free_memory: memory::machine().map_or(0, |(_, available)| available),
        };
        self.say(FromExecutor::Heartbeat { metrics });
    }
}
