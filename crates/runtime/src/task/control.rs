//! How a task is told to stop: a flag, and the wake-up of whatever it waits for.

use crate::error::{TaskError, TaskResult};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Locks a mutex. A panic while it was held does not matter: no code under our locks leaves a value half changed.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something a task may be waiting for.
pub trait Wake: Send + Sync {
    /// Wakes every thread that waits here, so that it looks at the flag.
    fn wake(&self);
}

/// Tells one task to stop. Shared by the task's thread and whoever cancels it.
#[derive(Default)]
pub struct TaskControl {
    canceled: AtomicBool,
    parked: Mutex<()>,
    unpark: Condvar,
    waits: Mutex<Vec<Weak<dyn Wake>>>,
}

impl TaskControl {
    /// A control that has not been cancelled.
    pub fn new() -> Arc<TaskControl> {
        Arc::new(TaskControl::default())
    }

    /// Asks the task to stop.
    pub fn cancel(&self) {
        self.canceled.store(true, Ordering::SeqCst);
        // Not while the list is locked: what is woken may be registering with it.
        let waits: Vec<_> = lock(&self.waits).iter().filter_map(Weak::upgrade).collect();
        waits.iter().for_each(|wait| wait.wake());
        drop(lock(&self.parked));
        self.unpark.notify_all();
    }

    /// Whether the task was asked to stop.
    #[inline]
    pub fn is_canceled(&self) -> bool {
        self.canceled.load(Ordering::SeqCst)
    }

    /// An error when the task was asked to stop.
    ///
    /// # Errors
    /// [`TaskError::Canceled`].
    #[inline]
    pub fn check(&self) -> TaskResult {
        if self.is_canceled() { Err(TaskError::Canceled) } else { Ok(()) }
    }

    /// Registers something to wake when the task is cancelled.
    pub fn wakes(&self, wait: Weak<dyn Wake>) {
        lock(&self.waits).push(wait);
    }

    /// Sleeps for a while, or until the task is cancelled.
    pub fn sleep(&self, span: Duration) {
        let guard = lock(&self.parked);
        if !self.is_canceled() {
            let _ = self.unpark.wait_timeout_while(guard, span, |()| !self.is_canceled());
        }
    }
}
