//! `flink` and `yarn-session`: the command line by which jobs and clusters are run.
//!
//! Reading order: [`args`] (what was typed), [`settings`] (what it means), [`commands`] (what is done), [`deploy`] (bringing
//! an application to YARN), [`rest`] (speaking to it).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod args;
mod console;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    println!("{:?}", args::parse_flink(&args));
}
