//! Keyed state in RocksDB: the same as in memory under any changes, through checkpoints, savepoints and changes of parallelism,
//! to and from the other backend, and within its memory.
//!
//! Needs the plugin in the directory that `KVICK_PLUGINS_DIR` names; `scripts/test.sh` builds it. Without the feature
//! `plugin-tests` these tests are not built.

#![allow(clippy::unwrap_used)]
#![allow(clippy::result_large_err)] // What fails here ends the test.

#[path = "rocksdb/ttl.rs"]
mod ttl;

use kvick_core::checkpoint::message::SnapshotMetrics;
use kvick_core::checkpoint::{
    BarrierAlignment, CheckpointMetadata, CheckpointReport, KeyGroups, KeyedData, KeyedState, OperatorState,
    RestorePlan, SavepointFormat, SnapshotKind, SnapshotTarget, StateHandle, SubtaskState,
};
use kvick_core::config::Configuration;
use kvick_core::graph::{JobGraph, JobVertex, RuntimeMode, TaskRef};
use kvick_core::ids::{ExecutionId, JobId, VertexId};
use kvick_core::time::Millis;
use kvick_filesystem::blocking::FileSystems;
use kvick_runtime::element::{Barrier, Data};
use kvick_runtime::snapshot::{OperatorSnapshot, SnapshotJob, SnapshotWriters, StateReader};
use kvick_runtime::state::store::StoreSettings;
use kvick_runtime::state::{
    BackendKind, EveryKey, KeyedBackend, KeyedStates, MapState, MapStateDescriptor, MapTable, StateAccess,
    StateError, Table, TableSpec, ValueState, ValueStateDescriptor,
};
use kvick_runtime::task::{OperatorIdentity, Reporter, TaskEvent};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::channel;

const OPERATOR: VertexId = VertexId(7);
const GROUPS: u32 = 32;
const NATIVE: SnapshotKind = SnapshotKind::Savepoint { format: SavepointFormat::Native };
const CANONICAL: SnapshotKind = SnapshotKind::Savepoint { format: SavepointFormat::Canonical };

fn files() -> Arc<FileSystems> {
    Arc::new(FileSystems::new(kvick_filesystem::Context::new(BTreeMap::<String, String>::new())))
}

/// A place for checkpoints and for stores, and the threads that write.
struct World {
    checkpoints: tempfile::TempDir,
    local: tempfile::TempDir,
    config: Arc<Configuration>,
    writers: Arc<SnapshotWriters>,
    job: JobId,
}

impl World {
    fn new() -> World {
        World::with(&[])
    }

    fn with(config: &[(&str, &str)]) -> World {
        let (checkpoints, local) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let config = Arc::new(config.iter().copied().collect());
        let job = JobId(u128::from(kvick_runtime::hash::stable_hash(&local.path().to_str())));
        World { checkpoints, local, config, writers: SnapshotWriters::start(), job }
    }

    fn settings(&self, subtask: u32, restored: Option<u64>) -> StoreSettings {
        StoreSettings {
            job: self.job,
            config: Arc::clone(&self.config),
            tmp_dirs: vec![self.local.path().display().to_string()],
            name: format!("op-{subtask}"),
            subtask,
            restored,
        }
    }

    fn directory(&self, name: &str) -> String {
        let path = self.checkpoints.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path.display().to_string()
    }

    fn barrier(&self, id: u64, kind: SnapshotKind, base: Option<u64>) -> Arc<Barrier> {
        Arc::new(Barrier {
            id,
            timestamp: Millis(0),
            kind,
            base,
            alignment: BarrierAlignment::Aligned,
            target: SnapshotTarget::Directory {
                exclusive: self.directory(&format!("chk-{id}")),
                shared: self.directory("shared"),
                task_owned: self.directory("taskowned"),
                inline_threshold: 100,
            },
        })
    }

    fn backend(
        &self,
        kind: BackendKind,
        groups: KeyGroups,
        subtask: u32,
        restore: Option<(u64, Vec<KeyedState>)>,
    ) -> KeyedBackend<String> {
        let restored = restore.as_ref().map(|(id, _)| *id);
        let directory = restored.map(|id| self.directory(&format!("chk-{id}")));
        let reader = StateReader::new(files(), directory);
        let state = restore.map(|(_, state)| state).unwrap_or_default();
        KeyedBackend::new(groups.start..groups.end, GROUPS, kind, state, reader)
            .with_store(self.settings(subtask, restored))
    }

    fn alone(&self, kind: BackendKind, restore: Option<(u64, Vec<KeyedState>)>) -> KeyedBackend<String> {
        self.backend(kind, KeyGroups { start: 0, end: GROUPS }, 0, restore)
    }

    fn write(&self, subtask: u32, barrier: &Arc<Barrier>, snapshot: OperatorSnapshot) -> Vec<KeyedState> {
        let (reports, answers) = channel::<TaskEvent>();
        let execution = ExecutionId { vertex: OPERATOR, subtask, attempt: 0 };
        let (metrics, reports) = (SnapshotMetrics::default(), Reporter::to(reports));
        let barrier = Arc::clone(barrier);
        self.writers.write(SnapshotJob::new(execution, barrier, snapshot, files(), metrics, reports));
        match answers.recv().unwrap() {
            TaskEvent::Checkpoint(CheckpointReport::Acknowledged { mut snapshot, .. }) => {
                snapshot.operators.remove(&OPERATOR).unwrap_or_default().keyed
            }
            other => panic!("no snapshot: {other:?}"),
        }
    }

    /// Names of what lies in the local directory.
    fn local_files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.local.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn snapshot(barrier: &Arc<Barrier>) -> OperatorSnapshot {
    let operator = OperatorIdentity { id: OPERATOR, name: "test".to_string(), uid: None };
    OperatorSnapshot::new(Arc::clone(barrier), operator)
}

/// The keyed state of one subtask.
struct Subtask {
    values: Table<String, i64, Vec<u64>>,
    maps: MapTable<String, (), u32, String>,
    timers: Table<String, i64, ()>,
    backend: KeyedBackend<String>,
}

impl Subtask {
    fn open(mut backend: KeyedBackend<String>) -> Result<Subtask, StateError> {
        let values = backend.table(TableSpec::new("values"))?;
        let maps = backend.map_table(TableSpec::new("maps"))?;
        let timers = backend.memory_table(TableSpec::new("timers"))?;
        Ok(Subtask { values, maps, timers, backend })
    }

    fn hand_over(&mut self, barrier: &Arc<Barrier>) -> OperatorSnapshot {
        let mut snapshot = snapshot(barrier);
        snapshot.table(&mut self.values).unwrap();
        snapshot.map_table(&mut self.maps).unwrap();
        snapshot.table(&mut self.timers).unwrap();
        snapshot.backend(&mut self.backend).unwrap();
        snapshot
    }

    fn contents(&mut self, model: &mut Model) {
        let Model { values, maps, timers } = model;
        self.values.for_each(|k, n, v| assert!(values.insert((k.clone(), *n), v.clone()).is_none())).unwrap();
        self.maps
            .for_each(|k, (), uk, uv| assert!(maps.insert((k.clone(), *uk), uv.clone()).is_none()))
            .unwrap();
        self.timers.for_each(|k, n, ()| assert!(timers.insert((k.clone(), *n)))).unwrap();
    }
}

/// What all subtasks together should hold.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    values: BTreeMap<(String, i64), Vec<u64>>,
    maps: BTreeMap<(String, u32), String>,
    timers: BTreeSet<(String, i64)>,
}

#[derive(Debug, Clone)]
enum Change {
    Put(u8, i64, u64),
    Append(u8, i64, u64),
    /// Without reading what is there.
    Extend(u8, i64, u64),
    Update(u8, i64, u64),
    Remove(u8, i64),
    MapPut(u8, u32, u64),
    MapRemove(u8, u32),
    MapClear(u8),
    Timer(u8, i64),
}

fn change() -> impl Strategy<Value = Change> {
    // Long and short postcard forms of namespaces and user keys.
    let namespace = || prop_oneof![-2_i64..3, Just(i64::MAX), Just(1 << 20)];
    let user_key = || prop_oneof![0_u32..4, 126_u32..130, Just(u32::MAX)];
    let key = || 0_u8..40;
    prop_oneof![
        (key(), namespace(), any::<u64>()).prop_map(|(k, n, v)| Change::Put(k, n, v)),
        (key(), namespace(), any::<u64>()).prop_map(|(k, n, v)| Change::Append(k, n, v)),
        (key(), namespace(), any::<u64>()).prop_map(|(k, n, v)| Change::Extend(k, n, v)),
        (key(), namespace(), any::<u64>()).prop_map(|(k, n, v)| Change::Update(k, n, v)),
        (key(), namespace()).prop_map(|(k, n)| Change::Remove(k, n)),
        (key(), user_key(), any::<u64>()).prop_map(|(k, u, v)| Change::MapPut(k, u, v)),
        (key(), user_key()).prop_map(|(k, u)| Change::MapRemove(k, u)),
        key().prop_map(Change::MapClear),
        (key(), namespace()).prop_map(|(k, n)| Change::Timer(k, n)),
    ]
}

fn key_of(change: &Change) -> u8 {
    match change {
        Change::Put(key, ..)
        | Change::Append(key, ..)
        | Change::Extend(key, ..)
        | Change::Update(key, ..)
        | Change::Remove(key, ..)
        | Change::MapPut(key, ..)
        | Change::MapRemove(key, ..)
        | Change::MapClear(key)
        | Change::Timer(key, _) => *key,
    }
}

fn apply(change: &Change, subtasks: &mut [Subtask], model: &mut Model) {
    let name = format!("key-{}", key_of(change));
    let keyed = subtasks[0].backend.keyed(name.clone());
    let owner = keyed.group * subtasks.len() as u32 / GROUPS;
    let Subtask { values, maps, timers, .. } = &mut subtasks[owner as usize];
    match change {
        Change::Put(_, n, v) => {
            values.put(&keyed, n, vec![*v]).unwrap();
            model.values.insert((name, *n), vec![*v]);
        }
        Change::Append(_, n, v) => {
            let after = values.upsert(keyed, *n, *v, |list: &mut Vec<u64>, v| list.push(v), |v| vec![v]);
            let list = model.values.entry((name, *n)).or_default();
            list.push(*v);
            assert_eq!(after.unwrap(), list);
        }
        Change::Extend(_, n, v) => {
            // More than a count of one byte tells, now and then.
            let elements: Vec<u64> = (0..*v % 70).collect();
            values.append(&keyed, n, elements.clone()).unwrap();
            if !elements.is_empty() {
                model.values.entry((name, *n)).or_default().extend(elements);
            }
        }
        Change::Update(_, n, v) => {
            // What is there goes, what is not there comes.
            let toggle = |slot: &mut Option<Vec<u64>>| match slot.take() {
                Some(before) => Some(before),
                None => {
                    *slot = Some(vec![*v, *v]);
                    None
                }
            };
            let mut expected = model.values.remove(&(name.clone(), *n));
            assert_eq!(values.update(&keyed, n, toggle).unwrap(), toggle(&mut expected));
            if let Some(value) = expected {
                model.values.insert((name, *n), value);
            }
        }
        Change::Remove(_, n) => {
            assert_eq!(values.get(&keyed, n).unwrap(), model.values.get(&(name.clone(), *n)));
            assert_eq!(values.remove(&keyed, n).unwrap(), model.values.remove(&(name, *n)));
        }
        Change::MapPut(_, u, v) => {
            maps.put(&keyed, &(), *u, v.to_string()).unwrap();
            model.maps.insert((name, *u), v.to_string());
        }
        Change::MapRemove(_, u) => {
            assert_eq!(maps.get(&keyed, &(), u).unwrap(), model.maps.get(&(name.clone(), *u)));
            assert_eq!(maps.remove(&keyed, &(), u).unwrap(), model.maps.remove(&(name, *u)));
        }
        Change::MapClear(_) => {
            let mut found = BTreeMap::new();
            maps.for_each_of(&keyed, &(), |u, v| drop(found.insert((name.clone(), *u), v.clone()))).unwrap();
            let expected: BTreeMap<_, _> = model.maps.extract_if(.., |(key, _), _| *key == name).collect();
            assert_eq!(maps.is_empty_for(&keyed, &()).unwrap(), expected.is_empty());
            assert_eq!(found, expected);
            maps.clear(&keyed, &()).unwrap();
            assert!(maps.is_empty_for(&keyed, &()).unwrap());
        }
        Change::Timer(_, n) => {
            timers.put(&keyed, n, ()).unwrap();
            model.timers.insert((name, *n));
        }
    }
}

fn graph(parallelism: u32) -> JobGraph {
    let vertex = JobVertex {
        id: OPERATOR,
        name: "test".to_string(),
        operators: Vec::new(),
        parallelism,
        max_parallelism: GROUPS,
        max_parallelism_derived: false,
        slot_sharing_group: "default".to_string(),
        source: false,
        bounded: true,
        alignment_groups: Vec::new(),
    };
    JobGraph {
        name: "test".to_string(),
        mode: RuntimeMode::Streaming,
        vertices: vec![vertex],
        edges: Vec::new(),
        config: Configuration::default(),
    }
}

/// What each of `parallelism` subtasks is given of the state of a checkpoint.
fn shares(
    states: Vec<Vec<KeyedState>>,
    parallelism: u32,
    id: u64,
    directory: String,
) -> Vec<Vec<KeyedState>> {
    let states: Vec<SubtaskState> =
        states.into_iter().map(|keyed| SubtaskState { keyed, ..SubtaskState::default() }).collect();
    let operator = OperatorState {
        id: OPERATOR,
        name: "test".to_string(),
        uid: None,
        parallelism: states.len() as u32,
        max_parallelism: GROUPS,
        finished: false,
        subtasks: (0..).zip(states).collect(),
        results: BTreeMap::new(),
    };
    let metadata = CheckpointMetadata {
        job_id: JobId(1),
        checkpoint: id,
        kind: SnapshotKind::Checkpoint,
        timestamp: Millis(0),
        engine_version: String::new(),
        operators: vec![operator],
    };
    let graph = graph(parallelism);
    let plan = RestorePlan::new(&graph, Arc::new(metadata), Some(directory), false).unwrap();
    let share = |subtask| {
        let mut restore = plan.task(&graph, TaskRef { vertex: 0, subtask });
        restore.operators.remove(&OPERATOR).unwrap_or_default().keyed
    };
    (0..parallelism).map(share).collect()
}

fn backends() -> impl Strategy<Value = BackendKind> {
    prop_oneof![3 => Just(BackendKind::RocksDb), 1 => Just(BackendKind::HashMap)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: kvick_runtime::testing::cases(24), max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn state_survives_any_way_between_backends_and_parallelisms(
        before in prop::collection::vec(change(), 0..200),
        after in prop::collection::vec(change(), 0..80),
        steps in prop::collection::vec((1_u32..6, backends(), any::<bool>()), 1..4),
    ) {
        let world = World::new();
        let mut model = Model::default();
        let mut subtasks = vec![Subtask::open(world.alone(BackendKind::RocksDb, None)).unwrap()];
        before.iter().for_each(|change| apply(change, &mut subtasks, &mut model));
        for (id, (parallelism, backend, canonical)) in (1..).zip(steps) {
            let at_barrier = model.clone();
            let kind = if canonical { CANONICAL } else { SnapshotKind::Checkpoint };
            let barrier = world.barrier(id, kind, id.checked_sub(1).filter(|base| *base > 0));
            // Handed over, then changed, and only then written.
            let handed: Vec<_> = subtasks.iter_mut().map(|s| s.hand_over(&barrier)).collect();
            after.iter().for_each(|change| apply(change, &mut subtasks, &mut model));
            let states = (0..).zip(handed).map(|(i, s)| world.write(i, &barrier, s)).collect();
            let mut now = Model::default();
            subtasks.iter_mut().for_each(|s| s.contents(&mut now));
            prop_assert_eq!(&now, &model);

            let directory = world.directory(&format!("chk-{id}"));
            let shares = shares(states, parallelism, id, directory);
            subtasks = (0..parallelism).zip(shares).map(|(subtask, share)| {
                let groups = KeyGroups::of(subtask, parallelism, GROUPS);
                Subtask::open(world.backend(backend, groups, subtask, Some((id, share)))).unwrap()
            }).collect();
            let mut restored = Model::default();
            subtasks.iter_mut().for_each(|s| s.contents(&mut restored));
            prop_assert_eq!(&restored, &at_barrier);
            model = at_barrier;
        }
        drop(subtasks);
        prop_assert_eq!(world.local_files(), Vec::<String>::new());
    }
}

fn table<V: Data>(backend: &mut KeyedBackend<String>) -> Result<Table<String, (), V>, StateError> {
    backend.table(TableSpec::new("values"))
}

fn fill(backend: &KeyedBackend<String>, table: &mut Table<String, (), Vec<u64>>, keys: std::ops::Range<u64>) {
    for key in keys {
        table.put(&backend.keyed(format!("key {key}")), &(), vec![key; 100]).unwrap();
    }
}

fn shared_files(state: &[KeyedState]) -> BTreeMap<String, String> {
    let [KeyedState { data: KeyedData::Files { files }, .. }] = state else { panic!("no files: {state:?}") };
    let shared =
        |(name, handle): (&String, &StateHandle)| Some((name.clone(), handle.shared_file()?.to_string()));
    files.iter().filter_map(shared).collect()
}

#[test]
fn a_checkpoint_refers_to_what_its_base_has_and_writes_only_what_is_new() {
    let world = World::new();
    let mut backend = world.alone(BackendKind::RocksDb, None);
    let mut values = table(&mut backend).unwrap();
    let take = |backend: &mut KeyedBackend<String>, id, base| {
        let barrier = world.barrier(id, SnapshotKind::Checkpoint, base);
        let mut snapshot = snapshot(&barrier);
        snapshot.backend(backend).unwrap();
        world.write(0, &barrier, snapshot)
    };
    fill(&backend, &mut values, 0..1000);
    let first = take(&mut backend, 1, None);
    fill(&backend, &mut values, 1000..1100);
    let second = shared_files(&take(&mut backend, 2, Some(1)));
    let first_files = shared_files(&first);
    assert!(!first_files.is_empty());
    assert!(
        first_files.iter().all(|(name, path)| second.get(name) == Some(path)),
        "{first_files:?} {second:?}"
    );
    assert!(second.len() > first_files.len());
    // Without a base everything is written anew, and so it is where the base is not known.
    for base in [None, Some(77)] {
        let anew = shared_files(&take(&mut backend, 3, base));
        assert!(anew.values().all(|path| !second.values().any(|known| known == path)), "{anew:?}");
    }
    // Who was restored knows what it was restored from.
    drop((values, backend));
    let mut backend = world.alone(BackendKind::RocksDb, Some((1, first)));
    let mut values = table(&mut backend).unwrap();
    assert_eq!(values.get(&backend.keyed("key 999".to_string()), &()).unwrap(), Some(&vec![999; 100]));
    fill(&backend, &mut values, 0..10);
    let after = shared_files(&take(&mut backend, 4, Some(1)));
    assert!(
        first_files.iter().all(|(name, path)| after.get(name) == Some(path)),
        "{first_files:?} {after:?}"
    );
}

#[test]
fn a_native_savepoint_can_be_moved() {
    let world = World::new();
    let mut backend = world.alone(BackendKind::RocksDb, None);
    let mut values = table(&mut backend).unwrap();
    fill(&backend, &mut values, 0..100);
    for (id, kind) in [(1, SnapshotKind::Checkpoint), (2, NATIVE)] {
        let barrier = world.barrier(id, kind, id.checked_sub(1).filter(|base| *base > 0));
        let mut snapshot = snapshot(&barrier);
        snapshot.backend(&mut backend).unwrap();
        let state = world.write(0, &barrier, snapshot);
        if kind == NATIVE {
            std::fs::remove_dir_all(world.directory("shared")).unwrap();
            std::fs::rename(world.directory("chk-2"), world.checkpoints.path().join("chk-9")).unwrap();
            let mut moved = world.alone(BackendKind::RocksDb, Some((9, state)));
            let mut values = table::<Vec<u64>>(&mut moved).unwrap();
            assert_eq!(values.get(&moved.keyed("key 7".to_string()), &()).unwrap(), Some(&vec![7; 100]));
        }
    }
}

#[test]
fn a_damaged_file_is_found_and_named() {
    let world = World::new();
    let mut backend = world.alone(BackendKind::RocksDb, None);
    let mut values = table(&mut backend).unwrap();
    fill(&backend, &mut values, 0..100);
    let barrier = world.barrier(1, SnapshotKind::Checkpoint, None);
    let mut snapshot = snapshot(&barrier);
    snapshot.backend(&mut backend).unwrap();
    let state = world.write(0, &barrier, snapshot);
    let path = shared_files(&state).into_values().next().unwrap();
    let local = format!("/{}", path.trim_start_matches("file:").trim_start_matches('/'));
    let mut bytes = std::fs::read(&local).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&local, bytes).unwrap();
    let mut restored = world.alone(BackendKind::RocksDb, Some((1, state)));
    let error = table::<Vec<u64>>(&mut restored).err().unwrap();
    assert!(matches!(error, StateError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains(local.rsplit('/').next().unwrap()), "{error}");
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Old {
    count: u32,
    name: String,
    gone: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct New {
    #[serde(alias = "name")]
    title: String,
    #[serde(default)]
    seen: Option<i64>,
    count: u64,
}

#[test]
fn a_type_may_evolve_on_each_way_between_the_backends() {
    let kinds = [BackendKind::RocksDb, BackendKind::HashMap];
    for (id, (from, to, kind)) in (1..).zip(
        kinds
            .iter()
            .flat_map(|from| kinds.iter().map(move |to| (*from, *to)))
            .flat_map(|(from, to)| [(from, to, SnapshotKind::Checkpoint), (from, to, CANONICAL)]),
    ) {
        let world = World::new();
        let mut backend = world.alone(from, None);
        let mut values = table(&mut backend).unwrap();
        for count in 0..300 {
            let old = Old { count, name: format!("n{count}"), gone: true };
            values.put(&backend.keyed(format!("key {count}")), &(), old).unwrap();
        }
        let barrier = world.barrier(id, kind, None);
        let mut snapshot = snapshot(&barrier);
        snapshot.table(&mut values).unwrap();
        snapshot.backend(&mut backend).unwrap();
        let state = world.write(0, &barrier, snapshot);

        let mut restored = world.alone(to, Some((id, state.clone())));
        let mut values = table::<New>(&mut restored).unwrap();
        for count in 0..300 {
            let new = New { title: format!("n{count}"), seen: None, count };
            let key = restored.keyed(format!("key {count}"));
            assert_eq!(values.get(&key, &()).unwrap(), Some(&new), "{from:?} to {to:?}, {kind:?}");
        }
        let mut entries = 0;
        values.for_each(|_, (), _| entries += 1).unwrap();
        assert_eq!(entries, 300);

        let mut incompatible = world.alone(to, Some((id, state)));
        let error = table::<(u8, bool)>(&mut incompatible).err().unwrap().to_string();
        assert!(error.contains("struct Old { count: u32, name: String, gone: bool }"), "{error}");
        assert!(error.contains("(u8, bool)"), "{error}");
    }
}

#[test]
fn what_no_table_claims_is_kept_by_each_backend() {
    for kind in [BackendKind::RocksDb, BackendKind::HashMap] {
        let world = World::new();
        let mut backend = world.alone(BackendKind::RocksDb, None);
        let mut values = table(&mut backend).unwrap();
        fill(&backend, &mut values, 0..50);
        let barrier = world.barrier(1, SnapshotKind::Checkpoint, None);
        let mut first = snapshot(&barrier);
        first.backend(&mut backend).unwrap();
        let state = world.write(0, &barrier, first);

        let mut unaware = world.alone(kind, Some((1, state)));
        let barrier = world.barrier(2, SnapshotKind::Checkpoint, None);
        let mut second = snapshot(&barrier);
        second.backend(&mut unaware).unwrap();
        let state = world.write(0, &barrier, second);

        let mut aware = world.alone(BackendKind::RocksDb, Some((2, state)));
        let mut values = table::<Vec<u64>>(&mut aware).unwrap();
        assert_eq!(values.get(&aware.keyed("key 49".to_string()), &()).unwrap(), Some(&vec![49; 100]));
    }
}

#[test]
fn memory_stays_within_what_the_slot_gives() {
    const LIMIT: u64 = 24 << 20;
    let world = World::with(&[("state.backend.rocksdb.memory.fixed-per-slot", "24mb")]);
    let mut backend = world.alone(BackendKind::RocksDb, None);
    let mut values: Table<String, (), Vec<u64>> = table(&mut backend).unwrap();
    let mut most = 0;
    // 160 MB of values, written and read.
    for key in 0..20_000_u64 {
        let value: Vec<u64> = (0..1000).map(|n| key.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n).collect();
        values.put(&backend.keyed(format!("key {key}")), &(), value).unwrap();
        let earlier = backend.keyed(format!("key {}", key / 2));
        assert_eq!(values.get(&earlier, &()).unwrap().map(Vec::len), Some(1000));
        most = most.max(backend.shared_memory().unwrap().usage());
    }
    assert!(most > LIMIT / 4, "the cache is not used: {most}");
    // Blocks that are being read are pinned, whatever the limit is.
    assert!(most < LIMIT + LIMIT / 4, "{most} bytes were in use at once");
}

#[test]
fn stores_of_one_slot_share_its_memory_and_other_slots_add_theirs() {
    let world = World::with(&[("state.backend.rocksdb.memory.fixed-per-slot", "16mb")]);
    let open = |subtask| {
        let mut backend =
            world.backend(BackendKind::RocksDb, KeyGroups { start: 0, end: GROUPS }, subtask, None);
        let table = table::<u64>(&mut backend).unwrap();
        (backend, table)
    };
    let capacity =
        |(backend, _): &(KeyedBackend<String>, _)| backend.shared_memory().unwrap().capacity() >> 20;
    let (first, second, third) = (open(0), open(0), open(1));
    assert_eq!((capacity(&first), capacity(&second), capacity(&third)), (32, 32, 32));
    drop(third);
    assert_eq!(capacity(&first), 16);
}

#[test]
fn every_key_of_a_state_is_told_once_in_either_backend() {
    for kind in [BackendKind::HashMap, BackendKind::RocksDb] {
        let world = World::new();
        let mut states = KeyedStates::new(world.alone(kind, None));
        let entries: MapState<u32, u64> = states.map_state(MapStateDescriptor::new("entries")).unwrap();
        let value: ValueState<u64> = states.value_state(ValueStateDescriptor::new("value")).unwrap();
        for (key, number) in [("a", 1), ("ab", 2), ("a", 3), ("b", 4), ("ab", 5), ("a", 300)] {
            let key = states.keyed(key.to_string());
            states.set_current(key).unwrap();
            entries.put(&mut states, number, 1).unwrap();
            if number > 4 {
                value.update(&mut states, 1).unwrap();
            }
        }
        let sorted = |mut keys: Vec<String>| {
            keys.sort();
            keys
        };
        assert_eq!(sorted(entries.every_key(&mut states).unwrap()), ["a", "ab", "b"]);
        assert_eq!(sorted(value.every_key(&mut states).unwrap()), ["a", "ab"]);
    }
}
