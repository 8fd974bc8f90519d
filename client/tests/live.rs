//! Sessions on a real YARN: `KVICK_LIVE=1 HADOOP_CONF_DIR=… cargo test -p kvick-client --test live`, with the engine's
//! programs built beside `flink`. Without `KVICK_LIVE=1` every test says that it was skipped.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// A user's surroundings: a configuration, and a directory where the session's properties file is left.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Place {
        assert!(std::env::var_os("HADOOP_CONF_DIR").is_some(), "KVICK_LIVE is set, HADOOP_CONF_DIR is not");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = "jobmanager.memory.process.size: 256m\ntaskmanager.memory.process.size: 512m\n";
        fs::write(dir.path().join("config.yaml"), config).expect("a configuration");
        Place { dir }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flink"));
        command.args(line.split_whitespace());
        command.env("FLINK_CONF_DIR", self.dir.path()).env("TMPDIR", self.dir.path());
        command
    }

    fn run(&self, line: &str) -> Ended {
        Ended::of(self.command(line).output().expect("flink starts"))
    }

    fn attached(&self, line: &str) -> Child {
        let mut command = self.command(line);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("flink starts")
    }

    fn properties(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(self.dir.path()).expect("a directory");
        let mut paths = entries.map(|entry| entry.expect("an entry").path());
        paths.find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".yarn-properties-"))
        })
    }
}

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn of(output: Output) -> Ended {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    fn application(&self) -> &str {
        let start = self.stdout.find("application_").expect("an application id");
        let end = self.stdout[start..].find(|c: char| !c.is_alphanumeric() && c != '_');
        &self.stdout[start..start + end.unwrap_or(self.stdout.len() - start)]
    }
}

fn a_session_is_started_found_stopped_and_then_known_to_be_gone() {
    let place = Place::new();
    let started = place.run("yarn-session -d -nm live-test -Dmy.url=hdfs://nn:1/x=y");
    assert_eq!(started.code, Some(0), "{}\n{}", started.stdout, started.stderr);
    for text in [
        "Submitting application master",
        "has been deployed successfully",
        "JobManager Web Interface: http://",
    ] {
        assert!(started.stdout.contains(text), "{text}: {}", started.stdout);
    }
    let id = started.application().to_string();
    let properties = place.properties().expect("a properties file");
    assert!(fs::read_to_string(&properties).expect("its text").contains(&id));

    let listed = place.run("list");
    assert!(
        listed.stdout.ends_with("Waiting for response...\nNo running jobs.\nNo scheduled jobs.\n"),
        "{}",
        listed.stdout
    );
    let cancelled = place.run("cancel 00000000000000000000000000000001");
    assert_eq!(cancelled.code, Some(1));
    assert!(
        cancelled.stderr.contains("Could not cancel job 00000000000000000000000000000001."),
        "{}",
        cancelled.stderr
    );

    let mut attached = place.attached(&format!("yarn-session -id {id}"));
    attached.stdin.take().expect("a pipe").write_all(b"help\nstop\n").expect("it listens");
    let stopped = Ended::of(attached.wait_with_output().expect("it ends"));
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    assert!(
        stopped.stdout.contains("finished with state FINISHED and final state SUCCEEDED"),
        "{}",
        stopped.stdout
    );
    assert!(stopped.stderr.contains("stop - stop the YARN session"));
    assert_eq!(place.properties(), None, "the properties file goes with the session");

    let gone = place.run(&format!("list -yid {id}"));
    assert_eq!(gone.code, Some(1));
    assert!(
        gone.stderr.contains(&format!("The Yarn application {id} doesn't run anymore.")),
        "{}",
        gone.stderr
    );
}

fn an_attached_session_ends_when_told() {
    let place = Place::new();
    let mut attached = place.attached("yarn-session");
    // The word may come before the session is there.
    attached.stdin.take().expect("a pipe").write_all(b"quit\n").expect("it listens");
    let ended = Ended::of(attached.wait_with_output().expect("it ends"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("final state SUCCEEDED"), "{}", ended.stdout);
}

fn what_the_cluster_cannot_give_is_told_before_anything_is_submitted() {
    let place = Place::new();
    for (line, text) in [
        ("yarn-session -d -qu nosuch", "The specified queue 'nosuch' does not exist. Available queues: "),
        (
            "yarn-session -d -tm 1000000",
            "The cluster does not have the requested resources for the TaskManagers available!",
        ),
        (
            "yarn-session -d -Dyarn.containers.vcores=5000",
            "The number of requested virtual cores per node 5000 exceeds",
        ),
    ] {
        let refused = place.run(line);
        assert_eq!(refused.code, Some(1), "{line}");
        assert!(refused.stderr.contains(text), "{line}: {}", refused.stderr);
        assert!(!refused.stdout.contains("Submitting"), "{line}: {}", refused.stdout);
    }
}

fn the_resources_of_the_cluster_are_shown() {
    let place = Place::new();
    let shown = place.run("yarn-session -q");
    assert_eq!(shown.code, Some(0));
    for text in [
        "NodeManagers in the ClusterClient",
        "|NodeID           |",
        "Summary: totalMemory",
        "Queue: default, ",
    ] {
        assert!(shown.stdout.contains(text), "{text}: {}", shown.stdout);
    }
}

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    (
        "a_session_is_started_found_stopped_and_then_known_to_be_gone",
        a_session_is_started_found_stopped_and_then_known_to_be_gone,
    ),
    ("an_attached_session_ends_when_told", an_attached_session_ends_when_told),
    (
        "what_the_cluster_cannot_give_is_told_before_anything_is_submitted",
        what_the_cluster_cannot_give_is_told_before_anything_is_submitted,
    ),
    ("the_resources_of_the_cluster_are_shown", the_resources_of_the_cluster_are_shown),
];

/// Runs the tests whose names contain one of the arguments, or all; a failed one ends the run.
fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let live = std::env::var("KVICK_LIVE").is_ok_and(|value| value == "1");
    for (name, test) in TESTS {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        if live {
            test();
            println!("test {name} ... ok");
        } else {
            println!("test {name} ... SKIPPED: KVICK_LIVE=1 is not set");
        }
    }
}
