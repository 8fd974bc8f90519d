//! Counts words as they come and prints `(word,count)` at every update.
//!
//! Usage: `WordCount [--input <path>] [--output <path>] [--execution-mode STREAMING|BATCH|AUTOMATIC]`

use kvick::prelude::*;
use kvick_examples::{lines, tokenize, write};

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let env = StreamExecutionEnvironment::get_execution_environment();
    if let Some(mode) = params.get("execution-mode") {
        env.set_option("execution.runtime-mode", mode);
    }

    let counts = lines(&env, &params)
        .flat_map(tokenize)
        .name("tokenizer")
        .key_by(|(word, _)| word.clone())
        .sum(|(_, count)| count)
        .name("counter");
    write(&counts, &params);

    env.execute("WordCount")?;
    Ok(())
}
