//! A worker that is killed, and the next one on its node: it begins with the local copies of the checkpoint's files.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "other tests use what this one does not")]
mod harness;

use harness::{Program, graph_of, ready_worker, spread, worker_spec};
use kvick_core::checkpoint::{
    BarrierAlignment, CheckpointCommand, CheckpointReport, SnapshotKind, SnapshotTarget, TaskRestore,
    TaskSnapshot, TriggerCheckpoint,
};
use kvick_core::host::{FromProgram, ToProgram};
use kvick_core::ids::ExecutionId;
use kvick_core::task::{TaskDeployment, TaskState};
use kvick_core::time::Millis;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const PROGRAM: &str = env!("CARGO_BIN_EXE_top-speed-windowing");

fn executions(tasks: &[TaskDeployment]) -> Vec<ExecutionId> {
    tasks.iter().map(|task| task.execution).collect()
}

/// Takes a checkpoint of all tasks, as a job master does, and completes it.
fn checkpoint(
    worker: &mut Program,
    tasks: &[TaskDeployment],
    id: u64,
    directory: &Path,
) -> BTreeMap<ExecutionId, TaskSnapshot> {
    let text = directory.join(format!("chk-{id}")).display().to_string();
    let target = SnapshotTarget::Directory {
        exclusive: text.clone(),
        shared: text.clone(),
        task_owned: text,
        inline_threshold: 0,
    };
    let command = CheckpointCommand::Trigger(TriggerCheckpoint {
        checkpoint: id,
        timestamp: Millis(0),
        kind: SnapshotKind::Checkpoint,
        base: None,
        alignment: BarrierAlignment::Aligned,
        target,
    });
    let sources = tasks.iter().filter(|task| task.inputs.is_empty()).map(|task| task.execution).collect();
    worker.send(&ToProgram::Checkpoint { executions: sources, command });
    let snapshots = tasks.iter().map(|task| (task.execution, acknowledged(worker, task.execution, id)));
    let snapshots = snapshots.collect();
    let command = CheckpointCommand::Complete { checkpoint: id };
    worker.send(&ToProgram::Checkpoint { executions: executions(tasks), command });
    snapshots
}

fn acknowledged(worker: &mut Program, task: ExecutionId, id: u64) -> TaskSnapshot {
    let said = worker.wait_for(|message| match message {
        FromProgram::Checkpoint { report: CheckpointReport::Acknowledged { execution, checkpoint, .. } } => {
            (*execution, *checkpoint) == (task, id)
        }
        FromProgram::Task { report } => report.execution == task && report.state == TaskState::Failed,
        _ => false,
    });
    match said {
        FromProgram::Checkpoint { report: CheckpointReport::Acknowledged { snapshot, .. } } => snapshot,
        other => panic!("no snapshot, but {other:?}"),
    }
}

fn keyed_parts(snapshots: &BTreeMap<ExecutionId, TaskSnapshot>) -> u64 {
    let states = snapshots.values().flat_map(|snapshot| snapshot.operators.values());
    states.flat_map(|state| &state.keyed).count() as u64
}

#[test]
fn after_a_kill_the_next_worker_begins_with_what_is_on_the_local_disk() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("out").display().to_string();
    let arguments = ["--output", output.as_str()];
    let graph = graph_of(PROGRAM, &arguments, 1, directory.path());
    let local = directory.path().join("local");
    let mut spec = worker_spec(&graph);
    spec.config.set("state.backend.local-recovery", "true");
    spec.tmp_dirs = vec![local.display().to_string()];

    let (mut worker, address) = ready_worker(PROGRAM, &arguments, &spec, directory.path());
    let tasks = spread(&graph, &[address]).remove(0);
    worker.send(&ToProgram::Deploy { tasks: tasks.clone() });
    tasks.iter().for_each(|task| _ = worker.wait_for_state(task.execution, TaskState::Running));
    worker.wait_for(
        |m| matches!(m, FromProgram::Metrics { tasks, .. } if tasks.iter().any(|(_, m)| m.records_in > 0)),
    );
    checkpoint(&mut worker, &tasks, 1, directory.path());
    let snapshots = checkpoint(&mut worker, &tasks, 2, directory.path());
    assert!(keyed_parts(&snapshots) > 0, "there is keyed state");
    // Killed, as by the kernel. From now on nothing is right but the copies.
    drop(worker);
    for file in fs::read_dir(directory.path().join("chk-2")).unwrap() {
        fs::write(file.unwrap().path(), b"spoiled").unwrap();
    }

    let (mut worker, address) = ready_worker(PROGRAM, &arguments, &spec, directory.path());
    let mut tasks = spread(&graph, &[address]).remove(0);
    for task in &mut tasks {
        task.restore = Some(TaskRestore {
            checkpoint: 2,
            directory: Some(directory.path().join("chk-2").display().to_string()),
            finished: false,
            in_flight: Vec::new(),
            operators: snapshots[&task.execution].operators.clone(),
        });
    }
    worker.send(&ToProgram::Deploy { tasks: tasks.clone() });
    let next = checkpoint_when_running(&mut worker, &tasks, directory.path());
    assert!(keyed_parts(&next) > 0, "the state went on");
    worker.send(&ToProgram::Shutdown);
    assert!(worker.ended().0.success());
    let left = fs::read_dir(local.join("kvick-local-state")).unwrap().count();
    assert_eq!(left, 0, "local copies outlive their job");
}

fn checkpoint_when_running(
    worker: &mut Program,
    tasks: &[TaskDeployment],
    directory: &Path,
) -> BTreeMap<ExecutionId, TaskSnapshot> {
    for task in tasks {
        let ended = |state| matches!(state, TaskState::Running | TaskState::Failed);
        let said = worker.wait_for(|message| {
            matches!(message, FromProgram::Task { report } if report.execution == task.execution && ended(report.state))
        });
        let FromProgram::Task { report } = said else { unreachable!() };
        assert_eq!(report.state, TaskState::Running, "{:?}", report.failure);
    }
    checkpoint(worker, tasks, 3, directory)
}
