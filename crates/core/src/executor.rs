//! The conversation between a task executor and the application master.
//!
//! It travels in both directions of one stream that the task executor opens. Every message is wrapped in an envelope that
//! carries the epoch of the application master (its YARN attempt number); the receiver drops what is stale.

use crate::accumulator::Accumulators;
use crate::alignment::{GroupBound, GroupReport};
use crate::checkpoint::{CheckpointCommand, CheckpointReport};
use crate::config::Configuration;
use crate::failure::Failure;
use crate::host::WorkerSpec;
use crate::ids::{ExecutionId, ExecutorId, JobId};
use crate::job::ProgramSpec;
use crate::task::{TaskDeployment, TaskMetrics, TaskReport, TaskState};
use serde::{Deserialize, Serialize};

/// What a task executor has to offer, told at registration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutorInfo {
    /// Its id: on YARN the container's.
    pub id: ExecutorId,
    /// The host under which its workers are reached.
    pub host: String,
    /// Number of slots.
    pub slots: u32,
    /// Process id.
    pub pid: u32,
    /// Processors of the machine.
    pub cpu_cores: u32,
    /// Memory of the machine in bytes.
    pub physical_memory: u64,
    /// The directory with its log files.
    pub log_dir: String,
    /// Its effective configuration (memory sizes among them).
    pub config: Configuration,
}

/// What a task executor measures of itself and its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecutorMetrics {
    /// Resident memory of the task executor itself, in bytes.
    pub resident_bytes: u64,
    /// Resident memory of its workers together, in bytes.
    pub workers_resident_bytes: u64,
    /// Number of worker processes.
    pub workers: u32,
    /// Free memory of the machine in bytes.
    pub free_memory: u64,
}

/// A log file of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFile {
    /// Its name within the log directory.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
    /// Last modification, epoch milliseconds.
    pub mtime: u64,
}

/// What a task executor runs, as it tells an application master that may know nothing of it, or that missed something
/// while they could not speak with each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holdings {
    /// Its workers.
    pub workers: Vec<WorkerStatus>,
    /// Jobs whose worker has ended though it was not asked to, and that got no new one.
    pub lost: Vec<(JobId, Failure)>,
}

/// A worker, and all attempts that it was given since it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// The job.
    pub job_id: JobId,
    /// `host:port` of its data listener, once it is ready.
    #[serde(default)]
    pub address: Option<String>,
    /// Process id, once there is one.
    #[serde(default)]
    pub pid: u32,
    /// Every attempt, those included that have ended.
    #[serde(default)]
    pub tasks: Vec<TaskStatus>,
}

/// An attempt, as its task executor knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// What it said last; [`TaskState::Deploying`] if it has said nothing.
    pub report: TaskReport,
    /// Whether it has said that its data has ended.
    #[serde(default)]
    pub end_of_data: bool,
    /// The newest checkpoint of which it was told, or spoke; 0 for none.
    #[serde(default)]
    pub checkpoint: u64,
}

impl TaskStatus {
    /// An attempt that was deployed and has said nothing.
    pub fn deployed(execution: ExecutionId) -> TaskStatus {
        let report = TaskReport {
            execution,
            state: TaskState::Deploying,
            failure: None,
            accumulators: Accumulators::new(),
            metrics: TaskMetrics::default(),
        };
        TaskStatus { report, end_of_data: false, checkpoint: 0 }
    }
}

impl WorkerStatus {
    /// A worker that is being started.
    pub fn starting(job_id: JobId) -> WorkerStatus {
        WorkerStatus { job_id, address: None, pid: 0, tasks: Vec::new() }
    }

    /// Notes that an attempt was deployed. Earlier ones of the subtask that have ended are of no interest any more.
    pub fn deployed(&mut self, execution: ExecutionId) {
        if self.task(execution).is_none() {
            self.tasks.retain(|task| {
                let id = task.report.execution;
                let same = (id.vertex, id.subtask) == (execution.vertex, execution.subtask);
                !same || id.attempt > execution.attempt || !task.report.state.is_terminal()
            });
            self.tasks.push(TaskStatus::deployed(execution));
        }
    }

    /// Notes what an attempt says of itself.
    pub fn reported(&mut self, report: &TaskReport) {
        self.deployed(report.execution);
        if let Some(task) = self.task(report.execution)
            && !task.report.state.is_terminal()
        {
            task.report.clone_from(report);
        }
    }

    /// Notes what an attempt says of a checkpoint, or is told.
    pub fn checkpoint_reported(&mut self, report: &CheckpointReport) {
        match report {
            CheckpointReport::Acknowledged { execution, checkpoint, .. }
            | CheckpointReport::Declined { execution, checkpoint, .. } => {
                self.heard_of_checkpoint(*execution, *checkpoint);
            }
            CheckpointReport::EndOfData { execution } => {
                if let Some(task) = self.task(*execution) {
                    task.end_of_data = true;
                }
            }
        }
    }

    /// Notes what attempts are told of a checkpoint, also of one that will not be: they take no snapshot for its barriers any more,
    /// so its number must not come again.
    pub fn checkpoint_ordered(&mut self, executions: &[ExecutionId], command: &CheckpointCommand) {
        let checkpoint = match command {
            CheckpointCommand::Trigger(order) => order.checkpoint,
            CheckpointCommand::Abort { checkpoint } => *checkpoint,
            CheckpointCommand::Complete { .. } => return,
        };
        executions.iter().for_each(|id| self.heard_of_checkpoint(*id, checkpoint));
    }

    /// Notes that an attempt knows of a checkpoint.
    fn heard_of_checkpoint(&mut self, execution: ExecutionId, checkpoint: u64) {
        if let Some(task) = self.task(execution) {
            task.checkpoint = task.checkpoint.max(checkpoint);
        }
    }

    fn task(&mut self, execution: ExecutionId) -> Option<&mut TaskStatus> {
        self.tasks.iter_mut().find(|task| task.report.execution == execution)
    }
}

impl Holdings {
    /// The worker of a job.
    pub fn worker(&mut self, job: JobId) -> Option<&mut WorkerStatus> {
        self.workers.iter_mut().find(|worker| worker.job_id == job)
    }

    /// Notes what the task executor says afterwards.
    pub fn note(&mut self, message: &FromExecutor) {
        match message {
            FromExecutor::WorkerReady { job_id, address, pid } => {
                if let Some(worker) = self.worker(*job_id) {
                    (worker.address, worker.pid) = (Some(address.clone()), *pid);
                }
            }
            FromExecutor::WorkerLost { job_id, failure } => {
                self.workers.retain(|worker| worker.job_id != *job_id);
                self.lost.retain(|(job, _)| job != job_id);
                self.lost.push((*job_id, failure.clone()));
            }
            FromExecutor::Task { job_id, report } => {
                if let Some(worker) = self.worker(*job_id) {
                    worker.reported(report);
                }
            }
            FromExecutor::Checkpoint { job_id, report } => {
                if let Some(worker) = self.worker(*job_id) {
                    worker.checkpoint_reported(report);
                }
            }
            _ => {}
        }
    }
}

/// What a task executor says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromExecutor {
    /// First, always.
    Register {
        /// Who it is and what it offers.
        info: Box<ExecutorInfo>,
        /// What it runs already: the whole truth, whatever was said or lost before.
        #[serde(default)]
        holdings: Holdings,
        /// Which connection of this process it is, counted from 1: of two registrations that cross on their way, the one with
        /// the lesser number tells what was true before.
        #[serde(default)]
        connection: u64,
    },
    /// Every `heartbeat.interval`, or sooner.
    Heartbeat {
        /// Its own figures.
        metrics: ExecutorMetrics,
    },
    /// A worker is ready to take tasks.
    WorkerReady {
        /// The job.
        job_id: JobId,
        /// `host:port` of its data listener.
        address: String,
        /// Process id.
        pid: u32,
    },
    /// A worker could not be started, or has ended though it was not asked to.
    WorkerLost {
        /// The job.
        job_id: JobId,
        /// Exit code or signal, last lines of its log.
        failure: Failure,
    },
    /// A task changed its state.
    Task {
        /// The job.
        job_id: JobId,
        /// The report.
        report: TaskReport,
    },
    /// Counters of running tasks.
    TaskMetrics {
        /// The job.
        job_id: JobId,
        /// By execution.
        tasks: Vec<(ExecutionId, TaskMetrics)>,
        /// Accumulators of running tasks.
        accumulators: Vec<(ExecutionId, Accumulators)>,
    },
    /// How far the streams of a job's worker are that are aligned with others.
    Alignment {
        /// The job.
        job_id: JobId,
        /// By group.
        groups: Vec<GroupReport>,
    },
    /// A task has something to say about a checkpoint.
    Checkpoint {
        /// The job.
        job_id: JobId,
        /// What.
        report: CheckpointReport,
    },
    /// The answer to [`ToExecutor::ListLogs`].
    Logs {
        /// From the request.
        request: u64,
        /// The files.
        files: Vec<LogFile>,
    },
    /// The answer to [`ToExecutor::ReadLog`].
    LogContent {
        /// From the request.
        request: u64,
        /// The text, or why it could not be read.
        content: Result<String, String>,
    },
}

/// What the application master says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToExecutor {
    /// Registration accepted.
    Registered {
        /// How often to send a heartbeat, in milliseconds.
        heartbeat_interval_ms: u64,
        /// After how long without word the other side counts as lost, in milliseconds.
        heartbeat_timeout_ms: u64,
    },
    /// Registration refused: not wanted here; the task executor ends itself.
    Refused {
        /// Why.
        reason: String,
    },
    /// Keeps the stream alive, and tells the task executor that its master is.
    Heartbeat,
    /// Start a worker for a job (unless there is one).
    StartWorker {
        /// The program to run.
        program: ProgramSpec,
        /// What the worker is told; host, addresses and directories are filled in by the task executor.
        spec: Box<WorkerSpec>,
    },
    /// Tasks for the worker of a job.
    Deploy {
        /// The job.
        job_id: JobId,
        /// The tasks.
        tasks: Vec<TaskDeployment>,
    },
    /// Tasks to cancel.
    Cancel {
        /// The job.
        job_id: JobId,
        /// The attempts.
        executions: Vec<ExecutionId>,
    },
    /// End the worker of a job: the job has ended here.
    StopWorker {
        /// The job.
        job_id: JobId,
    },
    /// Checkpoint orders for tasks.
    Checkpoint {
        /// The job.
        job_id: JobId,
        /// To whom.
        executions: Vec<ExecutionId>,
        /// What.
        command: CheckpointCommand,
    },
    /// The answer to [`FromExecutor::Alignment`], for the worker of a job.
    Alignment {
        /// The job.
        job_id: JobId,
        /// By group; those of which too little is known are left out.
        groups: Vec<GroupBound>,
    },
    /// List the log files.
    ListLogs {
        /// To find the answer by.
        request: u64,
    },
    /// Read a log file.
    ReadLog {
        /// To find the answer by.
        request: u64,
        /// The file's name within the log directory.
        name: String,
        /// At most this many bytes, counted from the end.
        max_bytes: u64,
    },
    /// End everything: workers first, then the task executor itself.
    Shutdown {
        /// Why.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::VertexId;

    #[test]
    fn what_a_task_was_told_will_not_be_is_a_number_that_it_knows() {
        let execution = ExecutionId { vertex: VertexId(1), subtask: 0, attempt: 0 };
        let mut worker = WorkerStatus::starting(JobId(1));
        worker.deployed(execution);
        let known = |worker: &WorkerStatus| worker.tasks[0].checkpoint;
        worker.checkpoint_ordered(&[execution], &CheckpointCommand::Complete { checkpoint: 3 });
        assert_eq!(known(&worker), 0, "what is durable is recorded elsewhere");
        worker.checkpoint_ordered(&[execution], &CheckpointCommand::Abort { checkpoint: 5 });
        worker.checkpoint_ordered(&[execution], &CheckpointCommand::Abort { checkpoint: 4 });
        assert_eq!(known(&worker), 5);
    }
}
