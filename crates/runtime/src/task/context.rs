//! What a task knows of itself and its job, and where it counts.

use super::control::{TaskControl, lock};
use super::thread::Reporter;
use crate::element::{Data, Key};
use crate::error::TaskResult;
use crate::key_group::range_of;
use crate::metrics::{MetricGroup, MetricRegistry};
use crate::options;
use crate::snapshot::{LocalState, SnapshotWriters, StateReader, restore_list, schema_of};
use crate::state::store::StoreSettings;
use crate::state::{BackendKind, KeyedBackend};
use crate::stdio::StandardOutput;
use crate::time::{AlignmentGroups, Clock};
use kvick_core::accumulator::{Accumulator, Accumulators};
use kvick_core::checkpoint::{SubtaskState, TaskRestore};
use kvick_core::config::Configuration;
use kvick_core::ids::{ExecutionId, JobId, VertexId};
use kvick_core::task::TaskMetrics;
use kvick_filesystem::blocking::FileSystems;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What all tasks of a job have in common.
#[derive(Clone)]
pub struct JobInfo {
    /// The job.
    pub job_id: JobId,
    /// Its name.
    pub name: String,
    /// The effective configuration.
    pub config: Arc<Configuration>,
    /// Directories for temporary files.
    pub tmp_dirs: Vec<String>,
    /// The file systems, as the job is to see them.
    pub files: Arc<FileSystems>,
    /// Local copies of the files of checkpoints, where there are to be some.
    pub local: Option<Arc<LocalState>>,
    /// Where the `print` sinks write.
    pub stdout: StandardOutput,
    /// Streams that wait for each other in event time.
    pub alignment: Arc<AlignmentGroups>,
}

/// The file systems of a job: with these Hadoop properties, as this user (empty: whoever runs the process), and with
/// `fs.default-scheme` of the configuration.
pub fn file_systems(
    hadoop: &BTreeMap<String, String>,
    user: &str,
    config: &Configuration,
) -> Arc<FileSystems> {
    let mut context = kvick_filesystem::Context::new(hadoop.clone()).in_background();
    if !user.is_empty() {
        context = context.with_user(user);
    }
    if let Some(scheme) = config.raw("fs.default-scheme") {
        context = context.with_default_scheme(scheme);
    }
    Arc::new(FileSystems::new(context))
}

/// Which operator of the job graph: state is found by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorIdentity {
    /// Its id.
    pub id: VertexId,
    /// Its name, for messages.
    pub name: String,
    /// Its `uid`, where the program gave one.
    pub uid: Option<String>,
}

/// What a task knows of itself. Operators get it when they are opened.
pub struct TaskContext {
    /// The operator that is being opened.
    pub operator: OperatorIdentity,
    /// What the task begins with; none to begin from nothing.
    pub restore: Option<Arc<TaskRestore>>,
    /// Processing time.
    pub clock: Clock,
    /// Where keyed state is kept.
    pub backend: BackendKind,
    /// The job.
    pub job: Arc<JobInfo>,
    /// The attempt.
    pub execution: ExecutionId,
    /// The vertex' name.
    pub vertex_name: String,
    /// Number of subtasks of the vertex.
    pub parallelism: u32,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// How the task is told to stop.
    pub control: Arc<TaskControl>,
    /// Where it counts.
    pub counters: Arc<TaskCounters>,
    /// What user code counts.
    pub accumulators: Arc<AccumulatorRegistry>,
    /// Where it reports.
    pub reports: Reporter,
    /// Who writes its snapshots.
    pub writers: Arc<SnapshotWriters>,
    /// Bytes that an operator of it may use in batch mode to sort and to group.
    pub batch_memory: u64,
    /// Whether at the end of its data it waits for a checkpoint that contains it.
    pub waits_at_end: bool,
    /// Whether barriers of the job may overtake records.
    pub may_overtake: bool,
}

impl TaskContext {
    /// The subtask's index, from 0.
    #[doc(alias = "getIndexOfThisSubtask")]
    pub fn subtask(&self) -> u32 {
        self.execution.subtask
    }

    /// The metrics of the operator that is being opened.
    #[doc(alias = "getMetricGroup")]
    pub fn metric_group(&self) -> MetricGroup {
        MetricGroup::new(Arc::clone(&self.accumulators.metrics), &self.operator.name)
    }

    /// `name (i/n)#attempt`, as a person reads it.
    pub fn display_name(&self) -> String {
        let (index, attempt) = (self.execution.subtask + 1, self.execution.attempt);
        format!("{} ({index}/{})#{attempt}", self.vertex_name, self.parallelism)
    }

    /// The keyed state of the operator that is being opened.
    ///
    /// # Errors
    /// What was restored is not for this operator.
    pub fn keyed_backend<K: Key>(&self) -> TaskResult<KeyedBackend<K>> {
        let groups = range_of(self.subtask(), self.parallelism, self.max_parallelism);
        let restored = self.restored_state().map(|state| state.keyed.clone()).unwrap_or_default();
        let backend =
            KeyedBackend::new(groups, self.max_parallelism, self.backend, restored, self.state_reader());
        let backend = backend.with_store(self.store_settings());
        Ok(if self.is_batch() { backend.without_snapshots() } else { backend })
    }

    /// Whether no snapshot is ever taken of the task.
    fn is_batch(&self) -> bool {
        options::is_batch(&self.job.config)
    }

    /// What a store of the operator that is being opened must know.
    fn store_settings(&self) -> StoreSettings {
        let (subtask, attempt) = (self.subtask(), self.execution.attempt);
        StoreSettings {
            job: self.job.job_id,
            config: Arc::clone(&self.job.config),
            tmp_dirs: self.job.tmp_dirs.clone(),
            name: format!("{}-{subtask}-{attempt}", self.operator.id),
            subtask,
            restored: self.restored_checkpoint(),
        }
    }

    /// The elements of an operator state that this subtask is given; none when nothing is restored.
    ///
    /// # Errors
    /// What was restored cannot be read, is damaged, or is of another type; or nothing of this type could ever be restored.
    #[doc(alias("getUnionListState", "initializeState"))]
    pub fn restored_list<V: Data>(&self, name: &str) -> TaskResult<Vec<V>> {
        if !self.is_batch() {
            schema_of::<V>(name)?;
        }
        let named = self.restored_state().map(|state| state.operator.as_slice()).unwrap_or_default();
        let own: Vec<_> = named.iter().filter(|state| state.name == name).cloned().collect();
        Ok(restore_list(&self.state_reader(), &own)?)
    }

    /// The checkpoint that the task begins with: what was prepared for it and before it is to be committed.
    #[doc(alias = "getRestoredCheckpointId")]
    pub fn restored_checkpoint(&self) -> Option<u64> {
        self.restore.as_ref().map(|restore| restore.checkpoint)
    }

    /// Whether the task begins with the state of a checkpoint, even where this operator had none.
    #[doc(alias = "isRestored")]
    pub fn is_restored(&self) -> bool {
        self.restore.is_some()
    }

    fn restored_state(&self) -> Option<&SubtaskState> {
        self.restore.as_ref()?.operators.get(&self.operator.id)
    }

    /// Reads the state that the task begins with.
    pub fn state_reader(&self) -> StateReader {
        let directory = self.restore.as_ref().and_then(|restore| restore.directory.clone());
        StateReader::new(Arc::clone(&self.job.files), directory).with_local(self.job.local.clone())
    }
}

/// Counters of one task; written by its thread, read by the one that reports.
#[derive(Debug)]
pub struct TaskCounters {
    started: Instant,
    records_in: AtomicU64,
    records_out: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    idle_nanos: AtomicU64,
    backpressured_nanos: AtomicU64,
    ended_nanos: AtomicU64,
    watermark: AtomicI64,
}

impl Default for TaskCounters {
    fn default() -> Self {
        TaskCounters {
            started: Instant::now(),
            records_in: AtomicU64::new(0),
            records_out: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            idle_nanos: AtomicU64::new(0),
            backpressured_nanos: AtomicU64::new(0),
            ended_nanos: AtomicU64::new(0),
            watermark: AtomicI64::new(i64::MIN),
        }
    }
}

impl TaskCounters {
    /// Records that arrived over an exchange.
    pub fn received(&self, records: usize, bytes: usize) {
        self.records_in.fetch_add(records as u64, Ordering::Relaxed);
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Records that were sent over an exchange.
    pub fn sent(&self, records: usize, bytes: usize) {
        self.records_out.fetch_add(records as u64, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Time spent waiting for input.
    pub fn idle(&self, span: Duration) {
        self.idle_nanos.fetch_add(span.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Time spent waiting for room downstream.
    pub fn backpressured(&self, span: Duration) {
        self.backpressured_nanos.fetch_add(span.as_nanos() as u64, Ordering::Relaxed);
    }

    /// The input watermark.
    pub fn watermark(&self, watermark: i64) {
        self.watermark.store(watermark, Ordering::Relaxed);
    }

    /// Stops the clock: the task has ended.
    pub fn ended(&self) {
        self.ended_nanos.store(self.started.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }

    /// The values so far.
    pub fn snapshot(&self) -> TaskMetrics {
        let nanos = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let elapsed = match nanos(&self.ended_nanos) {
            0 => self.started.elapsed().as_nanos() as u64,
            ended => ended,
        };
        let (idle, backpressured) = (nanos(&self.idle_nanos), nanos(&self.backpressured_nanos));
        TaskMetrics {
            records_in: nanos(&self.records_in),
            records_out: nanos(&self.records_out),
            bytes_in: nanos(&self.bytes_in),
            bytes_out: nanos(&self.bytes_out),
            busy_ms: elapsed.saturating_sub(idle + backpressured) / 1_000_000,
            idle_ms: idle / 1_000_000,
            backpressured_ms: backpressured / 1_000_000,
            watermark: Some(self.watermark.load(Ordering::Relaxed)).filter(|w| *w != i64::MIN),
        }
    }
}

/// The accumulators of one task, by name.
#[derive(Debug, Default)]
pub struct AccumulatorRegistry {
    values: Mutex<BTreeMap<String, Arc<Mutex<Accumulator>>>>,
    metrics: Arc<MetricRegistry>,
}

impl AccumulatorRegistry {
    /// The accumulator of a name; `initial` when there is none yet.
    pub fn get(&self, name: &str, initial: Accumulator) -> Arc<Mutex<Accumulator>> {
        let mut values = lock(&self.values);
        Arc::clone(values.entry(name.to_string()).or_insert_with(|| Arc::new(Mutex::new(initial))))
    }

    /// The values so far, with those of the metrics.
    pub fn snapshot(&self) -> Accumulators {
        let values = lock(&self.values);
        let mut all = values.iter().map(|(name, value)| (name.clone(), lock(value).clone())).collect();
        drop(values);
        self.metrics.report(&mut all);
        all
    }
}
