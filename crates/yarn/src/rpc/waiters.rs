//! Who waits for which answer on a connection.
//! Owns the table of waiting calls and the reason of a connection's death; sends and receives nothing.

use super::{Address, RpcError};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

pub(super) type Reply = Result<Bytes, RpcError>;

/// Who waits for what, until the connection has died.
enum Waiters {
    Open(HashMap<i32, oneshot::Sender<Reply>>),
    Dead(RpcError),
}

pub(super) struct Shared {
    pub(super) address: Address,
    waiters: Mutex<Waiters>,
}

impl Shared {
    pub(super) fn new(address: Address) -> Self {
        Self { address, waiters: Mutex::new(Waiters::Open(HashMap::new())) }
    }

    pub(super) fn is_alive(&self) -> bool {
        matches!(*self.lock(), Waiters::Open(_))
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn closed(&self, reason: impl ToString) -> RpcError {
        RpcError::Closed { address: self.address.clone(), reason: reason.to_string() }
    }

    /// Tells every waiter, and every later caller, why there will be no answer; the first reason stays.
    pub(super) fn die(&self, error: RpcError) {
        let mut waiters = self.lock();
        if matches!(*waiters, Waiters::Dead(_)) {
            return;
        }
        if let Waiters::Open(waiting) = std::mem::replace(&mut *waiters, Waiters::Dead(error.clone())) {
            for (_, waiter) in waiting {
                let _ = waiter.send(Err(error.clone()));
            }
        }
    }

    pub(super) fn expect(&self, call: i32) -> Result<oneshot::Receiver<Reply>, RpcError> {
        let (sender, receiver) = oneshot::channel();
        match &mut *self.lock() {
            Waiters::Open(waiting) => waiting.insert(call, sender),
            Waiters::Dead(error) => return Err(error.clone()),
        };
        Ok(receiver)
    }

    pub(super) fn forget(&self, call: i32) -> Option<oneshot::Sender<Reply>> {
        match &mut *self.lock() {
            Waiters::Open(waiting) => waiting.remove(&call),
            Waiters::Dead(_) => None,
        }
    }

    pub(super) fn has_waiters(&self) -> bool {
        matches!(&*self.lock(), Waiters::Open(waiting) if !waiting.is_empty())
    }
}

/// Forgets a call that nobody waits for any more (time-out, cancellation).
pub(super) struct Forget<'a>(pub(super) &'a Shared, pub(super) i32);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.forget(self.1);
    }
}
