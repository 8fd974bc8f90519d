//! Chaos: a job with checkpoints and an exactly-once sink runs on the real cluster, its parts and the cluster under it fail
//! at random, and afterwards its output tells whether anything was lost, doubled, or stood still for long.
//!
//! The job's own lines are the only witness of what happened to records; REST, YARN and `/proc` are asked for the rest.
//! Nothing here knows the inside of Kvick.

mod daemons;
mod fault;
mod flink;
mod injection;
mod monitor;
mod options;
mod output;
mod random;
mod report;
mod run;
mod sequences;
mod target;
mod withdrawal;

pub use fault::Fault;
pub use injection::await_known;
pub use options::{Options, USAGE};
pub use report::Report;
pub use run::run;
