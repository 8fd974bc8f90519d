//! What comes out of a window that fires.

use super::contents::{AggregateFunction, Elements, WindowContents};
use super::evictor::{Evictor, EvictorContext};
use super::span::Window;
use crate::element::{Data, Key};
use crate::error::{BoxError, TaskError, TaskResult};
use crate::operator::Output;
use crate::operators::FunctionContext;
use crate::state::{Keyed, KeyedStates, StateAccess};
use std::marker::PhantomData;

/// What a window that fires can see.
pub struct FireContext<'a, K: Key> {
    pub(super) states: &'a mut KeyedStates<K>,
    pub(super) watermark: i64,
    pub(super) now: i64,
}

/// Emits what is to be said of a window.
pub trait WindowEmit<K: Key, W: Window, V: Data>: Clone + Send + 'static {
    /// What it emits.
    type Output: Data;
    /// Whether it removes records when it fires: then [`WindowEmit::emit_evicting`] is called.
    const EVICTS: bool = false;

    /// Called once, before the first record.
    ///
    /// # Errors
    /// Whatever user code fails with.
    fn open(&mut self, _context: &mut FunctionContext<'_, K>) -> TaskResult {
        Ok(())
    }

    /// Emits what `kept` of a window gives.
    ///
    /// # Errors
    /// Whatever user code fails with.
    fn emit(
        &mut self,
        key: &Keyed<K>,
        window: &W,
        kept: &V,
        context: &mut FireContext<'_, K>,
        out: &mut Output<Self::Output>,
    ) -> TaskResult;

    /// The same, where the window is gone after it.
    ///
    /// # Errors
    /// Whatever user code fails with.
    #[inline]
    fn emit_last(
        &mut self,
        key: &Keyed<K>,
        window: &W,
        kept: V,
        context: &mut FireContext<'_, K>,
        out: &mut Output<Self::Output>,
    ) -> TaskResult {
        self.emit(key, window, &kept, context, out)
    }

    /// The same, where records may be removed from the window.
    ///
    /// # Errors
    /// Whatever user code fails with.
    fn emit_evicting(
        &mut self,
        key: &Keyed<K>,
        window: &W,
        kept: &mut V,
        context: &mut FireContext<'_, K>,
        out: &mut Output<Self::Output>,
    ) -> TaskResult {
        self.emit(key, window, kept, context, out)
    }

    /// Called once at the end, also after a failure.
    fn close(&mut self) {}
}

/// The result of what an incremental window keeps.
pub trait Finish<V>: Clone + Send + 'static {
    /// The result.
    type Result: Data;
    /// The result of what is kept.
    fn finish(&mut self, kept: &V) -> Self::Result;
    /// The same, where it is kept no longer.
    fn finish_last(&mut self, kept: V) -> Self::Result;
}

/// What is kept is the result.
#[derive(Debug, Clone, Copy, Default)]
pub struct Itself;

impl<V: Data> Finish<V> for Itself {
    type Result = V;

    fn finish(&mut self, kept: &V) -> V {
        kept.clone()
    }

    fn finish_last(&mut self, kept: V) -> V {
        kept
    }
}

/// The result of an aggregate function over records of type `T`.
pub struct ResultOf<T, A> {
    function: A,
    types: PhantomData<fn(T)>,
}

impl<T, A> ResultOf<T, A> {
    /// The function's results.
    pub fn new(function: A) -> Self {
        ResultOf { function, types: PhantomData }
    }
}

impl<T, A: Clone> Clone for ResultOf<T, A> {
    fn clone(&self) -> Self {
        ResultOf::new(self.function.clone())
    }
}

impl<T: 'static, A: AggregateFunction<T>> Finish<A::Accumulator> for ResultOf<T, A> {
    type Result = A::Output;

    fn finish(&mut self, kept: &A::Accumulator) -> A::Output {
        self.function.get_result(kept)
    }

    fn finish_last(&mut self, kept: A::Accumulator) -> A::Output {
        self.function.get_result(&kept)
    }
}

/// Emits the result of an incremental window as it is.
#[derive(Debug, Clone)]
pub struct EmitResult<R>(pub R);

impl<K: Key, W: Window, V: Data, R: Finish<V>> WindowEmit<K, W, V> for EmitResult<R> {
    type Output = R::Result;

    #[inline]
    fn emit(
        &mut self,
        _: &Keyed<K>,
        _: &W,
        kept: &V,
        _: &mut FireContext<'_, K>,
        out: &mut Output<R::Result>,
    ) -> TaskResult {
        out.push(self.0.finish(kept));
        Ok(())
    }

    #[inline]
    fn emit_last(
        &mut self,
        _: &Keyed<K>,
        _: &W,
        kept: V,
        _: &mut FireContext<'_, K>,
        out: &mut Output<R::Result>,
    ) -> TaskResult {
        out.push(self.0.finish_last(kept));
        Ok(())
    }
}

/// Gives key, window and result of an incremental window to a function.
pub struct ApplyEach<R, F, O> {
    finish: R,
    function: F,
    types: PhantomData<fn() -> O>,
}

impl<R, F, O> ApplyEach<R, F, O> {
    /// Calls the function for each window that fires.
    pub fn new(finish: R, function: F) -> Self {
        ApplyEach { finish, function, types: PhantomData }
    }
}

impl<R: Clone, F: Clone, O> Clone for ApplyEach<R, F, O> {
    fn clone(&self) -> Self {
        ApplyEach::new(self.finish.clone(), self.function.clone())
    }
}

impl<K, W, V, R, F, O> WindowEmit<K, W, V> for ApplyEach<R, F, O>
where
    K: Key,
    W: Window,
    V: Data,
    R: Finish<V>,
    O: Data,
    F: FnMut(&K, &W, R::Result, &mut Output<O>) + Clone + Send + 'static,
{
    type Output = O;

    #[inline]
    fn emit(
        &mut self,
        key: &Keyed<K>,
        window: &W,
        kept: &V,
        _: &mut FireContext<'_, K>,
        out: &mut Output<O>,
    ) -> TaskResult {
        (self.function)(&key.key, window, self.finish.finish(kept), out);
        Ok(())
    }

    #[inline]
    fn emit_last(
        &mut self,
        key: &Keyed<K>,
        window: &W,
        kept: V,
        _: &mut FireContext<'_, K>,
        out: &mut Output<O>,
    ) -> TaskResult {
        (self.function)(&key.key, window, self.finish.finish_last(kept), out);
        Ok(())
    }
}

/// Gives key, window and all records of a window to a function.
pub struct ApplyList<T, F, O> {
    function: F,
    types: PhantomData<fn(T) -> O>,
}

impl<T, F, O> ApplyList<T, F, O> {
    /// Calls the function for each window that fires.
    pub fn new(function: F) -> Self {
        ApplyList { function, types: PhantomData }
    }
}

impl<T, F: Clone, O> Clone for ApplyList<T, F, O> {
    fn clone(&self) -> Self {
        ApplyList::new(self.function.clone())
    }
}

impl<K, W, T, F, O> WindowEmit<K, W, Elements<T>> for ApplyList<T, F, O>
where
    K: Key,
    W: Window,
    T: Data,
    O: Data,
    F: FnMut(&K, &W, &[T], &mut Output<O>) + Clone + Send + 'static,
{
    type Output = O;

    fn emit(
        &mut self,
        key: &Keyed<K>,
        window: &W,
        kept: &Elements<T>,
        _: &mut FireContext<'_, K>,
        out: &mut Output<O>,
    ) -> TaskResult {
        (self.function)(&key.key, window, &kept.records, out);
        Ok(())
    }
}

/// What a [`ProcessWindowFunction`] can see and reach.
pub struct WindowContext<'a, K: Key, W> {
    window: &'a W,
    states: &'a mut KeyedStates<K>,
    watermark: i64,
    now: i64,
}

impl<K: Key, W> WindowContext<'_, K, W> {
    /// The window that fires.
    pub fn window(&self) -> &W {
        self.window
    }

    /// The watermark, in epoch milliseconds; `i64::MIN` before the first.
    pub fn current_watermark(&self) -> i64 {
        self.watermark
    }

    /// The machine's time, in epoch milliseconds.
    pub fn current_processing_time(&self) -> i64 {
        self.now
    }
}

/// State that is opened in [`ProcessWindowFunction::open`] belongs to the key, across its windows: Flink's `globalState()`.
impl<K: Key, W> StateAccess<K> for WindowContext<'_, K, W> {
    fn states(&mut self) -> &mut KeyedStates<K> {
        self.states
    }
}

/// User code that evaluates windows, with a life cycle and state by key. Each subtask has its own clone.
pub trait ProcessWindowFunction<I, O, K: Key, W: Window>: Clone + Send + 'static {
    /// Called once, before the first record: opens state.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _context: &mut FunctionContext<'_, K>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Evaluates a window: all its records, or the one result of an incremental function.
    ///
    /// # Errors
    /// Fails the task.
    fn process(
        &mut self,
        key: &K,
        context: &mut WindowContext<'_, K, W>,
        elements: &[I],
        out: &mut Output<O>,
    ) -> Result<(), BoxError>;

    /// Called once at the end, also after a failure.
    fn close(&mut self) {}
}

fn evaluate<I, O, K: Key, W: Window, F: ProcessWindowFunction<I, O, K, W>>(
    function: &mut F,
    key: &Keyed<K>,
    window: &W,
    elements: &[I],
    context: &mut FireContext<'_, K>,
    out: &mut Output<O>,
) -> TaskResult {
    let (watermark, now) = (context.watermark, context.now);
    context.states.set_current(key.clone());
    let mut context = WindowContext { window, states: context.states, watermark, now };
    function.process(&key.key, &mut context, elements, out).map_err(TaskError::from)
}

/// Gives the result of an incremental window to a [`ProcessWindowFunction`].
pub struct ProcessEach<R, F, O> {
    finish: R,
    function: F,
    types: PhantomData<fn() -> O>,
}

impl<R, F, O> ProcessEach<R, F, O> {
    /// Calls the function for each window that fires.
    pub fn new(finish: R, function: F) -> Self {
        ProcessEach { finish, function, types: PhantomData }
    }
}

impl<R: Clone, F: Clone, O> Clone for ProcessEach<R, F, O> {
    fn clone(&self) -> Self {
        ProcessEach::new(self.finish.clone(), self.function.clone())
    }
}

impl<K, W, V, R, F, O> WindowEmit<K, W, V> for ProcessEach<R, F, O>
where
    K: Key,
    W: Window,
    V: Data,
    R: Finish<V>,
    O: Data,
    F: ProcessWindowFunction<R::Result, O, K, W>,
{
    type Output = O;

    fn open(&mut self, context: &mut FunctionContext<'_, K>) -> TaskResult {
        self.function.open(context).map_err(TaskError::from)
    }

    fn emit(
        &mut self,
        key: &Keyed<K>,
        window: &W,
        kept: &V,
        context: &mut FireContext<'_, K>,
        out: &mut Output<O>,
    ) -> TaskResult {
        let result = self.finish.finish(kept);
        evaluate(&mut self.function, key, window, std::slice::from_ref(&result), context, out)
    }

    fn close(&mut self) {
        self.function.close();
    }
}

/// Gives all records of a window to a [`ProcessWindowFunction`].
pub struct ProcessList<T, F, O> {
    function: F,
    types: PhantomData<fn(T) -> O>,
}

impl<T, F, O> ProcessList<T, F, O> {
    /// Calls the function for each window that fires.
    pub fn new(function: F) -> Self {
        ProcessList { function, types: PhantomData }
    }
}

impl<T, F: Clone, O> Clone for ProcessList<T, F, O> {
    fn clone(&self) -> Self {
        ProcessList::new(self.function.clone())
    }
}

impl<K, W, T, F, O> WindowEmit<K, W, Elements<T>> for ProcessList<T, F, O>
where
    K: Key,
    W: Window,
    T: Data,
    O: Data,
    F: ProcessWindowFunction<T, O, K, W>,
{
    type Output = O;

    fn open(&mut self, context: &mut FunctionContext<'_, K>) -> TaskResult {
        self.function.open(context).map_err(TaskError::from)
    }

    fn emit(
        &mut self,
        key: &Keyed<K>,
        window: &W,
        kept: &Elements<T>,
        context: &mut FireContext<'_, K>,
        out: &mut Output<O>,
    ) -> TaskResult {
        evaluate(&mut self.function, key, window, &kept.records, context, out)
    }

    fn close(&mut self) {
        self.function.close();
    }
}

/// Computes incrementally what would have been kept, from a list of all records: where an evictor needs the list.
pub struct FoldList<T, C, M> {
    contents: C,
    inner: M,
    types: PhantomData<fn(T)>,
}

impl<T, C, M> FoldList<T, C, M> {
    /// Gives what `contents` makes of all records to `inner`.
    pub fn new(contents: C, inner: M) -> Self {
        FoldList { contents, inner, types: PhantomData }
    }
}

impl<T, C: Clone, M: Clone> Clone for FoldList<T, C, M> {
    fn clone(&self) -> Self {
        FoldList::new(self.contents.clone(), self.inner.clone())
    }
}

impl<K, W, T, C, M> WindowEmit<K, W, Elements<T>> for FoldList<T, C, M>
where
    K: Key,
    W: Window,
    T: Data,
    C: WindowContents<T>,
    M: WindowEmit<K, W, C::Kept>,
{
    type Output = M::Output;

    fn open(&mut self, context: &mut FunctionContext<'_, K>) -> TaskResult {
        self.inner.open(context)
    }

    fn emit(
        &mut self,
        key: &Keyed<K>,
        window: &W,
        kept: &Elements<T>,
        context: &mut FireContext<'_, K>,
        out: &mut Output<M::Output>,
    ) -> TaskResult {
        let mut all = kept.records.iter().cloned().zip(kept.timestamps.iter().copied());
        let Some((record, at)) = all.next() else { return Ok(()) };
        let mut folded = self.contents.first(record, at);
        all.for_each(|(record, at)| self.contents.add(&mut folded, record, at));
        self.inner.emit_last(key, window, folded, context, out)
    }

    fn close(&mut self) {
        self.inner.close();
    }
}

/// Lets an evictor remove records before and after a window is evaluated.
pub struct Evicting<E, M> {
    evictor: E,
    inner: M,
}

impl<E, M> Evicting<E, M> {
    /// Evicts around `inner`.
    pub fn new(evictor: E, inner: M) -> Self {
        Evicting { evictor, inner }
    }
}

impl<E: Clone, M: Clone> Clone for Evicting<E, M> {
    fn clone(&self) -> Self {
        Evicting::new(self.evictor.clone(), self.inner.clone())
    }
}

impl<K, W, T, E, M> WindowEmit<K, W, Elements<T>> for Evicting<E, M>
where
    K: Key,
    W: Window,
    T: Data,
    E: Evictor<T, W>,
    M: WindowEmit<K, W, Elements<T>>,
{
    type Output = M::Output;
    const EVICTS: bool = true;

    fn open(&mut self, context: &mut FunctionContext<'_, K>) -> TaskResult {
        self.inner.open(context)
    }

    fn emit(
        &mut self,
        key: &Keyed<K>,
        window: &W,
        kept: &Elements<T>,
        context: &mut FireContext<'_, K>,
        out: &mut Output<M::Output>,
    ) -> TaskResult {
        self.emit_evicting(key, window, &mut kept.clone(), context, out)
    }

    fn emit_evicting(
        &mut self,
        key: &Keyed<K>,
        window: &W,
        kept: &mut Elements<T>,
        context: &mut FireContext<'_, K>,
        out: &mut Output<M::Output>,
    ) -> TaskResult {
        let seen = EvictorContext { watermark: context.watermark, now: context.now };
        self.evictor.evict_before(kept, window, &seen);
        self.inner.emit(key, window, kept, context, out)?;
        self.evictor.evict_after(kept, window, &seen);
        Ok(())
    }

    fn close(&mut self) {
        self.inner.close();
    }
}
