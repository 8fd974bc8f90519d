//! Two streams that meet in one operator.

use crate::graph::{Chaining, Erased, Node, NodeKind, boxed, fan_out, scope, unboxed};
use crate::keyed::KeyedStream;
use crate::stream::{DataStream, keyed_stage};
use kvick_core::graph::RuntimeMode;
use kvick_runtime::element::{Data, Key};
use kvick_runtime::operator::{Chained, KeyedOperator, Operator, Output};
use kvick_runtime::operators::{
    BothInputs, BroadcastDescriptors, BroadcastOperator, BroadcastProcessFunction, BroadcastStates,
    CoFlatMap, CoProcessFunction, Either, KeyedBroadcastOperator, KeyedBroadcastProcessFunction,
    KeyedCoProcessFunction, KeyedCoProcessOperator, ProcessOperator,
};
use kvick_runtime::task::TwoInputs;
use std::collections::BTreeSet;

/// Adds an operator that reads two streams.
pub(crate) fn two_inputs<A, B, O>(
    name: &str,
    first: &DataStream<A>,
    second: &DataStream<B>,
    make: impl Fn(RuntimeMode) -> O + Send + 'static,
) -> DataStream<O::Out>
where
    A: Data,
    B: Data,
    O: Operator<In = Either<A, B>>,
    O::Out: Data,
{
    let chain = move |mode, next| boxed(Chained::before(make(mode), unboxed::<O::Out>(next)));
    two_input_node(name, first, second, chain)
}

/// Adds an operator with keyed state that reads two streams: in batch mode it is given one key after the other. Records for
/// which `key` tells none are given to it when they come, before all others.
pub(crate) fn two_keyed_inputs<A, B, O, K>(
    name: &str,
    first: &DataStream<A>,
    second: &DataStream<B>,
    key: impl FnMut(&Either<A, B>) -> Option<K> + Clone + Send + 'static,
    make: impl Fn(RuntimeMode) -> O + Send + 'static,
) -> DataStream<O::Out>
where
    A: Data,
    B: Data,
    O: KeyedOperator<In = Either<A, B>>,
    O::Out: Data,
    K: Key,
{
    let chain = move |mode, next| keyed_stage(mode, key.clone(), make(mode), next);
    two_input_node(name, first, second, chain)
}

fn two_input_node<A: Data, B: Data, U: Data>(
    name: &str,
    first: &DataStream<A>,
    second: &DataStream<B>,
    chain: impl Fn(RuntimeMode, Erased) -> Erased + Send + 'static,
) -> DataStream<U> {
    let first_inputs = first.origins.len();
    let node = Node {
        name: name.to_string(),
        uid: None,
        kind: NodeKind::Operator(Box::new(chain)),
        inputs: first.origins.iter().chain(&second.origins).cloned().collect(),
        parallelism: None,
        max_parallelism: None,
        buffer_timeout: None,
        slot_sharing_group: None,
        alignment_group: None,
        // With two inputs it always starts a chain.
        chaining: Chaining::Always,
        bounded: true,
        scope: scope::<Either<A, B>>,
        fan_out: fan_out::<U>,
        head: Box::new(move |stage| TwoInputs::boxed(unboxed::<Either<A, B>>(stage), first_inputs)),
    };
    DataStream::from_node(first.env.clone(), first.env.shared.add(node))
}

/// The key of a record of one of two streams that are keyed alike.
pub(crate) fn either_key<A, B, K, F1, F2>(
    (mut first, mut second): (F1, F2),
) -> impl FnMut(&Either<A, B>) -> Option<K> + Clone + Send + 'static + use<A, B, K, F1, F2>
where
    F1: FnMut(&A) -> K + Clone + Send + 'static,
    F2: FnMut(&B) -> K + Clone + Send + 'static,
{
    move |record: &Either<A, B>| match record {
        Either::Left(record) => Some(first(record)),
        Either::Right(record) => Some(second(record)),
    }
}

/// What a stream can be connected with.
pub trait ConnectWith<S> {
    /// Both streams together.
    type Connected;
    /// Both streams together, `first` being the first.
    fn connect_with(&self, first: &S) -> Self::Connected;
}

impl<A: Data, B: Data> ConnectWith<DataStream<A>> for DataStream<B> {
    type Connected = ConnectedStreams<A, B>;

    fn connect_with(&self, first: &DataStream<A>) -> ConnectedStreams<A, B> {
        ConnectedStreams { first: first.clone(), second: self.clone() }
    }
}

impl<T: Data> DataStream<T> {
    /// Lets one operator read this stream and another one of any type, with common state; also a broadcast stream.
    ///
    /// ```
    /// # use kvick::prelude::*;
    /// # let env = StreamExecutionEnvironment::get_execution_environment();
    /// # let numbers = env.from_collection([1_u64]);
    /// # let words = env.from_collection(["a".to_string()]);
    /// let texts = numbers.connect(&words).map(|number| number.to_string(), |word| word);
    /// ```
    pub fn connect<S: ConnectWith<DataStream<T>>>(&self, second: &S) -> S::Connected {
        second.connect_with(self)
    }

    /// Sends every record to all subtasks of the operator that this is connected with, to fill a map that is the same
    /// everywhere: broadcast state. With a tuple of descriptors it fills several, `broadcast_state((&rules, &limits))`.
    ///
    /// # Panics
    /// Two descriptors of one name.
    #[doc(alias = "broadcast")]
    #[track_caller]
    pub fn broadcast_state<D: BroadcastDescriptors>(&self, descriptors: D) -> BroadcastStream<T, D::States> {
        let state = descriptors.states();
        let mut names = BTreeSet::new();
        for name in state.names() {
            assert!(names.insert(name), "broadcast_state: two descriptors have the name {name:?}");
        }
        drop(names);
        BroadcastStream { stream: self.broadcast(), state }
    }
}

impl<T, K, F> KeyedStream<T, K, F>
where
    T: Data,
    K: Key,
    F: FnMut(&T) -> K + Clone + Send + 'static,
{
    /// Lets one operator read this stream and another one that is keyed alike, with common state by key; also a broadcast
    /// stream.
    pub fn connect<S: ConnectWith<KeyedStream<T, K, F>>>(&self, second: &S) -> S::Connected {
        second.connect_with(self)
    }
}

/// Two streams for one operator.
#[derive(Clone)]
pub struct ConnectedStreams<A, B> {
    first: DataStream<A>,
    second: DataStream<B>,
}

impl<A: Data, B: Data> ConnectedStreams<A, B> {
    /// One record for each record of either stream.
    #[doc(alias = "CoMapFunction")]
    pub fn map<O: Data>(
        &self,
        mut first: impl FnMut(A) -> O + Clone + Send + 'static,
        mut second: impl FnMut(B) -> O + Clone + Send + 'static,
    ) -> DataStream<O> {
        let first = move |record, out: &mut Output<O>| out.push(first(record));
        let second = move |record, out: &mut Output<O>| out.push(second(record));
        two_inputs("Co-Map", &self.first, &self.second, move |_| {
            CoFlatMap::new(first.clone(), second.clone())
        })
    }

    /// Any number of records for each record of either stream: the functions push them.
    #[doc(alias = "CoFlatMapFunction")]
    pub fn flat_map<O: Data>(
        &self,
        first: impl FnMut(A, &mut Output<O>) + Clone + Send + 'static,
        second: impl FnMut(B, &mut Output<O>) + Clone + Send + 'static,
    ) -> DataStream<O> {
        two_inputs("Co-Flat Map", &self.first, &self.second, move |_| {
            CoFlatMap::new(first.clone(), second.clone())
        })
    }

    /// User code with a life cycle that sees the records of both streams; each subtask has its own clone.
    pub fn process<O: Data, F: CoProcessFunction<A, B, O>>(&self, function: F) -> DataStream<O> {
        two_inputs("Co-Process", &self.first, &self.second, move |_| {
            ProcessOperator::new(BothInputs(function.clone()))
        })
    }

    /// The same streams, each keyed: equal keys of both reach one subtask.
    #[doc(alias = "keyBy")]
    pub fn key_by<K, F1, F2>(&self, first: F1, second: F2) -> KeyedConnectedStreams<A, B, K, F1, F2>
    where
        K: Key,
        F1: FnMut(&A) -> K + Clone + Send + 'static,
        F2: FnMut(&B) -> K + Clone + Send + 'static,
    {
        KeyedConnectedStreams { first: self.first.key_by(first), second: self.second.key_by(second) }
    }
}

/// Two streams for one operator, keyed alike.
pub struct KeyedConnectedStreams<A, B, K, F1, F2> {
    first: KeyedStream<A, K, F1>,
    second: KeyedStream<B, K, F2>,
}

impl<A, B, K, F1, F2> ConnectWith<KeyedStream<A, K, F1>> for KeyedStream<B, K, F2>
where
    A: Data,
    B: Data,
    K: Key,
    F1: FnMut(&A) -> K + Clone + Send + 'static,
    F2: FnMut(&B) -> K + Clone + Send + 'static,
{
    type Connected = KeyedConnectedStreams<A, B, K, F1, F2>;

    fn connect_with(&self, first: &KeyedStream<A, K, F1>) -> Self::Connected {
        KeyedConnectedStreams { first: first.clone(), second: self.clone() }
    }
}

impl<A, B, K, F1, F2> KeyedConnectedStreams<A, B, K, F1, F2>
where
    A: Data,
    B: Data,
    K: Key,
    F1: FnMut(&A) -> K + Clone + Send + 'static,
    F2: FnMut(&B) -> K + Clone + Send + 'static,
{
    /// One record for each record of either stream; records with equal keys reach one subtask. For state by key there is
    /// [`KeyedConnectedStreams::process`].
    #[doc(alias = "CoMapFunction")]
    pub fn map<O: Data>(
        &self,
        first: impl FnMut(A) -> O + Clone + Send + 'static,
        second: impl FnMut(B) -> O + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.partitioned().map(first, second)
    }

    /// Any number of records for each record of either stream: the functions push them. Records with equal keys reach one
    /// subtask. For state by key there is [`KeyedConnectedStreams::process`].
    #[doc(alias = "CoFlatMapFunction")]
    pub fn flat_map<O: Data>(
        &self,
        first: impl FnMut(A, &mut Output<O>) + Clone + Send + 'static,
        second: impl FnMut(B, &mut Output<O>) + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.partitioned().flat_map(first, second)
    }

    /// The streams for an operator that needs no state by key.
    fn partitioned(&self) -> ConnectedStreams<A, B> {
        ConnectedStreams { first: self.first.partitioned(), second: self.second.partitioned() }
    }

    /// User code with a life cycle, and with state and timers by key, that sees the records of both streams.
    pub fn process<O: Data, P: KeyedCoProcessFunction<K, A, B, O>>(&self, function: P) -> DataStream<O> {
        let keys = (self.first.key.clone(), self.second.key.clone());
        let (first, second) = (self.first.partitioned(), self.second.partitioned());
        let key = either_key(keys.clone());
        two_keyed_inputs("Keyed Co-Process", &first, &second, key, move |mode| {
            let (first, second) = keys.clone();
            KeyedCoProcessOperator::new(first, second, function.clone(), mode == RuntimeMode::Batch)
        })
    }
}

/// A stream that every subtask sees whole, and that fills one map or several: broadcast state.
#[derive(Clone)]
pub struct BroadcastStream<B, S> {
    stream: DataStream<B>,
    /// What it fills, with nothing in it.
    state: S,
}

/// A stream and a broadcast stream for one operator.
pub struct BroadcastConnectedStream<I, B, S> {
    first: DataStream<I>,
    broadcast: BroadcastStream<B, S>,
}

impl<I: Data, B: Data, S: BroadcastStates> ConnectWith<DataStream<I>> for BroadcastStream<B, S> {
    type Connected = BroadcastConnectedStream<I, B, S>;

    fn connect_with(&self, first: &DataStream<I>) -> Self::Connected {
        BroadcastConnectedStream { first: first.clone(), broadcast: self.clone() }
    }
}

impl<I: Data, B: Data, S: BroadcastStates> BroadcastConnectedStream<I, B, S> {
    /// User code that processes the records of the stream by the broadcast state.
    pub fn process<O: Data, P: BroadcastProcessFunction<I, B, O, S>>(&self, function: P) -> DataStream<O> {
        let state = self.broadcast.state.clone();
        two_inputs("Co-Process-Broadcast", &self.first, &self.broadcast.stream, move |_| {
            BroadcastOperator::new(state.clone(), function.clone())
        })
    }
}

/// A keyed stream and a broadcast stream for one operator.
pub struct KeyedBroadcastConnectedStream<I, K, F, B, S> {
    first: KeyedStream<I, K, F>,
    broadcast: BroadcastStream<B, S>,
}

impl<I, K, F, B, S> ConnectWith<KeyedStream<I, K, F>> for BroadcastStream<B, S>
where
    I: Data,
    K: Key,
    F: FnMut(&I) -> K + Clone + Send + 'static,
    B: Data,
    S: BroadcastStates,
{
    type Connected = KeyedBroadcastConnectedStream<I, K, F, B, S>;

    fn connect_with(&self, first: &KeyedStream<I, K, F>) -> Self::Connected {
        KeyedBroadcastConnectedStream { first: first.clone(), broadcast: self.clone() }
    }
}

impl<I, K, F, B, S> KeyedBroadcastConnectedStream<I, K, F, B, S>
where
    I: Data,
    K: Key,
    F: FnMut(&I) -> K + Clone + Send + 'static,
    B: Data,
    S: BroadcastStates,
{
    /// User code, with state and timers by key, that processes the records of the keyed stream by the broadcast state.
    pub fn process<O: Data, P: KeyedBroadcastProcessFunction<K, I, B, O, S>>(
        &self,
        function: P,
    ) -> DataStream<O> {
        let (key, state) = (self.first.key.clone(), self.broadcast.state.clone());
        let first = self.first.partitioned();
        let mut keyed = key.clone();
        let key_of = move |record: &Either<I, B>| match record {
            Either::Left(record) => Some(keyed(record)),
            Either::Right(_) => None,
        };
        two_keyed_inputs("Co-Process-Broadcast-Keyed", &first, &self.broadcast.stream, key_of, move |mode| {
            let batch = mode == RuntimeMode::Batch;
            KeyedBroadcastOperator::new(key.clone(), state.clone(), function.clone(), batch)
        })
    }
}
