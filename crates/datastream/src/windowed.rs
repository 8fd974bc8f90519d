//! Windows on streams: what is said of them. Which operator does the work is [`build`]'s.

mod build;

use crate::reducers;
use crate::stream::DataStream;
pub use build::Eviction;
use build::{OnlyKey, Spec, WindowSpec};
use kvick_runtime::element::{Data, Key};
use kvick_runtime::operator::Output;
use kvick_runtime::operators::window::{
    AggregateFunction, Aggregated, ApplyEach, ApplyList, CountEvictor, CountTrigger, EmitResult, Evictor,
    GlobalWindows, Itself, Listed, ProcessEach, ProcessList, ProcessWindowFunction, PurgingTrigger, Reduced,
    ResultOf, Trigger, WindowAssigner, WindowContents, WindowEmit,
};
use kvick_runtime::operators::{Reduce, Reducer};
use kvick_runtime::side::OutputTag;
use std::marker::PhantomData;
use std::ops::AddAssign;
use std::time::Duration;

/// The trigger that the assigner's windows have by themselves.
#[derive(Debug, Clone, Copy)]
pub struct ByDefault;

/// A trigger that the program named.
#[derive(Debug, Clone, Copy)]
pub struct Named<Tr>(Tr);

/// No evictor.
#[derive(Debug, Clone, Copy)]
pub struct NoEvictor;

/// An evictor.
#[derive(Debug, Clone, Copy)]
pub struct Evict<E>(E);

/// Which trigger windows have.
pub trait TriggerChoice<T, A: WindowAssigner<T>>: Clone + Send + 'static {
    /// The trigger.
    type Trigger: Trigger<T, A::Window>;
    /// Whether it is the assigner's own.
    const IS_DEFAULT: bool;
    /// The trigger.
    fn trigger(&self, assigner: &A) -> Self::Trigger;
}

impl<T, A: WindowAssigner<T>> TriggerChoice<T, A> for ByDefault {
    type Trigger = A::Trigger;
    const IS_DEFAULT: bool = true;

    fn trigger(&self, assigner: &A) -> A::Trigger {
        assigner.default_trigger()
    }
}

impl<T, A: WindowAssigner<T>, Tr: Trigger<T, A::Window>> TriggerChoice<T, A> for Named<Tr> {
    type Trigger = Tr;
    const IS_DEFAULT: bool = false;

    fn trigger(&self, _assigner: &A) -> Tr {
        self.0.clone()
    }
}

/// A keyed stream cut into windows.
pub struct WindowedStream<T, K, F, A, Tr = ByDefault, E = NoEvictor> {
    input: DataStream<T>,
    spec: Spec<T, F, A, Tr>,
    evictor: E,
    only_key: OnlyKey<K>,
    types: PhantomData<fn() -> K>,
}

/// The key function of windows over a whole stream.
pub type UnitKey<T> = fn(&T);

/// A whole stream cut into windows.
pub type AllWindowedStream<T, A> = WindowedStream<T, (), UnitKey<T>, A>;

/// Windows of a number of records.
pub type CountWindowedStream<T, K, F> =
    WindowedStream<T, K, F, GlobalWindows, Named<PurgingTrigger<CountTrigger>>>;

/// The last records of a key, time and again.
pub type SlidingCountWindowedStream<T, K, F> =
    WindowedStream<T, K, F, GlobalWindows, Named<CountTrigger>, Evict<CountEvictor>>;

impl<T, K, F, A> WindowedStream<T, K, F, A>
where
    T: Data,
    K: Key,
    F: FnMut(&T) -> K + Clone + Send + 'static,
    A: WindowAssigner<T>,
{
    pub(crate) fn over(input: DataStream<T>, key: F, assigner: A) -> Self {
        let spec = Spec { key, assigner, trigger: ByDefault, lateness: 0, late: None };
        WindowedStream { input, spec, evictor: NoEvictor, only_key: None, types: PhantomData }
    }
}

impl<T: Data, A: WindowAssigner<T>> AllWindowedStream<T, A> {
    pub(crate) fn over_all(input: DataStream<T>, assigner: A) -> Self {
        let all = WindowedStream::over(input, (|_: &T| ()) as UnitKey<T>, assigner);
        WindowedStream { only_key: Some(|| ()), ..all }
    }
}

impl<T, K, F, A, Tr, E> WindowedStream<T, K, F, A, Tr, E>
where
    T: Data,
    K: Key,
    F: FnMut(&T) -> K + Clone + Send + 'static,
    A: WindowAssigner<T>,
{
    /// How much later than a window's end (by the watermark) its records may come: each fires the window again.
    #[must_use]
    #[doc(alias = "allowedLateness")]
    pub fn allowed_lateness(mut self, lateness: Duration) -> Self {
        self.spec.lateness = i64::try_from(lateness.as_millis()).unwrap_or(i64::MAX);
        self
    }

    /// Sends records that come too late for all of their windows to a side output of the result; otherwise they are dropped.
    #[must_use]
    #[doc(alias = "sideOutputLateData")]
    pub fn side_output_late_data(mut self, tag: &OutputTag<T>) -> Self {
        self.spec.late = Some(tag.clone());
        self
    }

    /// When windows fire, instead of at their end.
    pub fn trigger<Named2: Trigger<T, A::Window>>(
        self,
        trigger: Named2,
    ) -> WindowedStream<T, K, F, A, Named<Named2>, E> {
        let Spec { key, assigner, lateness, late, .. } = self.spec;
        let spec = Spec { key, assigner, trigger: Named(trigger), lateness, late };
        let WindowedStream { input, evictor, only_key, types, .. } = self;
        WindowedStream { input, spec, evictor, only_key, types }
    }

    /// Which records windows leave out when they fire. All records of a window are kept for it, and a window that overlaps
    /// others keeps its own copies.
    pub fn evictor<E2: Evictor<T, A::Window>>(
        self,
        evictor: E2,
    ) -> WindowedStream<T, K, F, A, Tr, Evict<E2>> {
        let WindowedStream { input, spec, only_key, types, .. } = self;
        WindowedStream { input, spec, evictor: Evict(evictor), only_key, types }
    }
}

impl<T, K, F, A, Tr, E> WindowedStream<T, K, F, A, Tr, E>
where
    T: Data,
    K: Key,
    F: FnMut(&T) -> K + Clone + Send + 'static,
    A: WindowAssigner<T>,
    Tr: TriggerChoice<T, A>,
    E: Eviction<T, A::Window>,
{
    fn build<C, M>(self, contents: C, emit: M) -> DataStream<M::Output>
    where
        C: WindowContents<T>,
        M: WindowEmit<K, A::Window, C::Kept>,
    {
        let (spec, only_key) = (WindowSpec(self.spec), self.only_key);
        let stream = self.evictor.build(&self.input, spec, contents, emit, only_key);
        if only_key.is_some() { stream.set_parallelism(1) } else { stream }
    }

    fn reduced(self, reducer: impl Reducer<T>) -> DataStream<T> {
        self.build(Reduced(reducer), EmitResult(Itself))
    }

    /// Combines the records of a window by a function of two. Windows that overlap share intermediate results, so the function
    /// must be associative: `f(f(a, b), c)` equals `f(a, f(b, c))`.
    pub fn reduce(self, function: impl FnMut(T, T) -> T + Clone + Send + 'static) -> DataStream<T> {
        self.reduced(Reduce(function))
    }

    /// The same, and gives the result to a function together with key and window:
    ///
    /// ```
    /// # use kvick::prelude::*;
    /// # use kvick::window::TumblingEventTimeWindows;
    /// # use std::time::Duration;
    /// # let env = StreamExecutionEnvironment::get_execution_environment();
    /// # let bids = env.from_collection([(Str::from("a"), 12_i64, 7_u64)]).assign_ascending_timestamps(|bid| bid.1);
    /// let highest = bids
    ///     .key_by(|bid| bid.0.clone())
    ///     .window(TumblingEventTimeWindows::of(Duration::from_secs(10)))
    ///     .reduce_with(|a, b| if b.2 > a.2 { b } else { a }, |_, window, bid, out| out.push((window.end, bid.2)));
    /// # assert_eq!(highest.execute_and_collect("highest").unwrap(), [(10_000, 7)]);
    /// ```
    #[doc(alias = "WindowFunction")]
    pub fn reduce_with<O: Data>(
        self,
        function: impl FnMut(T, T) -> T + Clone + Send + 'static,
        apply: impl FnMut(&K, &A::Window, T, &mut Output<O>) + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.build(Reduced(Reduce(function)), ApplyEach::new(Itself, apply))
    }

    /// The same, for a function with a life cycle and state.
    #[doc(alias = "ProcessWindowFunction")]
    pub fn reduce_process<O: Data>(
        self,
        function: impl FnMut(T, T) -> T + Clone + Send + 'static,
        process: impl ProcessWindowFunction<T, O, K, A::Window>,
    ) -> DataStream<O> {
        self.build(Reduced(Reduce(function)), ProcessEach::new(Itself, process))
    }

    /// Computes a value from the records of a window, step by step.
    pub fn aggregate<G: AggregateFunction<T>>(self, function: G) -> DataStream<G::Output> {
        self.build(Aggregated(function.clone()), EmitResult(ResultOf::new(function)))
    }

    /// The same, and gives the result to a function together with key and window.
    #[doc(alias = "WindowFunction")]
    pub fn aggregate_with<G: AggregateFunction<T>, O: Data>(
        self,
        function: G,
        apply: impl FnMut(&K, &A::Window, G::Output, &mut Output<O>) + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.build(Aggregated(function.clone()), ApplyEach::new(ResultOf::new(function), apply))
    }

    /// The same, for a function with a life cycle and state.
    #[doc(alias = "ProcessWindowFunction")]
    pub fn aggregate_process<G: AggregateFunction<T>, O: Data>(
        self,
        function: G,
        process: impl ProcessWindowFunction<G::Output, O, K, A::Window>,
    ) -> DataStream<O> {
        self.build(Aggregated(function.clone()), ProcessEach::new(ResultOf::new(function), process))
    }

    /// Gives all records of a window to a function, together with key and window.
    #[doc(alias("WindowFunction", "AllWindowFunction"))]
    pub fn apply<O: Data>(
        self,
        function: impl FnMut(&K, &A::Window, &[T], &mut Output<O>) + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.build(Listed::new(), ApplyList::new(function))
    }

    /// Gives all records of a window to a function with a life cycle and state.
    #[doc(alias = "ProcessAllWindowFunction")]
    pub fn process<O: Data>(self, function: impl ProcessWindowFunction<T, O, K, A::Window>) -> DataStream<O> {
        self.build(Listed::new(), ProcessList::new(function))
    }

    /// Adds up one field, which the function selects: `.sum(|(_, count)| count)`. Other fields are those of the first
    /// record.
    pub fn sum<N: AddAssign + Clone + 'static>(
        self,
        field: impl FnMut(&mut T) -> &mut N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.reduced(reducers::sum(field))
    }

    /// The smallest value of one field. Other fields are those of the first record.
    pub fn min<N: PartialOrd + Clone + 'static>(
        self,
        field: impl FnMut(&mut T) -> &mut N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.reduced(reducers::extreme(field, reducers::smaller))
    }

    /// The largest value of one field. Other fields are those of the first record.
    pub fn max<N: PartialOrd + Clone + 'static>(
        self,
        field: impl FnMut(&mut T) -> &mut N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.reduced(reducers::extreme(field, reducers::larger))
    }

    /// The record with the smallest value; of equal ones the first.
    #[doc(alias = "minBy")]
    pub fn min_by<N: PartialOrd + 'static>(
        self,
        value: impl FnMut(&T) -> N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.reduced(reducers::extreme_by(value, reducers::smaller))
    }

    /// The record with the largest value; of equal ones the first.
    #[doc(alias = "maxBy")]
    pub fn max_by<N: PartialOrd + 'static>(
        self,
        value: impl FnMut(&T) -> N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.reduced(reducers::extreme_by(value, reducers::larger))
    }
}
