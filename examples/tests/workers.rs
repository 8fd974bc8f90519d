//! The examples as workers, in processes of their own, driven as a task executor drives them.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test uses its part of it")]
mod harness;

use harness::{Program, graph_of, ready_worker, spread, worker_spec};
use kvick_core::failure::FailureKind;
use kvick_core::host::{FromProgram, Role, ToProgram};
use kvick_core::task::TaskState;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

const STREAMING: &str = env!("CARGO_BIN_EXE_streaming-wordcount");
const ENDLESS: &str = env!("CARGO_BIN_EXE_top-speed-windowing");
const STATE_MACHINE: &str = env!("CARGO_BIN_EXE_state-machine");

/// Words with their counts in a text that is large enough for several input ranges, and the text.
fn many_words() -> (String, BTreeMap<String, u64>) {
    let (mut text, mut counts) = (String::new(), BTreeMap::new());
    let mut state = 12345_u64;
    while text.len() < 3_000_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = format!("word{}", (state >> 40) % 1000);
        *counts.entry(word.clone()).or_insert(0) += 1;
        write!(text, "{word}{}", if state >> 62 == 0 { "\n" } else { " " }).unwrap();
    }
    (text, counts)
}

/// The highest count that was written for each word.
fn last_counts(directory: &Path) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        for line in fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            let (word, count) = line.trim_matches(['(', ')']).split_once(',').unwrap();
            let known = counts.entry(word.to_string()).or_insert(0);
            *known = count.parse::<u64>().unwrap().max(*known);
        }
    }
    counts
}

fn run_on_two_workers(extra_config: &[(&str, &str)]) {
    let directory = tempfile::tempdir().unwrap();
    let (text, expected) = many_words();
    let (input, output) = (directory.path().join("in.txt"), directory.path().join("out"));
    fs::write(&input, text).unwrap();
    let arguments = ["--input", input.to_str().unwrap(), "--output", output.to_str().unwrap()];
    let graph = graph_of(STREAMING, &arguments, 2, directory.path());
    let mut spec = worker_spec(&graph);
    extra_config.iter().for_each(|(key, value)| spec.config.set(*key, *value));
    let mut workers: Vec<_> =
        (0..2).map(|_| ready_worker(STREAMING, &arguments, &spec, directory.path())).collect();
    let addresses: Vec<String> = workers.iter().map(|(_, address)| address.clone()).collect();
    let shares = spread(&graph, &addresses);
    for ((worker, _), tasks) in workers.iter_mut().zip(&shares) {
        worker.send(&ToProgram::Deploy { tasks: tasks.clone() });
    }
    let (mut sent, mut received) = (0, 0);
    for ((worker, _), tasks) in workers.iter_mut().zip(&shares) {
        for task in tasks {
            worker.wait_for_state(task.execution, TaskState::Running);
            let report = worker.wait_for_state(task.execution, TaskState::Finished);
            sent += report.metrics.bytes_out;
            received += report.metrics.bytes_in;
        }
    }
    // What a finished task has sent may still be on its way to the other worker until that one's tasks have finished as well.
    for (worker, _) in &mut workers {
        worker.send(&ToProgram::Shutdown);
        let (status, printed) = worker.ended();
        assert!(status.success() && printed.is_empty(), "{status} {printed}");
    }
    assert!(sent > 0 && sent == received, "sent {sent}, received {received}");
    assert_eq!(last_counts(&output), expected);
}

#[test]
fn two_workers_exchange_records_and_count_every_word_once() {
    run_on_two_workers(&[]);
}

#[test]
fn one_batch_of_credit_is_enough() {
    run_on_two_workers(&[
        ("taskmanager.network.memory.buffers-per-channel", "1"),
        ("taskmanager.network.memory.floating-buffers-per-gate", "0"),
        ("execution.buffer-timeout.interval", "0"),
    ]);
}

#[test]
fn a_worker_whose_main_builds_another_graph_says_what_differs() {
    let directory = tempfile::tempdir().unwrap();
    let mut graph = graph_of(STREAMING, &[], 2, directory.path());
    graph.vertices[1].parallelism = 1;
    let mut worker = Program::spawn(Role::Worker, STREAMING, &[], directory.path());
    worker.send(&ToProgram::Work { spec: Box::new(worker_spec(&graph)) });
    let FromProgram::WorkerFailed { failure } =
        worker.wait_for(|m| matches!(m, FromProgram::WorkerFailed { .. }))
    else {
        unreachable!()
    };
    assert_eq!(failure.kind, FailureKind::GraphMismatch);
    let text = failure.to_string();
    assert!(text.contains(&graph.vertices[1].name) && text.contains("env.once"), "{text}");
    assert!(!worker.ended().0.success());
}

#[test]
fn an_option_that_main_sets_where_nobody_has_is_the_same_in_a_worker() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--count", "24000", "--sleep", "0"];
    let graph = graph_of(STATE_MACHINE, &arguments, 1, directory.path());
    // What the example sets because nothing is configured.
    assert_eq!(graph.config.raw("execution.checkpointing.interval"), Some("2 s"));
    let (mut worker, address) =
        ready_worker(STATE_MACHINE, &arguments, &worker_spec(&graph), directory.path());
    let tasks = spread(&graph, &[address]).remove(0);
    worker.send(&ToProgram::Deploy { tasks: tasks.clone() });
    for task in tasks {
        worker.wait_for_state(task.execution, TaskState::Running);
    }
    worker.send(&ToProgram::Shutdown);
    assert!(worker.ended().0.success());
}

#[test]
fn a_running_task_is_cancelled_and_the_worker_ends_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let graph = graph_of(ENDLESS, &[], 1, directory.path());
    let (mut worker, address) = ready_worker(ENDLESS, &[], &worker_spec(&graph), directory.path());
    let tasks = spread(&graph, &[address]).remove(0);
    let executions: Vec<_> = tasks.iter().map(|task| task.execution).collect();
    worker.send(&ToProgram::Deploy { tasks });
    // A car that has gone so far has had a top speed.
    worker.wait_for(
        |m| matches!(m, FromProgram::Metrics { tasks, .. } if tasks.iter().any(|(_, m)| m.records_in >= 20)),
    );
    worker.send(&ToProgram::Cancel { executions: executions.clone() });
    for execution in executions {
        worker.wait_for_state(execution, TaskState::Canceled);
    }
    worker.send(&ToProgram::Shutdown);
    let (status, printed) = worker.ended();
    assert!(status.success());
    // Results alone: what main() prints goes to the log.
    assert!(!printed.is_empty() && printed.lines().all(|line| line.starts_with('(')), "{printed}");
}

#[test]
fn a_missing_input_fails_the_task_with_the_path() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--input", "/there/is/no/such/file"];
    let graph = graph_of(STREAMING, &arguments, 1, directory.path());
    let (mut worker, address) = ready_worker(STREAMING, &arguments, &worker_spec(&graph), directory.path());
    let tasks = spread(&graph, &[address]).remove(0);
    let source = tasks[0].execution;
    worker.send(&ToProgram::Deploy { tasks });
    let failure = worker.wait_for_state(source, TaskState::Failed).failure.unwrap();
    assert!(failure.to_string().contains("/there/is/no/such/file"), "{failure}");
}

#[test]
fn a_worker_that_lost_its_host_goes_on_and_then_ends() {
    let directory = tempfile::tempdir().unwrap();
    let graph = graph_of(ENDLESS, &[], 1, directory.path());
    let mut spec = worker_spec(&graph);
    spec.config.set("worker.host-loss-timeout", "1 s");
    let (mut worker, address) = ready_worker(ENDLESS, &[], &spec, directory.path());
    let tasks = spread(&graph, &[address]).remove(0);
    worker.send(&ToProgram::Deploy { tasks });
    worker.wait_for(
        |m| matches!(m, FromProgram::Metrics { tasks, .. } if tasks.iter().any(|(_, m)| m.records_in > 0)),
    );
    let lost = std::time::Instant::now();
    worker.lose_host();
    let (status, _) = worker.ended();
    assert!(!status.success() && lost.elapsed().as_millis() >= 1000, "{status} after {:?}", lost.elapsed());
}
