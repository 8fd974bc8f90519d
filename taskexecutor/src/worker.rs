//! One worker process: the job's own program in the role of a worker.

use crate::remains::Remains;
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::host::{FromProgram, Role, ToProgram, WorkerSpec};
use kvick_core::ids::JobId;
use kvick_core::launch::{PLUGINS_DIR_ENV, ROCKSDB_PLUGIN};
use kvick_process::memory;
use kvick_rpc::host::{HostError, Inbox, Outbox, Process, Program, ProgramExit};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;

/// How many of the last lines on standard error are kept for the report of a worker's end.
const KEPT_LINES: usize = 20;

/// A worker: of which job, and which one of that job, for a job may get a new worker while its old one still ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerId {
    /// The job.
    pub job: JobId,
    /// Counts the workers of this task executor.
    pub serial: u64,
}

/// Something that happened to a worker.
pub enum WorkerEvent {
    /// It said something.
    Said(WorkerId, FromProgram),
    /// It has ended.
    Ended(WorkerId, Failure),
}

/// A running worker.
pub struct Worker {
    /// Which one it is.
    pub id: WorkerId,
    /// What is said to it.
    pub outbox: Outbox,
    /// Its process.
    pub process: Process,
    /// For how many heartbeats it has said nothing, though it ought to; `None` until it is ready, for its `main()` takes
    /// as long as it takes.
    pub silence: Option<u32>,
    trace: Arc<Trace>,
}

/// What is known of a worker that says nothing more itself.
#[derive(Default)]
struct Trace {
    /// The most resident memory that was seen, in bytes.
    peak: AtomicU64,
    /// Its last lines on standard error.
    lines: Mutex<VecDeque<String>>,
}

impl Trace {
    fn tell(&self) -> String {
        let peak = self.peak.load(Ordering::Relaxed) >> 20;
        let memory = (peak > 0).then(|| format!("It was last seen with up to {peak} MiB of memory."));
        let kept = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        memory.into_iter().chain(kept.iter().cloned()).collect::<Vec<_>>().join("\n")
    }
}

impl Worker {
    /// Starts a worker. It writes where the task executor writes; what it says arrives at `events`.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn start(
        id: WorkerId,
        program: &Path,
        args: &[String],
        spec: WorkerSpec,
        events: mpsc::UnboundedSender<WorkerEvent>,
    ) -> Result<Worker, HostError> {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::inherit()).stderr(Stdio::piped());
        if let Some(plugins) = plugins() {
            command.env(PLUGINS_DIR_ENV, plugins);
        }
        let Program { inbox, outbox, process, stderr } = Program::launch(Role::Worker, command)?;
        let trace = Arc::new(Trace::default());
        let reading = stderr.map(|stderr| tokio::spawn(copy_lines(stderr, trace.clone())));
        let remains = Remains::of(&spec);
        let worker = Worker {
            id,
            outbox: outbox.clone(),
            process: process.clone(),
            silence: None,
            trace: trace.clone(),
        };
        tokio::spawn(async move {
            converse(id, spec, inbox, outbox, &events).await;
            let exit = process.exited().await;
            if let Some(reading) = reading {
                // The pipe ends with the process, unless a grandchild holds it: then its lines are not worth the wait.
                let _ = tokio::time::timeout(std::time::Duration::from_secs(1), reading).await;
            }
            let _ = events.send(WorkerEvent::Ended(id, end_of(&process, exit, &trace)));
            process.pid().inspect(|pid| remains.remove_files_of(*pid));
        });
        Ok(worker)
    }

    /// What it was last seen with and its last lines on standard error, for people who ask why it went.
    pub fn last_words(&self) -> String {
        self.trace.tell()
    }

    /// Its resident memory in bytes; 0 once it has ended.
    pub fn resident_bytes(&self) -> u64 {
        let bytes = self.process.pid().and_then(memory::resident_bytes).unwrap_or_default();
        self.trace.peak.fetch_max(bytes, Ordering::Relaxed);
        bytes
    }
}

/// The plugins of the distribution that this task executor belongs to, for its workers, whose programs lie elsewhere. In a
/// container plugins are in the working directory, where workers look by themselves.
fn plugins() -> Option<PathBuf> {
    if std::env::var_os(PLUGINS_DIR_ENV).is_some() {
        return None;
    }
    let program = std::env::current_exe().ok()?.canonicalize().ok()?;
    let plugins = program.parent()?.parent()?.join("plugins");
    plugins.join(ROCKSDB_PLUGIN).is_file().then_some(plugins)
}

/// Answers the worker's greeting and passes on what it says.
async fn converse(
    id: WorkerId,
    spec: WorkerSpec,
    mut inbox: Inbox,
    outbox: Outbox,
    events: &mpsc::UnboundedSender<WorkerEvent>,
) {
    let mut spec = Some(spec);
    while let Some(message) = inbox.recv().await {
        match message {
            Ok(FromProgram::Hello { .. }) => {
                if let Some(spec) = spec.take() {
                    outbox.send(ToProgram::Work { spec: Box::new(spec) });
                }
            }
            Ok(message) => {
                let _ = events.send(WorkerEvent::Said(id, message));
            }
            Err(error) => tracing::warn!(job = %id.job, "worker: {error}"),
        }
    }
}

/// Copies a worker's standard error to this process's, and keeps its last lines.
async fn copy_lines(stderr: tokio::process::ChildStderr, trace: Arc<Trace>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        eprintln!("{line}");
        let mut kept = trace.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
}

fn end_of(process: &Process, exit: ProgramExit, trace: &Trace) -> Failure {
    let pid = process.pid().map_or_else(|| "?".to_string(), |pid| pid.to_string());
    Failure::new(FailureKind::WorkerLost, format!("the worker process {pid} of the job ended with {exit}"))
        .with_detail(trace.tell())
}
