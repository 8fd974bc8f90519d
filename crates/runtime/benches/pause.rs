//! What a snapshot of much state does to the thread that owns it: the longest pause of a stream of updates while a snapshot is
//! taken and written, and how long writing and restoring take. `cargo bench --bench pause -- <MiB>` (1024 by default).

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use kvick_core::checkpoint::message::SnapshotMetrics;
use kvick_core::checkpoint::{
    BarrierAlignment, CheckpointReport, SnapshotKind, SnapshotTarget, SubtaskState,
};
use kvick_core::ids::{ExecutionId, VertexId};
use kvick_core::time::Millis;
use kvick_filesystem::blocking::FileSystems;
use kvick_runtime::element::Barrier;
use kvick_runtime::snapshot::{OperatorSnapshot, SnapshotJob, SnapshotWriters, StateReader};
use kvick_runtime::state::{BackendKind, KeyedBackend, Table, TableSpec};
use kvick_runtime::task::{OperatorIdentity, Reporter, TaskEvent};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// What one entry takes: key, value and their places in a hash table.
const ENTRY_BYTES: u64 = 128;
const GROUPS: u32 = 128;

type Value = (u64, [u64; 10]);

fn change(backend: &KeyedBackend<u64>, table: &mut Table<u64, (), Value>, key: u64) {
    let key = backend.keyed(key);
    table.upsert(key, (), 1, |value: &mut Value, n| value.0 += n, |n| (n, [7; 10])).unwrap();
}

fn barrier(directory: &std::path::Path) -> Arc<Barrier> {
    let directory = directory.display().to_string();
    Arc::new(Barrier {
        id: 1,
        timestamp: Millis(0),
        kind: SnapshotKind::Checkpoint,
        base: None,
        alignment: BarrierAlignment::Aligned,
        target: SnapshotTarget::Directory {
            exclusive: directory.clone(),
            shared: directory.clone(),
            task_owned: directory,
            inline_threshold: 20 << 10,
        },
    })
}

/// Time that this thread has spent on a processor: what others do on the machine does not count.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// The longest batch, by the clock and on the processor.
#[derive(Debug, Default)]
struct Longest {
    clock: Duration,
    processor: Duration,
}

/// Updates random keys until `done`, and returns the longest time that one batch took, and how many updates there were.
fn update_until(
    backend: &KeyedBackend<u64>,
    table: &mut Table<u64, (), Value>,
    keys: u64,
    mut done: impl FnMut() -> bool,
) -> (Longest, u64) {
    let (mut longest, mut updates, mut random) = (Longest::default(), 0, 88_172_645_463_325_252_u64);
    while !done() {
        let (begun, processor) = (Instant::now(), on_processor());
        for _ in 0..512 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            change(backend, table, random % keys);
        }
        updates += 512;
        longest.clock = longest.clock.max(begun.elapsed());
        longest.processor = longest.processor.max(on_processor() - processor);
    }
    (longest, updates)
}

fn main() {
    let wanted = std::env::args().filter_map(|argument| argument.parse::<u64>().ok()).next();
    let mib = wanted.unwrap_or(1024);
    let keys = (mib << 20) / ENTRY_BYTES;
    let files = Arc::new(FileSystems::new(kvick_filesystem::Context::new(BTreeMap::<String, String>::new())));
    let mut backend = KeyedBackend::in_memory(GROUPS);
    let mut table = backend.table(TableSpec::new("values")).unwrap();
    (0..keys).for_each(|key| change(&backend, &mut table, key));
    let second = Instant::now();
    let (quiet, updates) = update_until(&backend, &mut table, keys, || second.elapsed().as_secs() >= 2);
    println!(
        "{mib} MiB in {keys} keys; {:.1} M updates/s; longest batch of 512: {quiet:?}",
        updates as f64 / 2e6
    );

    let directory = tempfile::tempdir().unwrap();
    let operator = OperatorIdentity { id: VertexId(1), name: "bench".to_string(), uid: None };
    let barrier = barrier(directory.path());
    let mut snapshot = OperatorSnapshot::new(Arc::clone(&barrier), operator);
    let (writers, (reports, answers)) = (SnapshotWriters::start(), channel::<TaskEvent>());
    let begun = Instant::now();
    snapshot.table(&mut table).unwrap();
    let handing_over = begun.elapsed();
    let execution = ExecutionId { vertex: VertexId(1), subtask: 0, attempt: 0 };
    let metrics = SnapshotMetrics::default();
    writers.write(SnapshotJob::new(
        execution,
        barrier,
        snapshot,
        files.clone(),
        metrics,
        Reporter::to(reports),
    ));
    let mut answer = None;
    let (longest, updates) = update_until(&backend, &mut table, keys, || {
        answer = answers.try_recv().ok();
        answer.is_some()
    });
    let written = begun.elapsed();
    let Some(TaskEvent::Checkpoint(CheckpointReport::Acknowledged { snapshot, metrics, .. })) = answer else {
        panic!("the snapshot failed: {answer:?}");
    };
    let size = metrics.checkpointed_bytes as f64 / f64::from(1 << 20);
    println!("handing over took {handing_over:?}; writing {size:.0} MiB took {written:?}");
    let rate = updates as f64 / written.as_secs_f64() / 1e6;
    println!("meanwhile {rate:.1} M updates/s; longest batch of 512: {longest:?}");

    drop(table);
    let state: SubtaskState = snapshot.operators.into_values().next().unwrap();
    let reader = StateReader::new(files, Some(directory.path().display().to_string()));
    let begun = Instant::now();
    let mut backend: KeyedBackend<u64> =
        KeyedBackend::new(0..GROUPS, GROUPS, BackendKind::HashMap, state.keyed, reader);
    let table: Table<u64, (), Value> = backend.table(TableSpec::new("values")).unwrap();
    let took = begun.elapsed();
    println!("restoring {} keys took {took:?}: {:.0} MiB/s", table.len(), size / took.as_secs_f64());
}
