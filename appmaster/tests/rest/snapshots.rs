//! Checkpoints and savepoints through the API: taken, shown, used, removed. Files are real; what tasks say is the test's.

use crate::operations::{OperationKey, OperationKind};
use crate::shapes::{assert_shape, golden};
use crate::support::{Answer, JOB, SUM, TestCluster, TestExecutor, config, executions, job};
use axum::http::{Method, StatusCode};
use kvick_core::checkpoint::{CheckpointCommand, SnapshotKind, SnapshotTarget};
use kvick_core::executor::{FromExecutor, ToExecutor};
use kvick_core::failure::{Failure, FailureKind};
use kvick_core::ids::JobId;
use kvick_core::job::JobSubmission;
use kvick_core::master::{FinalStatus, MasterMode};
use kvick_core::task::TaskState;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// A job whose checkpoints go below this directory.
pub fn job_in(dir: &Path) -> JobSubmission {
    let mut job = job();
    job.config.set("execution.checkpointing.dir", format!("file://{}/checkpoints", dir.display()));
    job.config.set("execution.checkpointing.savepoint-dir", format!("{}/savepoints", dir.display()));
    job.config.set("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
    job
}

/// Begins an operation; its id.
pub async fn begin(cluster: &TestCluster, path: &str, body: Value) -> String {
    let answer = cluster.request(Method::POST, path, Some(&body)).await;
    assert!(answer.status.is_success(), "{path}: {}", answer.text());
    answer.json()["request-id"].as_str().unwrap().to_string()
}

/// Begins a change of parallelism to a graph that is given: the program would have to be asked otherwise.
async fn rescale(cluster: &TestCluster, parallelism: u32) -> String {
    let trigger = "0123456789abcdef0123456789abcdef".to_string();
    let key = OperationKey { kind: OperationKind::Rescaling, job: Some(JOB), trigger: trigger.clone() };
    let mut graph = job().graph;
    graph.vertices.iter_mut().for_each(|vertex| vertex.parallelism = parallelism);
    let asked = cluster.handle.ask(move |cluster, now| {
        let caller = cluster.operations.begin(now, key).unwrap();
        cluster.with_master(|master, fx| master.rescale(now, JOB, caller, graph, fx))
    });
    assert_eq!(asked.await.unwrap(), Ok(true));
    trigger
}

/// Asks until the operation has ended.
pub async fn end(cluster: &TestCluster, path: &str) -> Value {
    let asking = async {
        loop {
            let status = cluster.json(path).await;
            if status["status"]["id"] == "COMPLETED" {
                return status["operation"].clone();
            }
            assert_eq!(status, json!({"status": {"id": "IN_PROGRESS"}}));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.expect("it does not end")
}

/// Takes a checkpoint from the request to its end.
pub async fn checkpoint(cluster: &TestCluster, executor: &mut TestExecutor, job: &JobSubmission) -> Value {
    let id = begin(cluster, &format!("/jobs/{JOB}/checkpoints"), json!({"checkpointType": "FULL"})).await;
    executor.acknowledge(job).await;
    end(cluster, &format!("/jobs/{JOB}/checkpoints/{id}")).await
}

/// Takes a savepoint; where it is.
async fn savepoint(cluster: &TestCluster, executor: &mut TestExecutor, job: &JobSubmission) -> String {
    let body = json!({"target-directory": null, "cancel-job": false, "formatType": "CANONICAL"});
    let id = begin(cluster, &format!("/jobs/{JOB}/savepoints"), body).await;
    executor.acknowledge(job).await;
    let done = end(cluster, &format!("/jobs/{JOB}/savepoints/{id}")).await;
    done["location"].as_str().unwrap().to_string()
}

fn local(location: &str) -> &Path {
    Path::new(location.strip_prefix("file:").unwrap())
}

#[tokio::test]
async fn a_checkpoint_by_hand_is_stored_and_shown_as_flink_shows_it() {
    let cluster = TestCluster::start();
    let job = job_in(cluster.dir.path());
    let mut executor = cluster.with_running_job(&job).await;
    assert_eq!(checkpoint(&cluster, &mut executor, &job).await, json!({"checkpointId": 1}));
    savepoint(&cluster, &mut executor, &job).await;
    let path = format!("/jobs/{JOB}/checkpoints");
    let shown = cluster.json(&path).await;
    assert_shape(&shown, &golden("checkpoints"), &path);
    assert_eq!(shown["counts"], json!({"restored":0,"total":2,"in_progress":0,"completed":2,"failed":0}));
    let latest = &shown["latest"]["completed"];
    let (bytes, subtasks) = (&latest["state_size"], &latest["num_acknowledged_subtasks"]);
    assert_eq!((bytes, subtasks), (&json!(18), &json!(6)));
    assert_eq!(shown["latest"]["savepoint"]["savepointFormat"], "CANONICAL");
    let place = local(latest["external_path"].as_str().unwrap()).join("_metadata");
    assert!(place.ends_with(format!("{JOB}/chk-1/_metadata")) && place.exists(), "{}", place.display());
    for (below, name) in [
        ("config".to_string(), "checkpoints-config"),
        ("details/1".to_string(), "checkpoint"),
        (format!("details/1/subtasks/{SUM}"), "checkpoint-subtasks"),
    ] {
        let mut golden = golden(name);
        let shown = cluster.json(&format!("{path}/{below}")).await;
        if name == "checkpoint" {
            // By the ids of vertices.
            let any = golden["tasks"]["239c254b5ff89532b198266322bc819f"].clone();
            let ids = shown["tasks"].as_object().unwrap().keys();
            golden["tasks"] = ids.map(|id| (id.clone(), any.clone())).collect();
        }
        assert_shape(&shown, &golden, &below);
    }
}

#[tokio::test]
async fn the_same_request_again_begins_nothing_again() {
    let cluster = TestCluster::start();
    let job = job_in(cluster.dir.path());
    let mut executor = cluster.with_running_job(&job).await;
    let body = json!({"triggerId": "0123456789abcdef0123456789abcdef"});
    for _ in 0..3 {
        let id = begin(&cluster, &format!("/jobs/{JOB}/checkpoints"), body.clone()).await;
        assert_eq!(id, "0123456789abcdef0123456789abcdef");
    }
    executor.acknowledge(&job).await;
    end(&cluster, &format!("/jobs/{JOB}/checkpoints/0123456789abcdef0123456789abcdef")).await;
    assert_eq!(cluster.json(&format!("/jobs/{JOB}/checkpoints")).await["counts"]["total"], 1);
}

#[tokio::test]
async fn a_savepoint_is_made_where_it_was_asked_for_and_another_job_starts_from_it() {
    let cluster = TestCluster::start();
    let job = job_in(cluster.dir.path());
    let mut executor = cluster.with_running_job(&job).await;
    let location = savepoint(&cluster, &mut executor, &job).await;
    let name = format!("{}/savepoints/savepoint-{}-", cluster.dir.path().display(), &JOB.to_string()[..6]);
    assert!(location.starts_with(&format!("file:{name}")), "{location}");
    for path in [location.clone(), format!("{location}/_metadata")] {
        let mut next = job.clone();
        next.job_id = JobId(JOB.0 + u128::from(path.len() as u64));
        next.config.set("execution.savepoint.path", path);
        let mut other = cluster.executor(&format!("container_{}", next.job_id), 2);
        cluster.submit(&next).await;
        other.run(&next).await;
        assert_eq!(other.restores.len(), executions(&job).len());
        assert!(
            other.restores.values().all(|r| r.checkpoint == 1 && r.directory.as_ref() == Some(&location))
        );
        let shown = cluster.json(&format!("/jobs/{}/checkpoints", next.job_id)).await;
        assert_eq!(shown["latest"]["restored"]["is_savepoint"], true);
        assert_eq!(shown["latest"]["restored"]["external_path"], json!(location));
    }
}

#[tokio::test]
async fn a_maximum_parallelism_that_nobody_has_set_is_that_of_the_savepoint() {
    let cluster = TestCluster::start();
    let job = job_in(cluster.dir.path());
    let mut executor = cluster.with_running_job(&job).await;
    let location = savepoint(&cluster, &mut executor, &job).await;
    let mut next = job.clone();
    next.job_id = JobId(9);
    next.config.set("execution.savepoint.path", &location);
    for vertex in &mut next.graph.vertices {
        (vertex.max_parallelism, vertex.max_parallelism_derived) = (256, true);
    }
    let mut other = cluster.executor("container_9", 2);
    cluster.submit(&next).await;
    let graph = other
        .hear(|m| if let ToExecutor::StartWorker { spec, .. } = m { Some(spec.graph) } else { None })
        .await;
    assert_eq!(graph.vertices.iter().map(|v| v.max_parallelism).collect::<Vec<_>>(), [128; 3]);
    let shown = cluster.json("/jobs/00000000000000000000000000000009").await;
    let shown: Vec<_> = shown["vertices"].as_array().unwrap().iter().map(|v| &v["maxParallelism"]).collect();
    assert_eq!(shown, [128, 128, 128]);
}

async fn refused(cluster: &TestCluster, job: &JobSubmission) -> String {
    let answer: Answer = cluster.request(Method::POST, "/jobs", Some(&json!(job))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    answer.error()
}

#[tokio::test]
async fn what_cannot_be_restored_is_refused_and_named() {
    let cluster = TestCluster::start();
    let mut job = job_in(cluster.dir.path());
    let mut executor = cluster.with_running_job(&job).await;
    let location = savepoint(&cluster, &mut executor, &job).await;
    job.job_id = JobId(9);
    job.config.set("execution.savepoint.path", "/nowhere/savepoint-1");
    assert!(refused(&cluster, &job).await.contains("'/nowhere/savepoint-1'"));
    job.config.set("execution.savepoint.path", cluster.dir.path().display().to_string());
    assert!(refused(&cluster, &job).await.contains("Cannot find meta data file '_metadata'"));
    job.config.set("execution.savepoint.path", &location);
    job.graph.vertices[1].operators[0].id = kvick_core::ids::VertexId(0xff);
    let error = refused(&cluster, &job).await;
    assert!(error.contains("--allowNonRestoredState") && error.contains("sum"), "{error}");
    job.config.set("execution.savepoint.ignore-unclaimed-state", "true");
    cluster.submit(&job).await;
}

#[tokio::test]
async fn stopping_ends_the_job_and_the_answer_waits_for_whoever_asked() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = TestCluster::start_as(MasterMode::PerJob { detached: true }, config());
    let job = job_in(dir.path());
    let mut executor = cluster.with_running_job(&job).await;
    let body = json!({"targetDirectory": format!("{}/elsewhere", dir.path().display()), "drain": true});
    let id = begin(&cluster, &format!("/jobs/{JOB}/stop"), body).await;
    let order = executor.acknowledge(&job).await;
    assert!(matches!(order.kind, SnapshotKind::Stop { drain: true, .. }), "{:?}", order.kind);
    assert!(matches!(order.target, SnapshotTarget::Directory { .. }));
    executor.hear(completed).await;
    executor.report_all(&job, TaskState::Finished);
    // The application is over now, but not before its client has heard where the savepoint is.
    let done = end(&cluster, &format!("/jobs/{JOB}/savepoints/{id}")).await;
    let location = local(done["location"].as_str().unwrap()).to_path_buf();
    assert!(location.starts_with(dir.path().join("elsewhere")) && location.join("_metadata").exists());
    assert_eq!(cluster.end().await.status, FinalStatus::Succeeded);
}

fn completed(message: ToExecutor) -> Option<u64> {
    match message {
        ToExecutor::Checkpoint { command: CheckpointCommand::Complete { checkpoint }, .. } => {
            Some(checkpoint)
        }
        _ => None,
    }
}

#[tokio::test]
async fn cancelling_with_a_savepoint_cancels_once_it_is_stored() {
    let cluster = TestCluster::start();
    let job = job_in(cluster.dir.path());
    let mut executor = cluster.with_running_job(&job).await;
    let id = begin(&cluster, &format!("/jobs/{JOB}/savepoints"), json!({"cancel-job": true})).await;
    executor.acknowledge(&job).await;
    let done = end(&cluster, &format!("/jobs/{JOB}/savepoints/{id}")).await;
    assert!(local(done["location"].as_str().unwrap()).join("_metadata").exists());
    executor.hear(|m| matches!(m, ToExecutor::Cancel { .. }).then_some(())).await;
}

#[tokio::test]
async fn what_fails_is_completed_with_its_cause() {
    let cluster = TestCluster::start();
    let job = job();
    let _executor = cluster.with_running_job(&job).await;
    let id = begin(&cluster, &format!("/jobs/{JOB}/savepoints"), json!({})).await;
    let done = end(&cluster, &format!("/jobs/{JOB}/savepoints/{id}")).await;
    let cause = done["failure-cause"]["stack-trace"].as_str().unwrap();
    assert!(cause.contains("No savepoint location given"), "{cause}");
    // Below a file no directory can be made.
    let file = cluster.dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let body = json!({"target-directory": file.display().to_string()});
    let id = begin(&cluster, &format!("/jobs/{JOB}/savepoints"), body).await;
    let done = end(&cluster, &format!("/jobs/{JOB}/savepoints/{id}")).await;
    let cause = done["failure-cause"]["stack-trace"].as_str().unwrap();
    assert!(cause.contains("IO-problem") && cause.contains(&file.display().to_string()), "{cause}");
    let running = cluster.json(&format!("/jobs/{JOB}/status")).await;
    assert_eq!(running, json!({"status": "RUNNING"}));
}

#[tokio::test]
async fn a_savepoint_is_disposed_of() {
    let cluster = TestCluster::start();
    let job = job_in(cluster.dir.path());
    let mut executor = cluster.with_running_job(&job).await;
    let location = savepoint(&cluster, &mut executor, &job).await;
    let path = "/savepoint-disposal";
    let body = json!({"savepoint-path": location});
    let id = begin(&cluster, path, body.clone()).await;
    assert_eq!(end(&cluster, &format!("{path}/{id}")).await, json!({}));
    assert!(!local(&location).exists());
    let id = begin(&cluster, path, body).await;
    let done = end(&cluster, &format!("{path}/{id}")).await;
    let cause = done["failure-cause"]["stack-trace"].as_str().unwrap();
    assert!(cause.contains(local(&location).to_str().unwrap()), "{cause}");
}

#[tokio::test]
async fn periodic_checkpoints_go_when_they_are_subsumed_and_with_the_job() {
    let cluster = TestCluster::start();
    let mut job = job_in(cluster.dir.path());
    job.config.set("execution.checkpointing.interval", "10 ms");
    job.config
        .set("execution.checkpointing.externalized-checkpoint-retention", "NO_EXTERNALIZED_CHECKPOINTS");
    let mut executor = cluster.with_running_job(&job).await;
    for id in 1..=3 {
        assert_eq!(executor.acknowledge(&job).await.checkpoint, id);
        assert_eq!(executor.hear(completed).await, id);
    }
    executor.report_all(&job, TaskState::Finished);
    cluster.json(&format!("/jobs/{JOB}/execution-result?wait=20000")).await;
    let left = || {
        let dir = cluster.dir.path().join(format!("checkpoints/{JOB}"));
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>()
    };
    let gone = async {
        while !left().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(20), gone).await;
    assert!(gone.is_ok(), "left behind: {:?}", left());
}

#[tokio::test]
async fn a_job_goes_on_at_another_parallelism_from_a_checkpoint() {
    let cluster = TestCluster::start();
    let job = job_in(cluster.dir.path());
    let mut executor = cluster.with_running_job(&job).await;
    let trigger = rescale(&cluster, 1).await;
    assert_eq!(executor.acknowledge(&job).await.kind, SnapshotKind::Checkpoint);
    executor.hear(|m| matches!(m, ToExecutor::Cancel { .. }).then_some(())).await;
    executor.report_all(&job, TaskState::Canceled);
    executor.hear(|m| matches!(m, ToExecutor::StopWorker { .. }).then_some(())).await;
    // A new worker with the new graph.
    executor.run(&job).await;
    assert_eq!(end(&cluster, &format!("/jobs/{JOB}/rescaling/{trigger}")).await, json!({}));
    let begun: Vec<_> = executor.restores.iter().map(|(id, r)| (id.attempt, r.checkpoint)).collect();
    assert_eq!(begun, [(1, 1); 3]);
    let restored = executor.restores.values().flat_map(|r| r.operators.values());
    let elements =
        restored.flat_map(|state| &state.operator).map(|named| named.elements.len()).sum::<usize>();
    assert_eq!(elements, 6, "one of each subtask that there was");
    let shown = cluster.json(&format!("/jobs/{JOB}")).await;
    assert_eq!(shown["vertices"][0]["parallelism"], 1);
    assert_eq!((&shown["state"], &shown["vertices"][0]["status"]), (&json!("RUNNING"), &json!("RUNNING")));
}

#[tokio::test]
async fn a_job_that_does_not_start_at_another_parallelism_goes_back() {
    let cluster = TestCluster::start();
    let job = job_in(cluster.dir.path());
    let mut executor = cluster.with_running_job(&job).await;
    let trigger = rescale(&cluster, 1).await;
    executor.acknowledge(&job).await;
    executor.hear(|m| matches!(m, ToExecutor::Cancel { .. }).then_some(())).await;
    executor.report_all(&job, TaskState::Canceled);
    executor.hear(|m| matches!(m, ToExecutor::StartWorker { .. }).then_some(())).await;
    let failure = Failure::new(FailureKind::WorkerLost, "no space left on device");
    executor.say(FromExecutor::WorkerLost { job_id: JOB, failure });
    let done = end(&cluster, &format!("/jobs/{JOB}/rescaling/{trigger}")).await;
    let cause = done["failure-cause"]["stack-trace"].as_str().unwrap();
    assert!(cause.contains("was not changed") && cause.contains("no space left on device"), "{cause}");
    executor.run(&job).await;
    assert_eq!(executor.restores.len(), executions(&job).len());
    assert_eq!(cluster.json(&format!("/jobs/{JOB}")).await["vertices"][0]["parallelism"], 2);
}

#[tokio::test]
async fn a_change_of_parallelism_that_cannot_be_is_refused_before_anything_happens() {
    let cluster = TestCluster::start();
    let job = job_in(cluster.dir.path());
    let _executor = cluster.with_running_job(&job).await;
    for wrong in ["", "?parallelism=0", "?parallelism=x"] {
        let answer = cluster.request(Method::PATCH, &format!("/jobs/{JOB}/rescaling{wrong}"), None).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}: {}", answer.text());
    }
    let path = format!("/jobs/{JOB}/rescaling");
    let answer = cluster.request(Method::PATCH, &format!("{path}?parallelism=1000"), None).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let id = answer.json()["request-id"].as_str().unwrap().to_string();
    let done = end(&cluster, &format!("{path}/{id}")).await;
    let cause = done["failure-cause"]["stack-trace"].as_str().unwrap();
    assert!(cause.contains("above the maximum parallelism 128"), "{cause}");
}
