//! A stream of records, and how an operator is added to it.
//!
//! What is made of a stream stands beside this: `transformations`, `partitioning`, `sinks`; what is said of its operator:
//! `settings`. Knows nothing of what operators do.

mod partitioning;
mod settings;
mod sinks;
mod transformations;

use self::partitioning::plain_writer;
use crate::environment::StreamExecutionEnvironment;
use crate::graph::{Chaining, Edge, Erased, FanOut, Node, NodeKind, boxed, fan_out, scope, unboxed};
use kvick_core::graph::RuntimeMode;
use kvick_runtime::element::{Data, Key};
use kvick_runtime::operator::{BoxStage, Chained, KeyedOperator, Operator};
use kvick_runtime::operators::OneKeyAtATime;
use kvick_runtime::task::OneInput;
use std::marker::PhantomData;

/// A stream of records of type `T`. Cheap to clone; may have any number of consumers.
#[derive(Clone)]
pub struct DataStream<T> {
    pub(crate) env: StreamExecutionEnvironment,
    pub(crate) origins: Vec<Edge>,
    types: PhantomData<fn() -> T>,
}

/// An operator with keyed state in front of a stage: in batch mode it is given one key after the other.
pub(crate) fn keyed_stage<O, K, F>(mode: RuntimeMode, key: F, operator: O, next: Erased) -> Erased
where
    O: KeyedOperator,
    O::In: Data,
    O::Out: Data,
    K: Key,
    F: FnMut(&O::In) -> Option<K> + Send + 'static,
{
    let next = unboxed::<O::Out>(next);
    boxed(match mode {
        // A key of no size has one value: there is nothing to sort by.
        RuntimeMode::Batch if size_of::<K>() > 0 => Chained::before(OneKeyAtATime::new(operator, key), next),
        _ => Chained::before(operator, next),
    })
}

impl<T: Data> DataStream<T> {
    pub(crate) fn from_node(env: StreamExecutionEnvironment, node: usize) -> DataStream<T> {
        let origin = Edge { from: node, partitioning: None, writer: plain_writer::<T>(), side: None };
        DataStream { env, origins: vec![origin], types: PhantomData }
    }

    /// Adds an operator of one's own.
    pub fn transform<O: Operator<In = T>>(
        &self,
        name: &str,
        make: impl Fn() -> O + Send + 'static,
    ) -> DataStream<O::Out>
    where
        O::Out: Data,
    {
        self.transform_in_mode(name, move |_| make())
    }

    pub(crate) fn transform_in_mode<O: Operator<In = T>>(
        &self,
        name: &str,
        make: impl Fn(kvick_core::graph::RuntimeMode) -> O + Send + 'static,
    ) -> DataStream<O::Out>
    where
        O::Out: Data,
    {
        let kind = NodeKind::Operator(Box::new(move |mode, next| {
            boxed(Chained::before(make(mode), unboxed::<O::Out>(next)))
        }));
        let node = self.consumer(name, kind, fan_out::<O::Out>);
        DataStream::from_node(self.env.clone(), self.env.shared.add(node))
    }

    /// An operator that is another one in batch mode.
    pub(crate) fn transform_staged<O: Data>(
        &self,
        name: &str,
        chain: impl Fn(RuntimeMode, BoxStage<O>) -> BoxStage<T> + Send + 'static,
    ) -> DataStream<O> {
        let kind = NodeKind::Operator(Box::new(move |mode, next| boxed(chain(mode, unboxed::<O>(next)))));
        let node = self.consumer(name, kind, fan_out::<O>);
        DataStream::from_node(self.env.clone(), self.env.shared.add(node))
    }

    /// An operator with keyed state: in batch mode it is given one key after the other, where `key` says which.
    pub(crate) fn transform_keyed<O, K, F>(
        &self,
        name: &str,
        key: F,
        make: impl Fn(RuntimeMode) -> O + Send + 'static,
    ) -> DataStream<O::Out>
    where
        O: KeyedOperator<In = T>,
        O::Out: Data,
        K: Key,
        F: FnMut(&T) -> Option<K> + Clone + Send + 'static,
    {
        let chain = move |mode, next| keyed_stage(mode, key.clone(), make(mode), next);
        let node = self.consumer(name, NodeKind::Operator(Box::new(chain)), fan_out::<O::Out>);
        DataStream::from_node(self.env.clone(), self.env.shared.add(node))
    }

    fn consumer(&self, name: &str, kind: NodeKind, fan_out: FanOut) -> Node {
        Node {
            name: name.to_string(),
            uid: None,
            kind,
            inputs: self.origins.clone(),
            parallelism: None,
            max_parallelism: None,
            buffer_timeout: None,
            slot_sharing_group: None,
            alignment_group: None,
            chaining: Chaining::Always,
            bounded: true,
            scope: scope::<T>,
            fan_out,
            head: Box::new(|stage| OneInput::boxed(unboxed::<T>(stage))),
        }
    }
}
