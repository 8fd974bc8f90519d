//! Every key group, element and copy goes where it should, for any old and new parallelism.

use super::*;
use crate::checkpoint::key_groups::KeyGroups;
use crate::checkpoint::message::SnapshotKind;
use crate::checkpoint::metadata::OperatorState;
use crate::checkpoint::state::*;
use crate::graph::{JobEdge, OperatorInfo, Partitioning};
use crate::ids::JobId;
use crate::time::Millis;
use proptest::prelude::*;
use std::collections::BTreeSet;

const OPERATOR: VertexId = VertexId(10);

fn vertex(id: u128, parallelism: u32, max: u32, operators: &[u128]) -> JobVertex {
    let info = |id: &u128| OperatorInfo { id: VertexId(*id), name: format!("op{id}"), uid: None };
    JobVertex {
        id: VertexId(id),
        name: format!("vertex {id}"),
        operators: operators.iter().map(info).collect(),
        parallelism,
        max_parallelism: max,
        max_parallelism_derived: false,
        slot_sharing_group: "default".into(),
        source: id == 1,
        bounded: false,
        alignment_groups: Vec::new(),
    }
}

fn graph(vertices: Vec<JobVertex>) -> JobGraph {
    let edges = vertices
        .windows(2)
        .map(|pair| JobEdge {
            source: pair[0].id,
            output: 0,
            target: pair[1].id,
            input: 0,
            partitioning: Partitioning::Hash,
            exchange: Default::default(),
        })
        .collect();
    JobGraph { name: "job".into(), vertices, edges, ..JobGraph::default() }
}

fn bytes(owner: u32) -> StateHandle {
    StateHandle::Inline { bytes: vec![owner as u8].into() }
}

fn named(name: &str, redistribution: Redistribution, owner: u32, elements: usize) -> NamedState {
    let piece = |i: usize| Piece { offset: i as u64, length: 1 };
    let elements = (0..elements).map(piece).collect();
    NamedState { name: name.into(), redistribution, handle: bytes(owner), head: 0, elements }
}

/// The state of subtask `i`: its key groups, `i % 4` list elements, two union elements, one broadcast element.
fn subtask(i: u32, parallelism: u32, max: u32) -> SubtaskState {
    let key_groups = KeyGroups::of(i, parallelism, max);
    let groups =
        (key_groups.start..key_groups.end).map(|g| Piece { offset: u64::from(g) * 10, length: 10 }).collect();
    let stream = KeyedData::Stream { handle: bytes(i), groups };
    let files = KeyedData::Files { files: BTreeMap::from([("sst".to_string(), bytes(i))]) };
    SubtaskState {
        keyed: vec![
            KeyedState { kind: "stream".into(), key_groups, data: stream },
            KeyedState { kind: "files".into(), key_groups, data: files },
        ],
        operator: vec![
            named("broadcast", Redistribution::Broadcast, i, 1),
            named("list", Redistribution::Split, i, i as usize % 4),
            named("union", Redistribution::Union, i, 2),
        ],
        channels: Vec::new(),
    }
}

fn operator(
    id: VertexId,
    parallelism: u32,
    max: u32,
    subtasks: BTreeMap<u32, SubtaskState>,
) -> OperatorState {
    OperatorState {
        id,
        name: format!("op{}", id.0),
        uid: Some("my-uid".into()),
        parallelism,
        max_parallelism: max,
        finished: false,
        subtasks,
        results: BTreeMap::new(),
    }
}

fn metadata(operators: Vec<OperatorState>) -> Arc<CheckpointMetadata> {
    Arc::new(CheckpointMetadata {
        job_id: JobId(1),
        checkpoint: 5,
        kind: SnapshotKind::Checkpoint,
        timestamp: Millis(0),
        engine_version: "0.0.0".into(),
        operators,
    })
}

fn full_state(parallelism: u32, max: u32) -> OperatorState {
    operator(
        OPERATOR,
        parallelism,
        max,
        (0..parallelism).map(|i| (i, subtask(i, parallelism, max))).collect(),
    )
}

/// Restores state of parallelism `from` to parallelism `to`: what each subtask gets.
fn restored(from: u32, to: u32, max: u32) -> Vec<SubtaskState> {
    let graph = graph(vec![vertex(1, to, max, &[OPERATOR.0])]);
    let plan = RestorePlan::new(&graph, metadata(vec![full_state(from, max)]), None, false).unwrap();
    (0..to)
        .map(|subtask| plan.task(&graph, TaskRef { vertex: 0, subtask }))
        .map(|mut task| task.operators.remove(&OPERATOR).unwrap_or_default())
        .collect()
}

/// Who had an element, and which of its elements it is.
fn elements(state: &SubtaskState, name: &str) -> Vec<(u8, u64)> {
    let owner = |handle: &StateHandle| match handle {
        StateHandle::Inline { bytes } => bytes.0[0],
        StateHandle::File { .. } => u8::MAX,
    };
    let parts = state.operator.iter().filter(|s| s.name == name);
    parts.flat_map(|s| s.elements.iter().map(|e| (owner(&s.handle), e.offset)).collect::<Vec<_>>()).collect()
}

proptest! {
    #[test]
    fn every_key_group_is_assigned_once_to_its_owner(from in 1u32..40, to in 1u32..40, more in 0u32..100) {
        let max = from.max(to) + more;
        for kind in ["stream", "files"] {
            let mut next = 0;
            for (i, state) in restored(from, to, max).iter().enumerate() {
                let own = KeyGroups::of(i as u32, to, max);
                for part in state.keyed.iter().filter(|k| k.kind == kind) {
                    prop_assert_eq!(part.key_groups.start, next);
                    prop_assert!(part.key_groups.end <= own.end);
                    if let KeyedData::Stream { groups, .. } = &part.data {
                        let places: Vec<u64> = groups.iter().map(|p| p.offset / 10).collect();
                        let own: Vec<u64> = (part.key_groups.start..part.key_groups.end).map(u64::from).collect();
                        prop_assert_eq!(places, own);
                    }
                    next = part.key_groups.end;
                }
                prop_assert_eq!(next, own.end);
            }
            prop_assert_eq!(next, max);
        }
    }

    #[test]
    fn a_list_is_split_evenly_and_nothing_of_it_is_lost(from in 1u32..40, to in 1u32..40) {
        let states = restored(from, to, 64);
        let all: Vec<_> = states.iter().flat_map(|s| elements(s, "list")).collect();
        let had: Vec<_> =
            (0..from).flat_map(|i| (0..u64::from(i % 4)).map(move |e| (i as u8, e))).collect();
        prop_assert_eq!(all, had);
        let sizes: Vec<usize> = states.iter().map(|s| elements(s, "list").len()).collect();
        let spread = sizes.iter().max().unwrap_or(&0) - sizes.iter().min().unwrap_or(&0);
        prop_assert!(from == to || spread <= 1, "{sizes:?}");
    }

    #[test]
    fn a_union_is_everybodys_and_a_broadcast_comes_once(from in 1u32..40, to in 1u32..40) {
        for state in restored(from, to, 64) {
            prop_assert_eq!(elements(&state, "union").len(), 2 * from as usize);
            prop_assert_eq!(elements(&state, "broadcast").len(), 1);
        }
    }

    #[test]
    fn at_the_same_parallelism_everybody_gets_back_what_it_had(n in 1u32..40) {
        for (i, mut state) in restored(n, n, 64).into_iter().enumerate() {
            let mut had = subtask(i as u32, n, 64);
            for named in [&mut state.operator, &mut had.operator] {
                named.retain(|s| s.redistribution != Redistribution::Union && !s.elements.is_empty());
            }
            prop_assert_eq!(state, had);
        }
    }
}

#[test]
fn a_broadcast_reaches_those_whose_predecessor_left_nothing() {
    let only_one = BTreeMap::from([(1, subtask(1, 3, 64))]);
    let graph = graph(vec![vertex(1, 3, 64, &[OPERATOR.0])]);
    let state = metadata(vec![operator(OPERATOR, 3, 64, only_one)]);
    let plan = RestorePlan::new(&graph, state, None, false).unwrap();
    for subtask in 0..3 {
        let task = plan.task(&graph, TaskRef { vertex: 0, subtask });
        assert_eq!(elements(&task.operators[&OPERATOR], "broadcast"), [(1, 0)]);
    }
}

#[test]
fn what_finished_subtasks_left_for_the_result_is_nobody_else_s_and_counts_once_at_another_parallelism() {
    let results = |text: &str| BTreeMap::from([("$internal.collect".to_string(), vec![text.to_string()])]);
    let mut state = operator(OPERATOR, 3, 64, BTreeMap::new());
    state.results = BTreeMap::from([(0, results("a")), (2, results("b"))]);
    let left = |parallelism: u32| {
        let graph = graph(vec![vertex(1, parallelism, 64, &[OPERATOR.0])]);
        let plan = RestorePlan::new(&graph, metadata(vec![state.clone()]), None, false).unwrap();
        let of = |subtask| plan.results(&graph, TaskRef { vertex: 0, subtask }).into_values().flatten();
        (0..parallelism).map(|subtask| of(subtask).collect::<String>()).collect::<Vec<_>>()
    };
    assert_eq!(left(3), ["a", "", "b"]);
    assert_eq!(left(2), ["ab", ""]);
}

fn fit(graph: &JobGraph, operators: Vec<OperatorState>, allow: bool) -> Result<RestorePlan, RestoreError> {
    RestorePlan::new(graph, metadata(operators), Some("hdfs://nn/savepoint-1".into()), allow)
}

#[test]
fn state_without_operator_is_refused_by_name_unless_that_is_allowed() {
    let graph = graph(vec![vertex(1, 2, 64, &[77])]);
    let error = fit(&graph, vec![full_state(2, 64)], false).unwrap_err().to_string();
    for word in ["hdfs://nn/savepoint-1", "my-uid", "op10", "--allowNonRestoredState"] {
        assert!(error.contains(word), "{word} in {error}");
    }
    let plan = fit(&graph, vec![full_state(2, 64)], true).unwrap();
    assert!(plan.task(&graph, TaskRef { vertex: 0, subtask: 0 }).operators.is_empty());
    let without_state = operator(OPERATOR, 2, 64, BTreeMap::new());
    assert!(fit(&graph, vec![without_state], false).is_ok());
}

#[test]
fn another_number_of_key_groups_is_refused() {
    let wide = graph(vec![vertex(1, 100, 128, &[OPERATOR.0])]);
    let error = fit(&wide, vec![full_state(2, 64)], false).unwrap_err();
    assert!(matches!(error, RestoreError::ParallelismTooHigh { max: 64, parallelism: 100, .. }), "{error}");
    let other = graph(vec![vertex(1, 2, 128, &[OPERATOR.0])]);
    let error = fit(&other, vec![full_state(2, 64)], false).unwrap_err();
    assert!(matches!(error, RestoreError::MaxParallelism { found: 64, configured: 128, .. }), "{error}");
}

#[test]
fn a_number_of_key_groups_that_nobody_set_is_taken_over() {
    let derived = |parallelism, max| JobVertex {
        max_parallelism_derived: true,
        ..vertex(1, parallelism, max, &[OPERATOR.0])
    };
    let source = |operators: Vec<OperatorState>| RestoreSource {
        metadata: metadata(operators),
        directory: "hdfs://nn/savepoint-1".into(),
        claim: ClaimMode::NoClaim,
        allow_non_restored: false,
    };
    for (from, to, max) in [(2, 100, 256), (100, 2, 128)] {
        let mut graph = graph(vec![derived(to, max)]);
        source(vec![full_state(from, 200)]).set_max_parallelism(&mut graph);
        assert_eq!(graph.vertices[0].max_parallelism, 200);
        let plan = fit(&graph, vec![full_state(from, 200)], false).unwrap();
        let groups = |subtask| {
            let restore = plan.task(&graph, TaskRef { vertex: 0, subtask });
            let ranges: BTreeSet<KeyGroups> =
                restore.operators[&OPERATOR].keyed.iter().map(|state| state.key_groups).collect();
            ranges.iter().map(|range| range.len()).sum::<usize>()
        };
        assert_eq!((0..to).map(groups).sum::<usize>(), 200, "every group has one owner");
    }
    let mut set = graph(vec![vertex(1, 2, 128, &[OPERATOR.0])]);
    source(vec![full_state(2, 64)]).set_max_parallelism(&mut set);
    let said = fit(&set, vec![full_state(2, 64)], false).unwrap_err().to_string();
    assert!(said.contains("64") && said.contains("128") && said.contains("vertex"), "{said}");
    let mut wide = graph(vec![derived(100, 256)]);
    source(vec![full_state(2, 64)]).set_max_parallelism(&mut wide);
    let error = fit(&wide, vec![full_state(2, 64)], false).unwrap_err();
    assert!(matches!(error, RestoreError::ParallelismTooHigh { max: 64, parallelism: 100, .. }), "{error}");
}

/// What producers and consumers of a channel are given, where consumer `c` of 2 had received `10 * p + c` from producer `p`
/// of 3: for each producer the consumers and the records.
fn sent_again(producers: u32, consumers: u32) -> Vec<(bool, Vec<(u32, StateHandle)>)> {
    let channel = |p: u32, c: u32| ChannelState {
        side: ChannelSide::Input,
        port: 0,
        channel: p,
        handle: bytes(10 * p + c),
    };
    let state = |c: u32| SubtaskState {
        channels: (0..3).map(|p| channel(p, c)).collect(),
        ..SubtaskState::default()
    };
    let sender = operator(VertexId(1), 3, 64, BTreeMap::new());
    let receiver = operator(OPERATOR, 2, 64, (0..2).map(|c| (c, state(c))).collect());
    let graph = graph(vec![vertex(1, producers, 64, &[1]), vertex(2, consumers, 64, &[OPERATOR.0])]);
    let plan = fit(&graph, vec![sender, receiver], false).unwrap();
    let task = |vertex, subtask| plan.task(&graph, TaskRef { vertex, subtask });
    assert!(
        (0..consumers).all(|c| task(1, c).operators.is_empty()),
        "consumers read them from their channels"
    );
    let of = |subtask| {
        let [only] = <[InFlight; 1]>::try_from(task(0, subtask).in_flight).unwrap();
        (only.repartitioned, only.logs.into_iter().map(|log| (log.consumer, log.handle)).collect())
    };
    (0..producers).map(of).collect()
}

#[test]
fn records_in_flight_are_sent_again_by_who_sent_them() {
    let own = |p: u32| (false, vec![(0, bytes(10 * p)), (1, bytes(10 * p + 1))]);
    assert_eq!(sent_again(3, 2), [own(0), own(1), own(2)]);
}

#[test]
fn at_another_parallelism_every_record_in_flight_is_sent_once_and_every_producer_takes_part() {
    for (producers, consumers) in [(3, 4), (2, 2), (5, 2), (1, 1)] {
        let all = sent_again(producers, consumers);
        assert!(all.iter().all(|(repartitioned, _)| *repartitioned), "{producers} to {consumers}");
        let mut logs: Vec<u8> = Vec::new();
        for (_, handle) in all.into_iter().flat_map(|(_, logs)| logs) {
            let StateHandle::Inline { bytes } = handle else { panic!("not inline") };
            logs.push(bytes.0[0]);
        }
        logs.sort_unstable();
        assert_eq!(logs, [0, 1, 10, 11, 20, 21]);
    }
}

#[test]
fn finished_operators_stay_finished_as_long_as_the_graph_makes_sense() {
    let state =
        |id: u128, finished| OperatorState { finished, ..operator(VertexId(id), 1, 64, BTreeMap::new()) };
    let two = graph(vec![vertex(1, 1, 64, &[]), vertex(2, 1, 64, &[])]);
    let plan = fit(&two, vec![state(1, true), state(2, false)], false).unwrap();
    assert!(plan.task(&two, TaskRef { vertex: 0, subtask: 0 }).finished);
    assert!(!plan.task(&two, TaskRef { vertex: 1, subtask: 0 }).finished);
    let error = fit(&two, vec![state(1, false), state(2, true)], false).unwrap_err();
    assert!(matches!(error, RestoreError::FinishedBehindUnfinished { .. }), "{error}");
    let chain = graph(vec![vertex(1, 1, 64, &[1, 2])]);
    let error = fit(&chain, vec![state(1, true), state(2, false)], false).unwrap_err();
    assert!(matches!(error, RestoreError::MixedFinished { .. }), "{error}");
}
