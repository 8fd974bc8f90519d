//! Nexmark's queries on Renoir, a stream processor without fault tolerance, for comparison:
//!
//!     nexmark-renoir QUERY DIR PARALLELISM [--output DIR] [--files DIR]
//!     nexmark-renoir queries
//!
//! Results are dropped, or with `--output` written as lines. Query 10, which is about writing, writes under `--files`.
//!
//! Renoir's windows of event time begin with a key's first record and tell no start and end, so queries 5, 7 and 8 are
//! grouped by the window's number instead, which keeps all windows until the input ends. Its sessions know only
//! the machine's clock: query 11 is not expressed.

mod bids;
mod io;
mod joins;
mod statistics;
mod windows;

use io::{Job, Outcome};
use renoir::prelude::*;
use std::time::Instant;

/// The allocator that Kvick's jobs have, so that what is compared is not the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const QUERIES: &str = "q0 q1 q2 q3 q4 q5 q7 q8 q9 q10 q12 q13 q14 q15 q16 q17 q18 q19 q20 q21 q22";

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [query, directory, parallelism, options @ ..] = words.as_slice() else {
        println!("{}", QUERIES.replace(' ', "\n"));
        return Ok(());
    };
    let job = Job::new(directory, options)?;
    let begin = Instant::now();
    let env = StreamContext::new(RuntimeConfig::local(parallelism.parse()?)?);
    build(query, &env, &job)?;
    env.execute_blocking();
    println!("Job Runtime: {} ms", begin.elapsed().as_millis());
    Ok(())
}

fn build(query: &str, env: &StreamContext, job: &Job) -> Outcome {
    match query {
        "q0" => bids::pass_through(env, job),
        "q1" => bids::currency(env, job),
        "q2" => bids::filter(env, job),
        "q3" => joins::local_sellers(env, job),
        "q4" => joins::category_averages(env, job),
        "q5" => windows::hot_items(env, job),
        "q7" => windows::highest_bids(env, job),
        "q8" => windows::new_sellers(env, job),
        "q9" => joins::winning_bids(env, job),
        "q10" => bids::log(env, job),
        "q12" => windows::by_the_clock(env, job),
        "q13" => joins::side_input(env, job),
        "q14" => bids::calculation(env, job),
        "q15" => statistics::by_day(env, job),
        "q16" => statistics::by_channel(env, job),
        "q17" => statistics::by_auction(env, job),
        "q18" => statistics::last_bids(env, job),
        "q19" => statistics::ten_highest(env, job),
        "q20" => joins::with_auctions(env, job),
        "q21" => bids::channel_ids(env, job),
        "q22" => bids::directories(env, job),
        other => return Err(format!("{other} is not expressed").into()),
    }
    Ok(())
}
