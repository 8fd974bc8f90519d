//! Dialogues with the coordinator: what it is told, and what it wants.

mod connections;

use super::*;
use crate::checkpoint::message::{CheckpointReport, SnapshotMetrics, TaskSnapshot, TriggerCheckpoint};
use crate::checkpoint::settings::{CheckpointRetention, CheckpointStorage};
use crate::checkpoint::stats::CheckpointStatus;
use crate::checkpoint::{NamedState, Redistribution, StateFile, StateHandle, SubtaskState};
use crate::failure::FailureKind;
use crate::graph::{JobEdge, JobVertex, Partitioning};
use crate::ids::VertexId;
use crate::job::JobState;
use CheckpointEffect::{Answer, Discard, PrepareSavepoint, Store};

/// A coordinator of `source(2) -> sink(1)`, and what it wanted last.
struct Dialogue {
    it: CheckpointCoordinator,
    fx: Vec<CoordinatorEffect>,
}

fn task(vertex: u128, subtask: u32) -> ExecutionId {
    ExecutionId { vertex: VertexId(vertex), subtask, attempt: 0 }
}

const ALL: [(u128, u32); 3] = [(1, 0), (1, 1), (2, 0)];

fn graph() -> JobGraph {
    let vertex = |id: u128, parallelism| JobVertex {
        id: VertexId(id),
        name: format!("v{id}"),
        operators: Vec::new(),
        parallelism,
        max_parallelism: 128,
        max_parallelism_derived: false,
        slot_sharing_group: "default".into(),
        source: id == 1,
        bounded: true,
        alignment_groups: Vec::new(),
    };
    let edge = JobEdge {
        source: VertexId(1),
        output: 0,
        target: VertexId(2),
        input: 0,
        partitioning: Partitioning::Hash,
        exchange: Default::default(),
    };
    JobGraph { vertices: vec![vertex(1, 2), vertex(2, 1)], edges: vec![edge], ..JobGraph::default() }
}

fn settings() -> CheckpointSettings {
    CheckpointSettings {
        interval: Some(Millis(1_000)),
        timeout: Millis(5_000),
        storage: CheckpointStorage::FileSystem { dir: "hdfs:///c".into(), create_subdir: false },
        savepoint_dir: Some("hdfs:///s".into()),
        incremental: true,
        ..CheckpointSettings::default()
    }
}

impl Dialogue {
    /// All tasks run since instant 0.
    fn new(settings: CheckpointSettings) -> Dialogue {
        let mut it = Dialogue::before_start(settings);
        it.run();
        it
    }

    fn before_start(settings: CheckpointSettings) -> Dialogue {
        Dialogue { it: CheckpointCoordinator::new(JobId(1), &graph(), settings), fx: Vec::new() }
    }

    fn run(&mut self) {
        for (vertex, subtask) in ALL {
            self.say(|c, fx| c.task_running(Millis(0), task(vertex, subtask), fx));
        }
    }

    fn say(&mut self, input: impl FnOnce(&mut CheckpointCoordinator, &mut Vec<CoordinatorEffect>)) {
        self.fx.clear();
        input(&mut self.it, &mut self.fx);
    }

    fn tick(&mut self, now: u64) {
        self.say(|c, fx| c.tick(Millis(now), fx));
    }

    fn acknowledge(&mut self, now: u64, id: u64, who: (u128, u32), snapshot: TaskSnapshot) {
        let (execution, metrics) = (task(who.0, who.1), SnapshotMetrics::default());
        let report = CheckpointReport::Acknowledged { execution, checkpoint: id, snapshot, metrics };
        self.say(|c, fx| c.report(Millis(now), report, fx));
    }

    fn acknowledge_all(&mut self, now: u64, id: u64) {
        for who in ALL {
            self.acknowledge(now, id, who, TaskSnapshot::default());
        }
    }

    fn stored(&mut self, now: u64, id: u64) {
        self.say(|c, fx| c.stored(Millis(now), id, None, fx));
    }

    /// Takes a checkpoint from the trigger to its completion at one instant.
    fn complete(&mut self, now: u64, id: u64) {
        self.tick(now);
        assert_eq!(self.triggered(), [id]);
        self.acknowledge_all(now, id);
        self.stored(now, id);
    }

    fn decline(&mut self, now: u64, id: u64) {
        let report = CheckpointReport::Declined {
            execution: task(1, 0),
            checkpoint: id,
            reason: CheckpointFailureReason::AsyncFailure,
            failure: Some(Failure::new(FailureKind::Error, "disk full")),
        };
        self.say(|c, fx| c.report(Millis(now), report, fx));
    }

    fn ask(&mut self, now: u64, request: SnapshotRequest) {
        self.say(|c, fx| c.request(Millis(now), 7, request, fx));
    }

    fn prepared(&mut self, now: u64, outcome: Result<&str, &str>) {
        let outcome = outcome.map(str::to_string).map_err(str::to_string);
        self.say(|c, fx| c.savepoint_prepared(Millis(now), 1, outcome, fx));
    }

    fn orders(&self) -> Vec<(&[ExecutionId], &TriggerCheckpoint)> {
        let order = |effect| match effect {
            &CoordinatorEffect::Tell { ref executions, command: CheckpointCommand::Trigger(ref order) } => {
                Some((executions.as_slice(), order))
            }
            _ => None,
        };
        self.fx.iter().filter_map(order).collect()
    }

    fn triggered(&self) -> Vec<u64> {
        self.orders().iter().map(|(_, order)| order.checkpoint).collect()
    }

    fn told(&self) -> Vec<&CheckpointCommand> {
        let each = self.fx.iter();
        each.filter_map(
            |e| if let CoordinatorEffect::Tell { command, .. } = e { Some(command) } else { None },
        )
        .collect()
    }

    fn outside(&self) -> Vec<&CheckpointEffect> {
        let each = self.fx.iter();
        each.filter_map(|e| if let CoordinatorEffect::Outside(effect) = e { Some(effect) } else { None })
            .collect()
    }

    /// The answer, as the path or as the text of the failure.
    fn answer(&self) -> Option<Result<String, String>> {
        self.outside().into_iter().find_map(|effect| match effect {
            Answer { caller: 7, outcome } => {
                let outcome = outcome.clone();
                Some(outcome.map(|done| done.external_path).map_err(|why| why.to_string()))
            }
            _ => None,
        })
    }

    fn discarded(&self) -> Vec<(Option<u64>, Option<&str>, Vec<&str>)> {
        let discard = |effect| match effect {
            &Discard { checkpoint, ref directory, ref files } => {
                Some((checkpoint, directory.as_deref(), files.iter().map(String::as_str).collect()))
            }
            _ => None,
        };
        self.outside().into_iter().filter_map(discard).collect()
    }

    fn job_failure(&self) -> Option<String> {
        self.fx.iter().find_map(|effect| match effect {
            CoordinatorEffect::FailJob(failure) => Some(failure.to_string()),
            _ => None,
        })
    }
}

fn savepoint(cancel_job: bool) -> SnapshotRequest {
    SnapshotRequest::Savepoint { target: None, format: SavepointFormat::Canonical, cancel_job }
}

fn stop(drain: bool) -> SnapshotRequest {
    SnapshotRequest::Stop { target: Some("hdfs:///t".into()), format: SavepointFormat::Canonical, drain }
}

/// A snapshot of the first source with these shared files.
fn with_files(files: &[&str]) -> TaskSnapshot {
    let state = |path: &&str| NamedState {
        name: (*path).to_string(),
        redistribution: Redistribution::Split,
        handle: StateHandle::File {
            file: StateFile::Shared((*path).to_string()),
            offset: 0,
            length: 1,
            checksum: 0,
        },
        head: 0,
        elements: Vec::new(),
    };
    let state = SubtaskState { operator: files.iter().map(state).collect(), ..SubtaskState::default() };
    TaskSnapshot { operators: BTreeMap::from([(VertexId(1), state)]), finished: false }
}

#[test]
fn a_checkpoint_counts_once_it_is_stored_and_the_one_before_goes() {
    let mut it = Dialogue::new(settings());
    assert_eq!(it.it.next_deadline(), Some(Millis(1_000)));
    it.tick(1_000);
    let (to, order) = it.orders()[0];
    assert_eq!(to, [task(1, 0), task(1, 1)]);
    assert_eq!((order.checkpoint, order.base), (1, None));
    it.acknowledge_all(1_010, 1);
    assert!(matches!(it.outside()[..], [Store { checkpoint: 1, restore_point: true, .. }]));
    assert!(it.it.restore_point().is_none() && it.it.store_in_doubt());
    it.stored(1_020, 1);
    assert_eq!(it.told(), [&CheckpointCommand::Complete { checkpoint: 1 }]);
    assert_eq!(it.it.restore_point().unwrap().external_path, "hdfs:///c/chk-1");
    it.tick(2_000);
    assert_eq!(it.orders()[0].1.base, Some(1));
    it.acknowledge_all(2_000, 2);
    it.stored(2_000, 2);
    assert_eq!(it.discarded(), [(Some(1), Some("hdfs:///c/chk-1"), vec![])]);
    assert_eq!(it.it.statistics().counts().completed, 2);
}

#[test]
fn doubled_and_stale_acknowledgements_change_nothing() {
    let mut it = Dialogue::new(settings());
    it.tick(1_000);
    it.acknowledge(1_001, 1, (1, 0), TaskSnapshot::default());
    it.acknowledge(1_001, 1, (1, 0), TaskSnapshot::default());
    it.acknowledge(1_001, 1, (1, 1), TaskSnapshot::default());
    assert!(it.fx.is_empty());
    let stale = ExecutionId { attempt: 4, ..task(2, 0) };
    let (snapshot, metrics) = (TaskSnapshot::default(), SnapshotMetrics::default());
    let report = CheckpointReport::Acknowledged { execution: stale, checkpoint: 1, snapshot, metrics };
    it.say(|c, fx| c.report(Millis(1_002), report, fx));
    assert!(it.fx.is_empty());
    it.acknowledge(1_003, 1, (2, 0), TaskSnapshot::default());
    assert!(matches!(it.outside()[..], [Store { .. }]));
}

#[test]
fn what_takes_too_long_is_given_up_and_the_job_fails_of_too_many() {
    let mut it = Dialogue::new(CheckpointSettings { tolerable_failures: 1, ..settings() });
    it.tick(1_000);
    it.tick(6_000);
    assert_eq!(it.told()[0], &CheckpointCommand::Abort { checkpoint: 1 });
    assert_eq!(it.discarded(), [(Some(1), Some("hdfs:///c/chk-1"), vec![])]);
    assert_eq!(it.job_failure(), None);
    let failed = it.it.statistics().latest_failed().unwrap();
    assert_eq!(failed.failure, Some((Millis(6_000), "Checkpoint expired before completing.".to_string())));
    // The next one was begun at once, as its time had come.
    assert_eq!(it.triggered(), [2]);
    it.decline(6_500, 2);
    let failure = it.job_failure().unwrap();
    assert!(failure.starts_with("Exceeded checkpoint tolerable failure threshold."), "{failure}");
    assert!(failure.contains("Asynchronous task checkpoint failed.") && failure.contains("disk full"));
}

#[test]
fn a_success_forgives_the_failures_before_it() {
    let mut it = Dialogue::new(CheckpointSettings { tolerable_failures: 1, ..settings() });
    for round in 0..3u64 {
        let now = 1_000 + round * 2_000;
        it.tick(now);
        it.decline(now, round * 2 + 1);
        assert_eq!(it.job_failure(), None);
        it.complete(now + 1_000, round * 2 + 2);
    }
}

#[test]
fn a_failed_task_ends_what_is_collected_but_not_what_is_being_stored() {
    let mut it = Dialogue::new(CheckpointSettings { max_concurrent: 2, ..settings() });
    it.tick(1_000);
    it.tick(2_000);
    it.acknowledge_all(2_001, 1);
    let cause = Failure::new(FailureKind::Panic, "boom");
    it.say(|c, fx| c.tasks_lost(Millis(2_002), &[TaskRef { vertex: 1, subtask: 0 }], &cause, fx));
    assert_eq!(it.it.pending().collect::<Vec<_>>(), [1]);
    assert!(it.it.store_in_doubt());
    it.stored(2_003, 1);
    assert_eq!(it.it.restore_point().map(CompletedCheckpoint::id), Some(1));
    it.tick(60_000);
    assert_eq!(it.triggered(), [0; 0]);
}

#[test]
fn no_more_than_allowed_are_under_way_and_a_pause_is_kept() {
    let mut it = Dialogue::new(CheckpointSettings { min_pause: Millis(1_500), ..settings() });
    it.tick(1_500);
    assert_eq!(it.triggered(), [1]);
    it.tick(3_000);
    assert_eq!(it.triggered(), [0; 0]);
    it.acknowledge_all(4_000, 1);
    it.stored(4_000, 1);
    assert_eq!(it.triggered(), [0; 0]);
    assert_eq!(it.it.next_deadline(), Some(Millis(5_500)));
    it.tick(5_500);
    assert_eq!(it.triggered(), [2]);
}

#[test]
fn tasks_that_end_get_a_last_checkpoint_at_once() {
    let mut it = Dialogue::new(CheckpointSettings {
        interval: Some(Millis(600_000)),
        tolerable_failures: 9,
        ..settings()
    });
    for (vertex, subtask) in ALL {
        assert_eq!(it.triggered(), [0; 0]);
        let report = CheckpointReport::EndOfData { execution: task(vertex, subtask) };
        it.say(|c, fx| c.report(Millis(50), report, fx));
    }
    assert_eq!(it.triggered(), [1]);
    it.say(|c, fx| c.store_failed(Millis(51), 1, "not asked", fx));
    it.tick(5_050);
    assert_eq!(it.it.next_deadline(), Some(Millis(6_050)), "tried again after a second");
    it.complete(6_050, 2);
    assert_eq!(it.told(), [&CheckpointCommand::Complete { checkpoint: 2 }]);
}

#[test]
fn after_some_have_finished_the_next_ones_are_triggered_and_the_finished_noted() {
    let mut it = Dialogue::new(settings());
    for subtask in 0..2 {
        it.say(|c, fx| c.task_finished(Millis(10), task(1, subtask), fx));
    }
    it.tick(1_000);
    assert_eq!(it.orders()[0].0, [task(2, 0)]);
    it.acknowledge(1_001, 1, (2, 0), TaskSnapshot::default());
    let [Store { metadata, .. }] = it.outside()[..] else { panic!("not stored") };
    assert_eq!(metadata.operators.iter().map(|o| o.finished).collect::<Vec<_>>(), [true, false]);
    let mut strict = Dialogue::new(CheckpointSettings { after_tasks_finish: false, ..settings() });
    strict.say(|c, fx| c.task_finished(Millis(10), task(1, 0), fx));
    strict.tick(1_000);
    assert_eq!(strict.triggered(), [0; 0]);
    strict.ask(1_000, SnapshotRequest::Checkpoint { full: false });
    assert_eq!(strict.answer(), Some(Err("Not all required tasks are currently running.".into())));
}

#[test]
fn a_task_that_finishes_without_taking_part_ends_a_checkpoint_without_blame() {
    let mut it = Dialogue::new(settings());
    it.tick(1_000);
    it.say(|c, fx| c.task_finished(Millis(1_001), task(1, 0), fx));
    assert_eq!(it.told(), [&CheckpointCommand::Abort { checkpoint: 1 }]);
    assert_eq!(it.job_failure(), None);
}

#[test]
fn a_savepoint_during_which_a_task_finishes_is_taken_again_without_it() {
    for (request, base) in
        [(savepoint(false), "hdfs:///s"), (stop(false), "hdfs:///t"), (stop(true), "hdfs:///t")]
    {
        let mut d = Dialogue::new(settings());
        d.ask(100, request);
        d.prepared(110, Ok("hdfs:///s/savepoint-1"));
        assert_eq!(d.triggered(), [1]);
        d.say(|c, fx| c.task_finished(Millis(120), task(1, 0), fx));
        assert_eq!((d.answer(), d.job_failure()), (None, None));
        let again = PrepareSavepoint { token: 2, base: base.into() };
        assert!(d.fx.contains(&CoordinatorEffect::Outside(again)));
        d.say(|c, fx| c.savepoint_prepared(Millis(130), 2, Ok("hdfs:///s/savepoint-2".into()), fx));
        assert_eq!(d.triggered(), [2]);
        d.acknowledge(140, 2, (1, 1), TaskSnapshot::default());
        d.acknowledge(140, 2, (2, 0), TaskSnapshot::default());
        d.stored(150, 2);
        let mut answer = d.answer();
        d.say(|c, fx| {
            c.task_finished(Millis(160), task(1, 1), fx);
            c.task_finished(Millis(160), task(2, 0), fx);
            c.ended(Millis(160), JobState::Finished, fx);
        });
        answer = answer.or(d.answer());
        assert_eq!(answer, Some(Ok("hdfs:///s/savepoint-2".to_string())));
    }
}

#[test]
fn a_checkpoint_that_somebody_asked_for_is_taken_again_when_a_task_finishes() {
    let mut d = Dialogue::new(settings());
    d.ask(100, SnapshotRequest::Checkpoint { full: true });
    assert_eq!(d.triggered(), [1]);
    d.say(|c, fx| c.task_finished(Millis(120), task(1, 0), fx));
    assert_eq!(d.triggered(), [2]);
    d.acknowledge(140, 2, (1, 1), TaskSnapshot::default());
    d.acknowledge(140, 2, (2, 0), TaskSnapshot::default());
    d.stored(150, 2);
    assert!(d.answer().unwrap().is_ok());
}

#[test]
fn union_state_of_a_partly_finished_vertex_is_refused() {
    let mut it = Dialogue::new(CheckpointSettings { tolerable_failures: 9, ..settings() });
    it.say(|c, fx| c.task_finished(Millis(10), task(1, 1), fx));
    it.tick(1_000);
    let mut snapshot = with_files(&["f"]);
    let states = snapshot.operators.values_mut().flat_map(|s| &mut s.operator);
    states.for_each(|s| s.redistribution = Redistribution::Union);
    it.acknowledge(1_001, 1, (1, 0), snapshot);
    it.acknowledge(1_001, 1, (2, 0), TaskSnapshot::default());
    let why = it.it.statistics().latest_failed().unwrap().failure.clone().unwrap().1;
    assert!(why.contains("UnionListState") && why.contains("v1"), "{why}");
}

#[test]
fn a_savepoint_is_answered_and_neither_committed_nor_restored_from() {
    let mut it = Dialogue::new(settings());
    it.ask(10, savepoint(false));
    assert_eq!(it.outside(), [&PrepareSavepoint { token: 1, base: "hdfs:///s".into() }]);
    it.prepared(20, Ok("hdfs:///s/savepoint-000000-1"));
    assert_eq!(it.triggered(), [1]);
    it.acknowledge_all(30, 1);
    assert!(matches!(it.outside()[..], [Store { restore_point: false, .. }]));
    it.stored(40, 1);
    assert_eq!(it.answer(), Some(Ok("hdfs:///s/savepoint-000000-1".into())));
    assert!(it.told().is_empty() && it.it.restore_point().is_none());
    let stats = it.it.statistics().latest_savepoint().unwrap();
    assert_eq!((stats.status, stats.type_name()), (CheckpointStatus::Completed, "SAVEPOINT"));
}

#[test]
fn a_savepoint_that_cannot_be_is_told_why() {
    let mut it = Dialogue::new(CheckpointSettings { savepoint_dir: None, ..settings() });
    it.ask(0, savepoint(false));
    let nowhere = "No savepoint location given and no default location configured.";
    assert_eq!(it.answer(), Some(Err(nowhere.into())));
    let mut it = Dialogue::new(settings());
    it.ask(0, savepoint(false));
    it.prepared(1, Err("unknown scheme"));
    let why = it.answer().unwrap().unwrap_err();
    assert!(why.contains("IO-problem detected.") && why.contains("unknown scheme"), "{why}");
    let mut it = Dialogue::before_start(settings());
    it.ask(0, savepoint(false));
    assert_eq!(it.answer(), Some(Err("Not all required tasks are currently running.".into())));
}

#[test]
fn a_directory_that_comes_too_late_is_removed() {
    let mut it = Dialogue::new(CheckpointSettings { interval: None, ..settings() });
    it.ask(0, savepoint(false));
    assert_eq!(it.it.next_deadline(), Some(Millis(5_000)));
    it.tick(5_000);
    assert_eq!(it.answer(), Some(Err("Checkpoint expired before completing.".into())));
    it.prepared(5_001, Ok("hdfs:///s/late"));
    assert_eq!(it.discarded(), [(None, Some("hdfs:///s/late"), vec![])]);
}

#[test]
fn cancelling_with_a_savepoint_cancels_once_it_is_stored() {
    let mut it = Dialogue::new(settings());
    it.ask(0, savepoint(true));
    it.prepared(1, Ok("hdfs:///s/p"));
    it.tick(4_000);
    assert_eq!(it.triggered(), [0; 0], "no other checkpoint is begun");
    it.acknowledge_all(4_001, 1);
    it.stored(4_002, 1);
    assert_eq!(it.answer(), Some(Ok("hdfs:///s/p".into())));
    assert_eq!(it.fx.last(), Some(&CoordinatorEffect::CancelJob));
}

#[test]
fn stopping_is_answered_when_the_job_has_finished() {
    let mut it = Dialogue::new(settings());
    it.tick(1_000);
    it.ask(1_001, stop(false));
    assert_eq!(it.told(), [&CheckpointCommand::Abort { checkpoint: 1 }]);
    it.prepared(1_002, Ok("hdfs:///t/p"));
    it.acknowledge_all(1_003, 2);
    it.stored(1_004, 2);
    assert_eq!(it.told(), [&CheckpointCommand::Complete { checkpoint: 2 }]);
    assert_eq!(it.answer(), None);
    assert_eq!(it.it.restore_point().map(CompletedCheckpoint::id), Some(2));
    it.say(|c, fx| c.ended(Millis(1_005), JobState::Finished, fx));
    assert_eq!(it.answer(), Some(Ok("hdfs:///t/p".into())));
    assert_eq!(it.discarded(), [(Some(2), None, vec![])], "the savepoint itself stays");
}

#[test]
fn a_task_that_fails_while_stopping_is_not_hidden() {
    let mut it = Dialogue::new(settings());
    it.ask(0, stop(false));
    it.prepared(1, Ok("hdfs:///t/p"));
    it.acknowledge_all(2, 1);
    it.stored(3, 1);
    let cause = Failure::new(FailureKind::Panic, "boom");
    it.say(|c, fx| c.tasks_lost(Millis(4), &[TaskRef { vertex: 0, subtask: 0 }], &cause, fx));
    let why = it.answer().unwrap().unwrap_err();
    assert!(why.contains("A savepoint has been created at: hdfs:///t/p"), "{why}");
    assert_eq!(it.it.restore_point().map(CompletedCheckpoint::id), Some(1));
}

#[test]
fn a_drained_job_whose_savepoint_fails_must_restart_and_a_suspended_one_goes_on() {
    for drain in [true, false] {
        let mut it = Dialogue::new(settings());
        it.ask(0, stop(drain));
        it.prepared(1, Ok("hdfs:///t/p"));
        it.acknowledge_all(2, 1);
        it.say(|c, fx| c.store_failed(Millis(3), 1, "no space", fx));
        assert!(it.answer().unwrap().unwrap_err().contains("Failure to finalize checkpoint."));
        assert_eq!(it.job_failure().is_some(), drain);
        it.tick(1_000);
        assert_eq!(it.triggered(), [2], "checkpoints go on");
    }
}

#[test]
fn shared_files_go_when_nothing_refers_or_may_refer_to_them() {
    let mut it = Dialogue::new(CheckpointSettings { max_concurrent: 2, ..settings() });
    let take = |it: &mut Dialogue, now: u64, id: u64, files: &[&str]| {
        it.acknowledge(now, id, (1, 0), with_files(files));
        it.acknowledge(now, id, (1, 1), TaskSnapshot::default());
        it.acknowledge(now, id, (2, 0), TaskSnapshot::default());
    };
    it.tick(1_000);
    take(&mut it, 1_000, 1, &["a", "b"]);
    it.stored(1_000, 1);
    it.tick(2_000);
    it.tick(3_000);
    take(&mut it, 3_001, 2, &["b", "c"]);
    it.stored(3_002, 2);
    // The third may yet refer to what the first had, since that is its base.
    assert_eq!(it.discarded(), [(Some(1), Some("hdfs:///c/chk-1"), vec![])]);
    take(&mut it, 3_003, 3, &["c"]);
    it.stored(3_004, 3);
    let files: Vec<&str> = it.discarded().into_iter().flat_map(|(_, _, files)| files).collect();
    assert_eq!(files, ["b", "a"]);
}

#[test]
fn what_comes_late_for_an_aborted_checkpoint_is_removed() {
    let mut it = Dialogue::new(CheckpointSettings { tolerable_failures: 9, ..settings() });
    it.tick(1_000);
    it.decline(1_001, 1);
    it.acknowledge(1_500, 1, (1, 1), with_files(&["late"]));
    assert_eq!(it.discarded(), [(Some(1), Some("hdfs:///c/chk-1"), vec!["late"])]);
}

#[test]
fn what_is_kept_in_the_end_is_what_the_retention_says() {
    use CheckpointRetention::{DeleteOnCancellation, None, RetainOnCancellation};
    use JobState::{Canceled, Failed, Finished};
    for (retention, state, kept) in [
        (None, Finished, false),
        (None, Canceled, false),
        (None, Failed, false),
        (DeleteOnCancellation, Finished, false),
        (DeleteOnCancellation, Canceled, false),
        (DeleteOnCancellation, Failed, true),
        (RetainOnCancellation, Finished, false),
        (RetainOnCancellation, Canceled, true),
        (RetainOnCancellation, Failed, true),
    ] {
        let mut it = Dialogue::new(CheckpointSettings { retention, ..settings() });
        it.complete(1_000, 1);
        it.say(|c, fx| c.ended(Millis(1_100), state, fx));
        assert_eq!(it.discarded().is_empty(), kept, "{retention:?} {state:?}");
    }
}

#[test]
fn a_claimed_checkpoint_is_the_jobs_own_and_another_is_not_touched() {
    for (claim, base, removed) in [
        (ClaimMode::Claim, Some(40), vec![(Some(40), Some("hdfs:///old"), vec!["x"])]),
        (ClaimMode::NoClaim, None, vec![(Some(40), None, vec![])]),
        (ClaimMode::Legacy, Some(40), vec![(Some(40), None, vec![])]),
    ] {
        let mut old = Dialogue::new(settings());
        old.tick(1_000);
        old.acknowledge(1_000, 1, (1, 0), with_files(&["x"]));
        old.acknowledge(1_000, 1, (1, 1), TaskSnapshot::default());
        old.acknowledge(1_000, 1, (2, 0), TaskSnapshot::default());
        let [Store { metadata, .. }] = old.outside()[..] else { panic!("not stored") };
        let metadata = Arc::new(CheckpointMetadata { checkpoint: 40, ..(**metadata).clone() });
        let directory = "hdfs:///old".to_string();
        let source = RestoreSource { metadata, directory, claim, allow_non_restored: false };

        let mut it = Dialogue::before_start(settings());
        it.it.start_from(&source);
        it.run();
        it.tick(1_000);
        assert_eq!((it.triggered(), it.orders()[0].1.base), (vec![41], base), "{claim:?}");
        it.acknowledge_all(1_000, 41);
        it.stored(1_000, 41);
        assert_eq!(it.discarded(), removed, "{claim:?}");
    }
}

#[test]
fn a_later_master_goes_on_where_the_earlier_one_was() {
    let mut old = Dialogue::new(CheckpointSettings { retained: 2, ..settings() });
    old.complete(1_000, 1);
    old.complete(2_000, 2);
    old.complete(3_000, 3);
    let left = old.it.completed().to_vec();
    assert_eq!(left.iter().map(CompletedCheckpoint::id).collect::<Vec<_>>(), [2, 3]);

    let mut it = Dialogue::before_start(settings());
    let surplus = it.it.recover(left, 9);
    assert_eq!(surplus.iter().map(CompletedCheckpoint::id).collect::<Vec<_>>(), [2]);
    it.run();
    it.say(|c, fx| c.announce(fx));
    assert_eq!(it.told(), [&CheckpointCommand::Complete { checkpoint: 3 }]);
    it.tick(1_000);
    let (_, order) = it.orders()[0];
    assert_eq!((order.checkpoint, order.base), (9, Some(3)), "numbers never come again");
}

#[test]
fn a_damaged_checkpoint_is_given_up_for_the_one_before_and_the_last_one_is_not() {
    let mut it = Dialogue::new(CheckpointSettings { retained: 2, ..settings() });
    it.complete(1_000, 1);
    it.complete(2_000, 2);
    let mut fallback = Fallback::Already;
    it.say(|c, fx| fallback = c.damaged(2, fx));
    assert_eq!((fallback, it.it.restore_point().map(CompletedCheckpoint::id)), (Fallback::To(1), Some(1)));
    assert_eq!(it.discarded(), [(Some(2), None, vec![])], "only the record goes: a person may want to look");
    // Another task finds the same out.
    it.say(|c, fx| fallback = c.damaged(2, fx));
    assert_eq!((fallback, it.fx.len()), (Fallback::Already, 0));
    it.say(|c, fx| fallback = c.damaged(1, fx));
    assert_eq!((fallback, it.it.restore_point().map(CompletedCheckpoint::id)), (Fallback::Nothing, Some(1)));
    // Numbers are not used twice.
    it.tick(3_000);
    assert_eq!(it.triggered(), [3]);
}
