//! WordCount over a file on HDFS with parallelism 4, over two task executors on two NodeManagers, against `awk`.
//!
//! `KVICK_TEST_MEGABYTES` sets the size of the file (default 20); `scripts/test-large.sh` runs this with 300.

use kvick_integration::cluster::{container_nodes, ended, nothing_left};
use kvick_integration::command::{command, example, fs, run};
use kvick_integration::expect::job_finished;
use kvick_integration::hdfs::HdfsDir;
use kvick_integration::text::sorted_lines;
use kvick_integration::words::{counted_by_awk, megabytes, write_text};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Runs a command; also answers the nodes on which its application had containers for task executors.
fn run_watched(command: &mut Command) -> (kvick_integration::command::Ran, BTreeSet<String>) {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let before = kvick_integration::cluster::applications("RUNNING");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut nodes = BTreeSet::new();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let running = kvick_integration::cluster::applications("RUNNING");
                let fresh = running.iter().filter(|id| !before.contains(id));
                nodes.extend(fresh.flat_map(|id| container_nodes(id)));
                std::thread::sleep(Duration::from_millis(20));
            }
            nodes
        });
        let ran = run(command);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        (ran, watch.join().expect("the watch panicked"))
    })
}

#[test]
fn words_are_counted_over_two_task_executors_on_two_nodes() {
    let local = tempfile::NamedTempFile::new().expect("no temporary file");
    write_text(local.path());
    let dir = HdfsDir::new("scale");
    let input = dir.path("text.txt");
    fs(&["put", &local.path().display().to_string(), &input]).ok();
    let mut wordcount = command("flink");
    // All subtasks side by side: with blocking exchanges a small job may be done before its second container is there.
    // And each with more than half of a node's memory, so that YARN cannot give both from one.
    wordcount.args("run -m yarn-cluster -p 4 -ys 2 -ytm 5120".split(' '));
    wordcount
        .arg("-Dexecution.batch-shuffle-mode=ALL_EXCHANGES_PIPELINED")
        .arg(example("batch/WordCount.jar"));
    wordcount.args(["--input", &input, "--output", &dir.path("counts")]);
    let (ran, nodes) = run_watched(&mut wordcount);
    let ran = ran.ok();
    job_finished(&ran);
    assert_eq!(nodes.len(), 2, "the task executors ran on {nodes:?}");
    let (counts, expected) = (sorted_lines(&dir.read("counts")), counted_by_awk(local.path()));
    assert!(expected.len() > 1000, "awk counted {} words", expected.len());
    assert!(counts == expected, "{} counts differ from awk's {}", counts.len(), expected.len());
    println!("{} MB on {nodes:?}:\n{}", megabytes(), ran.out);
    ended(&ran.application());
    nothing_left(&ran.application());
}
