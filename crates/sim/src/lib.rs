//! A seeded world around the machines of `kvick-core`: a model of YARN, of task executors and of their workers, that
//! breaks things on purpose.
//!
//! One seed is one schedule: the same seed gives the same events in the same order. [`run`] checks the invariants after
//! every step and, once faults have stopped, that every job ends and every container is given back.

mod chaos;
mod checkpoints;
mod executor;
mod failover;
mod gate;
mod invariant;
mod job;
mod narrow;
mod network;
mod outage;
mod outcome;
mod random;
mod results;
pub mod scale;
mod snapshots;
mod storage;
mod worker;
mod world;
mod yarn;

pub use outcome::{Outcome, Violation};
pub use world::run;
