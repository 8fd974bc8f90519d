//! Tasks that cannot begin with the state that they are given.

use super::*;

/// What a task of the job says that has failed.
fn failing(world: &mut World, number: u32, execution: ExecutionId, kind: FailureKind) {
    let mut report = crate::executor::TaskStatus::deployed(execution).report;
    report.state = TaskState::Failed;
    let failure = Failure::new(kind, "the state \"counts\" has changed").wrapped(kind, "task 1 failed");
    report.failure = Some(failure);
    world.say(number, FromExecutor::Task { job_id: JOB, report });
}

/// The job of one task, allowed to start again, which is deployed and has not said that it runs.
fn deploying() -> (World, ExecutionId) {
    let mut world = World::with(submission(5));
    world.start(1);
    let ready = FromExecutor::WorkerReady { job_id: JOB, address: "node:1".into(), pid: 1 };
    let fx = world.say(1, ready);
    let execution = *deployed(&fx).first().expect("a task is deployed");
    (world, execution)
}

/// The job of one task, allowed to start again, which runs with the state of a checkpoint.
fn restored() -> (World, u64, ExecutionId) {
    let mut world = World::with(submission(5));
    world.start(1);
    world.run(1);
    let wanted = WantedBack { strict: vec![executor(1)], negotiable: Vec::new() };
    world.decide(|m, now, fx| m.wanted_back(now, &wanted, fx));
    let fx = world.start(2);
    let checkpoint = triggered(&fx).expect("a checkpoint is taken");
    move_away(&mut world, checkpoint, first());
    let execution = world.run(2);
    (world, checkpoint, execution)
}

#[test]
fn a_program_that_cannot_read_its_state_is_not_started_again() {
    let (mut world, checkpoint, execution) = restored();
    failing(&mut world, 2, execution, FailureKind::StateIncompatible);
    assert_eq!((world.job().state(), world.job().restarts()), (JobState::Failed, 0));
    let failure = world.job().failure().unwrap();
    assert!(failure.message.contains(&format!("checkpoint {checkpoint}")), "{failure}");
    assert!(failure.root().message.contains("counts"), "the cause is told: {failure}");
    assert_eq!(world.job().exceptions().len(), 1);
}

#[test]
fn a_program_whose_state_cannot_be_kept_is_not_started_again() {
    let (mut world, execution) = deploying();
    failing(&mut world, 1, execution, FailureKind::StateIncompatible);
    assert_eq!((world.job().state(), world.job().restarts()), (JobState::Failed, 0));
}

#[test]
fn damage_is_told_as_such_and_what_only_the_attempt_had_written_starts_the_job_again() {
    let (mut world, checkpoint, execution) = restored();
    failing(&mut world, 2, execution, FailureKind::StateDamaged);
    // There is no earlier one; in `checkpoint::coordinator` there is.
    let said = world.job().failure().map(Failure::to_string).unwrap_or_default();
    assert!(said.contains(&format!("checkpoint {checkpoint}, which is damaged")), "{said}");

    let (mut world, execution) = deploying();
    world.report(1, execution, TaskState::Running);
    failing(&mut world, 1, execution, FailureKind::StateIncompatible);
    assert_eq!((world.job().state(), world.job().restarts()), (JobState::Restarting, 1));
}
