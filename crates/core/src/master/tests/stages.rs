//! A whole application in small: a batch job with fewer slots than it has subtasks side by side.

use super::*;
use crate::executor::TaskStatus;
use crate::graph::{Exchange, JobEdge, Partitioning, RuntimeMode};

const HOUR: Millis = Millis(3_600_000);

fn vertex(id: u128, parallelism: u32) -> JobVertex {
    JobVertex { parallelism, bounded: true, ..super::vertex(id) }
}

/// Two vertices; all subtasks of the second read what those of the first have kept.
fn graph(parallelism: u32, exchange: Exchange) -> JobGraph {
    let (source, target) = (VertexId(1), VertexId(2));
    let edge = JobEdge { source, output: 0, target, input: 0, partitioning: Partitioning::Hash, exchange };
    let vertices = vec![vertex(1, parallelism), vertex(2, parallelism)];
    JobGraph {
        name: "job".into(),
        mode: RuntimeMode::Batch,
        vertices,
        edges: vec![edge],
        ..JobGraph::default()
    }
}

fn submission(graph: JobGraph) -> JobSubmission {
    submission_of(graph, 1, "0 ms")
}

/// An application, task executors that do at once as they are told, and what they run.
struct World {
    master: Master,
    now: Millis,
    effects: VecDeque<Effect>,
    /// Attempts that run, with where they do, in the order in which they began.
    running: Vec<(ExecutorId, ExecutionId)>,
    /// How often a worker was started.
    workers: u32,
    released: Vec<ExecutorId>,
}

impl World {
    /// A job, and so many task executors with one slot each.
    fn new(graph: JobGraph, executors: u32) -> World {
        World::with(submission(graph), executors, executors)
    }

    /// A job, and so many task executors of those that there may be at most.
    fn with(job: JobSubmission, most: u32, executors: u32) -> World {
        let resources = ResourceSettings {
            max_slots: Some(most),
            heartbeat_timeout: Millis(u64::MAX / 2),
            ..ResourceSettings::default()
        };
        let (effects, running, released) = (VecDeque::new(), Vec::new(), Vec::new());
        let master = Master::new(Millis(0), settings(resources));
        let mut world = World { master, now: Millis(0), effects, running, workers: 0, released };
        world.decide(|m, now, fx| m.submit(now, job, fx).unwrap());
        (1..=executors).for_each(|number| world.register(number));
        world
    }

    fn register(&mut self, number: u32) {
        self.decide(|m, now, fx| m.container_starting(now, executor(number), "node", fx));
        let info = Box::new(info(number));
        let message = FromExecutor::Register { info, holdings: Holdings::default(), connection: 1 };
        self.say(&executor(number), message);
    }

    fn say(&mut self, from: &ExecutorId, message: FromExecutor) {
        self.decide(|m, now, fx| m.from_executor(now, from, message, fx));
    }

    fn decide(&mut self, input: impl FnOnce(&mut Master, Millis, &mut Vec<Effect>)) {
        self.now = self.now.plus(Millis(1));
        let mut fx = Vec::new();
        input(&mut self.master, self.now, &mut fx);
        self.effects.extend(fx);
        while let Some(effect) = self.effects.pop_front() {
            match effect {
                Effect::Send { executor, message } => self.obey(executor, *message),
                Effect::ReleaseContainer { executor, .. } => self.released.push(executor),
                _ => {}
            }
        }
    }

    fn obey(&mut self, executor: ExecutorId, message: ToExecutor) {
        match message {
            ToExecutor::StartWorker { .. } => {
                self.workers += 1;
                let ready = FromExecutor::WorkerReady { job_id: JOB, address: "node:1".into(), pid: 1 };
                self.say(&executor, ready);
            }
            ToExecutor::Deploy { tasks, .. } => {
                self.running.extend(tasks.into_iter().map(|task| (executor.clone(), task.execution)));
            }
            _ => {}
        }
    }

    /// The task that has run longest finishes; returns it.
    fn finish(&mut self) -> ExecutionId {
        let (executor, execution) = self.running.remove(0);
        for state in [TaskState::Running, TaskState::Finished] {
            let report = TaskReport { state, ..TaskStatus::deployed(execution).report };
            self.say(&executor, FromExecutor::Task { job_id: JOB, report });
        }
        execution
    }

    fn pass(&mut self, span: Millis) {
        let end = self.now.plus(span);
        while let Some(at) = self.master.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.decide(|m, now, fx| m.tick(now, fx));
        }
        self.now = end;
    }

    fn state(&self) -> JobState {
        self.master.job(JOB).unwrap().state()
    }

    fn slots(&self) -> (usize, usize) {
        self.master.job(JOB).unwrap().slots()
    }
}

#[test]
fn with_one_slot_subtasks_run_one_after_another_in_one_worker_for_as_long_as_it_takes() {
    let mut world = World::new(graph(4, Exchange::Blocking), 1);
    let mut finished = Vec::new();
    for _ in 0..8 {
        assert_eq!(world.running.len(), 1);
        // Far longer than slot.request.timeout and resourcemanager.taskmanager-timeout.
        world.pass(HOUR);
        finished.push(world.finish());
    }
    let order: Vec<(u128, u32)> = finished.iter().map(|id| (id.vertex.0, id.subtask)).collect();
    assert_eq!(order, [(1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (2, 2), (2, 3)]);
    assert!(finished.iter().all(|id| id.attempt == 0));
    assert_eq!((world.state(), world.workers), (JobState::Finished, 1));
}

#[test]
fn slots_are_given_back_when_nothing_can_use_them_and_executors_with_results_stay() {
    let mut world = World::new(graph(2, Exchange::Blocking), 2);
    assert_eq!((world.slots(), world.running.len()), ((2, 2), 2));
    world.finish();
    assert_eq!(world.slots(), (1, 1), "one slot is given back");
    world.pass(HOUR);
    assert_eq!(world.released, [], "but what was kept there is still to be read");
    world.finish();
    assert_eq!((world.slots(), world.running.len()), ((2, 2), 2));
    assert_eq!(world.workers, 2);
    world.finish();
    world.pass(HOUR);
    assert_eq!(world.released, [], "the other one reads what both have kept");
    world.finish();
    assert_eq!(world.state(), JobState::Finished);
    world.pass(HOUR);
    assert_eq!(world.released.len(), 2);
}

#[test]
fn a_lost_result_is_made_again_though_its_executor_held_no_slot() {
    let mut world = World::new(graph(3, Exchange::Blocking), 2);
    world.finish();
    world.finish();
    let (place, last) = world.running[0].clone();
    assert_eq!((last.subtask, world.slots()), (2, (1, 1)));
    let without_slot = if place == executor(1) { executor(2) } else { executor(1) };
    let lost = Failure::new(FailureKind::ExecutorLost, "gone");
    world.decide(|m, now, fx| m.container_ended(now, &without_slot, lost, fx));
    assert_eq!(world.slots(), (1, 2), "its result is asked for again");
    world.finish();
    let again = world.finish();
    assert_eq!((again.vertex, again.attempt), (VertexId(1), 1));
    for _ in 0..3 {
        world.finish();
    }
    assert_eq!(world.state(), JobState::Finished);
}

#[test]
fn a_region_gets_all_its_slots_or_none_and_fails_when_there_are_never_enough() {
    // One vertex after another, but the subtasks of the first are cut off from nothing: they need two slots at once.
    let mut wide = graph(2, Exchange::PipelinedBounded);
    wide.vertices.push(vertex(3, 1));
    let edge = JobEdge {
        source: VertexId(2),
        target: VertexId(3),
        exchange: Exchange::Blocking,
        ..wide.edges[0].clone()
    };
    wide.edges.push(edge);
    let mut world = World::new(wide, 2);
    assert_eq!(world.running.len(), 4, "both slots are shared");
    let lost = Failure::new(FailureKind::ExecutorLost, "gone");
    world.decide(|m, now, fx| m.container_ended(now, &executor(2), lost, fx));
    let left: Vec<_> = world.running.extract_if(.., |(place, _)| *place == executor(1)).collect();
    for (place, execution) in left {
        let report = TaskReport { state: TaskState::Canceled, ..TaskStatus::deployed(execution).report };
        world.say(&place, FromExecutor::Task { job_id: JOB, report });
    }
    world.running.clear();
    world.pass(Millis(299_000));
    assert_eq!((world.state(), world.running.len()), (JobState::Running, 0), "it waits");
    world.pass(Millis(10_000));
    assert_eq!(world.state(), JobState::Failed);
    let failure = world.master.job(JOB).unwrap().failure().unwrap().to_string();
    assert!(failure.contains("1 of 2 within 300000 ms"), "{failure}");
}

#[test]
fn a_job_that_never_gets_enough_gives_what_it_has_to_others_before_it_asks_again() {
    let mut wide = submission(graph(2, Exchange::PipelinedBounded));
    let edge = JobEdge {
        source: VertexId(2),
        target: VertexId(3),
        exchange: Exchange::Blocking,
        ..wide.graph.edges[0].clone()
    };
    wide.graph.vertices.push(vertex(3, 1));
    wide.graph.edges.push(edge);
    wide.config.set("restart-strategy.fixed-delay.delay", "1 s");
    wide.config.set("restart-strategy.fixed-delay.attempts", "9");
    let other = JobSubmission { job_id: JobId(8), ..wide.clone() };
    let mut world = World::with(wide, 2, 0);
    world.register(1);
    world.pass(Millis(100_000));
    world.decide(|m, now, fx| m.submit(now, other, fx).unwrap());
    let held = |world: &World, job| world.master.job(job).unwrap().slots().0;
    assert_eq!((held(&world, JOB), held(&world, JobId(8))), (1, 0));
    world.pass(Millis(200_500));
    assert_eq!((held(&world, JOB), held(&world, JobId(8))), (0, 1), "the other one's turn");
}
