//! The chaos command's program: `integration/chaos.sh` prepares the cluster that it needs and runs it.

use kvick_integration::chaos::{Fault, Options, USAGE, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if words.iter().any(|word| word == "--list") {
        Fault::ALL.iter().for_each(|fault| println!("{:<22} {}", fault.name(), fault.meaning()));
        return ExitCode::SUCCESS;
    }
    let outcome = Options::parse(&words).and_then(|options| run(&options));
    match outcome {
        Ok(report) => {
            println!("{report}");
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}
