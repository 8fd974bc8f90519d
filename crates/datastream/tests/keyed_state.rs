//! State by key of whole jobs: what is reduced and aggregated goes on from a savepoint at another parallelism.

#![allow(clippy::unwrap_used)]

use kvick::prelude::*;
use kvick::sinks::DiscardingSink;
use kvick::sources::DataGeneratorSource;
use kvick::state::{
    AggregatingState, AggregatingStateDescriptor, ReducingState, ReducingStateDescriptor, StateTtlConfig,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const KEYS: u64 = 10;
const NUMBERS: u64 = 100_000;
const OF_EACH_KEY: u64 = NUMBERS / KEYS;

/// Key, sum and mean of all its numbers, and both again from states with a time to live.
type Totals = (u64, u64, f64, u64, f64);

/// Emits the totals of a key with its last number.
#[derive(Clone, Default)]
struct Fold {
    sum: ReducingState<u64>,
    mean: AggregatingState<u64, (u64, u64), (u64, f64)>,
    living_sum: ReducingState<u64>,
    living_mean: AggregatingState<u64, (u64, u64), (u64, f64)>,
}

/// Adds numbers up.
fn sum(name: &str) -> ReducingStateDescriptor<u64> {
    ReducingStateDescriptor::new(name, |a, b| a + b)
}

/// How many numbers there are, and their mean.
fn mean(name: &str) -> AggregatingStateDescriptor<u64, (u64, u64), (u64, f64)> {
    let add = |(count, total): &mut (u64, u64), number| (*count, *total) = (*count + 1, *total + number);
    let result = |(count, total): &(u64, u64)| (*count, *total as f64 / *count as f64);
    AggregatingStateDescriptor::new(name, Default::default, add, result)
}

impl KeyedProcessFunction<u64, u64, Totals> for Fold {
    fn open(&mut self, context: &mut FunctionContext<'_, u64>) -> Result<(), BoxError> {
        let ttl = StateTtlConfig::new(Duration::from_secs(3600));
        self.sum = context.reducing_state(sum("sum"))?;
        self.mean = context.aggregating_state(mean("mean"))?;
        self.living_sum = context.reducing_state(sum("living sum").enable_time_to_live(ttl))?;
        self.living_mean = context.aggregating_state(mean("living mean").enable_time_to_live(ttl))?;
        Ok(())
    }

    fn process(
        &mut self,
        number: u64,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<Totals>,
    ) -> Result<(), BoxError> {
        self.sum.add(context, number)?;
        self.mean.add(context, number)?;
        self.living_sum.add(context, number)?;
        self.living_mean.add(context, number)?;
        let (count, mean) = self.mean.get(context)?.unwrap();
        if count == OF_EACH_KEY {
            let sum = *self.sum.get(context)?.unwrap();
            let living_sum = *self.living_sum.get(context)?.unwrap();
            let (_, living_mean) = self.living_mean.get(context)?.unwrap();
            out.push((*context.current_key(), sum, mean, living_sum, living_mean));
        }
        Ok(())
    }
}

fn environment(parallelism: u32) -> StreamExecutionEnvironment {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(parallelism).set_runtime_mode(RuntimeMode::Streaming).set_buffer_timeout(0);
    // The same test serves for the backend that is a plugin (`scripts/test.sh plugins`).
    if let Ok(backend) = std::env::var("KVICK_TEST_STATE_BACKEND") {
        env.set_option("state.backend.type", &backend);
    }
    env
}

fn totals(
    env: &StreamExecutionEnvironment,
    numbers: DataGeneratorSource<fn(u64) -> u64>,
    seen: &Arc<AtomicU64>,
) -> DataStream<Totals> {
    let seen = Arc::clone(seen);
    env.from_data_generator(numbers)
        .uid("numbers")
        .map(move |number| {
            seen.fetch_add(1, Ordering::SeqCst);
            number
        })
        .key_by(|number| number % KEYS)
        .process(Fold::default())
        .uid("fold")
}

/// Stops the job with a savepoint once it has seen a thousand numbers.
fn savepoint(directory: &str) -> String {
    let (env, seen) = (environment(2), Arc::default());
    let numbers =
        DataGeneratorSource::new((|number| number) as fn(u64) -> u64, NUMBERS).rate_limited(2_000.0);
    totals(&env, numbers, &seen).sink_to("none", || DiscardingSink);
    let client = env.execute_async("stopped").unwrap();
    while seen.load(Ordering::SeqCst) < 1_000 {
        std::thread::yield_now();
    }
    // A task may still be on its way into work, though others see numbers.
    let path = loop {
        match client.stop_with_savepoint(false, Some(directory)) {
            Ok(path) => break path,
            Err(error) => assert!(error.to_string().contains("Not all required tasks"), "{error}"),
        }
    };
    client.wait().unwrap();
    assert!(seen.load(Ordering::SeqCst) < NUMBERS, "nothing is left for the second job");
    path
}

#[test]
fn what_is_reduced_and_aggregated_goes_on_from_a_savepoint_at_another_parallelism() {
    let directory = tempfile::tempdir().unwrap();
    let path = savepoint(directory.path().to_str().unwrap());
    let (env, seen) = (environment(3), Arc::default());
    env.set_option("execution.state-recovery.path", &path);
    let numbers = DataGeneratorSource::new((|number| number) as fn(u64) -> u64, NUMBERS);
    let mut found = totals(&env, numbers, &seen).execute_and_collect("to the end").unwrap();
    assert!(seen.load(Ordering::SeqCst) < NUMBERS, "the second job began anew");
    found.sort_by_key(|totals| totals.0);
    let expected: Vec<Totals> = (0..KEYS)
        .map(|key| {
            let sum: u64 = (0..NUMBERS).filter(|number| number % KEYS == key).sum();
            let mean = sum as f64 / OF_EACH_KEY as f64;
            (key, sum, mean, sum, mean)
        })
        .collect();
    assert_eq!(found, expected);
}
