//! Which operator does the work of windows, by all that was said of them.

use super::{Evict, NoEvictor, TriggerChoice};
use crate::graph::{EdgeWriter, boxed};
use crate::stream::DataStream;
use kvick_core::graph::{Partitioning, RuntimeMode};
use kvick_runtime::element::{Data, Key};
use kvick_runtime::exchange::writer::{ExchangeWriter, ToFirst};
use kvick_runtime::operator::Chained;
use kvick_runtime::operators::window::{
    Evicting, Evictor, FoldList, Layout, Listed, Panes, PartialWindows, Partials, SessionOperator,
    SliceOperator, Window, WindowAssigner, WindowContents, WindowEmit, WindowOperator, WindowSettings,
};
use kvick_runtime::side::OutputTag;
use kvick_runtime::timers::TimeDomain;
use std::sync::{Arc, Mutex};

/// The key that all records have, where the stream is not keyed.
pub(super) type OnlyKey<K> = Option<fn() -> K>;

/// All that is said of windows, but for evictors and functions.
pub(super) struct Spec<T, F, A, Tr> {
    pub key: F,
    pub assigner: A,
    pub trigger: Tr,
    pub lateness: i64,
    pub late: Option<OutputTag<T>>,
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
pub struct WindowSpec<T, F, A, Tr>(pub(super) Spec<T, F, A, Tr>);

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
