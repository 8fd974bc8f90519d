//! The worker role: runs the tasks that the host deploys, until the host says that the job is over.
//!
//! Knows its host and other workers of the job, nothing of leaders, containers or YARN.

mod graph_check;
mod ports;

use crate::exchange::Exchanges;
use crate::exchange::channel::ChannelTable;
use crate::exchange::network::{self, Connections, Membership};
use crate::host_link::{HostError, HostLink, HostReader};
use crate::log;
use crate::options;
use crate::program::Program;
use crate::snapshot::LocalState;
use crate::stdio::StandardOutput;
use crate::task::{self, JobInfo, Reporter, TaskEvent};
use crate::task_host::TaskHost;
use crate::time::AlignmentGroups;
use kvick_core::config::options::WORKER_HOST_LOSS;
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::host::{FromProgram, ToProgram, WorkerSpec};
use kvick_core::task::TaskReport;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How often counters are sent.
const METRICS_INTERVAL: Duration = Duration::from_secs(1);
/// How long tasks may take to stop when the worker is told to end.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

enum WorkerEvent {
    Task(TaskEvent),
    Host(Result<ToProgram, HostError>),
}

impl From<TaskEvent> for WorkerEvent {
    fn from(event: TaskEvent) -> Self {
        WorkerEvent::Task(event)
    }
}

/// Runs the tasks of a job in this process and returns the exit code.
pub fn run(
    spec: &WorkerSpec,
    program: Program,
    link: &HostLink,
    reader: HostReader,
    stdout: StandardOutput,
) -> i32 {
    match prepare(spec, program, stdout) {
        Ok((host, events, port)) => serve(spec, host, events, port, link, reader),
        Err(failure) => {
            log::error(&format!("this worker cannot run its job: {failure}"));
            let _ = link.send(&FromProgram::WorkerFailed { failure });
            1
        }
    }
}

type Prepared = (TaskHost, (Sender<WorkerEvent>, Receiver<WorkerEvent>), u16);

fn prepare(spec: &WorkerSpec, mut program: Program, stdout: StandardOutput) -> Result<Prepared, Failure> {
    graph_check::compare(&spec.graph, &program.graph)?;
    // What may differ was decided where the job was accepted.
    program.graph.clone_from(&spec.graph);
    let (listener, port) = ports::listen(&spec.bind_address, &spec.data_ports)?;
    let membership = Membership { job: spec.job_id, secret: spec.secret.clone() };
    let table: Arc<ChannelTable> = Arc::default();
    network::serve(listener, membership.clone(), Arc::clone(&table));
    let own_address = ports::address(&spec.host, port);
    let exchanges = Exchanges::networked(&own_address, table, Connections::new(membership));
    let (sender, receiver) = channel();
    let host = TaskHost::new(job_info(spec, stdout), program, exchanges, Reporter::to(sender.clone()));
    Ok((host, (sender, receiver), port))
}

fn job_info(spec: &WorkerSpec, stdout: StandardOutput) -> JobInfo {
    let mut config = spec.config.clone();
    config.overlay(&spec.graph.config);
    JobInfo {
        job_id: spec.job_id,
        name: spec.graph.name.clone(),
        files: task::file_systems(&spec.hadoop, &spec.user, &config),
        local: LocalState::of(&config, &spec.tmp_dirs, spec.job_id, &spec.executor),
        config: Arc::new(config),
        tmp_dirs: spec.tmp_dirs.clone(),
        stdout,
        alignment: Arc::new(AlignmentGroups::hosted()),
    }
}

fn serve(
    spec: &WorkerSpec,
    host: TaskHost,
    (sender, receiver): (Sender<WorkerEvent>, Receiver<WorkerEvent>),
    port: u16,
    link: &HostLink,
    reader: HostReader,
) -> i32 {
    let reading = std::thread::Builder::new().name("host-read".to_string());
    if let Err(error) = reading.spawn(move || read_host(reader, &sender)) {
        log::error(&format!("cannot start a thread: {error}"));
        return 1;
    }
    log::info(&format!("worker of job {} on {} listens on port {port}", spec.job_id, spec.executor));
    let lost_after = options::value(&spec.config, &WORKER_HOST_LOSS);
    let now = Instant::now();
    let mut worker =
        Worker { host, link, host_lost: None, lost_after, next_metrics: now, last_alignment: now };
    worker.send(&FromProgram::WorkerReady { data_port: port });
    worker.serve(&receiver)
}

fn read_host(mut reader: HostReader, events: &Sender<WorkerEvent>) {
    loop {
        let message = reader.receive();
        let lost = message.is_err();
        if events.send(WorkerEvent::Host(message)).is_err() || lost {
            return;
        }
    }
}

struct Worker<'a> {
    host: TaskHost,
    link: &'a HostLink,
    host_lost: Option<Instant>,
    lost_after: Duration,
    next_metrics: Instant,
    last_alignment: Instant,
}

impl Worker<'_> {
    fn serve(&mut self, events: &Receiver<WorkerEvent>) -> i32 {
        loop {
            let now = Instant::now();
            if self.host_lost.is_some_and(|since| now - since >= self.lost_after) {
                log::error("the host of this worker did not come back; the worker ends");
                return 1;
            }
            if now >= self.next_metrics {
                self.send_metrics();
                self.next_metrics = now + METRICS_INTERVAL;
            }
            let pause = self.send_alignment(now).min(self.next_metrics - now);
            match events.recv_timeout(pause) {
                Ok(WorkerEvent::Task(event)) => self.task(event),
                Ok(WorkerEvent::Host(Ok(ToProgram::Shutdown))) => return self.shut_down(events),
                Ok(WorkerEvent::Host(Ok(message))) => self.told(message),
                Ok(WorkerEvent::Host(Err(error))) => self.lost(&error),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return 1,
            }
        }
    }

    fn told(&mut self, message: ToProgram) {
        match message {
            ToProgram::Deploy { tasks } => tasks.into_iter().for_each(|task| self.host.deploy(task)),
            ToProgram::Cancel { executions } => self.host.cancel(&executions),
            ToProgram::Checkpoint { executions, command } => self.host.order(&executions, &command),
            ToProgram::Alignment { groups } => self.host.alignment().bound(&groups),
            _ => log::warn("the host sent a message that is not for workers; it is ignored"),
        }
    }

    fn task(&mut self, event: TaskEvent) {
        match event {
            TaskEvent::State(report) => self.state(report),
            TaskEvent::Checkpoint(report) => self.send(&FromProgram::Checkpoint { report }),
        }
    }

    fn state(&mut self, report: TaskReport) {
        let terminal = report.state.is_terminal();
        match &report.failure {
            Some(failure) => log::error(&failure.to_string()),
            None => log::info(&format!("task {} is {:?}", report.execution, report.state)),
        }
        if terminal {
            self.host.ended(report.execution);
        }
        self.send(&FromProgram::Task { report });
    }

    fn send_metrics(&mut self) {
        if !self.host.is_empty() {
            let (tasks, accumulators) = (self.host.metrics(), self.host.accumulators());
            self.send(&FromProgram::Metrics { tasks, accumulators });
        }
    }

    /// Tells how far aligned streams are, if it is time to; when it will be next.
    fn send_alignment(&mut self, now: Instant) -> Duration {
        let Some(interval) = self.host.alignment().report_interval() else { return METRICS_INTERVAL };
        let due = self.last_alignment + interval;
        if now < due {
            return due - now;
        }
        self.last_alignment = now;
        let groups = self.host.alignment().report();
        self.send(&FromProgram::Alignment { groups });
        interval
    }

    fn send(&mut self, message: &FromProgram) {
        if self.host_lost.is_none()
            && let Err(error) = self.link.send(message)
        {
            self.lost(&error);
        }
    }

    fn lost(&mut self, error: &HostError) {
        if self.host_lost.is_none() {
            let span = self.lost_after.as_secs();
            log::warn(&format!("{error}; the tasks of this worker go on for {span} s"));
            self.host_lost = Some(Instant::now());
        }
    }

    /// Stops what still runs, so that sinks are closed, but does not wait for it for ever.
    fn shut_down(&mut self, events: &Receiver<WorkerEvent>) -> i32 {
        self.host.cancel_all();
        let deadline = Instant::now() + SHUTDOWN_GRACE;
        while !self.host.is_empty() {
            match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(WorkerEvent::Task(event)) => self.task(event),
                Ok(WorkerEvent::Host(_)) => {}
                Err(_) => {
                    log::warn("tasks did not stop in time; the worker ends without them");
                    break;
                }
            }
        }
        self.host.remove_local_state();
        0
    }
}

/// The failure of a worker whose program ended without reaching its `execute()`.
pub fn never_executed(ordinal: u32, reached: u32) -> Failure {
    Failure::new(
        FailureKind::GraphMismatch,
        format!(
            "main() ended after {reached} execute() call(s), but this worker runs the tasks of number {ordinal} \
             (counted from 0): main() must take the same way in every process; what it learns from outside itself and \
             its arguments must go through env.once(\"name\", || …)"
        ),
    )
}
