//! What a snapshot of keyed state and restoring from it cost, on either backend: shared by the benchmarks of both.

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput};
use kvick_core::checkpoint::message::SnapshotMetrics;
use kvick_core::checkpoint::{
    BarrierAlignment, CheckpointReport, KeyedState, SnapshotKind, SnapshotTarget, SubtaskState,
};
use kvick_core::config::Configuration;
use kvick_core::ids::{ExecutionId, JobId, VertexId};
use kvick_core::time::Millis;
use kvick_filesystem::blocking::FileSystems;
use kvick_runtime::element::Barrier;
use kvick_runtime::hash::stable_hash;
use kvick_runtime::snapshot::{OperatorSnapshot, SnapshotJob, SnapshotWriters, StateReader};
use kvick_runtime::state::store::StoreSettings;
use kvick_runtime::state::{BackendKind, KeyedBackend, Table, TableSpec};
use kvick_runtime::task::{OperatorIdentity, Reporter, TaskEvent};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

const GROUPS: u32 = 128;
const KEYS: u64 = 200_000;
const CHECKPOINT: u64 = 1;

type Value = (u64, [u64; 10]);
type Values = Table<u64, (), Value>;

/// Where checkpoints lie, where stores lie, and the threads that write.
struct World {
    kind: BackendKind,
    checkpoints: tempfile::TempDir,
    local: tempfile::TempDir,
    files: Arc<FileSystems>,
    writers: Arc<SnapshotWriters>,
}

impl World {
    fn new(kind: BackendKind) -> World {
        let context = kvick_filesystem::Context::new(BTreeMap::<String, String>::new());
        World {
            kind,
            checkpoints: tempfile::tempdir().unwrap(),
            local: tempfile::tempdir().unwrap(),
            files: Arc::new(FileSystems::new(context)),
            writers: SnapshotWriters::start(),
        }
    }

    /// A backend with its table, which has what is restored.
    fn backend(&self, restored: Option<Vec<KeyedState>>) -> (KeyedBackend<u64>, Values) {
        let from = restored.is_some().then(|| directory(self.checkpoints.path()));
        let settings = StoreSettings {
            job: JobId(1),
            config: Arc::new(Configuration::default()),
            tmp_dirs: vec![directory(self.local.path())],
            name: "bench".to_string(),
            subtask: 0,
            restored: restored.is_some().then_some(CHECKPOINT),
        };
        let reader = StateReader::new(Arc::clone(&self.files), from);
        let state = restored.unwrap_or_default();
        let mut backend = KeyedBackend::new(0..GROUPS, GROUPS, self.kind, state, reader).with_store(settings);
        let table = backend.table(TableSpec::new("values")).unwrap();
        (backend, table)
    }

    /// A backend with many keys.
    fn filled(&self) -> (KeyedBackend<u64>, Values) {
        let mut filled = self.backend(None);
        for key in 0..KEYS {
            filled.1.put(&filled.0.keyed(key), &(), value(key)).unwrap();
        }
        filled
    }

    /// Takes a snapshot of everything and waits until it is written; also says how many bytes it has.
    fn snapshot(&self, (backend, table): &mut (KeyedBackend<u64>, Values)) -> (Vec<KeyedState>, u64) {
        let barrier = barrier(self.checkpoints.path());
        let operator = OperatorIdentity { id: VertexId(1), name: "bench".to_string(), uid: None };
        let mut snapshot = OperatorSnapshot::new(Arc::clone(&barrier), operator);
        snapshot.table(table).unwrap();
        snapshot.backend(backend).unwrap();
        let (reports, answers) = channel::<TaskEvent>();
        let execution = ExecutionId { vertex: VertexId(1), subtask: 0, attempt: 0 };
        let (files, metrics) = (Arc::clone(&self.files), SnapshotMetrics::default());
        let reporter = Reporter::to(reports);
        self.writers.write(SnapshotJob::new(execution, barrier, snapshot, files, metrics, reporter));
        let answer = answers.recv().unwrap();
        let TaskEvent::Checkpoint(CheckpointReport::Acknowledged { snapshot, metrics, .. }) = answer else {
            panic!("the snapshot failed: {answer:?}");
        };
        let state: SubtaskState = snapshot.operators.into_values().next().unwrap();
        (state.keyed, metrics.checkpointed_bytes)
    }

    /// Removes what earlier snapshots have written.
    fn clear(&self) {
        for entry in std::fs::read_dir(self.checkpoints.path()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
}

fn directory(path: &Path) -> String {
    path.display().to_string()
}

/// About a hundred bytes that no compression makes less.
fn value(key: u64) -> Value {
    (key, std::array::from_fn(|n| stable_hash(&(key, n as u64))))
}

/// A full checkpoint: nothing of an earlier one is used again.
fn barrier(path: &Path) -> Arc<Barrier> {
    Arc::new(Barrier {
        id: CHECKPOINT,
        timestamp: Millis(0),
        kind: SnapshotKind::Checkpoint,
        base: None,
        alignment: BarrierAlignment::Aligned,
        target: SnapshotTarget::Directory {
            exclusive: directory(path),
            shared: directory(path),
            task_owned: directory(path),
            inline_threshold: 0,
        },
    })
}

/// Snapshots of a backend with many keys, and backends made from such a snapshot, in bytes of what is written.
pub fn snapshot_and_restore(criterion: &mut Criterion, kind: BackendKind) {
    let world = World::new(kind);
    let mut filled = world.filled();
    let (state, bytes) = world.snapshot(&mut filled);
    let mut group = criterion.benchmark_group(format!("{kind:?} of {KEYS} keys"));
    group.throughput(Throughput::Bytes(bytes)).sample_size(10);
    restore(&mut group, "restore", &world, &state);
    group.bench_function("snapshot", |b| {
        b.iter_batched(|| world.clear(), |()| world.snapshot(&mut filled), BatchSize::PerIteration);
    });
    group.finish();
}

/// A backend made from what another one has written.
#[allow(dead_code, reason = "one of the two benchmarks has one backend")]
pub fn change_of_backend(criterion: &mut Criterion, from: BackendKind, to: BackendKind) {
    let mut world = World::new(from);
    let (state, bytes) = world.snapshot(&mut world.filled());
    world.kind = to;
    let mut group = criterion.benchmark_group(format!("{KEYS} keys of {from:?}"));
    group.throughput(Throughput::Bytes(bytes)).sample_size(10);
    restore(&mut group, &format!("restore to {to:?}"), &world, &state);
    group.finish();
}

fn restore(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, world: &World, state: &[KeyedState]) {
    group.bench_function(name, |b| {
        b.iter_batched(
            || state.to_vec(),
            |state| {
                let (backend, mut table) = world.backend(Some(state));
                let last = backend.keyed(KEYS - 1);
                assert_eq!(table.get(&last, &()).unwrap(), Some(&value(KEYS - 1)));
                (backend, table)
            },
            BatchSize::PerIteration,
        );
    });
}
