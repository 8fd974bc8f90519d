//! A store that rejects what is written for longer than anybody waits. The model of what the shell does then: checkpoints have
//! failed, submissions are refused and their jobs cancelled, the ends of jobs are told all the same and recorded once the store
//! takes them. Until then the application master does not die here: its successor would run those jobs again, of which the shell
//! warns. A successor waits for the store.

use crate::random::Random;
use crate::world::{Happening, World};
use kvick_core::ids::JobId;

/// For how long a write is tried again that is rejected.
pub const PATIENCE: u64 = 10_000;

/// When the store rejects everything; never, mostly.
#[derive(Debug, Default)]
pub struct Outage {
    from: u64,
    until: u64,
}

impl Outage {
    /// That of a seed. It has a random source of its own, so that a schedule without one is what it was.
    pub fn of(seed: u64) -> Outage {
        let mut random = Random::new(seed ^ 0x0d15_ea5e);
        if !random.chance(10) {
            return Outage::default();
        }
        let from = random.between(0, 90_000);
        Outage { from, until: from + random.between(15_000, 90_000) }
    }

    /// For how long the store rejects what is written at this instant.
    pub fn lasts(&self, now: u64) -> u64 {
        if now < self.from { 0 } else { self.until.saturating_sub(now) }
    }
}

impl World {
    /// Whether what is written now is given up before the store takes it.
    pub(crate) fn store_gives_up(&self) -> bool {
        self.outage.lasts(self.now()) > PATIENCE
    }

    /// The store has rejected what was being written for long enough: it goes on without.
    pub(crate) fn not_recorded(&mut self) {
        self.gate.give_up_writing();
        let until = self.now() + self.outage.lasts(self.now());
        self.at(until, Happening::StoreIsBack);
        self.release();
    }

    /// A job is submitted that cannot be recorded: it runs until it is given up.
    pub(crate) fn refuse_later(&mut self, job: JobId) {
        self.outcome.refused += 1;
        self.at(self.now() + PATIENCE, Happening::Cancel(job));
    }
}
