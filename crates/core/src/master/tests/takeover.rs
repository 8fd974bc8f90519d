//! What a new application master makes of what it was not told at first, and of what was promised before it.

use super::*;
use crate::checkpoint::KeptCheckpoints;
use crate::executor::{TaskStatus, WorkerStatus};
use crate::job::JobResult;

/// A session that takes over one job that ran in executor 1, and one that has ended; YARN names these containers.
fn take_over(containers: &[u32]) -> World {
    let mut world = World::new();
    let job = RecoveredJob {
        submission: submission(5),
        submitted: Millis(0),
        source: None,
        checkpoints: KeptCheckpoints::default(),
        restarts: 0,
    };
    let ended = JobResult {
        job_id: JobId(1),
        state: JobState::Finished,
        net_runtime_ms: 1,
        accumulators: BTreeMap::new(),
        failure: None,
    };
    let containers = containers.iter().map(|number| executor(*number)).collect();
    let legacy = Legacy { epoch: 2, jobs: vec![job], results: vec![ended], containers };
    world.decide(|m, now, fx| assert!(m.recover(now, legacy, fx).is_empty()));
    world
}

/// The task of the job runs in a worker.
fn running() -> Holdings {
    let mut task = TaskStatus::deployed(ExecutionId { vertex: VertexId(1), subtask: 0, attempt: 0 });
    task.report.state = TaskState::Running;
    let worker =
        WorkerStatus { address: Some("node:1".into()), tasks: vec![task], ..WorkerStatus::starting(JOB) };
    Holdings { workers: vec![worker], lost: Vec::new() }
}

fn refused(fx: &[Effect]) -> bool {
    fx.iter().any(|effect| {
        matches!(effect, Effect::Send { message, .. } if matches!(**message, ToExecutor::Refused { .. }))
    })
}

#[test]
fn a_task_executor_whose_container_yarn_has_not_named_may_have_been_given_back() {
    let mut world = take_over(&[2]);
    assert!(world.master.is_premature(&executor(1)), "YARN may still name it: it comes again");
    assert!(!world.master.is_premature(&executor(2)));
    assert!(refused(&world.register(1, 1, running())));
    world.decide(|m, now, _| assert!(m.found_late(now, &executor(1))));
    assert!(!world.master.is_premature(&executor(1)));
    assert!(!refused(&world.register(1, 1, running())));
}

#[test]
fn a_container_that_yarn_names_late_is_waited_for() {
    let mut world = take_over(&[2]);
    world.decide(|m, now, _| assert!(m.found_late(now, &executor(1))));
    world.register(2, 1, Holdings::default());
    assert!(world.master.is_recovering(), "executor 1 has not come forward");
    world.register(1, 1, running());
    assert_eq!(world.job().task_counts(), BTreeMap::from([(TaskState::Running, 1)]));
}

#[test]
fn once_it_is_decided_what_runs_nobody_is_let_in_late() {
    let mut world = take_over(&[2]);
    world.register(2, 1, Holdings::default());
    world.decide(|m, now, _| assert!(!m.found_late(now, &executor(1))));
    assert!(!world.master.is_premature(&executor(1)), "there is nothing to come again for");
    assert!(refused(&world.register(1, 1, running())));
}

#[test]
fn the_result_of_a_job_that_ended_under_an_earlier_master_is_forgotten_in_time() {
    let mut world = take_over(&[]);
    let mut tick_at = |at| {
        world.now = Millis(at);
        world.decide(|m, now, fx| m.tick(now, fx))
    };
    let forgotten = Effect::JobForgotten { job: JobId(1) };
    assert!(!tick_at(3_599_000).contains(&forgotten));
    assert!(tick_at(3_601_000).contains(&forgotten));
    assert!(!tick_at(3_700_000).contains(&forgotten), "once");
}

#[test]
fn the_word_of_a_client_holds_for_the_time_out_of_its_job_by_the_masters_clock() {
    let mut job = submission(0);
    job.config.set("client.heartbeat.timeout", "5 s");
    let mut world = World::with(job);
    world.start(1);
    world.run(1);
    world.decide(|m, now, _| assert!(m.client_heartbeat(now, JOB)));
    world.now = world.now.plus(Millis(4_000));
    world.decide(|m, now, fx| m.tick(now, fx));
    assert_eq!(world.job().state(), JobState::Running);
    world.decide(|m, now, _| assert!(m.client_heartbeat(now, JOB)));
    world.now = world.now.plus(Millis(4_000));
    world.decide(|m, now, fx| m.tick(now, fx));
    assert_eq!(world.job().state(), JobState::Running, "it was renewed");
    world.now = world.now.plus(Millis(1_000));
    world.decide(|m, now, fx| m.tick(now, fx));
    assert_eq!(world.job().state(), JobState::Cancelling);
}
