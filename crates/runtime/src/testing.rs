//! Drives one operator without a job: records, watermarks and the clock in the test's hands, as Flink's
//! `OneInputStreamOperatorTestHarness`. State can be snapshotted and restored, also at another parallelism.

use crate::element::{Barrier, Batch, Data, Event};
use crate::error::TaskResult;
use crate::operator::{BoxStage, Chained, Operator, Stage};
use crate::side::{OutputTag, Side, Sided};
use crate::snapshot::writer::SnapshotFile;
use crate::snapshot::{OperatorSnapshot, SnapshotWriters};
use crate::state::{BackendKind, StateError};
use crate::stdio::StandardOutput;
use crate::task::{
    AccumulatorRegistry, JobInfo, OperatorIdentity, Reporter, TaskContext, TaskControl, TaskCounters,
    TaskEvent, file_systems, lock,
};
use crate::time::Clock;
use kvick_core::checkpoint::{
    BarrierAlignment, KeyGroups, Redistribution, SnapshotKind, SnapshotTarget, SubtaskState, TaskRestore,
};
use kvick_core::config::Configuration;
use kvick_core::ids::{ExecutionId, JobId, VertexId};
use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

/// How many random cases a property test runs: as many as `PROPTEST_CASES` says (the long form), else `short`.
pub fn cases(short: u32) -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(short)
}

/// The number of key groups in a harness.
pub const MAX_PARALLELISM: u32 = 128;

static WRITERS: OnceLock<Arc<SnapshotWriters>> = OnceLock::new();

const VERTEX: VertexId = VertexId(1);

/// What came out of an operator.
#[derive(Debug, Clone, PartialEq)]
pub enum Emitted<T> {
    /// A record with its timestamp.
    Record(T, Option<i64>),
    /// A watermark.
    Watermark(i64),
    /// The stream became idle or active again.
    Idle(bool),
}

/// What came out of a side output.
pub type SideRecords<S> = Arc<Mutex<Vec<Emitted<S>>>>;

struct Recorder<T> {
    into: Arc<Mutex<Vec<Emitted<T>>>>,
}

impl<T: Data> Stage<T> for Recorder<T> {
    fn open(&mut self, _context: &mut TaskContext) -> TaskResult {
        Ok(())
    }

    fn batch(&mut self, batch: &mut Batch<T>) -> TaskResult {
        let stamps = batch.timestamps.take();
        let mut stamps = stamps.iter().flatten().copied();
        let mut into = lock(&self.into);
        into.extend(batch.records.drain(..).map(|record| Emitted::Record(record, stamps.next())));
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        match event {
            Event::Watermark(watermark) => lock(&self.into).push(Emitted::Watermark(watermark)),
            Event::Idle => lock(&self.into).push(Emitted::Idle(true)),
            Event::Active => lock(&self.into).push(Emitted::Idle(false)),
            _ => {}
        }
        Ok(())
    }

    fn snapshot(&mut self, _snapshot: &mut OperatorSnapshot) -> TaskResult {
        Ok(())
    }

    fn checkpoint_complete(&mut self, _checkpoint: u64) -> TaskResult {
        Ok(())
    }

    fn checkpoint_aborted(&mut self, _checkpoint: u64) {}

    fn tick(&mut self, _now: Instant) -> TaskResult<Option<Instant>> {
        Ok(None)
    }

    fn end(&mut self) -> TaskResult {
        Ok(())
    }

    fn close(&mut self) {}
}

/// One operator with everything around it.
pub struct Harness<I, O> {
    stage: BoxStage<I>,
    context: TaskContext,
    main: Arc<Mutex<Vec<Emitted<O>>>>,
    clock: Clock,
    checkpoint: u64,
}

impl<I: Data, O: Data> Harness<I, O> {
    /// Opens an operator as the only subtask, with nothing to restore and the clock at 0.
    ///
    /// # Errors
    /// Whatever the operator fails with.
    pub fn open<Op: Operator<In = I, Out = O>>(operator: Op) -> TaskResult<Harness<I, O>> {
        Harness::restored(operator, &[], 0, 1)
    }

    /// Opens an operator as in batch mode, with so many bytes to sort and group in and a directory for what does not fit.
    ///
    /// # Errors
    /// Whatever the operator fails with.
    pub fn with_memory<Op: Operator<In = I, Out = O>>(
        operator: Op,
        memory: u64,
        directory: &std::path::Path,
    ) -> TaskResult<Harness<I, O>> {
        let clock = Clock::by_hand(0);
        let mut context = context(0, 1, clock.clone());
        context.batch_memory = memory;
        let tmp_dirs = vec![directory.display().to_string()];
        context.job = Arc::new(JobInfo { tmp_dirs, ..JobInfo::clone(&context.job) });
        Harness::opened(operator, context, clock, Vec::new())
    }

    /// Opens an operator as subtask `subtask` of `parallelism`, with what the subtasks of an earlier run had.
    ///
    /// # Errors
    /// Whatever the operator fails with.
    pub fn restored<Op: Operator<In = I, Out = O>>(
        operator: Op,
        states: &[SubtaskState],
        subtask: u32,
        parallelism: u32,
    ) -> TaskResult<Harness<I, O>> {
        Harness::assembled(operator, states, subtask, parallelism, Vec::new())
    }

    /// The same, with a side output, whose records come into the vector.
    ///
    /// # Errors
    /// Whatever the operator fails with.
    pub fn with_side_output<Op: Operator<In = I, Out = O>, S: Data>(
        operator: Op,
        tag: &OutputTag<S>,
    ) -> TaskResult<(Harness<I, O>, SideRecords<S>)> {
        Harness::restored_with_side_output(operator, tag, &[], 0, 1)
    }

    /// [`Harness::restored`] with a side output.
    ///
    /// # Errors
    /// Whatever the operator fails with.
    pub fn restored_with_side_output<Op: Operator<In = I, Out = O>, S: Data>(
        operator: Op,
        tag: &OutputTag<S>,
        states: &[SubtaskState],
        subtask: u32,
        parallelism: u32,
    ) -> TaskResult<(Harness<I, O>, SideRecords<S>)> {
        let into: SideRecords<S> = Arc::default();
        let recorder: BoxStage<S> = Box::new(Recorder { into: Arc::clone(&into) });
        let sides = vec![Side::new(tag.name(), recorder)];
        Ok((Harness::assembled(operator, states, subtask, parallelism, sides)?, into))
    }

    fn assembled<Op: Operator<In = I, Out = O>>(
        operator: Op,
        states: &[SubtaskState],
        subtask: u32,
        parallelism: u32,
        sides: Vec<Side>,
    ) -> TaskResult<Harness<I, O>> {
        let clock = Clock::by_hand(0);
        let mut context = context(subtask, parallelism, clock.clone());
        if !states.is_empty() {
            context.restore = Some(Arc::new(restore(states, subtask, parallelism)));
        }
        Harness::opened(operator, context, clock, sides)
    }

    fn opened<Op: Operator<In = I, Out = O>>(
        operator: Op,
        mut context: TaskContext,
        clock: Clock,
        sides: Vec<Side>,
    ) -> TaskResult<Harness<I, O>> {
        let main: Arc<Mutex<Vec<Emitted<O>>>> = Arc::default();
        let recorder: BoxStage<O> = Box::new(Recorder { into: Arc::clone(&main) });
        let mut stage = Chained::before(operator, Sided::of(recorder, sides));
        stage.open(&mut context)?;
        Ok(Harness { stage, context, main, clock, checkpoint: 0 })
    }

    /// Processes a record with an event time.
    ///
    /// # Errors
    /// Whatever the operator fails with.
    pub fn process(&mut self, record: I, timestamp: i64) -> TaskResult {
        self.process_batch(Batch { records: vec![record], timestamps: Some(vec![timestamp]) })
    }

    /// Processes a record without an event time.
    ///
    /// # Errors
    /// Whatever the operator fails with.
    pub fn process_unstamped(&mut self, record: I) -> TaskResult {
        self.process_batch(Batch::of(vec![record]))
    }

    /// Processes a batch.
    ///
    /// # Errors
    /// Whatever the operator fails with.
    pub fn process_batch(&mut self, mut batch: Batch<I>) -> TaskResult {
        self.stage.batch(&mut batch)
    }

    /// Lets a watermark arrive.
    ///
    /// # Errors
    /// Whatever the operator fails with.
    pub fn watermark(&mut self, watermark: i64) -> TaskResult {
        self.stage.event(Event::Watermark(watermark))
    }

    /// Lets the input fall idle.
    ///
    /// # Errors
    /// Whatever the operator fails with.
    pub fn idle(&mut self) -> TaskResult {
        self.stage.event(Event::Idle)
    }

    /// Sets the clock and lets what is due happen; tells when the operator wants to be called again.
    ///
    /// # Errors
    /// Whatever the operator fails with.
    pub fn set_processing_time(&mut self, now: i64) -> TaskResult<Option<Instant>> {
        self.clock.set(now);
        self.stage.tick(Instant::now())
    }

    /// Lets what is due at a moment happen; tells when the operator wants to be called again.
    ///
    /// # Errors
    /// Whatever the operator fails with.
    pub fn tick(&mut self, now: Instant) -> TaskResult<Option<Instant>> {
        self.stage.tick(now)
    }

    /// Lets the input end as a source does: with the last watermark.
    ///
    /// # Errors
    /// Whatever the operator fails with.
    pub fn end(&mut self) -> TaskResult {
        self.watermark(i64::MAX)?;
        self.stage.end()
    }

    /// What came out since the last call.
    pub fn take(&mut self) -> Vec<Emitted<O>> {
        std::mem::take(&mut *lock(&self.main))
    }

    /// The records that came out since the last call.
    pub fn take_records(&mut self) -> Vec<O> {
        let record = |emitted| match emitted {
            Emitted::Record(record, _) => Some(record),
            _ => None,
        };
        self.take().into_iter().filter_map(record).collect()
    }

    /// Takes a snapshot, as at a barrier.
    ///
    /// # Errors
    /// Whatever the operator or writing fails with.
    pub fn snapshot(&mut self) -> TaskResult<SubtaskState> {
        self.checkpoint += 1;
        let barrier = Barrier {
            id: self.checkpoint,
            timestamp: kvick_core::time::Millis(0),
            kind: SnapshotKind::Checkpoint,
            base: None,
            alignment: BarrierAlignment::Aligned,
            target: SnapshotTarget::Inline { max_bytes: u64::MAX },
        };
        let mut snapshot = OperatorSnapshot::new(Arc::new(barrier), self.context.operator.clone());
        self.stage.snapshot(&mut snapshot)?;
        Ok(write(snapshot, &self.context)?)
    }

    /// The context that the operator was opened with.
    pub fn context(&self) -> &TaskContext {
        &self.context
    }
}

/// Writes what was handed over, as a task does.
pub(crate) fn write(snapshot: OperatorSnapshot, context: &TaskContext) -> Result<SubtaskState, StateError> {
    let target = snapshot.barrier().target.clone();
    let mut file = SnapshotFile::new(Arc::clone(&context.job.files), target, "harness".to_string());
    let mut state = SubtaskState::default();
    for part in snapshot.into_parts().into_values().flatten() {
        part.write(&mut file.part())?.into(&mut state);
    }
    Ok(state)
}

/// What a subtask is given of the states of all subtasks of an earlier run.
fn restore(states: &[SubtaskState], subtask: u32, parallelism: u32) -> TaskRestore {
    let groups = KeyGroups::of(subtask, parallelism, MAX_PARALLELISM);
    let mut own = SubtaskState::default();
    for (index, state) in states.iter().enumerate() {
        own.keyed.extend(state.keyed.iter().filter_map(|keyed| keyed.narrowed(groups)));
        let wanted = |redistribution: Redistribution| match redistribution {
            Redistribution::Union => true,
            Redistribution::Broadcast => index == 0,
            Redistribution::Split => index as u32 % parallelism == subtask,
        };
        own.operator.extend(state.operator.iter().filter(|named| wanted(named.redistribution)).cloned());
    }
    let operators = BTreeMap::from([(VERTEX, own)]);
    TaskRestore { checkpoint: 1, directory: None, finished: false, operators, in_flight: Vec::new() }
}

/// The context of a task without a job around it.
pub fn context(subtask: u32, parallelism: u32, clock: Clock) -> TaskContext {
    let config = Configuration::default();
    let job = JobInfo {
        job_id: JobId(1),
        name: "harness".to_string(),
        files: file_systems(&BTreeMap::new(), "", &config),
        config: Arc::new(config),
        tmp_dirs: Vec::new(),
        local: None,
        stdout: StandardOutput::to(std::io::sink()),
        alignment: Arc::default(),
    };
    TaskContext {
        operator: OperatorIdentity { id: VERTEX, name: "harness".to_string(), uid: None },
        restore: None,
        clock,
        backend: BackendKind::HashMap,
        job: Arc::new(job),
        execution: ExecutionId { vertex: VERTEX, subtask, attempt: 0 },
        vertex_name: "harness".to_string(),
        parallelism,
        max_parallelism: MAX_PARALLELISM,
        control: TaskControl::new(),
        counters: Arc::new(TaskCounters::default()),
        accumulators: Arc::new(AccumulatorRegistry::default()),
        reports: Reporter::to(channel::<TaskEvent>().0),
        writers: Arc::clone(WRITERS.get_or_init(SnapshotWriters::start)),
        batch_memory: u64::MAX,
        waits_at_end: false,
        may_overtake: false,
    }
}
