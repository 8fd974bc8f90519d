//! Cars report speed and distance ten times a second; whenever a car has gone another 50 metres, its fastest report of the
//! last ten seconds is printed: `(car id,speed,distance,time)`. Runs until it is cancelled.
//!
//! Usage: `TopSpeedWindowing [--input <path of lines like (1,50,120.5,1650000000000)>] [--output <path>]`

use kvick::prelude::*;
use kvick::sources::DataGeneratorSource;
use kvick::window::{DeltaTrigger, GlobalWindows, TimeEvictor};
use kvick_examples::{random, write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Car, speed in km/h, distance in m, time in epoch milliseconds.
type Report = (u32, u32, f64, i64);

const CARS: usize = 2;
const REPORTS_PER_SECOND: f64 = 10.0;
const EVICTION: Duration = Duration::from_secs(10);
const TRIGGER_METERS: f64 = 50.0;

/// Simulated cars: each report is a little faster or slower than the last.
#[derive(Clone)]
struct Cars([(u32, f64); CARS]);

impl Cars {
    fn report(&mut self, number: u64) -> Report {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_millis() as i64);
        let car = number as usize % CARS;
        let (speed, distance) = &mut self.0[car];
        *speed = if random(number) & 1 == 0 { (*speed + 5).min(100) } else { speed.saturating_sub(5) };
        *distance += f64::from(*speed) / 3.6;
        (car as u32, *speed, *distance, now)
    }
}

/// Reads `(car,speed,distance,time)`.
fn parse(line: String) -> Result<Report, BoxError> {
    let fields: Vec<&str> = line.trim_matches(['(', ')']).split(',').map(str::trim).collect();
    let [car, speed, distance, time] = fields.as_slice() else {
        return Err(format!("expected (car,speed,distance,time), not {line}").into());
    };
    Ok((car.parse()?, speed.parse()?, distance.parse()?, time.parse()?))
}

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let env = StreamExecutionEnvironment::get_execution_environment();
    let reports = match params.get("input") {
        Some(path) => env.read_text_file(path).try_map(parse).name("parse-input"),
        None => {
            println!("Executing TopSpeedWindowing example with default input data set.");
            println!("Use --input to specify file input.");
            let mut cars = Cars([(50, 0.0); CARS]);
            let source = DataGeneratorSource::new(move |n| cars.report(n), u64::MAX);
            env.from_data_generator(source.rate_limited(REPORTS_PER_SECOND * CARS as f64))
                .name("in-memory-source")
                .set_parallelism(1)
        }
    };
    let top = reports
        .assign_ascending_timestamps(|report| report.3)
        .key_by(|report| report.0)
        .window(GlobalWindows::create())
        .evictor(TimeEvictor::of(EVICTION))
        .trigger(DeltaTrigger::of(TRIGGER_METERS, |last: &Report, now: &Report| now.2 - last.2))
        .max_by(|report| report.1);
    write(&top, &params);

    env.execute("CarTopSpeedWindowingExample")?;
    Ok(())
}
