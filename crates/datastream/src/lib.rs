//! Kvick's DataStream API: what the author of a job imports.
//!
//! ```no_run
//! use kvick::prelude::*;
//!
//! fn main() -> Result<(), JobError> {
//!     let env = StreamExecutionEnvironment::get_execution_environment();
//!     env.read_text_file("/tmp/input.txt")
//!         .flat_map(|line, out| line.split_whitespace().for_each(|word| out.push((Str::from(word), 1_u64))))
//!         .key_by(|(word, _)| word.clone())
//!         .sum(|(_, count)| count)
//!         .print();
//!     env.execute("word count")?;
//!     Ok(())
//! }
//! ```
//!
//! The same program runs embedded (`cargo run`), in the `flink` command, in the application master and in every worker;
//! `main()` must build the same graph each time (see [`StreamExecutionEnvironment::once`]).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod environment;
mod execute;
mod graph;
mod keyed;
mod params;
mod session;
mod sink;
mod stream;

pub use compact_str::CompactString as Str;
pub use environment::StreamExecutionEnvironment;
pub use execute::{JobClient, JobError};
pub use keyed::KeyedStream;
pub use kvick_core::accumulator::{Accumulator, Accumulators};
pub use kvick_core::graph::RuntimeMode;
pub use kvick_core::job::{JobResult, JobState};
pub use kvick_runtime::element::{Data, Key};
pub use kvick_runtime::error::{BoxError, TaskError, TaskResult};
pub use kvick_runtime::operator::Output as Collector;
pub use kvick_runtime::operators::{Process, ProcessFunction};
pub use kvick_runtime::sinks::{self, Sink};
pub use kvick_runtime::sources::{self, SplitReader, SplitSource};
pub use kvick_runtime::task::{Poll, Source, TaskContext as RuntimeContext};
pub use params::{ParamError, Params};
pub use sink::DataStreamSink;
pub use stream::DataStream;

/// Everything that most jobs need.
pub mod prelude {
    pub use crate::{
        BoxError, Collector, DataStream, JobError, KeyedStream, Params, Process, ProcessFunction,
        RuntimeContext, RuntimeMode, Str, StreamExecutionEnvironment,
    };
}
