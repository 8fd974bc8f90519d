//! Effects that wait until something is durable, in order: first those that wait for what is being written now, then those
//! that were decided since, which may have more to wait for.

use super::Effect;
use crate::ids::ExecutorId;
use std::collections::VecDeque;

/// See the module.
#[derive(Debug, Default)]
pub struct HeldEffects {
    effects: VecDeque<Effect>,
    /// How many of them the present write releases; `None` while nothing is being written.
    releasing: Option<usize>,
}

impl HeldEffects {
    /// Whether something is being written, and all that is decided has to wait.
    pub fn is_closed(&self) -> bool {
        self.releasing.is_some()
    }

    /// Begins to hold these until [`HeldEffects::release`].
    pub fn close(&mut self, effects: Vec<Effect>) {
        self.releasing = Some(effects.len());
        self.effects = effects.into();
    }

    /// Holds what was decided meanwhile, behind the rest.
    pub fn add(&mut self, effects: Vec<Effect>) {
        self.effects.extend(effects);
    }

    /// It is written: returns the effects that waited for it, and those that were decided since.
    pub fn release(&mut self) -> (Vec<Effect>, Vec<Effect>) {
        let count = self.releasing.take().unwrap_or_default();
        let mut first: Vec<Effect> = std::mem::take(&mut self.effects).into();
        let later = first.split_off(count.min(first.len()));
        (first, later)
    }

    /// An executor registers: orders for it that are held back count as lost with its connection before. The registration is
    /// compared with all that was decided, and what is missing is ordered anew; the held ones would come on top of that.
    pub fn drop_orders(&mut self, executor: &ExecutorId) {
        let is_order =
            |effect: &Effect| matches!(effect, Effect::Send { executor: to, .. } if to == executor);
        let releasing = self.releasing.unwrap_or_default();
        let dropped = self.effects.iter().take(releasing).filter(|effect| is_order(effect)).count();
        self.releasing = self.releasing.map(|count| count - dropped);
        self.effects.retain(|effect| !is_order(effect));
    }

    /// The effects that wait.
    pub fn iter(&self) -> impl Iterator<Item = &Effect> {
        self.effects.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::ToExecutor;
    use crate::ids::JobId;

    fn order(executor: &str) -> Effect {
        let message = Box::new(ToExecutor::StopWorker { job_id: JobId(1) });
        Effect::Send { executor: ExecutorId(executor.into()), message }
    }

    #[test]
    fn what_was_decided_meanwhile_is_released_behind_what_waited() {
        let mut held = HeldEffects::default();
        assert!(!held.is_closed());
        held.close(vec![Effect::WantContainers(1)]);
        held.add(vec![order("a")]);
        assert!(held.is_closed());
        assert_eq!(held.release(), (vec![Effect::WantContainers(1)], vec![order("a")]));
        assert!(!held.is_closed());
    }

    #[test]
    fn orders_for_an_executor_that_registers_again_are_dropped_and_nothing_else_is() {
        let mut held = HeldEffects::default();
        held.close(vec![order("a"), Effect::WantContainers(1), order("b")]);
        held.add(vec![order("b"), order("a"), Effect::WantContainers(2)]);
        held.drop_orders(&ExecutorId("a".into()));
        assert!(held.is_closed());
        let (first, later) = held.release();
        assert_eq!(first, [Effect::WantContainers(1), order("b")]);
        assert_eq!(later, [order("b"), Effect::WantContainers(2)]);
    }

    #[test]
    fn it_stays_closed_though_all_that_waited_was_dropped() {
        let mut held = HeldEffects::default();
        held.close(vec![order("a")]);
        held.drop_orders(&ExecutorId("a".into()));
        assert!(held.is_closed(), "the write is still under way");
        held.add(vec![order("b")]);
        assert_eq!(held.release(), (vec![], vec![order("b")]));
    }
}
