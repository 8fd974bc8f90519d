//! Sums what belongs to one session: events of a key with less than three milliseconds between them.
//!
//! Usage: `SessionWindowing [--output <path>]`

use kvick::prelude::*;
use kvick::window::EventTimeSessionWindows;
use kvick_examples::write;
use std::time::Duration;

/// Key, event time, value.
const INPUT: [(&str, i64, u64); 7] =
    [("a", 1, 1), ("b", 1, 1), ("b", 3, 1), ("b", 5, 1), ("c", 6, 1), ("a", 10, 1), ("c", 11, 1)];

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(1);

    let sums = env
        .from_collection(INPUT.map(|(key, at, value)| (Str::from(key), at, value)))
        .assign_timestamps_and_watermarks(
            // Each event says that all before it have come.
            WatermarkStrategy::for_punctuated(|_: &(Str, i64, u64), at| Some(at - 1))
                .with_timestamp_assigner(|event: &(Str, i64, u64)| event.1),
        )
        .key_by(|event| event.0.clone())
        .window(EventTimeSessionWindows::with_gap(Duration::from_millis(3)))
        .sum(|event| &mut event.2);
    write(&sums, &params);

    env.execute("SessionWindowing")?;
    Ok(())
}
