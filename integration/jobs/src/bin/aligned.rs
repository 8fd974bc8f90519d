//! A quick and a slow source with event time, each in a slot of its own. The job's result says by how many milliseconds of event
//! time the quick one was ever ahead of the slow one: `ahead`; and how many records there were of both: `records`.
//!
//! Usage: `aligned [--drift <milliseconds>] [--seconds <event time>]`; without `--drift` the sources are not aligned.

use kvick::Accumulator;
use kvick::prelude::*;
use kvick::sinks::DiscardingSink;
use kvick::sources::DataGeneratorSource;
use std::time::Duration;

/// Event time between two records, in milliseconds.
const STEP: u64 = 10;

/// Records with event time, so many times as fast as time itself.
fn source(
    env: &StreamExecutionEnvironment,
    params: &Params,
    name: &'static str,
    speed: f64,
) -> Result<DataStream<(bool, i64)>, BoxError> {
    let count = params.get("seconds").unwrap_or("10").parse::<u64>()? * 1000 / STEP;
    let quick = name == "quick";
    let numbers = DataGeneratorSource::new(move |n| (quick, (n * STEP) as i64), count);
    let mut strategy = WatermarkStrategy::for_monotonous_timestamps()
        .with_timestamp_assigner(|record: &(bool, i64)| record.1);
    if let Some(drift) = params.get("drift") {
        let (drift, update) = (Duration::from_millis(drift.parse()?), Duration::from_millis(200));
        strategy = strategy.with_watermark_alignment_every("readings", drift, update);
    }
    let stream = env.from_data_generator(numbers.rate_limited(speed * 1000.0 / STEP as f64));
    Ok(stream.name(name).slot_sharing_group(name).assign_timestamps_and_watermarks(strategy))
}

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(1).set_runtime_mode(RuntimeMode::Streaming).set_buffer_timeout(10);
    let (quick, slow) = (source(&env, &params, "quick", 10.0)?, source(&env, &params, "slow", 1.0)?);
    quick
        .union(&[&slow])
        .rich_map(|context| {
            let ahead = context.accumulators.get("ahead", Accumulator::LongMaximum(0));
            let records = context.accumulators.get("records", Accumulator::LongCounter(0));
            let (mut quick, mut slow) = (0, 0);
            Ok(move |(is_quick, at): (bool, i64)| {
                *(if is_quick { &mut quick } else { &mut slow }) = at;
                if let (Ok(mut ahead), Ok(mut records)) = (ahead.lock(), records.lock()) {
                    ahead.merge(&Accumulator::LongMaximum(quick - slow));
                    records.merge(&Accumulator::LongCounter(1));
                }
                Ok(at)
            })
        })
        .name("compare")
        .sink_to("none", || DiscardingSink);
    env.execute("aligned")?;
    Ok(())
}
