//! The built-in operators. User closures are type parameters, so that they are inlined into the loop over a batch.

mod aggregate;
mod function;
mod keyed_process;
mod process;
mod timestamps;
mod transform;
pub mod window;

pub use aggregate::{Combine, KeyedAggregate, Reduce, Reducer, StreamingEmit};
pub use function::FunctionContext;
pub use keyed_process::{KeyedContext, KeyedProcessFunction, KeyedProcessOperator, TimerService};
pub use process::{Process, ProcessFunction, ProcessOperator};
pub use timestamps::AssignTimestamps;
pub use transform::{Filter, FlatMap, Map, TryMap};
