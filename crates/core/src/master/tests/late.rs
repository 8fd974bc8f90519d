//! What comes late, over another connection or from before a takeover: each test is a fault that the simulator has found.

use super::*;
use crate::checkpoint::{KeptCheckpoints, SnapshotRequest};
use crate::executor::{TaskStatus, WorkerStatus};
use crate::graph::{Exchange, JobEdge, Partitioning, RuntimeMode};
use crate::jobmaster::JobMaster;

fn attempt(vertex: u128, attempt: u32) -> ExecutionId {
    ExecutionId { vertex: VertexId(vertex), subtask: 0, attempt }
}

/// A worker of the job that is ready, and one attempt in it.
pub(super) fn holding(execution: ExecutionId, state: TaskState) -> Holdings {
    let mut task = TaskStatus::deployed(execution);
    task.report.state = state;
    let worker =
        WorkerStatus { address: Some("node:1".into()), tasks: vec![task], ..WorkerStatus::starting(JOB) };
    Holdings { workers: vec![worker], lost: Vec::new() }
}

fn orders(fx: &[Effect]) -> Vec<&ToExecutor> {
    let sent = fx.iter().filter_map(|effect| match effect {
        Effect::Send { message, .. } => Some(&**message),
        _ => None,
    });
    sent.collect()
}

/// The job of one task, running in executor 1 and allowed to start again.
fn restartable() -> World {
    let mut world = World::with(submission(5));
    world.start(1);
    world.run(1);
    world
}

/// The pause before a restart is over.
fn after_the_pause(world: &mut World) -> Vec<Effect> {
    world.now = world.now.plus(Millis(1_000));
    world.decide(|m, now, fx| m.tick(now, fx))
}

#[test]
fn a_worker_that_runs_what_nobody_counts_on_is_not_taken_for_the_one_just_ordered() {
    let mut world = restartable();
    let failure = Failure::new(FailureKind::WorkerLost, "exit code 1");
    world.say(1, FromExecutor::WorkerLost { job_id: JOB, failure });
    let fx = after_the_pause(&mut world);
    assert!(matches!(orders(&fx)[..], [ToExecutor::StartWorker { .. }]), "{fx:?}");
    let fx = world.register(1, 2, holding(first(), TaskState::Running));
    let again = |order: &&ToExecutor| matches!(order, ToExecutor::StartWorker { .. });
    assert!(orders(&fx).iter().any(again), "a worker is ordered anew: {fx:?}");
    assert_eq!(deployed(&fx), [], "and nothing is deployed into the old one");
}

#[test]
fn a_task_is_deployed_once_into_a_worker_that_is_known_to_be_ready_by_a_registration_alone() {
    let mut world = World::with(submission(5));
    world.start(1);
    let worker = WorkerStatus { address: Some("node:1".into()), ..WorkerStatus::starting(JOB) };
    let fx = world.register(1, 2, Holdings { workers: vec![worker], lost: Vec::new() });
    assert_eq!(deployed(&fx), [first()]);
}

#[test]
fn an_attempt_that_counts_as_failed_is_stopped_where_it_still_runs() {
    let mut world = restartable();
    world.report(1, first(), TaskState::Failed);
    let fx = world.register(1, 2, holding(first(), TaskState::Running));
    let cancels = |order: &&ToExecutor| matches!(order, ToExecutor::Cancel { executions, .. } if *executions == [first()]);
    assert!(orders(&fx).iter().any(cancels), "{fx:?}");
}

/// What an earlier application master has left of the job.
fn take_over(restarts: u32) -> World {
    take_over_with(restarts, KeptCheckpoints::default())
}

fn take_over_with(restarts: u32, checkpoints: KeptCheckpoints) -> World {
    let mut world = World::new();
    let job =
        RecoveredJob { submission: submission(5), submitted: Millis(0), source: None, checkpoints, restarts };
    let legacy = Legacy { epoch: 2, jobs: vec![job], results: Vec::new(), containers: vec![executor(1)] };
    world.decide(|m, now, fx| assert!(m.recover(now, legacy, fx).is_empty()));
    world
}

/// None of the checkpoints that there are can be read.
fn unreadable() -> KeptCheckpoints {
    KeptCheckpoints { lost: Some("chk-4 is damaged".into()), next_id: 5, ..KeptCheckpoints::default() }
}

fn ended(fx: &[Effect]) -> Option<String> {
    fx.iter().find_map(|effect| match effect {
        Effect::JobEnded { result } => result.failure.as_ref().map(ToString::to_string),
        _ => None,
    })
}

#[test]
fn a_job_that_runs_is_adopted_though_none_of_its_checkpoints_can_be_read_and_does_not_begin_anew() {
    let mut world = take_over_with(0, unreadable());
    world.register(1, 1, holding(first(), TaskState::Running));
    assert_eq!(world.job().state(), JobState::Running);
    assert_eq!(world.job().task_counts(), BTreeMap::from([(TaskState::Running, 1)]));
    let fx = world.report(1, first(), TaskState::Failed);
    let why = ended(&fx).expect("nothing is left to start it from");
    assert!(why.contains("chk-4 is damaged"), "{why}");
}

#[test]
fn a_job_that_does_not_run_ends_when_none_of_its_checkpoints_can_be_read() {
    let mut world = take_over_with(0, unreadable());
    let fx = world.register(1, 1, holding(first(), TaskState::Failed));
    let why = ended(&fx).expect("nothing is left to start it from");
    assert!(why.contains("could not be recovered") && why.contains("chk-4 is damaged"), "{why}");
}

#[test]
fn the_next_checkpoint_makes_up_for_those_that_cannot_be_read() {
    let mut world = take_over_with(0, unreadable());
    world.register(1, 1, holding(first(), TaskState::Running));
    let request = SnapshotRequest::Checkpoint { full: false };
    let fx = world.decide(|m, now, fx| {
        m.request_snapshot(now, JOB, 1, request, fx);
    });
    assert_eq!(triggered(&fx), Some(5), "no number comes again");
    let report = CheckpointReport::Acknowledged {
        execution: first(),
        checkpoint: 5,
        snapshot: TaskSnapshot::default(),
        metrics: SnapshotMetrics::default(),
    };
    world.say(1, FromExecutor::Checkpoint { job_id: JOB, report });
    world.decide(|m, now, fx| m.checkpoint_stored(now, JOB, 5, Ok(None), fx));
    world.report(1, first(), TaskState::Failed);
    assert_eq!(world.job().state(), JobState::Restarting);
}

#[test]
fn numbers_of_attempts_that_nobody_has_told_of_do_not_come_again_after_a_takeover() {
    let mut world = take_over(0);
    world.register(1, 1, holding(first(), TaskState::Failed));
    assert_eq!(world.run(1).attempt, 10_000, "attempt 1 may have been begun");
}

#[test]
fn restarts_are_counted_on_after_a_takeover() {
    let mut world = take_over(3);
    assert_eq!(world.job().restarts(), 3);
    let fx = world.register(1, 1, holding(first(), TaskState::Failed));
    assert_eq!(world.job().restarts(), 4);
    assert!(fx.contains(&Effect::JobRestarted { job: JOB, restarts: 4 }), "{fx:?}");
}

#[test]
fn a_registration_that_a_later_one_has_overtaken_is_known_as_such_until_the_executor_is_gone() {
    let mut world = restartable();
    assert!(!world.master.is_overtaken(&executor(1), 1), "it may be told twice");
    world.register(1, 3, holding(first(), TaskState::Running));
    assert!(world.master.is_overtaken(&executor(1), 2));
    world.decide(|m, now, _| m.executor_disconnected(now, &executor(1)));
    assert!(
        world.master.is_overtaken(&executor(1), 2),
        "the newer connection broke, but what it told is newer"
    );
    assert!(!world.master.is_overtaken(&executor(1), 4) && !world.master.is_overtaken(&executor(2), 1));
}

/// A batch job: the second vertex keeps its result for the third, and runs together with the first.
fn batch() -> JobSubmission {
    let mut job = submission(5);
    let edge = |source, target, exchange| JobEdge {
        source: VertexId(source),
        output: 0,
        target: VertexId(target),
        input: 0,
        partitioning: Partitioning::Forward,
        exchange,
    };
    job.graph.mode = RuntimeMode::Batch;
    job.graph.vertices = (1..4).map(vertex).collect();
    job.graph.edges = vec![edge(1, 2, Exchange::PipelinedBounded), edge(2, 3, Exchange::Blocking)];
    job
}

#[test]
fn a_result_that_is_about_to_be_released_is_not_handed_to_its_consumer() {
    let mut world = World::with(batch());
    world.start(1);
    world.run(1);
    let (source, keeper) = (attempt(1, 0), attempt(2, 0));
    world.report(1, keeper, TaskState::Running);
    world.report(1, source, TaskState::Failed);
    // It was being stopped to start again with the source, and finished all the same.
    let fx = world.report(1, keeper, TaskState::Finished);
    assert_eq!(deployed(&fx), []);
    assert_eq!(world.master.job(JOB).map(JobMaster::state), Some(JobState::Restarting));
    let fx = after_the_pause(&mut world);
    assert_eq!(deployed(&fx), [attempt(1, 1), attempt(2, 1)], "both run again first");
}
