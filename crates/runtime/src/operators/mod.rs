//! The built-in operators. User closures are type parameters, so that they are inlined into the loop over a batch.

mod aggregate;
pub mod async_wait;
mod broadcast;
mod connect;
mod function;
mod grouped;
mod interval_join;
mod keyed_process;
mod one_key;
mod process;
mod rich;
mod timestamps;
mod transform;
pub mod window;

pub use aggregate::{Combine, KeyedAggregate, Reduce, Reducer};
pub use broadcast::{
    BroadcastContext, BroadcastDescriptors, BroadcastOperator, BroadcastProcessFunction, BroadcastState,
    BroadcastStates, KeyedBroadcastContext, KeyedBroadcastOperator, KeyedBroadcastProcessFunction,
};
pub use connect::{
    BothInputs, CoFlatMap, CoProcessFunction, Either, KeyedCoProcessFunction, KeyedCoProcessOperator,
};
pub use function::FunctionContext;
pub use grouped::GroupedAggregate;
pub use interval_join::{Interval, IntervalJoin, JoinContext, LateRecords};
pub use keyed_process::{KeyedContext, KeyedProcessFunction, KeyedProcessOperator, TimerService};
pub use one_key::OneKeyAtATime;
pub use process::{Process, ProcessFunction, ProcessOperator};
pub use rich::RichFlatMap;
pub use timestamps::AssignTimestamps;
pub use transform::{Filter, FlatMap, Map, TryMap};

use crate::error::{TaskError, TaskResult};

/// What an operator has from `open` until its input has ended.
///
/// # Errors
/// There is nothing: the engine used an operator outside of that time.
#[inline]
fn after_open<T>(opened: &mut Option<T>) -> TaskResult<&mut T> {
    opened.as_mut().ok_or_else(|| {
        TaskError::failed("an operator was used before it was opened or after its input had ended")
    })
}
