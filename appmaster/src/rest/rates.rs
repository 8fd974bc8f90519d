//! Rates from counters: tasks report sums, Flink's users ask for `…PerSecond`.
//!
//! One task takes samples of all running tasks; a rate is the difference between a task's latest counters and its oldest
//! sample that is not too old.

use crate::cluster::Cluster;
use crate::handle::ClusterHandle;
use kvick_core::ids::{ExecutionId, ExecutorId, JobId};
use kvick_core::jobmaster::Execution;
use kvick_core::task::TaskMetrics;
use kvick_core::time::Millis;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often samples are taken.
const INTERVAL: Duration = Duration::from_secs(2);
/// How far back a rate looks, in milliseconds.
const WINDOW: Millis = Millis(10_000);

/// Counters of the recent past, and where executors were.
#[derive(Debug, Default)]
pub struct Samples {
    tasks: BTreeMap<(JobId, ExecutionId), VecDeque<(Millis, TaskMetrics)>>,
    /// Hosts of executors that may be gone by now.
    hosts: BTreeMap<ExecutorId, String>,
}

/// What a task does per second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rate {
    /// Records received.
    pub records_in: f64,
    /// Records sent.
    pub records_out: f64,
    /// Bytes received from other workers.
    pub bytes_in: f64,
    /// Bytes sent to other workers.
    pub bytes_out: f64,
    /// Milliseconds of work.
    pub busy: f64,
    /// Milliseconds of waiting for input.
    pub idle: f64,
    /// Milliseconds of waiting for room downstream.
    pub backpressured: f64,
}

/// Takes samples until the cluster's driver has ended.
pub async fn sample(cluster: ClusterHandle, samples: Arc<Mutex<Samples>>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let samples = samples.clone();
        let taken = cluster.ask(move |cluster, now| {
            samples.lock().unwrap_or_else(PoisonError::into_inner).take(cluster, now);
        });
        if taken.await.is_none() {
            return;
        }
    }
}

impl Samples {
    /// Notes the counters of all running tasks and forgets the others.
    fn take(&mut self, cluster: &Cluster, now: Millis) {
        for (executor, connection) in &cluster.connections {
            self.hosts.insert(executor.clone(), connection.info.host.clone());
        }
        let mut earlier = std::mem::take(&mut self.tasks);
        for (id, execution, metrics) in running_tasks(cluster) {
            let mut history = earlier.remove(&(id, execution)).unwrap_or_default();
            history.push_back((now, metrics));
            // The oldest one that is still wanted is the last one outside the window.
            while history.get(1).is_some_and(|(at, _)| now.since(*at) >= WINDOW) {
                history.pop_front();
            }
            self.tasks.insert((id, execution), history);
        }
    }

    /// What a running task does per second, lately. Zero for one that does not run.
    pub fn rate(&self, job: JobId, id: ExecutionId, execution: &Execution, now: Millis) -> Rate {
        let Some(started) = execution.started().filter(|_| !execution.state.is_terminal()) else {
            return Rate::default();
        };
        let oldest = self.tasks.get(&(job, id)).and_then(|history| history.front().copied());
        let (since, before) = oldest.unwrap_or((started, TaskMetrics::default()));
        Rate::between(&before, &execution.metrics, now.since(since))
    }

    /// The host that an executor had.
    pub fn host(&self, executor: &ExecutorId) -> Option<String> {
        self.hosts.get(executor).cloned()
    }
}

fn running_tasks(cluster: &Cluster) -> impl Iterator<Item = (JobId, ExecutionId, TaskMetrics)> {
    cluster.master.jobs().filter(|(_, job)| !job.state().is_terminal()).flat_map(|(id, job)| {
        let vertices = job.submission().graph.vertices.iter().enumerate();
        vertices.flat_map(move |(index, vertex)| {
            let tasks = job.executions(index).iter().zip(0..);
            tasks
                .filter(|(e, _)| e.deployed && !e.state.is_terminal())
                .map(move |(execution, subtask)| (*id, execution.id(vertex.id, subtask), execution.metrics))
        })
    })
}

impl Rate {
    fn between(before: &TaskMetrics, after: &TaskMetrics, span: Millis) -> Rate {
        if span.0 == 0 {
            return Rate::default();
        }
        let seconds = span.0 as f64 / 1000.0;
        let per_second = |a: u64, b: u64| b.saturating_sub(a) as f64 / seconds;
        // A task cannot do more than a second's work in a second; its report may come a little late.
        let share = |a, b| per_second(a, b).min(1000.0);
        Rate {
            records_in: per_second(before.records_in, after.records_in),
            records_out: per_second(before.records_out, after.records_out),
            bytes_in: per_second(before.bytes_in, after.bytes_in),
            bytes_out: per_second(before.bytes_out, after.bytes_out),
            busy: share(before.busy_ms, after.busy_ms),
            idle: share(before.idle_ms, after.idle_ms),
            backpressured: share(before.backpressured_ms, after.backpressured_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_difference_over_the_span() {
        let before = TaskMetrics { records_in: 100, busy_ms: 500, ..TaskMetrics::default() };
        let after = TaskMetrics { records_in: 600, busy_ms: 1_500, ..TaskMetrics::default() };
        let rate = Rate::between(&before, &after, Millis(2_000));
        assert_eq!((rate.records_in, rate.busy, rate.idle), (250.0, 500.0, 0.0));
    }

    #[test]
    fn nobody_is_busy_for_more_than_a_second_per_second() {
        let after = TaskMetrics { busy_ms: 1_100, ..TaskMetrics::default() };
        assert_eq!(Rate::between(&TaskMetrics::default(), &after, Millis(1_000)).busy, 1000.0);
    }
}
