//! What a model task executor and its workers do when they are told something.

use crate::executor::ModelWorker;
use crate::snapshots::restored_task;
use crate::world::{Happening, World};
use kvick_core::executor::{FromExecutor, ToExecutor, WorkerStatus};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::{ExecutionId, ExecutorId, JobId};
use kvick_core::task::{TaskDeployment, TaskMetrics, TaskReport, TaskState};

impl World {
    /// A task executor does what it is told.
    pub(crate) fn obey(&mut self, executor: ExecutorId, message: ToExecutor) {
        match message {
            ToExecutor::Refused { .. } => {
                self.executors.remove(&executor);
                self.soon(1_000, Happening::ContainerEnds(executor));
            }
            ToExecutor::StartWorker { spec, .. } => self.start_worker(executor, spec.job_id),
            ToExecutor::Deploy { job_id, tasks } => self.deploy(&executor, job_id, tasks),
            ToExecutor::Cancel { job_id, executions } => {
                self.release_results(&executor, job_id, &executions);
                for task in executions {
                    if let Some(serial) = self.live(&executor, job_id, task) {
                        self.soon(
                            500,
                            Happening::Task(executor.clone(), job_id, serial, task, TaskState::Canceled),
                        );
                    }
                }
            }
            ToExecutor::Checkpoint { job_id, executions, command } => {
                self.order(&executor, job_id, executions, command);
            }
            ToExecutor::StopWorker { job_id } => {
                if let Some(model) = self.executors.get_mut(&executor) {
                    model.workers.remove(&job_id);
                    model.holdings.workers.retain(|worker| worker.job_id != job_id);
                    model.holdings.lost.retain(|(job, _)| *job != job_id);
                }
            }
            _ => {}
        }
    }

    fn start_worker(&mut self, executor: ExecutorId, job: JobId) {
        self.sequence += 1;
        let serial = self.sequence;
        if let Some(model) = self.executors.get_mut(&executor) {
            if let Some(there) = model.workers.get(&job) {
                let serial = there.serial;
                if there.live.is_empty() {
                    if there.ready {
                        self.soon(10, Happening::WorkerReady(executor, job, serial));
                    }
                    return;
                }
                // Nobody counts on what runs in that one.
                model.workers.remove(&job);
                model.holdings.workers.retain(|worker| worker.job_id != job);
            }
            model.workers.insert(job, ModelWorker { serial, ..ModelWorker::default() });
            model.holdings.lost.retain(|(lost, _)| *lost != job);
            model.holdings.workers.push(WorkerStatus::starting(job));
        }
        let fails = self.fault(10);
        let happening = if fails { Happening::WorkerDies } else { Happening::WorkerReady };
        self.soon(300, happening(executor, job, serial));
    }

    fn deploy(&mut self, executor: &ExecutorId, job: JobId, tasks: Vec<TaskDeployment>) {
        let Some(model) = self.executors.get_mut(executor) else { return };
        if let Some(status) = model.holdings.worker(job) {
            tasks.iter().for_each(|task| status.deployed(task.execution));
        }
        let Some(worker) = model.workers.get_mut(&job) else { return };
        let serial = worker.serial;
        worker.live.extend(tasks.iter().map(|t| (t.execution, restored_task(t.restore.as_ref()))));
        for task in tasks {
            self.outcome.restored += u32::from(task.restore.is_some());
            let was_finished = task.restore.as_ref().is_some_and(|r| r.finished);
            let (id, place) = (task.execution, executor.clone());
            if !self.check_results(job, &task) {
                self.miss_result(place, job, serial, id);
                continue;
            }
            if task.restore.is_some() && self.fault(3) {
                self.soon(200, Happening::Damaged(place, job, serial, id));
                continue;
            }
            self.soon(200, Happening::Task(place.clone(), job, serial, id, TaskState::Running));
            let end = if self.fault(10) { TaskState::Failed } else { TaskState::Finished };
            let longest = if was_finished { 0 } else { 30_000 };
            let at = self.now() + 200 + self.random.between(0, longest);
            self.at(at, Happening::Task(place, job, serial, id, end));
        }
    }

    /// The serial of the worker in which a task lives, if it does.
    pub(crate) fn live(&self, executor: &ExecutorId, job: JobId, task: ExecutionId) -> Option<u64> {
        let worker = self.executors.get(executor)?.workers.get(&job)?;
        worker.live.contains_key(&task).then_some(worker.serial)
    }

    pub(crate) fn worker_ready(&mut self, id: ExecutorId, job: JobId, serial: u64) {
        let worker = self.executors.get_mut(&id).and_then(|e| e.workers.get_mut(&job));
        if let Some(worker) = worker.filter(|w| w.serial == serial) {
            worker.ready = true;
            self.say(&id, FromExecutor::WorkerReady { job_id: job, address: "host:1".into(), pid: 1 });
        }
    }

    pub(crate) fn worker_dies(&mut self, id: ExecutorId, job: JobId, serial: u64) {
        let Some(model) = self.executors.get_mut(&id) else { return };
        if model.workers.get(&job).is_some_and(|w| w.serial == serial) {
            model.workers.remove(&job);
            let failure = Failure::new(FailureKind::WorkerLost, "the worker died");
            self.say(&id, FromExecutor::WorkerLost { job_id: job, failure });
        }
    }

    pub(crate) fn task(
        &mut self,
        id: ExecutorId,
        job: JobId,
        serial: u64,
        task: ExecutionId,
        state: TaskState,
        failure: Option<Failure>,
    ) {
        if self.live(&id, job, task) != Some(serial) {
            return;
        }
        if state == TaskState::Finished && !self.may_finish(&(id.clone(), job, serial, task)) {
            return;
        }
        if state.is_terminal()
            && let Some(worker) = self.executors.get_mut(&id).and_then(|e| e.workers.get_mut(&job))
        {
            worker.live.remove(&task);
        }
        if state == TaskState::Finished {
            self.keep_result(&id, job, task);
        }
        let panicked = || Failure::new(FailureKind::Panic, "a user function panicked");
        let failure = (state == TaskState::Failed).then(|| failure.unwrap_or_else(panicked));
        let report = TaskReport {
            execution: task,
            state,
            failure,
            accumulators: Default::default(),
            metrics: TaskMetrics::default(),
        };
        let twice = self.fault(5);
        self.say(&id, FromExecutor::Task { job_id: job, report: report.clone() });
        if twice {
            self.say(&id, FromExecutor::Task { job_id: job, report });
        }
    }
}
