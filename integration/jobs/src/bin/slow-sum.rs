//! A job that adds up the numbers from 0 to 999, slowly enough for others to die beside it.

use kvick::prelude::*;
use std::time::Duration;

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.from_sequence(0, 999)
        .map(|n| {
            std::thread::sleep(Duration::from_millis(10));
            n
        })
        .key_by(|_| 0_u32)
        .reduce(|a, b| a + b)
        .write_as_text(params.required("output")?);
    env.execute("slow sum")?;
    Ok(())
}
