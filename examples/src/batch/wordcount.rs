//! Counts the words of a text and prints each word with its count: `word count`.
//!
//! Usage: `WordCount [--input <path>] [--output <path>]`

use kvick::prelude::*;
use kvick_examples::{lines, tokenize, write};

fn main() -> Result<(), BoxError> {
    let params = Params::from_args()?;
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_runtime_mode(RuntimeMode::Batch);

    let counts = lines(&env, &params)
        .flat_map(tokenize)
        .name("tokenizer")
        .key_by(|(word, _)| word.clone())
        .sum(|(_, count)| count)
        .name("counter")
        .map(|(word, count)| format!("{word} {count}"))
        .name("formatter");
    write(&counts, &params);

    env.execute("WordCount Example")?;
    Ok(())
}
