//! A job whose function ends the whole process at its seventh record, some two seconds after it began.

use kvick::prelude::*;
use std::time::Duration;

fn main() -> Result<(), BoxError> {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.from_sequence(1, 1000)
        .map(|n| {
            std::thread::sleep(Duration::from_millis(300));
            if n == 7 { std::process::abort() } else { n }
        })
        .print();
    env.execute("aborts")?;
    Ok(())
}
