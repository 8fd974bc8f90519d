//! A job that adds up the numbers from 0 to 999, slowly enough for others to die beside it.
//!
//! Usage: `slow-sum --output <path> [--while <local file, as long as which is there the last number waits>]`

#[path = "../held.rs"]
mod held;

use kvick::prelude::*;
use std::time::Duration;

const LAST: i64 = 999;

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let hold = held::Hold::of(&params);
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.from_sequence(0, LAST)
        .map(move |n| {
            std::thread::sleep(Duration::from_millis(10));
            if n == LAST {
                hold.wait();
            }
            n
        })
        .key_by(|_| 0_u32)
        .reduce(|a, b| a + b)
        .write_as_text(params.required("output")?);
    env.execute("slow sum")?;
    Ok(())
}
