//! The driver's command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The distributed shell: the least that anything on YARN takes.
    Floor,
    /// Per-job and application mode, and the client's memory.
    Modes,
    /// Bytes written to HDFS by a first and a second submission.
    Upload,
    /// A session, jobs in it, eight task executors, memory.
    Session,
    /// WordCount over a generated file.
    Throughput,
}

/// Measures Kvick beside Flink, beside YARN's floor and beside native peers, in one run on one cluster.
#[derive(Debug, Parser)]
#[command(name = "integration/bench/run.sh")]
pub struct Options {
    /// How often each thing is measured on Kvick, the floor and the native peers.
    #[arg(long, default_value_t = 5, value_parser = at_least_one)]
    pub runs: usize,
    /// How often each thing is measured on Flink.
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    pub flink_runs: usize,
    /// Size of the text that is counted, in MB.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    pub megabytes: u64,
    /// Only these parts.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// A Flink distribution to compare with (`integration/bench/flink.sh` puts one together).
    #[arg(long, env = "FLINK_HOME")]
    pub flink_home: Option<PathBuf>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "a number from 1 on is wanted".to_string())
}

impl Options {
    /// Whether a part is wanted.
    pub fn has(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}
