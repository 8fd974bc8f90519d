//! How a task is told something: a flag to stop, a mailbox of orders, and the wake-up of whatever it waits for.

use crate::error::{TaskError, TaskResult};
use crate::time::alignment::Member;
use kvick_core::checkpoint::CheckpointCommand;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// Tells one task what to do. Shared by the task's thread and whoever cancels or orders.
#[derive(Default)]
pub struct TaskControl {
    canceled: AtomicBool,
    has_mail: AtomicBool,
    mail: Mutex<VecDeque<CheckpointCommand>>,
    parked: Mutex<()>,
    unpark: Condvar,
    waits: Mutex<Vec<Weak<dyn Wake>>>,
    /// Streams of the task that must not run ahead of others.
    aligned: Mutex<Vec<Weak<Member>>>,
    any_aligned: AtomicBool,
    waits_before_reading: AtomicBool,
    /// Channels with packets that have found no room.
    backed_up: AtomicUsize,
}

impl TaskControl {
    /// A control that has not been cancelled.
    pub fn new() -> Arc<TaskControl> {
        Arc::new(TaskControl::default())
    }

    /// Asks the task to stop.
    pub fn cancel(&self) {
        self.canceled.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Puts an order into the task's mailbox and wakes it.
    pub fn order(&self, command: CheckpointCommand) {
        lock(&self.mail).push_back(command);
        self.has_mail.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Wakes the task so that it looks at what its operators have due; without an order.
    pub fn nudge(&self) {
        self.has_mail.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Whether an order waits.
    #[inline]
    pub fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::SeqCst)
    }

    /// Takes the orders out, oldest first.
    pub fn take_mail(&self) -> VecDeque<CheckpointCommand> {
        let mut mail = lock(&self.mail);
        self.has_mail.store(false, Ordering::SeqCst);
        std::mem::take(&mut *mail)
    }

    /// A channel of the task holds packets back for which there was no room, or does so no more.
    pub fn backs_up(&self, holds_back: bool) {
        match holds_back {
            true => self.backed_up.fetch_add(1, Ordering::Relaxed),
            false => self.backed_up.fetch_sub(1, Ordering::Relaxed),
        };
    }

    /// Whether any channel holds packets back: the task should not make more.
    #[inline]
    pub fn is_backed_up(&self) -> bool {
        self.backed_up.load(Ordering::Relaxed) > 0
    }

    /// The task reads nothing while a stream of it is ahead.
    pub(crate) fn wait_before_reading(&self) {
        self.waits_before_reading.store(true, Ordering::Relaxed);
    }

    /// Whether the task reads nothing while a stream of it is ahead.
    pub(crate) fn waits_before_reading(&self) -> bool {
        self.waits_before_reading.load(Ordering::Relaxed)
    }

    /// A stream of the task must not run ahead of others, as long as it is there.
    pub(crate) fn aligns(&self, member: &Arc<Member>) {
        lock(&self.aligned).push(Arc::downgrade(member));
        self.any_aligned.store(true, Ordering::Relaxed);
    }

    /// Whether a stream of the task is further ahead of others than it may be.
    #[inline]
    pub(crate) fn is_ahead(&self) -> bool {
        self.any_aligned.load(Ordering::Relaxed)
            && lock(&self.aligned).iter().filter_map(Weak::upgrade).any(|member| member.is_ahead())
    }

    fn wake(&self) {
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

    /// Sleeps for a while, or until the task is cancelled or ordered something.
    pub fn sleep(&self, span: Duration) {
        let asleep = || !self.is_canceled() && !self.has_mail();
        let guard = lock(&self.parked);
        if asleep() {
            let _ = self.unpark.wait_timeout_while(guard, span, |()| asleep());
        }
    }

    /// Sleeps for a while, or until the task is cancelled, whatever is ordered meanwhile.
    pub fn sleep_through(&self, span: Duration) {
        let guard = lock(&self.parked);
        if !self.is_canceled() {
            let _ = self.unpark.wait_timeout_while(guard, span, |()| !self.is_canceled());
        }
    }
}
