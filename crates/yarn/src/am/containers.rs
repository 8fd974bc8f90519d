//! Which containers are held, which are being given back, which have ended.
//! Owns these sets, so that nothing is counted or told twice; knows nothing of what is wanted.

use crate::ids::ContainerId;
use crate::proto::yarn as pb;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How long a release is remembered without its container's end being reported.
const RELEASE_MEMORY: Duration = Duration::from_secs(600);
/// How many ended containers are remembered so that none is reported twice.
const ENDED_MEMORY: usize = 20_000;

/// What an end was the end of.
pub(super) struct End {
    /// Priority of the container, if it was held.
    pub held: Option<i32>,
    /// It had been given back.
    pub released: bool,
    /// The master never heard of it.
    pub surplus: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Containers {
    held: BTreeMap<ContainerId, i32>,
    /// Released, their end not yet reported, and since when.
    releasing: BTreeMap<ContainerId, Duration>,
    unsent: BTreeSet<ContainerId>,
    /// Granted beyond what is wanted and given back; the master never heard of them.
    surplus: BTreeSet<ContainerId>,
    ended: BTreeSet<ContainerId>,
    ended_order: VecDeque<ContainerId>,
}

impl Containers {
    /// How many of a priority are held.
    pub fn held_of(&self, priority: i32) -> u32 {
        let held = self.held.values().filter(|held| **held == priority).count();
        u32::try_from(held).unwrap_or(u32::MAX)
    }

    /// Whether a container has been heard of.
    pub fn is_known(&self, id: &ContainerId) -> bool {
        self.held.contains_key(id) || self.ended.contains(id) || self.releasing.contains_key(id)
    }

    /// A container is held from now on.
    pub fn hold(&mut self, id: ContainerId, priority: i32) {
        self.held.insert(id, priority);
    }

    /// A container is to be given back; gives its priority if it was held.
    pub fn release(&mut self, now: Duration, id: ContainerId) -> Option<i32> {
        if !self.ended.contains(&id) {
            self.releasing.insert(id, now);
            self.unsent.insert(id);
        }
        self.held.remove(&id)
    }

    /// A container that nobody wants is to be given back silently.
    pub fn give_back(&mut self, now: Duration, id: ContainerId) {
        self.surplus.insert(id);
        self.release(now, id);
    }

    /// If a container that still runs was given back, it is given back again.
    pub fn insist(&mut self, id: ContainerId) {
        if self.releasing.contains_key(&id) {
            self.unsent.insert(id);
        }
    }

    /// A container has ended; `None` if that is known.
    pub fn end(&mut self, id: ContainerId) -> Option<End> {
        self.ended.insert(id).then_some(())?;
        self.ended_order.push_back(id);
        if self.ended_order.len() > ENDED_MEMORY
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
        self.unsent.remove(&id);
        Some(End {
            held: self.held.remove(&id),
            released: self.releasing.remove(&id).is_some(),
            surplus: self.surplus.remove(&id),
        })
    }

    /// Whether the ResourceManager is to be told of releases.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// The releases to tell it of, once.
    pub fn take_unsent(&mut self, now: Duration) -> Vec<pb::ContainerId> {
        self.releasing.retain(|_, since| now.saturating_sub(*since) < RELEASE_MEMORY);
        self.surplus.retain(|id| self.releasing.contains_key(id));
        std::mem::take(&mut self.unsent).into_iter().map(pb::ContainerId::from).collect()
    }

    /// All releases are to be told again.
    pub fn resend(&mut self) {
        self.unsent = self.releasing.keys().copied().collect();
    }

    #[cfg(test)]
    pub fn held(&self) -> impl Iterator<Item = &ContainerId> {
        self.held.keys()
    }
}
