//! A task executor has come back after its connection broke: what was lost on the way is said again.

use super::{JobEffect, JobMaster, Worker};
use crate::checkpoint::{CheckpointCoordinator, CheckpointReport};
use crate::executor::WorkerStatus;
use crate::failure::{Failure, FailureKind};
use crate::graph::TaskRef;
use crate::ids::{ExecutionId, ExecutorId};
use crate::task::{TaskDeployment, TaskState};
use crate::time::Millis;
use std::collections::BTreeSet;

impl JobMaster {
    /// Input: a task executor has told what it runs of this job. What it missed is sent again, what was missed of it is
    /// taken note of. `lost` is why its worker has ended, if it did and another was not asked for since.
    pub fn reconnected(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        status: Option<&WorkerStatus>,
        lost: Option<&Failure>,
        fx: &mut Vec<JobEffect>,
    ) {
        match (self.workers.get(executor).cloned(), status) {
            (None, None) => {}
            (None, Some(_)) => fx.push(JobEffect::StopWorker(executor.clone())),
            (Some(Worker::Starting), None) if lost.is_none() => {
                fx.push(JobEffect::StartWorker(executor.clone()));
            }
            (Some(_), None) => {
                let text = "the worker of the job ended while its task executor could not tell";
                let failure = lost.cloned().unwrap_or_else(|| Failure::new(FailureKind::WorkerLost, text));
                self.worker_lost(now, executor, failure, fx);
            }
            // The order to start a worker anew was lost, and the one that is there runs what nobody counts on any more.
            (Some(Worker::Starting), Some(status)) if !self.differences(executor, status).1.is_empty() => {
                fx.push(JobEffect::StartWorker(executor.clone()));
            }
            (Some(_), Some(status)) => self.compare(now, executor, status, fx),
        }
    }

    fn compare(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        status: &WorkerStatus,
        fx: &mut Vec<JobEffect>,
    ) {
        // First: what is deployed now, because the worker is ready, was not missed.
        let (missed, unwanted) = self.differences(executor, status);
        if let Some(address) = &status.address
            && self.workers.get(executor) == Some(&Worker::Starting)
        {
            self.worker_ready(now, executor, address.clone(), fx);
        }
        for task in &status.tasks {
            self.task_report(now, &task.report, fx);
        }
        for task in status.tasks.iter().filter(|task| task.end_of_data) {
            let report = CheckpointReport::EndOfData { execution: task.report.execution };
            self.checkpoint_report(now, report, fx);
        }
        if !unwanted.is_empty() {
            fx.push(JobEffect::Cancel(executor.clone(), unwanted));
        }
        self.repeat(now, executor, missed, fx);
        let tasks = self.tasks_on(executor).into_iter();
        let here: Vec<ExecutionId> = tasks.map(|task| self.execution_id(task)).collect();
        self.with_checkpoints(now, fx, |c, e| {
            c.announce(e);
            c.reconnected(now, &here, e);
        });
    }

    /// Tasks that were deployed there and are not known there; attempts that run there and should not.
    fn differences(&self, executor: &ExecutorId, status: &WorkerStatus) -> (Vec<TaskRef>, Vec<ExecutionId>) {
        let known = |id| status.tasks.iter().any(|task| task.report.execution == id);
        let open =
            |task: &TaskRef| self.execution(*task).deployed && !self.execution(*task).state.is_terminal();
        let here = self.tasks_on(executor).into_iter();
        let missed = here.filter(|task| open(task) && !known(self.execution_id(*task))).collect();
        let unwanted = |id: &ExecutionId| match self.current(*id) {
            Some(task) => matches!(
                self.execution(task).state,
                TaskState::Canceling | TaskState::Canceled | TaskState::Failed
            ),
            None => true,
        };
        let running = status.tasks.iter().filter(|task| !task.report.state.is_terminal());
        (missed, running.map(|task| task.report.execution).filter(unwanted).collect())
    }

    /// Deploys again what never arrived, in the same attempt: nobody has begun it. What was to be cancelled is.
    fn repeat(&mut self, now: Millis, executor: &ExecutorId, missed: Vec<TaskRef>, fx: &mut Vec<JobEffect>) {
        let mut deployments: Vec<TaskDeployment> = Vec::new();
        let mut cancelled = false;
        // A restore point that is open would be settled before the tasks that missed their order could begin.
        let in_doubt = self.checkpoints.as_ref().is_some_and(CheckpointCoordinator::store_in_doubt);
        let restore = if missed.is_empty() || in_doubt { None } else { self.restore_plan(now) };
        for task in missed {
            if self.execution(task).state.is_terminal() {
                continue;
            }
            if self.execution(task).state == TaskState::Canceling {
                cancelled |= self.execution_mut(task).enter(now, TaskState::Canceled);
            } else if in_doubt {
                let text = "the order to start the task was lost with a connection";
                self.tasks_lost(
                    now,
                    vec![task],
                    BTreeSet::new(),
                    Some(executor),
                    Failure::new(FailureKind::ExecutorLost, text),
                    fx,
                );
            } else {
                deployments.push(self.deployment(task, restore.as_ref()));
            }
        }
        if !deployments.is_empty() {
            fx.push(JobEffect::Deploy(executor.clone(), deployments));
        }
        if cancelled {
            self.advance(now, fx);
        }
    }
}
