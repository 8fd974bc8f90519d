//! A job whose function keeps more and more in memory until somebody ends it: much at once, then so slowly that whoever looks
//! now and then sees it coming.

use kvick::prelude::*;
use std::time::Duration;

const MEGABYTE: usize = 1 << 20;

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let at_once: usize = params.required("at-once")?.parse()?;
    let env = StreamExecutionEnvironment::get_execution_environment();
    let mut kept = Vec::new();
    env.from_sequence(1, 1_000_000)
        .map(move |n| {
            let megabytes = if kept.is_empty() { at_once } else { 2 };
            // Not zeros, for which the kernel need not have any memory.
            kept.push(vec![n as u8 | 1; megabytes * MEGABYTE]);
            std::thread::sleep(Duration::from_millis(200));
            kept.len() as i64
        })
        .print();
    env.execute("hoards")?;
    Ok(())
}
