//! Jobs run in this process, as `cargo run` runs them.

#![allow(clippy::unwrap_used)]

use kvick::prelude::*;
use kvick::{Accumulator, JobState};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

fn environment(parallelism: u32) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(parallelism);
    env
}

fn sorted<T: Ord>(mut records: Vec<T>) -> Vec<T> {
    records.sort();
    records
}

#[test]
fn records_keep_their_order_through_a_chain_and_all_arrive_through_every_exchange() {
    let all: Vec<i64> = (1..=10_000).collect();
    let env = environment(1);
    let chained = env.from_collection(all.clone()).map(|n| n * 2).filter(|n| n % 4 == 0).map(|n| n / 2);
    let collected = chained.execute_and_collect("order").unwrap();
    assert!(collected == (1..=5000).map(|n| n * 2).collect::<Vec<i64>>());

    type Exchange = fn(&DataStream<i64>) -> DataStream<i64>;
    let exchanges: [Exchange; 6] = [
        DataStream::rebalance,
        DataStream::rescale,
        DataStream::shuffle,
        DataStream::global,
        |s| s.partition_custom(|n, channels| *n as usize % channels),
        |s| s.key_by(|n| *n).as_stream(),
    ];
    for exchange in exchanges {
        let env = environment(3);
        let stream = exchange(&env.from_sequence(1, 10_000)).map(|n| n).set_parallelism(4);
        assert!(sorted(stream.execute_and_collect("exchange").unwrap()) == all);
    }
    let env = environment(2);
    let everywhere = env.from_sequence(1, 100).broadcast().map(|n| n).set_parallelism(3);
    assert_eq!(everywhere.execute_and_collect("broadcast").unwrap().len(), 300);
}

#[test]
fn aggregations_emit_updates_in_streaming_mode_and_totals_in_batch_mode() {
    let records =
        || vec![("a", 3_u64), ("b", 1), ("a", 5), ("a", 4)].into_iter().map(|(k, n)| (Str::from(k), n));
    type Aggregate = fn(&DataStream<(Str, u64)>) -> DataStream<(Str, u64)>;
    let cases: [(Aggregate, [u64; 3], u64); 5] = [
        (|s| s.key_by(|r| r.0.clone()).sum(|r| &mut r.1), [3, 8, 12], 12),
        (|s| s.key_by(|r| r.0.clone()).max(|r| &mut r.1), [3, 5, 5], 5),
        (|s| s.key_by(|r| r.0.clone()).min(|r| &mut r.1), [3, 3, 3], 3),
        (|s| s.key_by(|r| r.0.clone()).max_by(|r| r.1), [3, 5, 5], 5),
        (|s| s.key_by(|r| r.0.clone()).reduce(|a, b| (a.0, a.1 * b.1)), [3, 15, 60], 60),
    ];
    for (aggregate, updates, total) in cases {
        let env = environment(2);
        let results = aggregate(&env.from_collection(records())).execute_and_collect("updates").unwrap();
        let of_a: Vec<u64> = results.iter().filter(|r| r.0 == "a").map(|r| r.1).collect();
        assert_eq!(of_a, updates);
        let env = environment(2);
        env.set_runtime_mode(RuntimeMode::Batch);
        let results = aggregate(&env.from_collection(records())).execute_and_collect("totals").unwrap();
        assert_eq!(sorted(results), [(Str::from("a"), total), (Str::from("b"), 1)]);
    }
}

#[test]
fn a_union_has_the_records_of_all_its_streams_and_a_stream_may_have_several_consumers() {
    let env = environment(2);
    let one = env.from_collection(vec![1_i64, 2]);
    let other = env.from_sequence(3, 4);
    let both = one.union(&[&other]).map(|n| n * 10);
    let squared = one.map(|n| n * n);
    let all = both.union(&[&squared]).execute_and_collect("union").unwrap();
    assert_eq!(sorted(all), [1, 4, 10, 20, 30, 40]);
}

fn threads() -> BTreeSet<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default()).collect()
}

#[test]
fn a_panic_fails_the_job_with_its_message_and_place_and_leaves_no_thread() {
    let env = environment(2);
    env.from_sequence(1, 1_000_000)
        .map(|n| if n == 700_000 { panic!("cannot take {n}") } else { n })
        .name("unlucky")
        .rebalance()
        .map(|n| n)
        .name("leak-check")
        .filter(|_| false)
        .print();
    let error = env.execute("panics").unwrap_err().to_string();
    assert!(error.contains("cannot take 700000") && error.contains("embedded.rs:"), "{error}");
    assert!(error.contains("unlucky"), "{error}");
    let left: Vec<String> = threads().into_iter().filter(|name| name.contains("-leak-check")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_error_keeps_its_causes() {
    let env = environment(1);
    let numbers = env.from_collection(vec!["1".to_string(), "x".to_string()]);
    numbers.try_map(|text| Ok(text.parse::<i64>()?)).print();
    let error = format!("{:?}", env.execute("errors").unwrap_err());
    assert!(error.contains("Caused by: invalid digit found in string"), "{error}");
    let env = environment(1);
    env.read_text_file("/there/is/no/such/file").print();
    let error = env.execute("missing").unwrap_err().to_string();
    assert!(error.contains("/there/is/no/such/file"), "{error}");
}

#[test]
fn a_job_that_never_ends_can_be_cancelled() {
    let env = environment(2);
    env.socket_text_stream("127.0.0.1", 1, "\n", -1).rebalance().map(|line| line).print();
    let client = env.execute_async("endless").unwrap();
    client.cancel().unwrap();
    let ended = client.wait().unwrap_err();
    assert!(matches!(ended, JobError::Canceled { .. }), "{ended}");
}

#[test]
fn a_job_in_the_background_tells_its_state_and_what_it_has_counted() {
    let env = environment(1);
    env.set_runtime_mode(RuntimeMode::Streaming);
    let source = kvick::sources::DataGeneratorSource::new(|n| n as i64, u64::MAX).rate_limited(1000.0);
    env.from_data_generator(source)
        .process(CountLines::default())
        .sink_to("none", || kvick::sinks::DiscardingSink);
    let client = env.execute_async("counted").unwrap();
    let counted = || match client.accumulators().unwrap().get("lines") {
        Some(Accumulator::LongCounter(lines)) => *lines,
        _ => 0,
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while counted() < 10 {
        assert!(Instant::now() < deadline, "nothing is counted");
        std::thread::yield_now();
    }
    assert_eq!(client.status().unwrap(), JobState::Running);
    client.cancel().unwrap();
    assert!(matches!(client.wait(), Err(JobError::Canceled { .. })));
}

#[test]
fn a_remote_cluster_that_is_none_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let jar = directory.path().join("job.jar");
    let submit = |port: u16| {
        let env = StreamExecutionEnvironment::create_remote_environment("127.0.0.1", port, &jar);
        env.from_sequence(1, 3).print();
        env.execute("remote").unwrap_err().to_string()
    };
    let missing = submit(1);
    assert!(missing.contains("job.jar") && missing.contains("cargo kvick jar"), "{missing}");
    std::fs::write(&jar, b"a jar").unwrap();
    let nobody = submit(1);
    assert!(nobody.contains("cannot reach the cluster at 127.0.0.1:1: Connection refused"), "{nobody}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mailer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Reads the request, or the connection would be reset before the answer is read.
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"--\r\n") {
            let mut some = [0; 1024];
            let count = stream.read(&mut some).unwrap();
            request.extend_from_slice(&some[..count]);
        }
        stream.write_all(b"220 mail.example.org ESMTP\r\n").unwrap();
    });
    let foreign = submit(port);
    mailer.join().unwrap();
    assert!(foreign.contains("does not answer POST jars/upload as a Flink cluster does"), "{foreign}");
}

#[derive(Clone, Default)]
struct CountLines(Option<std::sync::Arc<std::sync::Mutex<Accumulator>>>);

impl ProcessFunction<i64, i64> for CountLines {
    fn open(&mut self, context: &mut RuntimeContext, _: &mut Process) -> Result<(), BoxError> {
        self.0 = Some(context.accumulators.get("lines", Accumulator::LongCounter(0)));
        Ok(())
    }

    fn process(&mut self, record: i64, _: &mut Process, out: &mut Collector<i64>) -> Result<(), BoxError> {
        if let Some(count) = &self.0 {
            count.lock().unwrap().merge(&Accumulator::LongCounter(1));
        }
        out.push(record);
        Ok(())
    }
}

#[test]
fn accumulators_of_all_subtasks_come_back_merged() {
    let env = environment(3);
    env.from_sequence(1, 1000).process(CountLines::default()).filter(|_| false).print();
    let result = env.execute("accumulators").unwrap();
    assert_eq!(result.state, JobState::Finished);
    assert_eq!(result.accumulators.get("lines"), Some(&Accumulator::LongCounter(1000)));
}

#[test]
fn mistakes_in_the_graph_are_named() {
    let env = environment(2);
    env.from_sequence(1, 2).map(|n| n).uid("same").rebalance().map(|n| n).uid("same").print();
    assert!(env.execute("uids").unwrap_err().to_string().contains("uid must be unique"));
    let env = environment(2);
    env.from_sequence(1, 2).forward().map(|n| n).set_parallelism(1).print();
    assert!(env.execute("forward").unwrap_err().to_string().contains("same parallelism"));
    let env = environment(1);
    env.set_runtime_mode(RuntimeMode::Batch);
    env.socket_text_stream("127.0.0.1", 1, "\n", 0).print();
    assert!(env.execute("batch").unwrap_err().to_string().contains("Socket Stream"));
}

/// Whether the second of three steps runs in the thread of the first, and the third in that of the second.
fn chained(configure: fn(DataStream<Vec<String>>) -> DataStream<Vec<String>>) -> (bool, bool) {
    let here = |mut threads: Vec<String>| {
        threads.push(format!("{:?}", std::thread::current().id()));
        threads
    };
    let first = environment(1).from_collection([Vec::new()]).map(here);
    let told = configure(first.map(here)).map(here).execute_and_collect("threads").unwrap().concat();
    (told[0] == told[1], told[1] == told[2])
}

#[test]
fn an_operator_starts_a_chain_or_leaves_it_where_it_says_so() {
    assert_eq!(chained(|second| second), (true, true));
    assert_eq!(chained(DataStream::start_new_chain), (false, true));
    assert_eq!(chained(DataStream::disable_chaining), (false, false));
}
