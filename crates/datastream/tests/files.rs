//! Files in, files out, in this process: exactly once through failures, and what holds without checkpoints.

#![allow(clippy::unwrap_used)]

use kvick::prelude::*;
use kvick::sinks::{DateTimeBucketAssigner, FileSink, JsonEncoder, RollingPolicy, TextEncoder};
use kvick::sources::{CsvFormat, DataGeneratorSource, FileSource, Lines, TextLines};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn environment(parallelism: u32, checkpoints: Option<&Path>) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(parallelism);
    if let Some(directory) = checkpoints {
        env.set_option("execution.checkpointing.interval", "15 ms");
        env.set_option("execution.checkpointing.dir", directory.to_str().unwrap());
    }
    env.set_option("restart-strategy.type", "fixed-delay");
    env.set_option("restart-strategy.fixed-delay.attempts", "100");
    env.set_option("restart-strategy.fixed-delay.delay", "1 ms");
    env
}

/// The lines of all files that a reader sees.
fn lines(directory: &Path) -> Vec<String> {
    let (mut lines, mut open) = (Vec::new(), vec![directory.to_path_buf()]);
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if !path.file_name().unwrap().to_str().unwrap().starts_with('.') {
                lines.extend(std::fs::read_to_string(path).unwrap().lines().map(str::to_string));
            }
        }
    }
    lines.sort_unstable();
    lines
}

fn texts(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    let mut all: Vec<String> = numbers.into_iter().map(|n| n.to_string()).collect();
    all.sort_unstable();
    all
}

/// Fails each time a number that is further on comes by.
fn fails_now_and_then(next: &Arc<AtomicU64>, step: u64) -> impl FnMut(u64) -> u64 + Clone + use<> {
    let next = Arc::clone(next);
    move |n| {
        let at = next.load(Ordering::SeqCst);
        if n >= at && next.compare_exchange(at, at + step, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            panic!("unlucky {n}");
        }
        n
    }
}

#[test]
fn through_any_number_of_failures_the_files_have_every_record_exactly_once() {
    for (parallelism, policy) in [
        (1, RollingPolicy::on_checkpoint()),
        (2, RollingPolicy::default().with_max_part_size(3000)),
        (3, RollingPolicy::default()),
    ] {
        let (checkpoints, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let env = environment(parallelism, Some(checkpoints.path()));
        let next = Arc::new(AtomicU64::new(1000));
        let sink = FileSink::for_row_format(out.path().to_str().unwrap(), TextEncoder)
            .with_bucket_assigner(|n: &u64| format!("{}", n % 3))
            .with_rolling_policy(policy);
        env.from_data_generator(DataGeneratorSource::new(|n| n, 12_000).rate_limited(20_000.0))
            .map(fails_now_and_then(&next, 1500))
            .rebalance()
            .sink_to_files(sink);
        env.execute("files").unwrap();
        assert!(next.load(Ordering::SeqCst) > 4000, "it did not fail");
        assert!(lines(out.path()) == texts(0..12_000), "parallelism {parallelism}");
    }
}

#[test]
fn without_checkpoints_the_files_appear_at_the_end_and_failed_attempts_leave_nothing() {
    for mode in [RuntimeMode::Batch, RuntimeMode::Streaming] {
        let out = tempfile::tempdir().unwrap();
        let env = environment(2, None);
        env.set_runtime_mode(mode);
        let next = Arc::new(AtomicU64::new(2000));
        let directory = out.path().to_path_buf();
        let sink = FileSink::for_row_format(out.path().to_str().unwrap(), TextEncoder)
            .with_bucket_assigner(DateTimeBucketAssigner::new("yyyy"))
            .with_rolling_policy(RollingPolicy::default().with_max_part_size(500));
        let seen = Arc::clone(&next);
        env.from_data_generator(DataGeneratorSource::new(|n| n, 6000))
            .map(fails_now_and_then(&next, 100_000))
            .map(move |n| {
                if n == 500 && seen.load(Ordering::SeqCst) == 2000 {
                    assert!(lines(&directory).is_empty());
                }
                n
            })
            .sink_to_files(sink);
        env.execute("files").unwrap();
        assert!(next.load(Ordering::SeqCst) > 2000, "it did not fail");
        assert!(lines(out.path()) == texts(0..6000), "{mode:?}");
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Reading {
    sensor: u32,
    value: f64,
}

#[test]
fn comma_separated_values_become_json_and_json_becomes_records() {
    let (input, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for file in 0..3 {
        let rows: Vec<String> = (0..100).map(|n| format!("{}.5,{file}\n", n)).collect();
        std::fs::write(input.path().join(format!("{file}.csv")), format!("value,sensor\n{}", rows.concat()))
            .unwrap();
    }
    let env = environment(2, None);
    let sink = FileSink::for_row_format(output.path().to_str().unwrap(), JsonEncoder);
    let format = CsvFormat::<Reading>::default().with_header();
    env.read_csv_file(input.path().to_str().unwrap(), format).sink_to_files(sink);
    env.execute("convert").unwrap();
    assert!(lines(output.path()).contains(&"{\"sensor\":2,\"value\":99.5}".to_string()));
    let env = environment(2, None);
    let readings: DataStream<Reading> = env.read_json_lines(output.path().to_str().unwrap());
    let readings = readings.execute_and_collect("read").unwrap();
    assert_eq!(readings.len(), 300);
    assert_eq!(readings.iter().map(|r| r.value).sum::<f64>(), 15_000.0);
}

#[test]
fn a_socket_sink_sends_every_record_and_names_a_server_that_is_not_there() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let received = std::thread::spawn(move || {
        let mut text = String::new();
        server.accept().unwrap().0.read_to_string(&mut text).unwrap();
        text
    });
    let env = environment(2, None);
    env.from_sequence(1, 1000).write_to_socket("127.0.0.1", port, TextEncoder);
    env.execute("send").unwrap();
    let mut numbers: Vec<i64> = received.join().unwrap().lines().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=1000).collect::<Vec<i64>>());

    let env = environment(1, None);
    env.set_option("restart-strategy.type", "none");
    env.from_sequence(1, 10).write_to_socket("127.0.0.1", port, TextEncoder);
    let error = env.execute("nobody").unwrap_err().to_string();
    assert!(error.contains(&format!("cannot send to 127.0.0.1:{port}")), "{error}");
}

#[test]
fn a_watched_directory_is_read_until_the_job_is_cancelled() {
    let (input, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let checkpoints = tempfile::tempdir().unwrap();
    let env = environment(2, Some(checkpoints.path()));
    let source = FileSource::new(Lines(TextLines), input.path().to_str().unwrap());
    let sink = FileSink::for_row_format(output.path().to_str().unwrap(), TextEncoder)
        .with_rolling_policy(RollingPolicy::on_checkpoint());
    env.from_files("watched", source.monitor_continuously(Duration::from_millis(5))).sink_to_files(sink);
    let job = env.execute_async("watch").unwrap();
    for number in 0..5_u64 {
        let path = input.path().join(format!("{number}.txt"));
        let hidden = input.path().join(format!(".{number}.txt"));
        std::fs::write(&hidden, format!("{number}\n")).unwrap();
        std::fs::rename(hidden, path).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while lines(output.path()) != texts(0..=number) {
            assert!(Instant::now() < deadline, "{:?}", lines(output.path()));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    job.cancel().unwrap();
    assert!(matches!(job.wait(), Err(JobError::Canceled { .. })));
}
