//! A job whose function ends the whole process at its seventh record, some two seconds after it began.
//!
//! Usage: `aborts [--while <local file, as long as which is there it does not come to that>]`

#[path = "../held.rs"]
mod held;

use kvick::prelude::*;
use std::time::Duration;

fn main() -> Result<(), BoxError> {
    let hold = held::Hold::of(&Params::from_args()?);
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.from_sequence(1, 1000)
        .map(move |n| {
            std::thread::sleep(Duration::from_millis(300));
            if n < 7 {
                return n;
            }
            hold.wait();
            std::process::abort()
        })
        .print();
    env.execute("aborts")?;
    Ok(())
}
