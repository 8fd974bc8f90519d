//! Nexmark's queries as Kvick jobs:
//!
//!     nexmark-kvick QUERY DIR PARALLELISM [--output DIR] [--files DIR] [--checkpoints DIR] [--rate N]
//!     nexmark-kvick queries
//!
//! Results are dropped, or with `--output` written as lines. Query 10, which is about writing, writes under `--files`. With
//! `--checkpoints` a checkpoint is taken each second. `throughput` and `latency` measure a keyed job over made-up records.
//!
//! Each query is written as a user of the DataStream API would: records hold the columns that are needed, updates of
//! an aggregate are emitted one by one, and event time is assigned where a query asks for it.

mod bids;
mod io;
mod joins;
mod latency;
mod statistics;
mod windows;

use io::Job;
use kvick::BoxError;
use kvick::prelude::*;

/// Builds a query's streams.
type Build = fn(&StreamExecutionEnvironment, &Job);

const QUERIES: [(&str, Build); 22] = [
    ("q0", bids::pass_through),
    ("q1", bids::currency),
    ("q2", bids::filter),
    ("q3", joins::local_sellers),
    ("q4", joins::category_averages),
    ("q5", windows::hot_items),
    ("q7", windows::highest_bids),
    ("q8", windows::new_sellers),
    ("q9", joins::winning_bids),
    ("q10", bids::log),
    ("q11", windows::sessions),
    ("q12", windows::by_the_clock),
    ("q13", bids::side_input),
    ("q14", bids::calculation),
    ("q15", statistics::by_day),
    ("q16", statistics::by_channel),
    ("q17", statistics::by_auction),
    ("q18", statistics::last_bids),
    ("q19", statistics::ten_highest),
    ("q20", joins::with_auctions),
    ("q21", bids::channel_ids),
    ("q22", bids::directories),
];

fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [query, directory, parallelism, options @ ..] = words.as_slice() else {
        QUERIES.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    };
    let job = Job::new(directory, options)?;
    let env = StreamExecutionEnvironment::get_execution_environment();
    env.set_parallelism(parallelism.parse()?);
    match *query {
        "throughput" => return latency::throughput(&env),
        "latency" => return latency::latency(&env, job.rate.ok_or("--rate is missing")?),
        _ => {}
    }
    let found = QUERIES.iter().find(|(name, _)| name == query);
    let (_, build) = found.ok_or_else(|| format!("{query} is not expressed"))?;
    job.configure(&env);
    build(&env, &job);
    job.watch_checkpoints();
    let begin = io::begin();
    env.execute(query)?;
    println!("Job Runtime: {} ms", begin.elapsed().as_millis());
    println!("Last row: {} ms", io::last_row().as_millis());
    job.tell_checkpoints();
    Ok(())
}
