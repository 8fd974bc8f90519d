//! Jobs that go on from a savepoint with a program whose state has other types, and jobs whose state nobody could read back.

#![allow(clippy::unwrap_used)]

use kvick::prelude::*;
use kvick_core::checkpoint::Redistribution;
use kvick_runtime::element::Data;
use kvick_runtime::error::TaskResult;
use kvick_runtime::operator::Output;
use kvick_runtime::snapshot::OperatorSnapshot;
use kvick_runtime::task::{Poll, Source, TaskContext};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How far a source has come, in one version of a program.
trait Position: Data {
    fn at(number: i64) -> Self;
    fn number(&self) -> i64;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct First {
    next: i64,
    read_from: String,
}

impl Position for First {
    fn at(number: i64) -> First {
        First { next: number, read_from: "a file".to_string() }
    }

    fn number(&self) -> i64 {
        self.next
    }
}

/// The next version: another order, a renamed field, a new one.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Second {
    #[serde(alias = "read_from")]
    origin: String,
    #[serde(default)]
    skipped: u32,
    next: i64,
}

impl Position for Second {
    fn at(number: i64) -> Second {
        Second { origin: String::new(), skipped: 0, next: number }
    }

    fn number(&self) -> i64 {
        assert_eq!((self.origin.as_str(), self.skipped), ("a file", 0));
        self.next
    }
}

/// A version that has forgotten what was before it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Third {
    next: String,
}

impl Position for Third {
    fn at(number: i64) -> Third {
        Third { next: number.to_string() }
    }

    fn number(&self) -> i64 {
        self.next.parse().unwrap()
    }
}

/// The numbers from 0 up to `end`; counts how often it was opened.
#[derive(Clone)]
struct Numbers<P> {
    position: Option<P>,
    end: i64,
    opened: Arc<AtomicU32>,
}

impl<P: Position> Source for Numbers<P> {
    type Out = i64;

    fn open(&mut self, context: &mut TaskContext) -> TaskResult {
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.position = context.restored_list("position")?.pop();
        Ok(())
    }

    fn poll(&mut self, out: &mut Output<i64>) -> TaskResult<Poll> {
        let position = self.position.take().unwrap_or_else(|| P::at(0));
        let origin = position.number();
        let end = self.end.min(origin + 50);
        (origin..end).for_each(|number| out.push(number));
        // What does not change is kept as it was restored.
        self.position = Some(if end > origin { P::at(end) } else { position });
        Ok(if end == self.end { Poll::End } else { Poll::Wait(Duration::from_micros(300)) })
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot) -> TaskResult {
        let all: Vec<P> = self.position.iter().cloned().collect();
        Ok(snapshot.list("position", Redistribution::Split, &all)?)
    }
}

fn environment(directory: &std::path::Path, savepoint: Option<&str>) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(1);
    env.set_option("execution.checkpointing.interval", "20 ms");
    env.set_option("execution.checkpointing.dir", directory.to_str().unwrap());
    env.set_option("execution.checkpointing.savepoint-dir", directory.to_str().unwrap());
    env.set_option("restart-strategy.type", "fixed-delay");
    env.set_option("restart-strategy.fixed-delay.attempts", "20");
    env.set_option("restart-strategy.fixed-delay.delay", "1 ms");
    savepoint.iter().for_each(|path| _ = env.set_option("execution.state-recovery.path", path));
    env
}

fn numbers<P: Position>(
    env: &StreamExecutionEnvironment,
    end: i64,
    opened: &Arc<AtomicU32>,
) -> DataStream<i64> {
    let source = Numbers::<P> { position: None, end, opened: Arc::clone(opened) };
    env.from_source("Numbers", true, move || source.clone()).uid("numbers")
}

/// A savepoint of the first program, and the number after the last that it has read.
fn savepoint(directory: &std::path::Path) -> (String, i64) {
    let env = environment(directory, None);
    let seen = Arc::new(AtomicI64::new(0));
    let counter = Arc::clone(&seen);
    numbers::<First>(&env, i64::MAX, &Arc::default())
        .filter(move |n| {
            counter.store(n + 1, Ordering::SeqCst);
            false
        })
        .print_to_err();
    let client = env.execute_async("first").unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while seen.load(Ordering::SeqCst) < 1_000 {
        assert!(Instant::now() < deadline, "the job makes no progress");
        std::thread::yield_now();
    }
    let path = client.stop_with_savepoint(false, None).unwrap();
    client.wait().unwrap();
    (path, seen.load(Ordering::SeqCst))
}

#[test]
fn a_source_goes_on_where_it_was_though_its_position_has_other_fields() {
    let directory = tempfile::tempdir().unwrap();
    let (path, next) = savepoint(directory.path());
    let env = environment(directory.path(), Some(&path));
    // The whole remainder in one poll: the restored position is asked for its number.
    let read = numbers::<Second>(&env, next + 20, &Arc::default()).execute_and_collect("second").unwrap();
    assert_eq!(read, (next..next + 20).collect::<Vec<_>>());
}

#[test]
fn a_job_that_cannot_read_its_savepoint_ends_at_once_and_shows_both_schemas() {
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = savepoint(directory.path());
    let env = environment(directory.path(), Some(&path));
    let opened = Arc::new(AtomicU32::new(0));
    let error = numbers::<Third>(&env, 10, &opened).execute_and_collect("third").unwrap_err();
    assert_eq!(opened.load(Ordering::SeqCst), 1, "it was started again in vain");
    let said = error.to_string();
    assert!(said.contains("whose state its program cannot read"), "{said}");
    assert!(said.contains("next: i64") && said.contains("next: String"), "{said}");
}

/// Keeps the last record of each key as JSON.
#[derive(Clone, Default)]
struct LastAsJson {
    last: ValueState<serde_json::Value>,
    opened: Arc<AtomicU32>,
}

impl KeyedProcessFunction<i64, i64, String> for LastAsJson {
    fn open(&mut self, context: &mut FunctionContext<'_, i64>) -> Result<(), BoxError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.last = context.value_state(ValueStateDescriptor::new("last"))?;
        Ok(())
    }

    fn process(
        &mut self,
        n: i64,
        context: &mut KeyedContext<'_, i64>,
        out: &mut Collector<String>,
    ) -> Result<(), BoxError> {
        self.last.update(context, serde_json::json!({ "n": n }))?;
        out.push(self.last.value(context)?.map(ToString::to_string).unwrap_or_default());
        Ok(())
    }
}

#[test]
fn a_job_whose_state_nobody_could_read_back_ends_at_once_except_in_batch_mode() {
    let directory = tempfile::tempdir().unwrap();
    let env = environment(directory.path(), None);
    let function = LastAsJson::default();
    let json = env.from_sequence(1, 3).key_by(|n| n % 2).process(function.clone());
    let said = json.execute_and_collect("streaming").unwrap_err().to_string();
    assert!(said.contains("\"last\"") && said.contains("cannot be kept as state"), "{said}");
    assert_eq!(function.opened.load(Ordering::SeqCst), 1, "it was started again in vain");

    let env = environment(directory.path(), None);
    env.set_runtime_mode(RuntimeMode::Batch);
    let json = env.from_sequence(1, 3).key_by(|n| n % 2).process(function);
    let mut read = json.execute_and_collect("batch").unwrap();
    read.sort();
    assert_eq!(read, [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#]);
}
