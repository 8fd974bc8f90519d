//! The cluster as the shell holds it: the master machine, and beside it what only the shell knows — connections, the
//! executors' own figures, and who waits for what.
//!
//! Everything here belongs to the driver's one task. Others reach it through a [`ClusterHandle`](crate::handle::ClusterHandle).

use crate::durable::Durable;
use crate::operations::Operations;
use crate::settings::Settings;
use kvick_core::config::options;
use kvick_core::executor::{ExecutorInfo, ExecutorMetrics, LogFile, ToExecutor};
use kvick_core::ids::{ExecutorId, JobId};
use kvick_core::job::JobResult;
use kvick_core::master::{Effect, Master};
use kvick_core::time::Millis;
use kvick_rpc::generated::v1::Frame;
use kvick_storage::Performer;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// The connection of a task executor, and what it told of itself.
pub struct Connection {
    /// Tells this connection from an earlier one of the same executor.
    pub serial: u64,
    /// Frames for it.
    pub frames: mpsc::UnboundedSender<Frame>,
    /// What it offers.
    pub info: ExecutorInfo,
    /// Its last figures.
    pub metrics: ExecutorMetrics,
    /// When it was heard last.
    pub last_heard: Millis,
}

/// The answer to a log request.
pub enum LogAnswer {
    /// The files that there are.
    Files(Vec<LogFile>),
    /// The content of one.
    Content(Result<String, String>),
}

/// The master machine and the shell's own state.
pub struct Cluster {
    /// What the process was told at its start.
    pub settings: Arc<Settings>,
    /// The decisions.
    pub master: Master,
    /// Connected task executors.
    pub connections: BTreeMap<ExecutorId, Connection>,
    /// Who waits for the end of a job.
    pub result_waiters: BTreeMap<JobId, Vec<oneshot::Sender<JobResult>>>,
    /// Results of ended jobs.
    pub results: BTreeMap<JobId, JobResult>,
    /// What the application's own program recorded with `once` under an earlier application master.
    pub once: BTreeMap<String, String>,
    /// Who waits for an answer from an executor, by request.
    pub log_waiters: BTreeMap<u64, oneshot::Sender<LogAnswer>>,
    next_request: u64,
    /// Performs what is decided about checkpoints.
    pub checkpoints: Performer,
    /// What people have begun and ask for.
    pub operations: Operations,
    /// What is on its way to survive this application master; nothing where nothing does.
    pub durable: Option<Durable>,
    /// Effects that may be performed at once: they have waited.
    pub released: Vec<Effect>,
    /// This attempt is over, and why.
    pub attempt_over: Option<String>,
    /// Effects that were decided and not yet performed.
    pub effects: Vec<Effect>,
}

impl Cluster {
    /// A cluster without jobs or executors.
    pub fn new(settings: Arc<Settings>, master: Master, checkpoints: Performer) -> Cluster {
        let kept_for = settings.config.get(&options::REST_ASYNC_STORE).map_or(Millis(300_000), Millis::from);
        Cluster {
            settings,
            master,
            connections: BTreeMap::new(),
            result_waiters: BTreeMap::new(),
            results: BTreeMap::new(),
            once: BTreeMap::new(),
            log_waiters: BTreeMap::new(),
            next_request: 0,
            checkpoints,
            operations: Operations::new(kept_for),
            durable: None,
            released: Vec::new(),
            attempt_over: None,
            effects: Vec::new(),
        }
    }

    /// Asks a task executor for its logs; the answer arrives at the receiver. `None` if it is not connected.
    pub fn ask_logs(
        &mut self,
        executor: &ExecutorId,
        request: impl FnOnce(u64) -> ToExecutor,
    ) -> Option<oneshot::Receiver<LogAnswer>> {
        if !self.connections.contains_key(executor) {
            return None;
        }
        self.next_request += 1;
        let (sender, receiver) = oneshot::channel();
        self.log_waiters.insert(self.next_request, sender);
        let message = Box::new(request(self.next_request));
        self.effects.push(Effect::Send { executor: executor.clone(), message });
        Some(receiver)
    }

    /// The result of a job: at once if it has ended, else when it does. `None` if there is no such job.
    pub fn await_result(&mut self, job: JobId) -> Option<oneshot::Receiver<JobResult>> {
        let (sender, receiver) = oneshot::channel();
        if let Some(result) = self.results.get(&job) {
            let _ = sender.send(result.clone());
        } else {
            self.master.job(job)?;
            self.result_waiters.entry(job).or_default().push(sender);
        }
        Some(receiver)
    }
}

impl Cluster {
    /// Gives the master an input and keeps the effects that it decides.
    pub fn with_master<R>(&mut self, input: impl FnOnce(&mut Master, &mut Vec<Effect>) -> R) -> R {
        let mut effects = Vec::new();
        let answer = input(&mut self.master, &mut effects);
        self.effects.append(&mut effects);
        answer
    }
}
