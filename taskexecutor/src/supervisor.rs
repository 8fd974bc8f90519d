//! The supervisor: one loop over what the application master says, what workers say, and the clock.
//!
//! Preparing a program (fetching, unpacking) happens beside the loop; what is meant for a worker that is still being
//! prepared waits for it. Below `watch` it sees to it that workers are well, and tells how they were lost.

#[cfg(test)]
mod tests;
mod watch;

use crate::artifact::ProgramStore;
use crate::link::{Link, LinkEvent, Outgoing};
use crate::logs;
use crate::memory_guard::{self, MemoryGuard};
use crate::remains::Remains;
use crate::settings::Settings;
use crate::worker::{Worker, WorkerEvent, WorkerId};
use anyhow::Result;
use kvick_core::executor::{ExecutorInfo, FromExecutor, Holdings, ToExecutor, WorkerStatus};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::host::{FromProgram, ToProgram, WorkerSpec};
use kvick_core::ids::JobId;
use kvick_core::job::ProgramSpec;
use kvick_process::memory;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

/// What is known of a job's worker.
enum Place {
    /// Its program is being fetched and unpacked, for this start of it. Messages for it wait here.
    Preparing(WorkerId, Vec<ToProgram>),
    /// It runs.
    Running(Worker),
    /// It was told to end; its end is no failure.
    Stopping(Worker),
}

/// The result of preparing a program.
struct Prepared {
    id: WorkerId,
    program: Result<PathBuf>,
    args: Vec<String>,
    spec: Box<WorkerSpec>,
}

/// The supervisor's state.
struct Supervisor {
    settings: Settings,
    store: ProgramStore,
    workers: BTreeMap<JobId, Place>,
    /// What workers of a job may have left here, since the first one began.
    remains: BTreeMap<JobId, Remains>,
    /// What the application master is told of the workers when it is met anew.
    holdings: Holdings,
    to_master: mpsc::UnboundedSender<Outgoing>,
    worker_events: mpsc::UnboundedSender<WorkerEvent>,
    prepared: mpsc::UnboundedSender<Prepared>,
    heartbeat: Duration,
    /// How many workers were started so far.
    started: u64,
    /// How many connections there were to an application master.
    connections: u64,
    guard: Option<MemoryGuard>,
}

/// Runs until the application master ends it, or is lost.
///
/// # Errors
/// If the application master stays away for too long or refuses this task executor.
pub async fn run(settings: Settings) -> Result<()> {
    let (to_master, outgoing) = mpsc::unbounded_channel();
    let (incoming_sender, mut incoming) = mpsc::unbounded_channel();
    let (worker_events, mut from_workers) = mpsc::unbounded_channel();
    let (prepared, mut preparations) = mpsc::unbounded_channel();
    let link = Link::new(&settings, settings.link_timeout);
    let mut link = tokio::spawn(link.run(outgoing, incoming_sender));
    let store = ProgramStore::new(settings.work_dir(), settings.filesystems());
    let heartbeat = settings.heartbeat_interval;
    let guard = MemoryGuard::of(&settings.config);
    let mut supervisor = Supervisor {
        settings,
        store,
        workers: BTreeMap::new(),
        remains: BTreeMap::new(),
        holdings: Holdings::default(),
        to_master,
        worker_events,
        prepared,
        heartbeat,
        started: 0,
        connections: 0,
        guard,
    };
    let mut next_heartbeat = Instant::now() + heartbeat;
    let mut looks = tokio::time::interval(memory_guard::INTERVAL);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = incoming.recv() => match event {
                None => return link.await?,
                Some(LinkEvent::Connected) => supervisor.register(),
                Some(LinkEvent::Message(message)) => {
                    if let Some(end) = supervisor.handle_master(message) {
                        return end;
                    }
                }
            },
            Some(event) = from_workers.recv() => supervisor.handle_worker(event),
            Some(prepared) = preparations.recv() => supervisor.start_prepared(prepared),
            () = sleep_until(next_heartbeat) => {
                supervisor.end_silent_workers();
                supervisor.send_heartbeat();
                next_heartbeat = Instant::now() + supervisor.heartbeat;
            }
            _ = looks.tick() => supervisor.look_at_memory(),
            ended = &mut link => return ended?,
        }
    }
}

fn info_of(settings: &Settings) -> ExecutorInfo {
    ExecutorInfo {
        id: settings.id.clone(),
        host: settings.host.clone(),
        slots: settings.slots,
        pid: std::process::id(),
        cpu_cores: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        physical_memory: memory::machine().map_or(0, |(total, _)| total),
        log_dir: settings.log_dir.display().to_string(),
        config: settings.config.clone(),
    }
}

impl Supervisor {
    /// Does what the application master says. `Some` ends the task executor.
    fn handle_master(&mut self, message: ToExecutor) -> Option<Result<()>> {
        match message {
            ToExecutor::Registered { heartbeat_interval_ms, .. } => {
                info!("registered with the application master");
                self.heartbeat = Duration::from_millis(heartbeat_interval_ms.max(100));
            }
            ToExecutor::Refused { reason } => {
                return Some(Err(anyhow::anyhow!(
                    "the application master refused this task executor: {reason}"
                )));
            }
            ToExecutor::Heartbeat => {}
            ToExecutor::StartWorker { program, spec } => self.prepare(program, spec),
            ToExecutor::Deploy { job_id, tasks } => {
                if let Some(worker) = self.holdings.worker(job_id) {
                    tasks.iter().for_each(|task| worker.deployed(task.execution));
                }
                self.tell(job_id, ToProgram::Deploy { tasks });
            }
            ToExecutor::Cancel { job_id, executions } => self.tell(job_id, ToProgram::Cancel { executions }),
            ToExecutor::Checkpoint { job_id, executions, command } => {
                if let Some(worker) = self.holdings.worker(job_id) {
                    worker.checkpoint_ordered(&executions, &command);
                }
                self.tell(job_id, ToProgram::Checkpoint { executions, command });
            }
            ToExecutor::Alignment { job_id, groups } => self.tell(job_id, ToProgram::Alignment { groups }),
            ToExecutor::StopWorker { job_id } => {
                self.stop_worker(job_id);
                self.clear_up(job_id);
            }
            ToExecutor::ListLogs { request } => {
                let files = logs::list(&self.settings.log_dir);
                self.say(FromExecutor::Logs { request, files });
            }
            ToExecutor::ReadLog { request, name, max_bytes } => {
                let content = logs::read(&self.settings.log_dir, &name, max_bytes);
                self.say(FromExecutor::LogContent { request, content });
            }
            ToExecutor::Shutdown { reason } => {
                info!("shutting down: {reason}");
                return Some(Ok(()));
            }
        }
        None
    }

    fn say(&mut self, message: FromExecutor) {
        self.holdings.note(&message);
        // The link outlives this loop; when it has ended, so does the loop.
        let _ = self.to_master.send(Outgoing::Message(message));
    }

    /// Tells who this is and all that it runs.
    fn register(&mut self) {
        self.connections += 1;
        let registration = FromExecutor::Register {
            info: Box::new(info_of(&self.settings)),
            holdings: self.holdings.clone(),
            connection: self.connections,
        };
        let _ = self.to_master.send(Outgoing::Registration(registration));
    }

    fn prepare(&mut self, program: ProgramSpec, spec: Box<WorkerSpec>) {
        let job = spec.job_id;
        if matches!(self.workers.get(&job), Some(Place::Preparing(..) | Place::Running(_))) {
            if !self.has_tasks(job) {
                return self.say_again_that_it_is_ready(job);
            }
            // Whoever asks for a worker counts on nothing that runs in this one: the word of an earlier one's end may have
            // crossed with what was ordered since.
            self.stop_worker(job);
        }
        info!(%job, jar = %program.jar.name, "preparing a worker");
        self.started += 1;
        let id = WorkerId { job, serial: self.started };
        self.workers.insert(job, Place::Preparing(id, Vec::new()));
        self.forget(job);
        self.holdings.workers.push(WorkerStatus::starting(job));
        let (store, sender) = (self.store.clone(), self.prepared.clone());
        tokio::spawn(async move {
            let path = store.prepare(&program).await;
            let _ = sender.send(Prepared { id, program: path, args: program.args, spec });
        });
    }

    fn has_tasks(&mut self, job: JobId) -> bool {
        let tasks = self.holdings.worker(job).map(|worker| worker.tasks.as_slice()).unwrap_or_default();
        tasks.iter().any(|task| !task.report.state.is_terminal())
    }

    /// Whoever asks for a worker that there is waits to hear that it is ready: the word of an earlier one's end may have crossed
    /// with that of this one's beginning.
    fn say_again_that_it_is_ready(&mut self, job: JobId) {
        if let Some(worker) = self.holdings.worker(job)
            && let (Some(address), pid) = (worker.address.clone(), worker.pid)
        {
            self.say(FromExecutor::WorkerReady { job_id: job, address, pid });
        }
    }

    fn start_prepared(&mut self, prepared: Prepared) {
        let Prepared { id, program, args, mut spec } = prepared;
        let job = id.job;
        let waiting = match self.workers.get_mut(&job) {
            Some(Place::Preparing(awaited, waiting)) if *awaited == id => std::mem::take(waiting),
            // It was told to end meanwhile; another one may be on its way.
            _ => return,
        };
        self.workers.remove(&job);
        self.settings.complete(&mut spec);
        self.remains.insert(job, Remains::of(&spec));
        let started = program.and_then(|path| {
            info!(%job, program = %path.display(), "starting the worker");
            Ok(Worker::start(id, &path, &args, *spec, self.worker_events.clone())?)
        });
        match started {
            Ok(worker) => {
                waiting.into_iter().for_each(|message| worker.outbox.send(message));
                self.workers.insert(job, Place::Running(worker));
            }
            Err(error) => {
                let text = format!("the worker could not be started: {error:#}");
                self.lost(job, Failure::new(FailureKind::WorkerLost, text));
            }
        }
    }

    /// There is nothing more to tell of a job's worker.
    fn forget(&mut self, job: JobId) {
        self.holdings.workers.retain(|worker| worker.job_id != job);
        self.holdings.lost.retain(|(lost, _)| *lost != job);
    }

    fn tell(&mut self, job: JobId, message: ToProgram) {
        match self.workers.get_mut(&job) {
            Some(Place::Preparing(_, waiting)) => waiting.push(message),
            Some(Place::Running(worker)) => worker.outbox.send(message),
            Some(Place::Stopping(_)) | None => warn!(%job, "there is no worker to tell"),
        }
    }

    fn stop_worker(&mut self, job: JobId) {
        self.forget(job);
        match self.workers.remove(&job) {
            Some(Place::Running(worker)) => {
                worker.outbox.send(ToProgram::Shutdown);
                let process = worker.process.clone();
                tokio::spawn(async move {
                    if tokio::time::timeout(Duration::from_secs(2), process.exited()).await.is_err() {
                        process.kill();
                    }
                });
                self.workers.insert(job, Place::Stopping(worker));
            }
            Some(Place::Preparing(..)) | None => {}
            Some(stopping) => {
                self.workers.insert(job, stopping);
            }
        }
    }

    /// Removes what workers of a job have left for others, once there will be none.
    fn clear_up(&mut self, job: JobId) {
        let awaits_another = self.holdings.lost.iter().any(|(lost, _)| *lost == job);
        if !awaits_another
            && !self.workers.contains_key(&job)
            && let Some(remains) = self.remains.remove(&job)
        {
            remains.remove_copies();
        }
    }

    fn handle_worker(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::Said(id, message) if self.is_running(id) => self.worker_said(id.job, message),
            // What a worker says that was told to end concerns nobody.
            WorkerEvent::Said(..) => {}
            WorkerEvent::Ended(id, failure) if self.is_running(id) => {
                self.workers.remove(&id.job);
                self.lost(id.job, failure);
            }
            WorkerEvent::Ended(id, _) => {
                if matches!(self.workers.get(&id.job), Some(Place::Stopping(worker)) if worker.id == id) {
                    self.workers.remove(&id.job);
                    self.clear_up(id.job);
                }
            }
        }
    }

    fn is_running(&self, id: WorkerId) -> bool {
        matches!(self.workers.get(&id.job), Some(Place::Running(worker)) if worker.id == id)
    }

    fn worker_said(&mut self, job: JobId, message: FromProgram) {
        if let Some(Place::Running(Worker { silence, .. })) = self.workers.get_mut(&job)
            && (silence.is_some() || matches!(message, FromProgram::WorkerReady { .. }))
        {
            *silence = Some(0);
        }
        match message {
            FromProgram::WorkerReady { data_port } => {
                let pid = match self.workers.get(&job) {
                    Some(Place::Running(worker)) => worker.process.pid().unwrap_or_default(),
                    _ => 0,
                };
                let address = format!("{}:{data_port}", self.settings.host);
                info!(%job, pid, %address, "the worker is ready");
                self.say(FromExecutor::WorkerReady { job_id: job, address, pid });
            }
            FromProgram::WorkerFailed { failure } => {
                self.workers.remove(&job);
                self.lost(job, failure);
            }
            FromProgram::Task { report } => self.say(FromExecutor::Task { job_id: job, report }),
            FromProgram::Checkpoint { report } => {
                self.say(FromExecutor::Checkpoint { job_id: job, report });
            }
            FromProgram::Alignment { groups } => self.say(FromExecutor::Alignment { job_id: job, groups }),
            FromProgram::Metrics { tasks, accumulators } => {
                self.say(FromExecutor::TaskMetrics { job_id: job, tasks, accumulators });
            }
            FromProgram::Hello { .. }
            | FromProgram::Execute { .. }
            | FromProgram::CancelJob { .. }
            | FromProgram::AskJob { .. } => {
                warn!(%job, "a worker said what only a client says");
            }
        }
    }
}
