//! Sees to it that a job that needs more memory than its container has ends with a word about it: YARN ends such a container without
//! one, and all jobs in it. Decides only; the supervisor looks and acts.

use kvick_core::config::{Configuration, options};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::JobId;
use std::time::Duration;

/// How often memory is looked at: several times between two looks of YARN's, which are 3 s apart by default
/// (`yarn.nodemanager.container-monitor.interval-ms`).
pub const INTERVAL: Duration = Duration::from_millis(500);
const MIB: u64 = 1 << 20;

/// The limit of one container.
#[derive(Debug, Clone, Copy)]
pub struct MemoryGuard {
    /// What all processes in it may have together, in bytes.
    size: u64,
}

/// A worker that is to be ended.
#[derive(Debug)]
pub struct Verdict {
    /// Of which job.
    pub job: JobId,
    /// Why.
    pub failure: Failure,
}

impl MemoryGuard {
    /// The limit that the configuration names (`taskmanager.memory.process.size`); none where it names none.
    pub fn of(config: &Configuration) -> Option<MemoryGuard> {
        config.get(&options::TM_PROCESS).ok().flatten().map(|size| MemoryGuard { size: size.0 })
    }

    /// The worker with the most memory, if all processes together have nearly used up what there is: YARN counts what they
    /// have a moment later. Sizes are bytes in memory: of the task executor, and of each job's worker.
    pub fn judge(self, executor: u64, workers: &[(JobId, u64)]) -> Option<Verdict> {
        let used = executor + workers.iter().map(|(_, bytes)| bytes).sum::<u64>();
        if used < self.size / 100 * 97 {
            return None;
        }
        let (job, bytes) = *workers.iter().max_by_key(|(_, bytes)| *bytes)?;
        let text = format!(
            "the worker of the job was ended because memory ran out: it has {} MB, all processes in its container {} MB of {} MB \
             (taskmanager.memory.process.size). What a job keeps in memory must fit: state of the backend hashmap, windows, \
             what functions gather. Give task executors more memory, use more of them (a higher parallelism), or keep state \
             on disk (state.backend.type: rocksdb)",
            bytes / MIB,
            used / MIB,
            self.size / MIB
        );
        Some(Verdict { job, failure: Failure::new(FailureKind::WorkerLost, text) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> MemoryGuard {
        let config: Configuration = [("taskmanager.memory.process.size", "1000m")].into_iter().collect();
        MemoryGuard::of(&config).unwrap()
    }

    #[test]
    fn the_largest_worker_goes_when_all_together_have_too_much() {
        let workers = [(JobId(1), 300 * MIB), (JobId(2), 600 * MIB)];
        assert!(guard().judge(20 * MIB, &workers).is_none());
        let verdict = guard().judge(80 * MIB, &workers).unwrap();
        assert_eq!(verdict.job, JobId(2));
        let text = verdict.failure.to_string();
        assert!(text.contains("600 MB") && text.contains("980 MB of 1000 MB"), "{text}");
        assert!(text.contains("taskmanager.memory.process.size") && text.contains("rocksdb"), "{text}");
    }

    #[test]
    fn without_a_limit_or_without_workers_nobody_is_ended() {
        assert!(MemoryGuard::of(&Configuration::default()).is_none());
        assert!(guard().judge(2000 * MIB, &[]).is_none());
    }
}
