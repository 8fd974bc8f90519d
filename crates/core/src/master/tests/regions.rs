//! Which tasks of a job a failure restarts (`jobmanager.execution.failover-strategy`): those of its region, or all of them.

use super::*;

/// A job of two tasks that exchange nothing. The first fails; how many tasks are then in which state.
fn after_a_failure(strategy: &str) -> (World, BTreeMap<TaskState, u32>) {
    let vertices = [1, 2].map(|id| JobVertex { source: true, ..vertex(id) });
    let graph = JobGraph { name: "job".into(), vertices: vertices.to_vec(), ..JobGraph::default() };
    let mut job = submission_of(graph, 1, "1 s");
    job.config.set("jobmanager.execution.failover-strategy", strategy);
    let mut world = World::with(job);
    world.start(1);
    let tasks = both(&mut world);
    world.report(1, tasks[0], TaskState::Failed);
    let counts = world.job().task_counts();
    (world, counts)
}

/// The worker becomes ready, and both tasks run in it.
fn both(world: &mut World) -> Vec<ExecutionId> {
    let ready = FromExecutor::WorkerReady { job_id: JOB, address: "node:1".into(), pid: 1 };
    let fx = world.say(1, ready);
    let tasks = deployed(&fx);
    assert_eq!(tasks.len(), 2, "{fx:?}");
    for task in &tasks {
        world.report(1, *task, TaskState::Running);
    }
    tasks
}

#[test]
fn a_region_fails_alone() {
    let (_, counts) = after_a_failure("region");
    assert_eq!(counts, BTreeMap::from([(TaskState::Failed, 1), (TaskState::Running, 1)]));
}

#[test]
fn every_task_restarts_where_the_strategy_says_so_and_that_is_one_restart() {
    let (mut world, counts) = after_a_failure("full");
    assert_eq!(counts, BTreeMap::from([(TaskState::Failed, 1), (TaskState::Canceling, 1)]));
    let second = ExecutionId { vertex: VertexId(2), subtask: 0, attempt: 0 };
    // That it fails while it stops is no failure of its own: one restart is all that the job has.
    world.report(1, second, TaskState::Failed);
    world.now = world.now.plus(Millis(1_000));
    let fx = world.decide(|m, now, fx| m.tick(now, fx));
    let attempts: Vec<u32> = deployed(&fx).iter().map(|task| task.attempt).collect();
    assert_eq!(attempts, [1, 1], "{fx:?}");
    assert_eq!(world.job().restarts(), 1);
}
