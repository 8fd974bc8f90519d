//! Joins the grades and the salaries of persons, window by window. Runs until it is cancelled.
//!
//! Usage: `WindowJoin [--windowSize <ms>] [--rate <elements per second>] [--count <elements of each stream>]`

use kvick::prelude::*;
use kvick::sources::DataGeneratorSource;
use kvick::window::TumblingEventTimeWindows;
use kvick_examples::random;
use std::time::Duration;

const NAMES: [&str; 6] = ["tom", "jerry", "alice", "bob", "john", "grace"];
const GRADES: u64 = 5;
const MOST_SALARY: u64 = 10_000;

fn name(seed: u64) -> Str {
    Str::from(NAMES[(random(seed) % NAMES.len() as u64) as usize])
}

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let window: u64 = params.get_or("windowSize", 2000)?;
    let rate: f64 = params.get_or("rate", 3.0)?;
    let count: u64 = params.get_or("count", u64::MAX)?;
    println!("Using windowSize={window}, data rate={rate}");
    println!(
        "To customize example, use: WindowJoin [--windowSize <window-size-in-millis>] [--rate <elements-per-second>]"
    );

    let env = StreamExecutionEnvironment::get_execution_environment();
    let grades = DataGeneratorSource::new(|n| (name(n), random(n ^ 7) % GRADES + 1), count);
    let salaries = DataGeneratorSource::new(|n| (name(n ^ 0xabcd), random(n ^ 11) % MOST_SALARY + 1), count);
    let grades = env
        .from_data_generator(grades.rate_limited(rate))
        .name("Grades Data Generator")
        .set_parallelism(1)
        .assign_timestamps_and_watermarks(WatermarkStrategy::for_ingestion_time())
        .set_parallelism(1);
    let salaries = env
        .from_data_generator(salaries.rate_limited(rate))
        .name("Salaries Data Generator")
        .set_parallelism(1)
        .assign_timestamps_and_watermarks(WatermarkStrategy::for_ingestion_time())
        .set_parallelism(1);

    grades
        .join(&salaries)
        .where_(|(name, _)| name.clone())
        .equal_to(|(name, _)| name.clone())
        .window(TumblingEventTimeWindows::of(Duration::from_millis(window)))
        .apply(|(name, grade), (_, salary), out| out.push((name.clone(), *grade, *salary)))
        .print()
        .set_parallelism(1);

    env.execute("Windowed Join Example")?;
    Ok(())
}
