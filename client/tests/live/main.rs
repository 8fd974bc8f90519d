//! The client on a real YARN: `KVICK_LIVE=1 KVICK_DIST=… cargo test -p kvick-client --test live` after
//! `cluster.sh env`, with the engine's
//! programs built beside `flink`, or with `KVICK_DIST`, the directory of a built distribution, whose programs are used then and
//! whose examples some tests run. Without `KVICK_LIVE=1` every test says that it was skipped.

#![allow(clippy::unwrap_used)]

mod place;
mod shipping;

use place::{Ended, HdfsDir, Place, application_in, example, kill_master};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};

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

/// The program has nothing to add to what the client says.
fn a_job_whose_master_dies_fails_in_one_voice() {
    let place = Place::new();
    let hdfs = HdfsDir::new("dies");
    let jar = example("streaming/TopSpeedWindowing.jar");
    let line = format!(
        "run -m yarn-cluster -Dyarn.application-attempts=1 -Dyarn.staging-directory={} {jar}",
        hdfs.root
    );
    let mut client = place.attached(&line);
    let mut stdout = BufReader::new(client.stdout.take().expect("a pipe"));
    let mut said = String::new();
    while !said.contains("Job has been submitted with JobID") {
        let read = stdout.read_line(&mut said).expect("UTF-8");
        assert!(read > 0, "it ended early: {said}");
    }
    let id = application_in(&said).expect("an application id").to_string();
    kill_master(&id);
    stdout.read_to_string(&mut said).expect("UTF-8");
    let ended = Ended::of(client.wait_with_output().expect("it ends"));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("The program finished with the following exception:"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("yarn logs -applicationId {id}")), "{}", ended.stderr);
    let left = hdfs.files(".flink");
    assert!(left.iter().all(|(path, _)| path.starts_with("cache/")), "{left:?}");
    // Nothing stands before the block: the program has ended quietly.
    assert!(ended.stderr.starts_with("\n-----"), "{}", ended.stderr);
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
    ("a_job_whose_master_dies_fails_in_one_voice", a_job_whose_master_dies_fails_in_one_voice),
    ("shipped_files_are_in_every_container", shipping::shipped_files_are_in_every_container),
    (
        "provided_libraries_are_not_uploaded_and_shared_by_all_users",
        shipping::provided_libraries_are_not_uploaded_and_shared_by_all_users,
    ),
    (
        "the_staging_directory_and_the_number_of_copies_are_as_asked",
        shipping::the_staging_directory_and_the_number_of_copies_are_as_asked,
    ),
    (
        "yarn_knows_the_application_as_it_was_labelled",
        shipping::yarn_knows_the_application_as_it_was_labelled,
    ),
    (
        "a_local_run_has_the_parallelism_that_it_was_given",
        shipping::a_local_run_has_the_parallelism_that_it_was_given,
    ),
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
