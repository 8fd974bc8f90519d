//! What a job program links and runs: operators, tasks, exchanges between them, and the worker role.
//!
//! Threads and blocking calls alone in the data path: one thread per subtask, a chain of operators in it, batches of
//! records between chains. Knows its host (whoever spawned the program) by a Unix socket, other workers by TCP, and
//! nothing of application masters or YARN.
//!
//! Reading order: [`element`] → [`operator`] → [`state`] → [`snapshot`] → [`task`] → [`exchange`] → [`task_host`] → [`worker`],
//! [`embedded`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod codec;
pub mod element;
pub mod embedded;
pub mod error;
pub mod exchange;
pub mod hash;
pub mod host_link;
pub mod key_group;
pub mod log;
pub mod metrics;
pub mod operator;
pub mod operators;
pub mod options;
mod parallel;
pub mod partition;
pub mod program;
pub mod side;
pub mod sinks;
pub mod snapshot;
pub mod sources;
pub mod spill;
pub mod state;
pub mod stdio;
pub mod task;
pub mod task_host;
pub mod testing;
pub mod text;
pub mod time;
pub mod timers;
pub mod worker;
