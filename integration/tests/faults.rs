//! The short form of the chaos command: each fault once or a few times on the tests' cluster, while a job with checkpoints
//! every second writes each line exactly once. The command does the same for as long as one likes (`integration/chaos.sh`).

use kvick_integration::chaos::{Fault, Options, Report, run};
use std::time::Duration;

/// With pauses of a minute the time-outs are Flink's defaults: where nothing hangs, nothing is given up that is only slow.
const NO_HANG: Duration = Duration::from_secs(60);

/// Long enough for a slow machine, short enough to be waited for.
const HANG: Duration = Duration::from_secs(15);

/// These faults, each once, in an order that a seed gives; the report, which is clean.
#[track_caller]
fn survives(faults: &[Fault], count: usize, pause: Duration) -> Report {
    survives_with(0, faults, count, pause)
}

/// The same with so many warm spare task executors.
#[track_caller]
fn survives_with(spares: u32, faults: &[Fault], count: usize, pause: Duration) -> Report {
    let options = Options { faults: faults.to_vec(), count, seed: 5, pause, spares, ..Options::default() };
    let report = run(&options).expect("the job goes on");
    assert!(report.is_clean(), "{report}");
    println!("{report}");
    report
}

/// Asserts that the job was well again so many milliseconds after each of these faults.
#[track_caller]
fn recovers_within(allowed: u64, faults: &[Fault], report: &Report) {
    for fault in faults {
        let recoveries = report.recoveries(*fault);
        let quick = !recoveries.is_empty() && recoveries.iter().all(|time| *time <= allowed);
        assert!(quick, "{} was to be over after {allowed} ms, not {recoveries:?}:\n{report}", fault.name());
    }
}

#[test]
fn ten_application_masters_die_in_a_row_and_no_record_waits_for_the_next() {
    let report = survives(&[Fault::MasterKilled], 10, NO_HANG);
    assert_eq!(report.injections.len(), 10);
    // That no worker was replaced and no restart counted, the report has checked. Beside the gap without any fault the long
    // form shows these gaps as they are; what a busy machine adds is not the matter here.
    let allowed = (2 * report.calm_gap).max(3000);
    let longest = report.injections.iter().map(|one| one.gap).max();
    assert!(longest.is_some_and(|gap| gap < allowed), "undisturbed {} ms:\n{report}", report.calm_gap);
}

#[test]
fn whatever_of_an_application_dies_or_hangs_nothing_is_lost_or_doubled() {
    let faults = [
        Fault::ExecutorKilled,
        Fault::WorkerKilled,
        Fault::MasterPaused,
        Fault::ExecutorPaused,
        Fault::WorkerHung,
        Fault::MasterAndExecutor,
        Fault::MasterInCheckpoint,
    ];
    let report = survives(&faults, faults.len(), HANG);
    assert_eq!(report.injections.len(), faults.len());
    // Three seconds beside YARN's own time for a container: the job waited for containers when it began, too, and what makes this
    // machine slow today made that slow.
    let killed = [Fault::ExecutorKilled, Fault::WorkerKilled];
    recovers_within(3000 + report.start, &killed, &report);
}

#[test]
fn a_warm_spare_takes_the_place_of_a_killed_task_executor_at_once() {
    let report = survives_with(1, &[Fault::ExecutorKilled], 1, NO_HANG);
    assert!(report.injections[0].restarts > 0, "nobody felt it:\n{report}");
    // Without a container to wait for; but a machine that needs longer than that for a job's start needs longer for its restart.
    recovers_within(report.start.max(2000), &[Fault::ExecutorKilled], &report);
}

#[test]
fn whatever_of_the_cluster_dies_nothing_is_lost_or_doubled() {
    let faults = [
        Fault::NodeManagerRestarted,
        Fault::ResourceManagerRestarted,
        Fault::NameNodeRestarted,
        Fault::NameNodeSafeMode,
        Fault::DataNodeRestarted,
    ];
    assert_eq!(survives(&faults, faults.len(), NO_HANG).injections.len(), faults.len());
}

#[test]
fn an_application_master_may_die_at_any_moment_and_in_any_mode() {
    let faults = [
        Fault::MasterInDeployment,
        Fault::MasterInSavepoint,
        Fault::MasterInCancellation,
        Fault::MasterOfSession,
        Fault::MasterOfApplication,
    ];
    assert_eq!(survives(&faults, 0, NO_HANG).injections.len(), faults.len());
}

#[test]
fn what_yarn_takes_back_is_left_after_a_checkpoint_and_is_no_failure() {
    let faults = [Fault::Preempted, Fault::Decommissioned];
    assert_eq!(survives(&faults, 0, NO_HANG).injections.len(), faults.len());
}
