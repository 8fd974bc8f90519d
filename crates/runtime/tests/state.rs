//! Keyed and operator state through snapshots, under writes, and to other parallelisms.

#![allow(clippy::unwrap_used)]
#![allow(clippy::result_large_err)] // What fails here ends the test.

use kvick_core::checkpoint::message::SnapshotMetrics;
use kvick_core::checkpoint::{
    BarrierAlignment, CheckpointMetadata, CheckpointReport, KeyGroups, KeyedData, OperatorState,
    Redistribution, RestorePlan, SnapshotKind, SnapshotTarget, StateHandle, SubtaskState,
};
use kvick_core::graph::{JobGraph, JobVertex, RuntimeMode, TaskRef};
use kvick_core::ids::{ExecutionId, JobId, VertexId};
use kvick_core::time::Millis;
use kvick_filesystem::blocking::FileSystems;
use kvick_runtime::element::Barrier;
use kvick_runtime::snapshot::{OperatorSnapshot, SnapshotJob, SnapshotWriters, StateReader, restore_list};
use kvick_runtime::state::{
    BackendKind, KeyedBackend, KeyedStates, ListStateDescriptor, MapStateDescriptor, MapTable, StateAccess,
    StateError, StateTtlConfig, Table, TableSpec, ValueStateDescriptor,
};
use kvick_runtime::task::{OperatorIdentity, Reporter, TaskEvent};
use kvick_runtime::time::Clock;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

const OPERATOR: VertexId = VertexId(7);
const GROUPS: u32 = 32;

type Values = Table<String, i64, Vec<u64>>;
type Maps = MapTable<String, (), u32, String>;

fn files() -> Arc<FileSystems> {
    Arc::new(FileSystems::new(kvick_filesystem::Context::new(BTreeMap::<String, String>::new())))
}

fn barrier(directory: &Path, inline_threshold: u64) -> Arc<Barrier> {
    let directory = directory.display().to_string();
    let (exclusive, shared, task_owned) = (directory.clone(), directory.clone(), directory);
    Arc::new(Barrier {
        id: 1,
        timestamp: Millis(0),
        kind: SnapshotKind::Checkpoint,
        base: None,
        alignment: BarrierAlignment::Aligned,
        target: SnapshotTarget::Directory { exclusive, shared, task_owned, inline_threshold },
    })
}

/// The keyed state of one subtask.
struct Subtask {
    backend: KeyedBackend<String>,
    values: Values,
    maps: Maps,
}

impl Subtask {
    fn open(
        subtask: u32,
        parallelism: u32,
        state: SubtaskState,
        directory: &Path,
    ) -> Result<Subtask, StateError> {
        let groups = KeyGroups::of(subtask, parallelism, GROUPS);
        let reader = StateReader::new(files(), Some(directory.display().to_string()));
        let range = groups.start..groups.end;
        let mut backend = KeyedBackend::new(range, GROUPS, BackendKind::HashMap, state.keyed, reader);
        let values = backend.table(TableSpec::new("values"))?;
        let maps = backend.map_table(TableSpec::new("maps"))?;
        Ok(Subtask { backend, values, maps })
    }

    fn hand_over(&mut self, barrier: &Arc<Barrier>) -> OperatorSnapshot {
        let operator = OperatorIdentity { id: OPERATOR, name: "test".to_string(), uid: None };
        let mut snapshot = OperatorSnapshot::new(Arc::clone(barrier), operator);
        snapshot.table(&mut self.values).unwrap();
        snapshot.map_table(&mut self.maps).unwrap();
        snapshot.backend(&mut self.backend).unwrap();
        snapshot
    }

    fn contents(&mut self, model: &mut Model) {
        self.values
            .for_each(|k, n, v| assert!(model.values.insert((k.clone(), *n), v.clone()).is_none()))
            .unwrap();
        let maps = &mut model.maps;
        self.maps
            .for_each(|k, (), uk, uv| assert!(maps.insert((k.clone(), *uk), uv.clone()).is_none()))
            .unwrap();
    }
}

/// What all subtasks together should hold.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    values: BTreeMap<(String, i64), Vec<u64>>,
    maps: BTreeMap<(String, u32), String>,
}

fn write(
    writers: &SnapshotWriters,
    subtask: u32,
    barrier: &Arc<Barrier>,
    snapshot: OperatorSnapshot,
) -> SubtaskState {
    let (reports, answers) = channel::<TaskEvent>();
    let execution = ExecutionId { vertex: OPERATOR, subtask, attempt: 0 };
    let (metrics, reports) = (SnapshotMetrics::default(), Reporter::to(reports));
    writers.write(SnapshotJob::new(execution, Arc::clone(barrier), snapshot, files(), metrics, reports));
    match answers.recv().unwrap() {
        TaskEvent::Checkpoint(CheckpointReport::Acknowledged { mut snapshot, .. }) => {
            snapshot.operators.remove(&OPERATOR).unwrap_or_default()
        }
        other => panic!("no snapshot: {other:?}"),
    }
}

fn vertex(parallelism: u32) -> JobVertex {
    JobVertex {
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
    }
}

fn graph(parallelism: u32) -> JobGraph {
    JobGraph {
        name: "test".to_string(),
        mode: RuntimeMode::Streaming,
        vertices: vec![vertex(parallelism)],
        edges: Vec::new(),
        config: kvick_core::config::Configuration::default(),
    }
}

fn plan(states: Vec<SubtaskState>, parallelism: u32, directory: &Path) -> RestorePlan {
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
        checkpoint: 1,
        kind: SnapshotKind::Checkpoint,
        timestamp: Millis(0),
        engine_version: String::new(),
        operators: vec![operator],
    };
    let directory = Some(directory.display().to_string());
    RestorePlan::new(&graph(parallelism), Arc::new(metadata), directory, false).unwrap()
}

#[derive(Debug, Clone)]
enum Change {
    Put(u8, i64, u64),
    Append(u8, i64, u64),
    Remove(u8, i64),
    MapPut(u8, u32, u64),
    MapRemove(u8, u32),
}

fn change() -> impl Strategy<Value = Change> {
    let namespace = || 0_i64..4;
    prop_oneof![
        (any::<u8>(), namespace(), any::<u64>()).prop_map(|(k, n, v)| Change::Put(k, n, v)),
        (any::<u8>(), namespace(), any::<u64>()).prop_map(|(k, n, v)| Change::Append(k, n, v)),
        (any::<u8>(), namespace()).prop_map(|(k, n)| Change::Remove(k, n)),
        (any::<u8>(), 0_u32..6, any::<u64>()).prop_map(|(k, u, v)| Change::MapPut(k, u, v)),
        (any::<u8>(), 0_u32..6).prop_map(|(k, u)| Change::MapRemove(k, u)),
    ]
}

fn apply(change: &Change, subtasks: &mut [Subtask], model: &mut Model) {
    let (Change::Put(key, ..)
    | Change::Append(key, ..)
    | Change::Remove(key, ..)
    | Change::MapPut(key, ..)
    | Change::MapRemove(key, ..)) = change;
    let name = format!("key-{key}");
    let keyed = subtasks[0].backend.keyed(name.clone());
    let owner = keyed.group * subtasks.len() as u32 / GROUPS;
    let Subtask { values, maps, .. } = &mut subtasks[owner as usize];
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
        Change::Remove(_, n) => {
            assert_eq!(values.remove(&keyed, n).unwrap(), model.values.remove(&(name, *n)));
        }
        Change::MapPut(_, u, v) => {
            maps.put(&keyed, &(), *u, v.to_string()).unwrap();
            model.maps.insert((name, *u), v.to_string());
        }
        Change::MapRemove(_, u) => {
            assert_eq!(maps.remove(&keyed, &(), u).unwrap(), model.maps.remove(&(name, *u)));
        }
    }
}

/// What the subtasks of another parallelism begin with.
fn restored(states: Vec<SubtaskState>, parallelism: u32, directory: &Path) -> Vec<Subtask> {
    let (plan, graph) = (plan(states, parallelism, directory), graph(parallelism));
    let open = |subtask| {
        let mut restore = plan.task(&graph, TaskRef { vertex: 0, subtask });
        let state = restore.operators.remove(&OPERATOR).unwrap_or_default();
        Subtask::open(subtask, parallelism, state, directory).unwrap()
    };
    (0..parallelism).map(open).collect()
}

fn contents(subtasks: &mut [Subtask]) -> Model {
    let mut model = Model::default();
    subtasks.iter_mut().for_each(|subtask| subtask.contents(&mut model));
    model
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(kvick_runtime::testing::cases(60)))]

    #[test]
    fn state_survives_snapshots_under_writes_and_any_change_of_parallelism(
        before in prop::collection::vec(change(), 0..300),
        after in prop::collection::vec(change(), 0..150),
        parallelisms in (1_u32..7, 1_u32..7, 1_u32..7),
        inline in prop_oneof![Just(0_u64), Just(1 << 20)],
    ) {
        let directory = tempfile::tempdir().unwrap();
        let (writers, barrier) = (SnapshotWriters::start(), barrier(directory.path(), inline));
        let (first, second, third) = parallelisms;
        let mut model = Model::default();
        let open = |i, n| Subtask::open(i, n, SubtaskState::default(), directory.path()).unwrap();
        let mut subtasks: Vec<Subtask> = (0..first).map(|i| open(i, first)).collect();
        before.iter().for_each(|change| apply(change, &mut subtasks, &mut model));
        let at_barrier = model.clone();

        for parallelism in [second, third] {
            // Handed over, changed, handed over again, changed again, and only then written.
            let handed: Vec<_> = subtasks.iter_mut().map(|s| s.hand_over(&barrier)).collect();
            after.iter().for_each(|change| apply(change, &mut subtasks, &mut model));
            let between = model.clone();
            let handed_again: Vec<_> = subtasks.iter_mut().map(|s| s.hand_over(&barrier)).collect();
            before.iter().for_each(|change| apply(change, &mut subtasks, &mut model));
            prop_assert_eq!(&contents(&mut subtasks), &model);
            let write_all = |handed: Vec<OperatorSnapshot>| -> Vec<SubtaskState> {
                (0..).zip(handed).map(|(i, s)| write(&writers, i, &barrier, s)).collect()
            };
            let (states, again) = (write_all(handed), write_all(handed_again));
            // The writers have let go.
            after.iter().for_each(|change| apply(change, &mut subtasks, &mut model));
            prop_assert_eq!(&contents(&mut subtasks), &model);
            prop_assert_eq!(&contents(&mut restored(again, parallelism, directory.path())), &between);

            subtasks = restored(states, parallelism, directory.path());
            prop_assert_eq!(&contents(&mut subtasks), &at_barrier);
            model = at_barrier.clone();
        }
    }
}

fn one_subtask(directory: &Path) -> Subtask {
    Subtask::open(0, 1, SubtaskState::default(), directory).unwrap()
}

#[test]
fn segments_split_as_they_grow_and_nothing_is_lost_on_the_way() {
    let directory = tempfile::tempdir().unwrap();
    let mut backend: KeyedBackend<u64> = KeyedBackend::in_memory(2);
    let mut table: Table<u64, u32, u64> = backend.table(TableSpec::new("many")).unwrap();
    for key in 0..50_000_u64 {
        let keyed = backend.keyed(key);
        table.put(&keyed, &0, key).unwrap();
        // One key with many namespaces cannot be split.
        let hot = backend.keyed(u64::MAX);
        table.put(&hot, &(key as u32), key).unwrap();
    }
    assert_eq!(table.len(), 100_000);
    for key in 0..50_000_u64 {
        let (keyed, hot) = (backend.keyed(key), backend.keyed(u64::MAX));
        assert_eq!(table.get(&keyed, &0).unwrap(), Some(&key));
        assert_eq!(table.get(&hot, &(key as u32)).unwrap(), Some(&key));
    }
    let mut sum = 0;
    table.drain(|_, _, value| sum += value).unwrap();
    assert_eq!((sum, table.len()), (2 * (0..50_000_u64).sum::<u64>(), 0));
    drop(directory);
}

fn large(key: u64) -> String {
    format!("{key:10}").repeat(1_000)
}

#[test]
fn large_state_is_cut_into_streams_so_that_a_part_of_it_can_be_read_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (writers, barrier) = (SnapshotWriters::start(), barrier(directory.path(), 0));
    let mut backend: KeyedBackend<u64> = KeyedBackend::in_memory(GROUPS);
    let mut table: Table<u64, (), String> = backend.table(TableSpec::new("large")).unwrap();
    for key in 0..4_000 {
        let keyed = backend.keyed(key);
        table.put(&keyed, &(), large(key)).unwrap();
    }
    let operator = OperatorIdentity { id: OPERATOR, name: String::new(), uid: None };
    let mut snapshot = OperatorSnapshot::new(Arc::clone(&barrier), operator);
    snapshot.table(&mut table).unwrap();
    let state = write(&writers, 0, &barrier, snapshot);
    let ranges: Vec<KeyGroups> = state.keyed.iter().map(|part| part.key_groups).collect();
    assert!(ranges.len() > 1 && ranges.windows(2).all(|pair| pair[0].end == pair[1].start), "{ranges:?}");
    assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end), (0, GROUPS));
    let plan = plan(vec![state], 5, directory.path());
    let mut found = 0;
    for subtask in 0..5 {
        let mut restore = plan.task(&graph(5), TaskRef { vertex: 0, subtask });
        let keyed = restore.operators.remove(&OPERATOR).unwrap().keyed;
        let read: u64 = keyed
            .iter()
            .filter_map(|part| match &part.data {
                KeyedData::Stream { handle, .. } => Some(handle.bytes()),
                KeyedData::Files { .. } => None,
            })
            .sum();
        assert!(read < 36 << 20, "subtask {subtask} reads {read} of 40 MB");
        let groups = KeyGroups::of(subtask, 5, GROUPS);
        let reader = StateReader::new(files(), Some(directory.path().display().to_string()));
        let mut backend: KeyedBackend<u64> =
            KeyedBackend::new(groups.start..groups.end, GROUPS, BackendKind::HashMap, keyed, reader);
        let mut table: Table<u64, (), String> = backend.table(TableSpec::new("large")).unwrap();
        table.for_each(|key, (), value| assert_eq!(value, &large(*key))).unwrap();
        found += table.len();
    }
    assert_eq!(found, 4_000);
}

#[test]
fn what_no_table_claims_is_kept_for_the_next_program() {
    let directory = tempfile::tempdir().unwrap();
    let (writers, barrier) = (SnapshotWriters::start(), barrier(directory.path(), 0));
    let mut subtask = one_subtask(directory.path());
    let mut model = Model::default();
    apply(&Change::Put(1, 2, 3), std::slice::from_mut(&mut subtask), &mut model);
    let snapshot = subtask.hand_over(&barrier);
    let state = write(&writers, 0, &barrier, snapshot);
    // A program that does not open the table.
    let reader = StateReader::new(files(), Some(directory.path().display().to_string()));
    let mut unaware: KeyedBackend<String> =
        KeyedBackend::new(0..GROUPS, GROUPS, BackendKind::HashMap, state.keyed, reader);
    let operator = OperatorIdentity { id: OPERATOR, name: String::new(), uid: None };
    let mut snapshot = OperatorSnapshot::new(Arc::clone(&barrier), operator);
    snapshot.backend(&mut unaware).unwrap();
    let state = write(&writers, 0, &barrier, snapshot);
    let mut again = Model::default();
    Subtask::open(0, 1, state, directory.path()).unwrap().contents(&mut again);
    assert_eq!(again, model);
}

#[test]
fn damage_is_found_whatever_byte_it_hits() {
    let directory = tempfile::tempdir().unwrap();
    let (writers, barrier) = (SnapshotWriters::start(), barrier(directory.path(), 0));
    let mut subtask = one_subtask(directory.path());
    let mut model = Model::default();
    for key in 0..40 {
        apply(&Change::Put(key, 2, 3), std::slice::from_mut(&mut subtask), &mut model);
    }
    let snapshot = subtask.hand_over(&barrier);
    let state = write(&writers, 0, &barrier, snapshot);
    let KeyedData::Stream { handle: StateHandle::File { .. }, .. } = &state.keyed[0].data else {
        panic!("not in a file: {state:?}");
    };
    let file = std::fs::read_dir(directory.path()).unwrap().flatten().next().unwrap().path();
    let whole = std::fs::read(&file).unwrap();
    for position in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[position] ^= 1;
        std::fs::write(&file, &damaged).unwrap();
        let error = Subtask::open(0, 1, state.clone(), directory.path()).err().unwrap();
        assert!(matches!(error, StateError::Damaged { .. }), "byte {position}: {error}");
    }
    std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    let error = Subtask::open(0, 1, state, directory.path()).err().unwrap().to_string();
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}

#[test]
fn misuse_of_names_and_kinds_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (writers, barrier) = (SnapshotWriters::start(), barrier(directory.path(), 1 << 20));
    let mut subtask = one_subtask(directory.path());
    let twice = subtask.backend.table::<(), u64>(TableSpec::new("values")).err().unwrap();
    assert!(matches!(twice, StateError::OpenTwice(_)), "{twice}");
    let mut model = Model::default();
    apply(&Change::Put(1, 2, 3), std::slice::from_mut(&mut subtask), &mut model);
    let snapshot = subtask.hand_over(&barrier);
    let state = write(&writers, 0, &barrier, snapshot);
    let reader = StateReader::new(files(), None);
    let mut backend: KeyedBackend<String> =
        KeyedBackend::new(0..GROUPS, GROUPS, BackendKind::HashMap, state.keyed, reader);
    let error = backend.map_table::<i64, u32, u32>(TableSpec::new("values")).err().unwrap().to_string();
    assert!(error.contains("one value for each key") && error.contains("a map"), "{error}");
}

#[test]
fn a_key_of_another_subtask_is_named_and_not_kept() {
    let reader = StateReader::new(files(), None);
    let mut backend: KeyedBackend<u64> =
        KeyedBackend::new(0..16, GROUPS, BackendKind::HashMap, Vec::new(), reader);
    let mut table: Table<u64, (), u64> = backend.table(TableSpec::new("half")).unwrap();
    for key in 0..1000 {
        let keyed = backend.keyed(key);
        let put = table.put(&keyed, &(), key);
        assert_eq!(put.is_ok(), keyed.group < 16, "group {}", keyed.group);
    }
}

#[test]
fn elements_of_operator_state_come_back_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let (writers, barrier) = (SnapshotWriters::start(), barrier(directory.path(), 0));
    let operator = OperatorIdentity { id: OPERATOR, name: String::new(), uid: None };
    let mut snapshot = OperatorSnapshot::new(Arc::clone(&barrier), operator);
    let elements: Vec<(String, Option<u64>)> = (0..100).map(|n| (format!("element {n}"), Some(n))).collect();
    snapshot.list("list", Redistribution::Split, &elements).unwrap();
    let state = write(&writers, 0, &barrier, snapshot);
    let plan = plan(vec![state], 3, directory.path());
    let reader = StateReader::new(files(), Some(directory.path().display().to_string()));
    let mut all: Vec<(String, Option<u64>)> = Vec::new();
    for subtask in 0..3 {
        let restore = plan.task(&graph(3), TaskRef { vertex: 0, subtask });
        let share = restore_list(&reader, &restore.operators[&OPERATOR].operator).unwrap();
        assert!((33..=34).contains(&share.len()));
        all.extend::<Vec<(String, Option<u64>)>>(share);
    }
    assert_eq!(all, elements);
}

proptest! {
    #[test]
    fn entries_of_maps_are_changed_in_place(changes in proptest::collection::vec((0_u32..6, proptest::option::of(any::<u64>())), 0..60)) {
        let mut states = KeyedStates::new(KeyedBackend::<u8>::in_memory(GROUPS));
        let map = states.map_state(MapStateDescriptor::<u32, u64>::new("m")).unwrap();
        let key = states.keyed(1);
        states.set_current(key).unwrap();
        let mut model: BTreeMap<u32, u64> = BTreeMap::new();
        for (user_key, new) in changes {
            let before = map.modify(&mut states, user_key, |value| std::mem::replace(value, new)).unwrap();
            let known = match new {
                Some(new) => model.insert(user_key, new),
                None => model.remove(&user_key),
            };
            prop_assert_eq!(before, known);
            let all: BTreeMap<u32, u64> = map.entries(&mut states).unwrap().into_iter().collect();
            prop_assert_eq!(&all, &model);
        }
    }
}

#[test]
fn what_has_expired_does_not_stay_in_memory() {
    let clock = Clock::by_hand(0);
    let mut states = KeyedStates::new(KeyedBackend::<u64>::in_memory(GROUPS)).with_clock(clock.clone());
    let ttl = StateTtlConfig::new(Duration::from_millis(100));
    let value = states.value_state(ValueStateDescriptor::<u64>::new("v").enable_time_to_live(ttl)).unwrap();
    let list = states.list_state(ListStateDescriptor::<u64>::new("l").enable_time_to_live(ttl)).unwrap();
    let map = states.map_state(MapStateDescriptor::<u8, u8>::new("m").enable_time_to_live(ttl)).unwrap();
    for key in 0..5_000 {
        let key = states.keyed(key);
        states.set_current(key).unwrap();
        value.update(&mut states, 1).unwrap();
        list.add_all(&mut states, [1, 2]).unwrap();
        map.put_all(&mut states, [(1, 1), (2, 2)]).unwrap();
    }
    clock.set(1_000);
    for _ in 0..256 * 64 {
        let key = states.keyed(1 << 40);
        states.set_current(key).unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let barrier = barrier(directory.path(), 1 << 20);
    let operator = OperatorIdentity { id: OPERATOR, name: String::new(), uid: None };
    let mut snapshot = OperatorSnapshot::new(Arc::clone(&barrier), operator);
    states.snapshot(&mut snapshot).unwrap();
    assert_eq!(write(&SnapshotWriters::start(), 0, &barrier, snapshot), SubtaskState::default());
}

/// What a list with a time to live was when it had one stamp for all of its elements.
#[derive(Clone, Serialize, Deserialize)]
struct Stamped {
    value: Vec<u64>,
    at: i64,
}

#[test]
fn a_list_with_one_stamp_for_all_elements_is_refused_with_both_schemas() {
    let directory = tempfile::tempdir().unwrap();
    let barrier = barrier(directory.path(), 1 << 20);
    let mut backend = KeyedBackend::<u64>::in_memory(GROUPS);
    let mut table: Table<u64, (), Stamped> = backend.table(TableSpec::new("l")).unwrap();
    table.put(&backend.keyed(1), &(), Stamped { value: vec![7], at: 0 }).unwrap();
    let operator = OperatorIdentity { id: OPERATOR, name: String::new(), uid: None };
    let mut snapshot = OperatorSnapshot::new(Arc::clone(&barrier), operator);
    snapshot.table(&mut table).unwrap();
    let state = write(&SnapshotWriters::start(), 0, &barrier, snapshot);
    let refused = |descriptor| {
        let (state, reader) = (state.keyed.clone(), StateReader::new(files(), None));
        let backend = KeyedBackend::<u64>::new(0..GROUPS, GROUPS, BackendKind::HashMap, state, reader);
        KeyedStates::new(backend).list_state(descriptor).err().unwrap().to_string()
    };
    let descriptor = ListStateDescriptor::<u64>::new("l");
    let ttl = StateTtlConfig::new(Duration::from_millis(100));
    let cases = [(descriptor.clone().enable_time_to_live(ttl), "Vec<Stamped>"), (descriptor, "now Vec<u64>")];
    for (descriptor, wanted) in cases {
        let error = refused(descriptor);
        assert!(error.contains("\"l\"") && error.contains("value: Vec<u64>"), "{error}");
        assert!(error.contains(wanted), "{error}");
    }
}
