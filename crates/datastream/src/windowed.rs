//! Windows on streams: what is said of them, and which operator does the work.

use crate::graph::{EdgeWriter, boxed};
use crate::reducers;
use crate::stream::DataStream;
use kvick_core::graph::{Partitioning, RuntimeMode};
use kvick_runtime::element::{Data, Key};
use kvick_runtime::exchange::writer::{ExchangeWriter, ToFirst};
use kvick_runtime::operator::{Chained, Output};
use kvick_runtime::operators::window::{
    AggregateFunction, Aggregated, ApplyEach, ApplyList, CountEvictor, CountTrigger, EmitResult, Evicting,
    Evictor, FoldList, GlobalWindows, Itself, Layout, Listed, Panes, PartialWindows, Partials, ProcessEach,
    ProcessList, ProcessWindowFunction, PurgingTrigger, Reduced, ResultOf, SessionOperator, SliceOperator,
    Trigger, Window, WindowAssigner, WindowContents, WindowEmit, WindowOperator, WindowSettings,
};
use kvick_runtime::operators::{Reduce, Reducer};
use kvick_runtime::side::OutputTag;
use kvick_runtime::timers::TimeDomain;
use std::marker::PhantomData;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex};
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

/// The key that all records have, where the stream is not keyed.
type OnlyKey<K> = Option<fn() -> K>;

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

/// All that is said of windows, but for evictors and functions.
struct Spec<T, F, A, Tr> {
    key: F,
    assigner: A,
    trigger: Tr,
    lateness: i64,
    late: Option<OutputTag<T>>,
}

impl<T, F: Clone, A: Clone, Tr: Clone> Clone for Spec<T, F, A, Tr> {
    fn clone(&self) -> Self {
        let Spec { key, assigner, trigger, lateness, late } = self;
        Spec {
            key: key.clone(),
            assigner: assigner.clone(),
            trigger: trigger.clone(),
            lateness: *lateness,
            late: late.clone(),
        }
    }
}

impl<T, F, A, Tr> Spec<T, F, A, Tr> {
    fn settings(&self, mode: RuntimeMode) -> WindowSettings<T> {
        settings(self.lateness, self.late.clone(), mode)
    }
}

fn settings<T>(lateness: i64, late: Option<OutputTag<T>>, mode: RuntimeMode) -> WindowSettings<T> {
    WindowSettings { allowed_lateness: lateness, late_output: late, batch: mode == RuntimeMode::Batch }
}

/// Whether windows evict, which decides what is kept of their records.
pub trait Eviction<T, W: Window>: Clone + Send + 'static {
    /// Adds the window operator.
    #[doc(hidden)]
    fn build<K, F, A, Tr, C, M>(
        self,
        input: &DataStream<T>,
        spec: WindowSpec<T, F, A, Tr>,
        contents: C,
        emit: M,
        only_key: OnlyKey<K>,
    ) -> DataStream<M::Output>
    where
        T: Data,
        K: Key,
        F: FnMut(&T) -> K + Clone + Send + 'static,
        A: WindowAssigner<T, Window = W>,
        Tr: TriggerChoice<T, A>,
        C: WindowContents<T>,
        M: WindowEmit<K, W, C::Kept>;
}

/// What is said of windows, but for evictors and functions.
#[doc(hidden)]
pub struct WindowSpec<T, F, A, Tr>(Spec<T, F, A, Tr>);

impl<T, W: Window> Eviction<T, W> for NoEvictor {
    fn build<K, F, A, Tr, C, M>(
        self,
        input: &DataStream<T>,
        WindowSpec(spec): WindowSpec<T, F, A, Tr>,
        contents: C,
        emit: M,
        only_key: OnlyKey<K>,
    ) -> DataStream<M::Output>
    where
        T: Data,
        K: Key,
        F: FnMut(&T) -> K + Clone + Send + 'static,
        A: WindowAssigner<T, Window = W>,
        Tr: TriggerChoice<T, A>,
        C: WindowContents<T>,
        M: WindowEmit<K, W, C::Kept>,
    {
        if Tr::IS_DEFAULT
            && !M::WINDOW_STATE
            && A::LAYOUT == Layout::Slices
            && let Some(panes) = spec.assigner.panes()
        {
            if let Some(key) = only_key
                && spec.assigner.time_domain() == TimeDomain::EventTime
                && spec.late.is_none()
                && !C::IS_LIST
            {
                return in_two_steps(input, spec, panes, key, contents, emit);
            }
            return input.transform_keyed("Window", optional(spec.key.clone()), move |mode| {
                let (key, domain) = (spec.key.clone(), spec.assigner.time_domain());
                let (contents, emit) = (contents.clone(), emit.clone());
                SliceOperator::<T, K, F, W, C, M>::new(
                    key,
                    contents,
                    emit,
                    panes,
                    domain,
                    spec.settings(mode),
                )
            });
        }
        if Tr::IS_DEFAULT && A::LAYOUT == Layout::Sessions {
            return input.transform_keyed("Window", optional(spec.key.clone()), move |mode| {
                let Spec { key, assigner, .. } = spec.clone();
                SessionOperator::new(key, assigner, contents.clone(), emit.clone(), spec.settings(mode))
            });
        }
        general(input, spec, contents, emit)
    }
}

impl<T: Data, W: Window, E: Evictor<T, W>> Eviction<T, W> for Evict<E> {
    fn build<K, F, A, Tr, C, M>(
        self,
        input: &DataStream<T>,
        WindowSpec(spec): WindowSpec<T, F, A, Tr>,
        contents: C,
        emit: M,
        _only_key: OnlyKey<K>,
    ) -> DataStream<M::Output>
    where
        T: Data,
        K: Key,
        F: FnMut(&T) -> K + Clone + Send + 'static,
        A: WindowAssigner<T, Window = W>,
        Tr: TriggerChoice<T, A>,
        C: WindowContents<T>,
        M: WindowEmit<K, W, C::Kept>,
    {
        general(input, spec, Listed::new(), Evicting::new(self.0, FoldList::new(contents, emit)))
    }
}

/// Windows over a whole stream whose producers combine what they can: one subtask has all of it to do otherwise. Who wants
/// late records wants them as they were.
fn in_two_steps<T, K, F, A, Tr, C, M>(
    input: &DataStream<T>,
    spec: Spec<T, F, A, Tr>,
    panes: Panes,
    key: fn() -> K,
    contents: C,
    emit: M,
) -> DataStream<M::Output>
where
    T: Data,
    K: Key,
    A: WindowAssigner<T>,
    C: WindowContents<T>,
    M: WindowEmit<K, A::Window, C::Kept>,
{
    let combined = contents.clone();
    let writer: EdgeWriter = Arc::new(Mutex::new(move |_, _, port| {
        let send = ExchangeWriter::stage(port, ToFirst);
        boxed::<T>(Chained::before(PartialWindows::new(combined.clone(), panes), send))
    }));
    let partials: DataStream<C::Kept> = input.written_as(Partitioning::Global, &writer);
    let (lateness, domain) = (spec.lateness, spec.assigner.time_domain());
    partials.transform_keyed(
        "Window",
        move |_: &C::Kept| Some(key()),
        move |mode| {
            let (contents, emit) = (Partials::new(contents.clone()), emit.clone());
            let settings = settings(lateness, None, mode);
            SliceOperator::<C::Kept, K, _, A::Window, _, M>::new(
                move |_: &C::Kept| key(),
                contents,
                emit,
                panes,
                domain,
                settings,
            )
        },
    )
}

/// The key of a record, as those are told it whose records may have none.
fn optional<T, K, F: FnMut(&T) -> K + Clone + Send + 'static>(
    mut key: F,
) -> impl FnMut(&T) -> Option<K> + Clone + Send + 'static + use<T, K, F> {
    move |record: &T| Some(key(record))
}

fn general<T, K, F, A, Tr, C, M>(
    input: &DataStream<T>,
    spec: Spec<T, F, A, Tr>,
    contents: C,
    emit: M,
) -> DataStream<M::Output>
where
    T: Data,
    K: Key,
    F: FnMut(&T) -> K + Clone + Send + 'static,
    A: WindowAssigner<T>,
    Tr: TriggerChoice<T, A>,
    C: WindowContents<T>,
    M: WindowEmit<K, A::Window, C::Kept>,
{
    input.transform_keyed("Window", optional(spec.key.clone()), move |mode| {
        let Spec { key, assigner, trigger, .. } = spec.clone();
        let trigger = trigger.trigger(&assigner);
        WindowOperator::new(key, assigner, trigger, contents.clone(), emit.clone(), spec.settings(mode))
    })
}

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
    pub fn allowed_lateness(mut self, lateness: Duration) -> Self {
        self.spec.lateness = i64::try_from(lateness.as_millis()).unwrap_or(i64::MAX);
        self
    }

    /// Sends records that come too late for all of their windows to a side output of the result; otherwise they are dropped.
    #[must_use]
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
    pub fn reduce_with<O: Data>(
        self,
        function: impl FnMut(T, T) -> T + Clone + Send + 'static,
        apply: impl FnMut(&K, &A::Window, T, &mut Output<O>) + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.build(Reduced(Reduce(function)), ApplyEach::new(Itself, apply))
    }

    /// The same, for a function with a life cycle and state.
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
    pub fn aggregate_with<G: AggregateFunction<T>, O: Data>(
        self,
        function: G,
        apply: impl FnMut(&K, &A::Window, G::Output, &mut Output<O>) + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.build(Aggregated(function.clone()), ApplyEach::new(ResultOf::new(function), apply))
    }

    /// The same, for a function with a life cycle and state.
    pub fn aggregate_process<G: AggregateFunction<T>, O: Data>(
        self,
        function: G,
        process: impl ProcessWindowFunction<G::Output, O, K, A::Window>,
    ) -> DataStream<O> {
        self.build(Aggregated(function.clone()), ProcessEach::new(ResultOf::new(function), process))
    }

    /// Gives all records of a window to a function, together with key and window.
    pub fn apply<O: Data>(
        self,
        function: impl FnMut(&K, &A::Window, &[T], &mut Output<O>) + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.build(Listed::new(), ApplyList::new(function))
    }

    /// Gives all records of a window to a function with a life cycle and state.
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
    pub fn min_by<N: PartialOrd + 'static>(
        self,
        value: impl FnMut(&T) -> N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.reduced(reducers::extreme_by(value, reducers::smaller))
    }

    /// The record with the largest value; of equal ones the first.
    pub fn max_by<N: PartialOrd + 'static>(
        self,
        value: impl FnMut(&T) -> N + Clone + Send + 'static,
    ) -> DataStream<T> {
        self.reduced(reducers::extreme_by(value, reducers::larger))
    }
}
