//! The benchmark's driver: runs the same things on Kvick, on Flink if there is one, and on the least that could do them,
//! in one run on one cluster, and prints what came of it with the ratios. `run.sh` prepares what it needs.
//!
//! It sees every system from outside: command lines, YARN's records, REST, /proc. What was measured in another run is
//! never shown beside it.

mod floor;
mod memory;
mod modes;
mod options;
mod report;
mod sample;
mod session;
mod submission;
mod system;
mod throughput;
mod upload;

use anyhow::Result;
use clap::Parser;
use options::{Options, Part};
use report::Report;
use system::System;

/// A part of the benchmark: measures, and adds to the report.
type Measure = fn(&mut Bench) -> Result<()>;

/// What the parts share.
struct Bench {
    options: Options,
    kvick: System,
    flink: Option<System>,
    report: Report,
}

impl Bench {
    fn prepare(options: Options) -> Result<Bench> {
        let kvick = System::kvick()?;
        let flink = options.flink_home.as_deref().map(System::flink).transpose()?;
        Ok(Bench { report: Report::new(), options, kvick, flink })
    }

    /// Each system with how often it is to be run: Flink takes so long that it is run less often.
    fn systems(&self) -> Vec<(&System, usize)> {
        let flink = self.flink.as_ref().map(|flink| (flink, self.options.flink_runs));
        std::iter::once((&self.kvick, self.options.runs)).chain(flink).collect()
    }
}

fn main() -> Result<()> {
    let mut bench = Bench::prepare(Options::parse())?;
    let parts: [(Part, Measure); 5] = [
        (Part::Floor, floor::measure),
        (Part::Modes, modes::measure),
        (Part::Upload, upload::measure),
        (Part::Session, session::measure),
        (Part::Throughput, throughput::measure),
    ];
    for (part, measure) in parts {
        if bench.options.has(part) {
            measure(&mut bench)?;
        }
    }
    print!("{}", bench.report);
    Ok(())
}
