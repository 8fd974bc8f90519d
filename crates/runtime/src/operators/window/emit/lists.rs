//! Windows that keep all of their records: given to a function, folded, or evicted from.

use super::{FireContext, WindowEmit};
use crate::element::{Data, Key};
use crate::error::TaskResult;
use crate::operator::Output;
use crate::operators::FunctionContext;
use crate::operators::window::{Elements, Evictor, EvictorContext, Window, WindowContents};
use crate::state::Keyed;
use std::marker::PhantomData;

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
    const WINDOW_STATE: bool = M::WINDOW_STATE;

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

    fn window_over(&mut self, key: &Keyed<K>, window: &W, context: &mut FireContext<'_, K>) -> TaskResult {
        self.inner.window_over(key, window, context)
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
    const WINDOW_STATE: bool = M::WINDOW_STATE;
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

    fn window_over(&mut self, key: &Keyed<K>, window: &W, context: &mut FireContext<'_, K>) -> TaskResult {
        self.inner.window_over(key, window, context)
    }

    fn close(&mut self) {
        self.inner.close();
    }
}
