//! What comes out of a window that fires.

mod lists;
mod process;

pub use lists::{ApplyList, Evicting, FoldList};
pub use process::{ProcessEach, ProcessList, ProcessWindowFunction, WindowContext};

use super::contents::AggregateFunction;
use super::span::Window;
use crate::element::{Data, Key};
use crate::error::TaskResult;
use crate::operator::Output;
use crate::operators::FunctionContext;
use crate::state::{Keyed, KeyedStates};
use std::marker::PhantomData;

/// What a window that fires can see.
pub struct FireContext<'a, K: Key> {
    pub(in crate::operators::window) states: &'a mut KeyedStates<K>,
    pub(in crate::operators::window) watermark: i64,
    pub(in crate::operators::window) now: i64,
}

/// Emits what is to be said of a window.
pub trait WindowEmit<K: Key, W: Window, V: Data>: Clone + Send + 'static {
    /// What it emits.
    type Output: Data;
    /// Whether it removes records when it fires: then [`WindowEmit::emit_evicting`] is called.
    const EVICTS: bool = false;
    /// Whether it keeps something for each window: then [`WindowEmit::window_over`] is called.
    const WINDOW_STATE: bool = false;

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

    /// A window is over for good.
    ///
    /// # Errors
    /// Whatever user code fails with.
    fn window_over(&mut self, _key: &Keyed<K>, _window: &W, _context: &mut FireContext<'_, K>) -> TaskResult {
        Ok(())
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
