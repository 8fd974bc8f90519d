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

//! Programs that link this crate get their memory from an allocator that is made for threads (the feature `allocator`, on by
//! default); a program with a `#[global_allocator]` of its own depends on `kvick` with `default-features = false`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod async_stream;
mod connected;
mod environment;
mod execute;
mod graph;
mod interval_joined;
mod job_client;
mod joined;
mod keyed;
mod params;
mod reducers;
mod session;
mod sink;
mod stream;
mod windowed;

pub use async_stream::AsyncDataStream;
pub use compact_str::CompactString as Str;
pub use connected::{
    BroadcastConnectedStream, BroadcastStream, ConnectWith, ConnectedStreams, KeyedBroadcastConnectedStream,
    KeyedConnectedStreams,
};
pub use environment::StreamExecutionEnvironment;
pub use execute::JobError;
pub use interval_joined::{IntervalJoin, IntervalJoined};
pub use job_client::{JobClient, RestError};
pub use joined::{
    CoGroupEqualTo, CoGroupWhere, CoGroupWindow, CoGroupedStreams, JoinEqualTo, JoinWhere, JoinWindow,
    JoinedStreams,
};
pub use keyed::KeyedStream;
pub use kvick_core::accumulator::{Accumulator, Accumulators};
pub use kvick_core::graph::RuntimeMode;
pub use kvick_core::job::{JobResult, JobState};
pub use kvick_runtime::element::{Batch, Data, Event, Key};
pub use kvick_runtime::error::{BoxError, TaskError, TaskResult};
pub use kvick_runtime::metrics::{Counter, Histogram, Meter, MetricGroup, metric_prefix};
pub use kvick_runtime::operator::{Operator, Output as Collector};
pub use kvick_runtime::operators::async_wait::{AsyncRetryStrategy, AsyncTimeout, RetryDelay};
pub use kvick_runtime::operators::{
    BroadcastContext, BroadcastDescriptors, BroadcastProcessFunction, BroadcastState, BroadcastStates,
    CoProcessFunction, Either, FunctionContext, JoinContext, KeyedBroadcastContext,
    KeyedBroadcastProcessFunction, KeyedCoProcessFunction, KeyedContext, KeyedProcessFunction, Process,
    ProcessFunction, TimerService,
};
pub use kvick_runtime::side::OutputTag;
pub use kvick_runtime::sinks::{self, Sink};
pub use kvick_runtime::sources::{self, SplitReader, SplitSource};
pub use kvick_runtime::task::{Poll, Source, TaskContext as RuntimeContext};
pub use kvick_runtime::time::{TimestampAssigner, WatermarkGenerator, WatermarkOutput, WatermarkStrategy};
pub use kvick_runtime::timers::TimeDomain;
pub use params::{ParamError, Params};
pub use sink::DataStreamSink;
pub use stream::DataStream;
pub use windowed::WindowedStream;

/// State: descriptors, handles and time to live of state by key; what operator state is handed over to.
pub mod state {
    pub use kvick_core::checkpoint::{Redistribution, SnapshotKind};
    pub use kvick_runtime::snapshot::OperatorSnapshot;
    pub use kvick_runtime::state::{
        AggregatingState, AggregatingStateDescriptor, EveryKey, ListState, ListStateDescriptor, MapState,
        MapStateDescriptor, ReducingState, ReducingStateDescriptor, StateAccess, StateError, StateTtlConfig,
        StateVisibility, TtlUpdate, ValueState, ValueStateDescriptor, WindowState, WindowStateAccess,
    };
}

/// Windows: assigners, triggers, evictors and the functions that evaluate them.
pub mod window {
    pub use crate::windowed::{AllWindowedStream, CountWindowedStream, SlidingCountWindowedStream};
    pub use kvick_runtime::operators::window::{
        AggregateFunction, ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountEvictor,
        CountTrigger, DeltaEvictor, DeltaTrigger, DynamicEventTimeSessionWindows,
        DynamicProcessingTimeSessionWindows, Elements, EventTimeSessionWindows, EventTimeTrigger, Evictor,
        EvictorContext, GlobalWindow, GlobalWindows, Layout, NeverTrigger, Panes, ProcessWindowFunction,
        ProcessingTimeSessionWindows, ProcessingTimeTrigger, PurgingTrigger, SlidingEventTimeWindows,
        SlidingProcessingTimeWindows, TimeEvictor, TimeWindow, Trigger, TriggerContext, TriggerResult,
        TumblingEventTimeWindows, TumblingProcessingTimeWindows, Window, WindowAssigner, WindowContext,
    };
}

// A record is made in its source's thread and dropped in the thread behind the exchange. The C library's allocator
// answers that with locks: it takes up to half of the processor time of a job whose records hold texts.
#[cfg(feature = "allocator")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The examples of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/datastream.md")]
struct Guide;

/// The examples of the guide to sources and sinks.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/connectors.md")]
struct Connectors;

/// Everything that most jobs need.
pub mod prelude {
    pub use crate::state::{
        ListState, ListStateDescriptor, MapState, MapStateDescriptor, StateAccess, ValueState,
        ValueStateDescriptor,
    };
    pub use crate::window::{AggregateFunction, ProcessWindowFunction, TimeWindow, WindowContext};
    pub use crate::{
        BoxError, Collector, DataStream, FunctionContext, JobError, KeyedContext, KeyedProcessFunction,
        KeyedStream, OutputTag, Params, Process, ProcessFunction, RuntimeContext, RuntimeMode, Str,
        StreamExecutionEnvironment, WatermarkStrategy,
    };
}
