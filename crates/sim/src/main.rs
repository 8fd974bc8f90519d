//! Runs schedules: `kvick-sim [COUNT] [FIRST_SEED]`; with `KVICK_SIM_SEED` one schedule only, told step by step.
//! `kvick-sim scale [EXECUTORS] [MINUTES]` measures what one application master can bear.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(seed) = std::env::var("KVICK_SIM_SEED").ok().and_then(|s| s.parse().ok()) {
        return report(kvick_sim::run(seed, true).map(|outcome| println!("seed {seed} holds: {outcome:?}")));
    }
    if std::env::args().nth(1).as_deref() == Some("scale") {
        return measure();
    }
    let mut arguments = std::env::args().skip(1).filter_map(|a| a.parse::<u64>().ok());
    let (count, first) = (arguments.next().unwrap_or(10_000), arguments.next().unwrap_or(0));
    let mut sum = kvick_sim::Outcome::default();
    let mut run = |seed| kvick_sim::run(seed, false).map(|outcome| sum += outcome);
    let held = (first..first + count).try_for_each(&mut run);
    report(held.map(|()| println!("{count} schedules hold: {sum:?}")))
}

fn measure() -> ExitCode {
    let number = |index: usize| std::env::args().nth(index).and_then(|text| text.parse::<u32>().ok());
    let executors = number(2).unwrap_or(10_000);
    let minutes = number(3).unwrap_or(3);
    let scale = kvick_sim::scale::Scale {
        executors,
        depth: 10,
        width: executors.min(100),
        minutes: u64::from(minutes),
    };
    match kvick_sim::scale::run(scale) {
        Ok(report) => {
            println!(
                "{executors} task executors, {} subtasks, {minutes} simulated minutes",
                executors * scale.depth
            );
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("{what}");
            ExitCode::FAILURE
        }
    }
}

fn report(result: Result<(), kvick_sim::Violation>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(violation) => {
            eprintln!("seed {} breaks at {} ms: {}", violation.seed, violation.at, violation.what);
            eprintln!("see it again with KVICK_SIM_SEED={}", violation.seed);
            ExitCode::FAILURE
        }
    }
}
