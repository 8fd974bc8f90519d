//! A whole application in small: what YARN's wishes mean for a running job.

mod late;
mod regions;
mod stages;
mod state;
mod takeover;

use super::*;
use crate::checkpoint::{
    CheckpointCommand, CheckpointEffect, CheckpointReport, TaskSnapshot, message::SnapshotMetrics,
};
use crate::config::Configuration;
use crate::executor::{ExecutorInfo, FromExecutor, Holdings};
use crate::failure::{Failure, FailureKind};
use crate::graph::{JobGraph, JobVertex};
use crate::ids::{ExecutionId, VertexId};
use crate::job::{Artifact, ProgramSpec};
use crate::resources::WantedBack;
use crate::task::{TaskReport, TaskState};

const JOB: JobId = JobId(7);

fn executor(number: u32) -> ExecutorId {
    ExecutorId(format!("container_{number}"))
}

fn vertex(id: u128) -> JobVertex {
    JobVertex {
        id: VertexId(id),
        name: format!("vertex {id}"),
        operators: Vec::new(),
        parallelism: 1,
        max_parallelism: 128,
        max_parallelism_derived: false,
        slot_sharing_group: "default".into(),
        source: id == 1,
        bounded: false,
        alignment_groups: Vec::new(),
    }
}

/// A job of one task that may be started again so often, after a second each time.
fn submission(restarts: u32) -> JobSubmission {
    let graph = JobGraph { name: "job".into(), vertices: vec![vertex(1)], ..JobGraph::default() };
    let mut job = submission_of(graph, restarts, "1 s");
    job.config.set("execution.checkpointing.interval", "1 h");
    job
}

/// A job that may be started again so often, after `delay` each time.
fn submission_of(graph: JobGraph, restarts: u32, delay: &str) -> JobSubmission {
    let mut config = Configuration::default();
    config.set("restart-strategy.type", "fixed-delay");
    config.set("restart-strategy.fixed-delay.attempts", restarts.to_string());
    config.set("restart-strategy.fixed-delay.delay", delay);
    let jar =
        Artifact { name: "job.jar".into(), uri: "file:/job.jar".into(), sha256: "0".repeat(64), size: 1 };
    JobSubmission {
        job_id: JOB,
        ordinal: 0,
        program: ProgramSpec { jar, entry: None, args: Vec::new() },
        graph,
        config,
        once: BTreeMap::new(),
        earlier: Vec::new(),
    }
}

fn settings(resources: ResourceSettings) -> MasterSettings {
    MasterSettings {
        mode: MasterMode::Session,
        resources,
        heartbeat_interval: Millis(10_000),
        job_expiration: Millis(3_600_000),
        checkpoints: true,
        result_wait: Millis(0),
    }
}

/// A task executor with one slot.
fn info(number: u32) -> ExecutorInfo {
    ExecutorInfo {
        id: executor(number),
        host: "node".into(),
        slots: 1,
        pid: 1,
        cpu_cores: 1,
        physical_memory: 1,
        log_dir: String::new(),
        config: Configuration::default(),
    }
}

/// An application, and what it has decided.
struct World {
    master: Master,
    now: Millis,
}

impl World {
    /// One job, running in executor 1.
    fn running() -> World {
        let mut world = World::with(submission(0));
        world.start(1);
        world.run(1);
        assert_eq!(world.job().task_counts(), BTreeMap::from([(TaskState::Running, 1)]));
        world
    }

    /// A job that waits for its slots.
    fn with(job: JobSubmission) -> World {
        let mut world = World::new();
        world.decide(|m, now, fx| m.submit(now, job, fx).unwrap());
        world
    }

    /// Nothing yet.
    fn new() -> World {
        World { master: Master::new(Millis(0), settings(ResourceSettings::default())), now: Millis(0) }
    }

    fn decide(&mut self, input: impl FnOnce(&mut Master, Millis, &mut Vec<Effect>)) -> Vec<Effect> {
        self.now = self.now.plus(Millis(1));
        let mut fx = Vec::new();
        input(&mut self.master, self.now, &mut fx);
        fx
    }

    fn say(&mut self, number: u32, message: FromExecutor) -> Vec<Effect> {
        self.decide(|m, now, fx| m.from_executor(now, &executor(number), message, fx))
    }

    fn start(&mut self, number: u32) -> Vec<Effect> {
        self.decide(|m, now, fx| m.container_starting(now, executor(number), "node", fx));
        self.register(number, 1, Holdings::default())
    }

    /// A task executor says what it runs, over its connection with this number.
    fn register(&mut self, number: u32, connection: u64, holdings: Holdings) -> Vec<Effect> {
        let info = Box::new(info(number));
        self.say(number, FromExecutor::Register { info, holdings, connection })
    }

    /// The worker there becomes ready, and the task that is deployed then runs.
    fn run(&mut self, number: u32) -> ExecutionId {
        let ready = FromExecutor::WorkerReady { job_id: JOB, address: "node:1".into(), pid: 1 };
        let fx = self.say(number, ready);
        let execution = *deployed(&fx).first().expect("a task is deployed");
        self.report(number, execution, TaskState::Running);
        execution
    }

    fn report(&mut self, number: u32, execution: ExecutionId, state: TaskState) -> Vec<Effect> {
        let mut status = crate::executor::TaskStatus::deployed(execution);
        status.report.state = state;
        let report = TaskReport { ..status.report };
        self.say(number, FromExecutor::Task { job_id: JOB, report })
    }

    fn job(&self) -> &JobMaster {
        self.master.job(JOB).unwrap()
    }
}

/// The attempts that are deployed.
fn deployed(fx: &[Effect]) -> Vec<ExecutionId> {
    let tasks = fx.iter().filter_map(|effect| match effect {
        Effect::Send { message, .. } => match &**message {
            ToExecutor::Deploy { tasks, .. } => Some(tasks.iter().map(|task| task.execution)),
            _ => None,
        },
        _ => None,
    });
    tasks.flatten().collect()
}

fn triggered(fx: &[Effect]) -> Option<u64> {
    fx.iter().find_map(|effect| match effect {
        Effect::Send { message, .. } => match &**message {
            ToExecutor::Checkpoint { command: CheckpointCommand::Trigger(order), .. } => {
                Some(order.checkpoint)
            }
            _ => None,
        },
        _ => None,
    })
}

fn releases(fx: &[Effect], number: u32) -> bool {
    fx.iter().any(|e| matches!(e, Effect::ReleaseContainer { executor: id, .. } if *id == executor(number)))
}

/// The task acknowledges, the checkpoint is stored, the task stops.
fn move_away(world: &mut World, checkpoint: u64, from: ExecutionId) -> Vec<Effect> {
    let report = CheckpointReport::Acknowledged {
        execution: from,
        checkpoint,
        snapshot: TaskSnapshot::default(),
        metrics: SnapshotMetrics::default(),
    };
    let fx = world.say(1, FromExecutor::Checkpoint { job_id: JOB, report });
    let stores = |e: &Effect| matches!(e, Effect::Checkpoint { effect: CheckpointEffect::Store { .. }, .. });
    assert!(fx.iter().any(stores), "{fx:?}");
    let fx = world.decide(|m, now, fx| m.checkpoint_stored(now, JOB, checkpoint, Ok(None), fx));
    let cancels = |e: &Effect| matches!(e, Effect::Send { message, .. } if matches!(**message, ToExecutor::Cancel { .. }));
    assert!(fx.iter().any(cancels), "{fx:?}");
    world.report(1, from, TaskState::Canceled)
}

fn first() -> ExecutionId {
    ExecutionId { vertex: VertexId(1), subtask: 0, attempt: 0 }
}

#[test]
fn a_preempted_container_is_left_with_a_checkpoint_and_nothing_counts_as_a_restart() {
    let mut world = World::running();
    let wanted = WantedBack { strict: vec![executor(1)], negotiable: Vec::new() };
    let fx = world.decide(|m, now, fx| m.wanted_back(now, &wanted, fx));
    assert!(fx.contains(&Effect::WantContainers(1)), "a slot elsewhere is asked for: {fx:?}");
    assert_eq!(triggered(&fx), None, "and the job runs on until it is there");
    let fx = world.start(2);
    let checkpoint = triggered(&fx).expect("a checkpoint is taken");
    let fx = move_away(&mut world, checkpoint, first());
    assert!(releases(&fx, 1), "{fx:?}");
    let moved = world.run(2);
    assert_eq!(moved.attempt, 1);
    assert_eq!((world.job().restarts(), world.job().moves()), (0, 1));
    assert_eq!(world.job().state(), JobState::Running);
    assert!(world.job().exceptions().is_empty());
}

#[test]
fn without_room_elsewhere_the_job_leaves_before_the_container_is_killed_and_waits() {
    let mut world = World::running();
    let wanted = WantedBack { strict: vec![executor(1)], negotiable: Vec::new() };
    world.decide(|m, now, fx| m.wanted_back(now, &wanted, fx));
    let deadline = world.master.next_deadline().unwrap();
    assert!(deadline <= world.now.plus(Millis(5_000)), "{deadline:?}");
    world.now = deadline;
    let fx = world.decide(|m, now, fx| m.tick(now, fx));
    let checkpoint = triggered(&fx).expect("a checkpoint is taken while there is time");
    let fx = move_away(&mut world, checkpoint, first());
    assert!(releases(&fx, 1), "{fx:?}");
    world.start(2);
    world.run(2);
    assert_eq!((world.job().restarts(), world.job().state()), (0, JobState::Running));
}

#[test]
fn a_container_that_is_taken_without_warning_is_not_charged_to_the_restart_strategy() {
    let mut world = World::running();
    let taken = Failure::new(FailureKind::Withdrawn, "preempted by yarn");
    world.decide(|m, now, fx| m.container_ended(now, &executor(1), taken, fx));
    world.start(2);
    world.run(2);
    assert_eq!(world.job().state(), JobState::Running);
    let failed = Failure::new(FailureKind::ExecutorLost, "exit code 1");
    world.decide(|m, now, fx| m.container_ended(now, &executor(2), failed, fx));
    assert_eq!(world.job().state(), JobState::Failed, "a failure is: none is allowed");
}

#[test]
fn a_move_goes_on_when_the_order_for_its_checkpoint_was_lost_with_a_connection() {
    let mut world = World::running();
    let wanted = WantedBack { strict: vec![executor(1)], negotiable: Vec::new() };
    world.decide(|m, now, fx| m.wanted_back(now, &wanted, fx));
    let lost = triggered(&world.start(2)).expect("a checkpoint is taken");
    world.decide(|m, now, _| m.executor_disconnected(now, &executor(1)));
    let fx = world.register(1, 2, late::holding(first(), TaskState::Running));
    let again = triggered(&fx).expect("it is taken again");
    assert!(again > lost);
    let fx = move_away(&mut world, again, first());
    assert!(releases(&fx, 1), "{fx:?}");
}
