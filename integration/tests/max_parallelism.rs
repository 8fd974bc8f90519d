//! The number of key groups stays what it was when state was first taken: through a savepoint at a parallelism that would have
//! more of them, and through changes of a running job's parallelism.

use kvick_integration::cluster::{KilledAtEnd, rest};
use kvick_integration::command::{flink, required, yarn_session};
use kvick_integration::hdfs::HdfsDir;
use kvick_integration::http::json;
use kvick_integration::wait::until;
use serde_json::Value;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(180);

/// Parallelism and maximum parallelism of each vertex.
fn widths(session: &str, job: &str) -> Vec<(u64, u64)> {
    let vertices = json(&format!("{}/jobs/{job}", rest(session)))["vertices"].clone();
    let number = |vertex: &Value, name: &str| vertex[name].as_u64().expect("a number");
    let of = |vertex: &Value| (number(vertex, "parallelism"), number(vertex, "maxParallelism"));
    vertices.as_array().expect("a job has vertices").iter().map(of).collect()
}

#[track_caller]
fn all_run(session: &str, job: &str) {
    let url = format!("{}/jobs/{job}", rest(session));
    until("all tasks to run", LIMIT, || {
        let shown = json(&url);
        let vertices = shown["vertices"].as_array().cloned().unwrap_or_default();
        let all = !vertices.is_empty() && vertices.iter().all(|vertex| vertex["status"] == "RUNNING");
        all.then_some(())
    });
}

#[test]
fn a_job_keeps_its_key_groups_at_any_parallelism() {
    // As many slots as make for another default: 2 subtasks have 128 key groups, 90 would have 256.
    let session = ["-d", "-s", "100", "-jm", "1024", "-tm", "2048", "-Dyarn.containers.vcores=1"];
    let session = yarn_session(session).ok().application();
    let _end = KilledAtEnd(session.clone());
    let (dir, jar) = (HdfsDir::new("key-groups"), required("KVICK_TEST_JOBS"));
    let options = [
        format!("-Dexecution.checkpointing.dir={}", dir.path("checkpoints")),
        format!("-Dexecution.checkpointing.savepoint-dir={}", dir.path("savepoints")),
    ];
    let (output, never) = (dir.path("out"), dir.path("never"));
    let submit = |more: &[&str]| {
        let mut line = vec!["run", "-d", "-yid", &session, &options[0], &options[1]];
        line.extend_from_slice(more);
        line.extend(["-c", "ticks", &jar, "--until", &never, "--rate", "200", "--output", &output]);
        flink(line)
    };
    let first = submit(&["-p", "2"]).ok().job();
    all_run(&session, &first);
    assert_eq!(widths(&session, &first), [(2, 128); 2]);
    let stopped = flink(["stop", "-yid", &session, &first]).ok().out;
    let savepoint = stopped.split("Path: ").nth(1).and_then(|rest| rest.lines().next()).expect("a path");

    submit(&["-p", "2", "-s", savepoint, "-Dpipeline.max-parallelism=256"]).fails(1).says(
        "The maximum parallelism (128) of the restored state does not equal the maximum parallelism (256)",
    );
    let second = submit(&["-p", "90", "-s", savepoint]).ok().job();
    all_run(&session, &second);
    assert_eq!(widths(&session, &second), [(90, 128); 2]);
    for parallelism in [100, 3] {
        flink(["modify", &second, "-yid", &session, "-p", &parallelism.to_string()]).ok();
        assert_eq!(widths(&session, &second), [(parallelism, 128); 2]);
    }
    flink(["modify", &second, "-yid", &session, "-p", "129"])
        .fails(1)
        .says("above the maximum parallelism 128");
    flink(["cancel", "-yid", &session, &second]).ok();
}
