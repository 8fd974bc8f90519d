//! A completed checkpoint that cannot be read: the job falls back to the one before.

use super::collect::discard;
use super::{CheckpointCoordinator, CheckpointEffect, CoordinatorEffect};

/// What there is to be restored from in place of a damaged checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// This one, which is older.
    To(u64),
    /// What the job is restored from is not that checkpoint any more.
    Already,
    /// Nothing.
    Nothing,
}

impl CheckpointCoordinator {
    /// Input: a task could not begin with the state of this checkpoint, because that is damaged. From now on the job is
    /// restored from the one before; without one it stays as it is, and nobody should try again.
    pub fn damaged(&mut self, checkpoint: u64, fx: &mut Vec<CoordinatorEffect>) -> Fallback {
        let Some(latest) = self.store.latest().filter(|latest| latest.id() == checkpoint) else {
            return Fallback::Already;
        };
        let external_path = latest.external_path.clone();
        let taken = self.store.take_latest();
        let before = self.store.latest().filter(|_| taken.is_some());
        let fallback = before.map(|before| (before.id(), before.external_path.clone()));
        let to = fallback.as_ref().map(|(id, _)| *id);
        let told = CheckpointEffect::Damaged { checkpoint, external_path, fallback };
        fx.push(CoordinatorEffect::Outside(told));
        let Some(to) = to else { return Fallback::Nothing };
        fx.push(discard(Some(checkpoint), None, Vec::new()));
        Fallback::To(to)
    }
}
