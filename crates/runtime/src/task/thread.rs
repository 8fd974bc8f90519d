//! The thread of a task: opens, runs and closes it, and reports each state; a panic of user code ends this task alone.

use super::{Task, TaskContext, TaskControl, TaskCounters};
use super::{context::AccumulatorRegistry, lock};
use crate::error::{TaskError, TaskResult};
use crate::exchange::gate::Gate;
use kvick_core::checkpoint::CheckpointReport;
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::ExecutionId;
use kvick_core::task::{TaskReport, TaskState};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, Once};
use std::thread::JoinHandle;

/// What a task tells whoever started it.
#[derive(Debug)]
pub enum TaskEvent {
    /// Its state has changed.
    State(TaskReport),
    /// It has something to say about a checkpoint.
    Checkpoint(CheckpointReport),
}

/// Where a task, and the threads that work for it, report.
#[derive(Clone)]
pub struct Reporter(Arc<dyn Fn(TaskEvent) + Send + Sync>);

impl Reporter {
    /// Reports to a channel. When nobody listens any more, reports are dropped.
    pub fn to<E: From<TaskEvent> + Send + 'static>(events: Sender<E>) -> Reporter {
        Reporter(Arc::new(move |event| drop(events.send(E::from(event)))))
    }

    /// A task's state has changed.
    pub fn state(&self, report: TaskReport) {
        (self.0)(TaskEvent::State(report));
    }

    /// A task has something to say about a checkpoint.
    pub fn checkpoint(&self, report: CheckpointReport) {
        (self.0)(TaskEvent::Checkpoint(report));
    }
}

/// A task that was started.
pub struct TaskThread {
    /// How to stop it.
    pub control: Arc<TaskControl>,
    /// Its counters.
    pub counters: Arc<TaskCounters>,
    /// Its accumulators.
    pub accumulators: Arc<AccumulatorRegistry>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl TaskThread {
    /// Waits for the thread to end.
    pub fn join(&self) {
        if let Some(handle) = lock(&self.handle).take() {
            // The thread catches panics itself; there is nothing to learn from its result.
            let _ = handle.join();
        }
    }
}

/// Starts the thread of a task. `connect` is run in it first and connects the gate to its producers.
///
/// # Errors
/// The operating system gives no thread.
pub fn start(
    task: Box<dyn Task>,
    context: TaskContext,
    gate: Option<Arc<Gate>>,
    connect: impl FnOnce(Option<&Arc<Gate>>) -> TaskResult + Send + 'static,
) -> std::io::Result<TaskThread> {
    install_panic_hook();
    let control = Arc::clone(&context.control);
    let counters = Arc::clone(&context.counters);
    let accumulators = Arc::clone(&context.accumulators);
    // Linux shows the first 15 bytes of a thread's name.
    let name = format!("{}-{}", context.subtask() + 1, context.vertex_name.replace('\0', " "));
    let handle = std::thread::Builder::new().name(name).spawn(move || run(task, context, gate, connect))?;
    Ok(TaskThread { control, counters, accumulators, handle: Mutex::new(Some(handle)) })
}

fn run(
    mut task: Box<dyn Task>,
    mut context: TaskContext,
    gate: Option<Arc<Gate>>,
    connect: impl FnOnce(Option<&Arc<Gate>>) -> TaskResult,
) {
    let execution = context.execution;
    let reports = context.reports.clone();
    let report = |state| reports.state(state);
    let had_finished = context.restore.as_ref().is_some_and(|restore| restore.finished);
    let plain = |state| report_of(execution, state, None, &context.counters, &context.accumulators);
    report(plain(TaskState::Initializing));
    let (counters, accumulators) = (Arc::clone(&context.counters), Arc::clone(&context.accumulators));
    let result = guarded(|| {
        connect(gate.as_ref())?;
        if !had_finished {
            task.open(&mut context)?;
        }
        context.control.check()?;
        report(report_of(execution, TaskState::Running, None, &counters, &accumulators));
        if had_finished {
            return task.run_finished(&mut context, gate.as_ref());
        }
        task.run(&mut context, gate.as_ref())
    });
    let closed = guarded(|| {
        task.close();
        Ok(())
    });
    let dropped = guarded(|| {
        drop(task);
        Ok(())
    });
    if let Some(gate) = gate {
        gate.close();
    }
    counters.ended();
    let (state, failure) = verdict(result.and(closed).and(dropped));
    let failure = failure.map(|failure| with_task(failure, &context));
    report(report_of(execution, state, failure, &counters, &accumulators));
}

fn report_of(
    execution: ExecutionId,
    state: TaskState,
    failure: Option<Failure>,
    counters: &TaskCounters,
    accumulators: &AccumulatorRegistry,
) -> TaskReport {
    TaskReport {
        execution,
        state,
        failure,
        accumulators: accumulators.snapshot(),
        metrics: counters.snapshot(),
    }
}

fn verdict(result: TaskResult) -> (TaskState, Option<Failure>) {
    match result {
        Ok(()) => (TaskState::Finished, None),
        Err(TaskError::Canceled) => (TaskState::Canceled, None),
        Err(TaskError::Failed(failure)) => (TaskState::Failed, Some(failure)),
    }
}

fn with_task(failure: Failure, context: &TaskContext) -> Failure {
    let kind = failure.kind;
    failure.wrapped(kind, format!("task {} failed", context.display_name()))
}

thread_local! {
    static PANIC: RefCell<Option<Failure>> = const { RefCell::new(None) };
    static GUARDED: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs user code; a panic becomes a failure with its message and place.
fn guarded(work: impl FnOnce() -> TaskResult) -> TaskResult {
    GUARDED.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(false);
    result.unwrap_or_else(|_| {
        let failure = PANIC.take().unwrap_or_else(|| Failure::new(FailureKind::Panic, "user code panicked"));
        Err(TaskError::Failed(failure))
    })
}

/// Keeps the message and place of a panic in a task's thread; elsewhere the earlier hook decides.
fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let earlier = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if GUARDED.with_borrow(|guarded| *guarded) {
                PANIC.set(Some(panic_failure(info)));
            }
            earlier(info);
        }));
    });
}

fn panic_failure(info: &std::panic::PanicHookInfo<'_>) -> Failure {
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_string())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_string());
    let place = info.location().map_or_else(String::new, |at| format!("at {}:{}", at.file(), at.line()));
    Failure::new(FailureKind::Panic, format!("panicked: {message}")).with_detail(place)
}
