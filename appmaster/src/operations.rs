//! Operations that take their time (savepoints, checkpoints, disposal, rescaling): begun by one request, asked for by others.
//!
//! An outcome is kept for `rest.async.store-duration` after its end (`CompletedOperationCache`). The registry belongs to the
//! driver's task; what an operation does is no matter here.

use kvick_core::checkpoint::{CallerId, SnapshotDone};
use kvick_core::failure::Failure;
use kvick_core::ids::JobId;
use kvick_core::time::Millis;
use std::collections::BTreeMap;

/// What kind of operation: each has its own path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OperationKind {
    /// A savepoint, also one with which the job ends.
    Savepoint,
    /// A checkpoint that somebody asked for.
    Checkpoint,
    /// The removal of a savepoint.
    Disposal,
    /// Another parallelism.
    Rescaling,
}

/// By what an operation is found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OperationKey {
    /// Its kind.
    pub kind: OperationKind,
    /// Its job, where it has one.
    pub job: Option<JobId>,
    /// The id under which whoever began it asks for it: 32 hexadecimal digits.
    pub trigger: String,
}

/// What came of an operation: of a checkpoint or savepoint, where it is.
pub type OperationOutcome = Result<Option<SnapshotDone>, Failure>;

#[derive(Debug)]
struct Operation {
    ended: Option<(Millis, OperationOutcome)>,
    fetched: bool,
}

/// All operations that are under way or have ended lately.
#[derive(Debug)]
pub struct Operations {
    by_key: BTreeMap<OperationKey, Operation>,
    callers: BTreeMap<CallerId, OperationKey>,
    next_caller: CallerId,
    kept_for: Millis,
}

impl Operations {
    /// None yet; outcomes will be kept for this long.
    pub fn new(kept_for: Millis) -> Operations {
        Operations { by_key: BTreeMap::new(), callers: BTreeMap::new(), next_caller: 0, kept_for }
    }

    /// Begins an operation; whom to answer. `None` if it has been begun before: a request that was sent again.
    pub fn begin(&mut self, now: Millis, key: OperationKey) -> Option<CallerId> {
        self.expire(now);
        if self.by_key.contains_key(&key) {
            return None;
        }
        self.next_caller += 1;
        self.callers.insert(self.next_caller, key.clone());
        self.by_key.insert(key, Operation { ended: None, fetched: false });
        Some(self.next_caller)
    }

    /// An operation has ended.
    pub fn end(&mut self, now: Millis, caller: CallerId, outcome: OperationOutcome) {
        let key = self.callers.remove(&caller);
        if let Some(operation) = key.and_then(|key| self.by_key.get_mut(&key)) {
            operation.ended = Some((now, outcome));
        }
    }

    /// How an operation goes: `None` if there is none, `Some(None)` while it is under way.
    pub fn look(&mut self, now: Millis, key: &OperationKey) -> Option<Option<OperationOutcome>> {
        self.expire(now);
        let operation = self.by_key.get_mut(key)?;
        operation.fetched |= operation.ended.is_some();
        Some(operation.ended.as_ref().map(|(_, outcome)| outcome.clone()))
    }

    /// Whether an outcome is there that nobody has asked for yet.
    pub fn any_unfetched(&self) -> bool {
        self.by_key.values().any(|operation| operation.ended.is_some() && !operation.fetched)
    }

    fn expire(&mut self, now: Millis) {
        let kept_for = self.kept_for;
        let old = |o: &Operation| o.ended.as_ref().is_some_and(|(at, _)| now.since(*at) >= kept_for);
        self.by_key.retain(|_, operation| !old(operation));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(trigger: &str) -> OperationKey {
        OperationKey { kind: OperationKind::Savepoint, job: Some(JobId(1)), trigger: trigger.to_string() }
    }

    #[test]
    fn an_operation_is_begun_once_and_kept_for_a_while_after_its_end() {
        let mut operations = Operations::new(Millis(100));
        let caller = operations.begin(Millis(0), key("a")).unwrap();
        assert_eq!(operations.begin(Millis(1), key("a")), None);
        assert!(matches!(operations.look(Millis(500), &key("a")), Some(None)));
        operations.end(Millis(600), caller, Ok(None));
        assert!(operations.any_unfetched());
        assert!(matches!(operations.look(Millis(699), &key("a")), Some(Some(Ok(None)))));
        assert!(!operations.any_unfetched());
        assert!(operations.look(Millis(700), &key("a")).is_none());
        assert!(operations.look(Millis(0), &key("b")).is_none());
    }
}
