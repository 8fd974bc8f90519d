//! A job whose function panics at its seventh record.

use kvick::prelude::*;

fn main() -> kvick::Result<()> {
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.from_sequence(1, 1_000_000)
        .map(|n| if n == 7 { panic!("the user's function gives up at record {n}") } else { n })
        .print();
    env.execute("panics")?;
    Ok(())
}
