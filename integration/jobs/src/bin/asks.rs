//! A program that does not wait for its job but asks about it: what it has counted, for a savepoint, for its end. Runs under
//! the `flink` command, in application mode, and, with `--host`, `--port` and `--jar`, by itself against a session.

use kvick::prelude::*;
use kvick::sinks::DiscardingSink;
use kvick::sources::DataGeneratorSource;
use kvick::{Accumulator, JobClient};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(90);

fn environment(params: &Params) -> Result<StreamExecutionEnvironment, BoxError> {
    Ok(match params.get("jar") {
        Some(jar) => {
            let port = params.required("port")?.parse()?;
            StreamExecutionEnvironment::create_remote_environment(params.required("host")?, port, jar)
        }
        None => StreamExecutionEnvironment::get_execution_environment(),
    })
}

/// Waits until the job has counted so much.
fn counted(client: &JobClient, least: i64) -> Result<i64, BoxError> {
    let begin = Instant::now();
    while begin.elapsed() < LIMIT {
        if let Some(Accumulator::LongCounter(count)) = client.accumulators()?.get("numbers")
            && *count >= least
        {
            return Ok(*count);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Err(format!("the job does not count: it is {:?}", client.status()?).into())
}

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let env = environment(&params)?;
    // What a first job made is there in the workers of the second.
    let first = env.from_sequence(1, 10).map(|n| n * n).execute_and_collect("squares")?;
    println!("squares {}", first.iter().sum::<i64>());

    env.from_data_generator(DataGeneratorSource::new(|n| n % 10, u64::MAX).rate_limited(500.0))
        .rich_map(|context| {
            let numbers = context.accumulators.get("numbers", Accumulator::LongCounter(0));
            let tens = context.metric_group().counter("tens");
            Ok(move |digit: u64| {
                if let Ok(mut count) = numbers.lock() {
                    count.merge(&Accumulator::LongCounter(1));
                }
                if digit == 0 {
                    tens.inc();
                }
                Ok(digit)
            })
        })
        .name("count them")
        .key_by(|digit| *digit)
        .reduce(|a, _| a)
        .sink_to("none", || DiscardingSink);
    let client = env.execute_async("asked")?;
    println!("counted {}", counted(&client, 100)?);
    let directory = params.required("savepoints")?;
    println!("taken {}", client.trigger_savepoint(Some(directory))?);
    println!("stopped {}", client.stop_with_savepoint(false, Some(directory))?);
    println!("ended {:?}", client.wait()?.state);
    Ok(())
}
