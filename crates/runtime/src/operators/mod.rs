//! The built-in operators. User closures are type parameters, so that they are inlined into the loop over a batch.

mod aggregate;
mod process;
mod transform;

pub use aggregate::{Combine, KeyedAggregate, Reduce, Reducer, StreamingEmit};
pub use process::{Process, ProcessFunction, ProcessOperator};
pub use transform::{Filter, FlatMap, Map, TryMap};
