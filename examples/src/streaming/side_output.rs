//! Counts short words in windows of five seconds, and sends words of more than five letters to a side output.
//!
//! Usage: `SideOutputExample [--input <path>] [--output <path>]`

use kvick::prelude::*;
use kvick::window::TumblingEventTimeWindows;
use kvick_examples::{lines, tokenize, write};
use std::time::Duration;

/// Longer words are rejected.
const LONGEST: usize = 5;

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let rejected: OutputTag<Str> = OutputTag::new("rejected");
    let env = StreamExecutionEnvironment::get_execution_environment();

    let tag = rejected.clone();
    let words = lines(&env, &params)
        .assign_timestamps_and_watermarks(WatermarkStrategy::for_ingestion_time())
        .flat_map(tokenize)
        .flat_map(move |(word, count), out| {
            if word.len() > LONGEST {
                out.emit_to(&tag, word);
            } else {
                out.push((word, count));
            }
        })
        .name("Tokenizer");
    let counts = words
        .key_by(|(word, _)| word.clone())
        .window(TumblingEventTimeWindows::of(Duration::from_secs(5)))
        .sum(|(_, count)| count);

    words.side_output(&rejected).map(|word| format!("rejected: {word}")).print().name("rejected words");
    write(&counts, &params);

    env.execute("Streaming WordCount SideOutput")?;
    Ok(())
}
