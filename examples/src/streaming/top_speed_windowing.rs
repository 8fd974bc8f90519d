//! Cars report speed and distance ten times a second; the fastest report of each car is printed whenever it changes.
//! Runs until it is cancelled.
//!
//! There are no windows yet, so the speed is the highest so far, not that of the last ten seconds; what is printed has
//! the form that it will have then: `(car id,speed,distance,time)`.
//!
//! Usage: `TopSpeedWindowing [--input <path of lines like (1,50,120.5,1650000000000)>] [--output <path>]`

use kvick::prelude::*;
use kvick::{Poll, Source, TaskResult};
use kvick_examples::write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Car, speed in km/h, distance in m, time in epoch milliseconds.
type Report = (u32, u32, f64, u64);

const CARS: u32 = 2;
const INTERVAL: Duration = Duration::from_millis(100);

/// Simulated cars: each report is a little faster or slower than the last.
struct Cars {
    cars: Vec<(u32, f64)>,
    random: u64,
}

impl Cars {
    fn new() -> Cars {
        Cars { cars: vec![(50, 0.0); CARS as usize], random: 0x2545_f491_4f6c_dd1d }
    }

    /// Xorshift: good enough to decide between faster and slower.
    fn faster(&mut self) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random & 1 == 0
    }
}

impl Source for Cars {
    type Out = Report;

    fn poll(&mut self, out: &mut Collector<Report>) -> TaskResult<Poll> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_millis() as u64);
        for car in 0..CARS {
            let faster = self.faster();
            let (speed, distance) = &mut self.cars[car as usize];
            *speed = if faster { (*speed + 5).min(100) } else { speed.saturating_sub(5) };
            *distance += f64::from(*speed) / 3.6;
            out.push((car, *speed, *distance, now));
        }
        Ok(Poll::Wait(INTERVAL))
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

/// Passes on a report when the car's top speed has changed.
#[derive(Clone, Default)]
struct Changes(std::collections::BTreeMap<u32, u32>);

impl ProcessFunction<Report, Report> for Changes {
    fn process(
        &mut self,
        report: Report,
        _: &mut Process,
        out: &mut Collector<Report>,
    ) -> Result<(), BoxError> {
        if self.0.insert(report.0, report.1) != Some(report.1) {
            out.push(report);
        }
        Ok(())
    }
}

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let env = StreamExecutionEnvironment::get_execution_environment();
    let reports = match params.get("input") {
        Some(path) => env.read_text_file(path).try_map(parse).name("parse-input"),
        None => {
            println!("Executing TopSpeedWindowing example with default input data set.");
            println!("Use --input to specify file input.");
            env.from_source("in-memory-source", false, Cars::new).set_parallelism(1)
        }
    };
    let top = reports.key_by(|report| report.0).max_by(|report| report.1);
    write(&top.key_by(|report| report.0).as_stream().process(Changes::default()).name("changes"), &params);

    env.execute("CarTopSpeedWindowingExample")?;
    Ok(())
}
