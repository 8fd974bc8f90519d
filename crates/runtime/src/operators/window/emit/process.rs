//! Windows that are evaluated by a function with a life cycle and state.

use super::{Finish, FireContext, WindowEmit};
use crate::element::{Data, Key};
use crate::error::{BoxError, TaskError, TaskResult};
use crate::operator::Output;
use crate::operators::FunctionContext;
use crate::operators::window::{Elements, Window};
use crate::state::{Keyed, KeyedStates, StateAccess, WindowStateAccess};
use std::marker::PhantomData;

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

/// A [`WindowState`](crate::state::WindowState) is that of the window.
impl<K: Key, W: Window> WindowStateAccess<K, W> for WindowContext<'_, K, W> {
    fn states_and_window(&mut self) -> (&mut KeyedStates<K>, &W) {
        (self.states, self.window)
    }
}

/// Any other state that is opened in [`ProcessWindowFunction::open`] belongs to the key, across its windows: Flink's `globalState()`.
impl<K: Key, W> StateAccess<K> for WindowContext<'_, K, W> {
    fn states(&mut self) -> &mut KeyedStates<K> {
        self.states
    }
}

/// User code that evaluates windows, with a life cycle and state. Each subtask has its own clone.
///
/// ```
/// use kvick_runtime::error::BoxError;
/// use kvick_runtime::operator::Output;
/// use kvick_runtime::operators::FunctionContext;
/// use kvick_runtime::operators::window::{ProcessWindowFunction, TimeWindow, WindowContext};
/// use kvick_runtime::state::{StateAccess, ValueStateDescriptor, WindowState};
///
/// /// Emits by how much a window's sum has grown since the window fired last: `(start, growth)`.
/// #[derive(Clone, Default)]
/// struct Growth {
///     told: WindowState<TimeWindow, i64>,
/// }
///
/// impl ProcessWindowFunction<i64, (i64, i64), u32, TimeWindow> for Growth {
///     const WINDOW_STATE: bool = true;
///
///     fn open(&mut self, context: &mut FunctionContext<'_, u32>) -> Result<(), BoxError> {
///         self.told = context.window_state(ValueStateDescriptor::new("told"))?;
///         Ok(())
///     }
///
///     fn process(
///         &mut self,
///         _key: &u32,
///         context: &mut WindowContext<'_, u32, TimeWindow>,
///         numbers: &[i64],
///         out: &mut Output<(i64, i64)>,
///     ) -> Result<(), BoxError> {
///         let sum: i64 = numbers.iter().sum();
///         let told = self.told.value(context)?.copied().unwrap_or(0);
///         self.told.update(context, sum)?;
///         out.push((context.window().start, sum - told));
///         Ok(())
///     }
/// }
/// ```
pub trait ProcessWindowFunction<I, O, K: Key, W: Window>: Clone + Send + 'static {
    /// Whether the function opens state by window ([`StateAccess::window_state`]) or wants to be told of the end of windows
    /// ([`ProcessWindowFunction::clear`]). Windows that overlap then keep their own records each instead of sharing slices.
    /// Not for windows that merge (sessions), as in Flink.
    const WINDOW_STATE: bool = false;

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

    /// Called when a window is over and will not fire again, before its state is removed; only with
    /// [`ProcessWindowFunction::WINDOW_STATE`].
    ///
    /// # Errors
    /// Fails the task.
    fn clear(&mut self, _key: &K, _context: &mut WindowContext<'_, K, W>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Called once at the end, also after a failure.
    fn close(&mut self) {}
}

/// A window is over: tells the function, then removes what it kept of the window.
fn finish<I, O, K: Key, W: Window, F: ProcessWindowFunction<I, O, K, W>>(
    function: &mut F,
    key: &Keyed<K>,
    window: &W,
    context: &mut FireContext<'_, K>,
) -> TaskResult {
    let (watermark, now) = (context.watermark, context.now);
    context.states.set_current(key.clone())?;
    let mut window_context = WindowContext { window, states: context.states, watermark, now };
    function.clear(&key.key, &mut window_context).map_err(TaskError::from)?;
    Ok(context.states.end_window(key, window)?)
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
    context.states.set_current(key.clone())?;
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
    const WINDOW_STATE: bool = F::WINDOW_STATE;

    fn window_over(&mut self, key: &Keyed<K>, window: &W, context: &mut FireContext<'_, K>) -> TaskResult {
        finish(&mut self.function, key, window, context)
    }

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
    const WINDOW_STATE: bool = F::WINDOW_STATE;

    fn window_over(&mut self, key: &Keyed<K>, window: &W, context: &mut FireContext<'_, K>) -> TaskResult {
        finish(&mut self.function, key, window, context)
    }

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
