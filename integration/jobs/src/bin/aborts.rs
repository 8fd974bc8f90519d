//! A job whose function ends the whole process.

use kvick::prelude::*;

fn main() -> kvick::Result<()> {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.from_sequence(1, 1_000_000).map(|n| if n == 7 { std::process::abort() } else { n }).print();
    env.execute("aborts")?;
    Ok(())
}
