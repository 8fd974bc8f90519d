//! The search for values that have expired: how far it has come in one table, and how much of it is looked at each time.
//!
//! A table with a time to live is gone through again and again, a part at a time. Each part looks at twice as many values as
//! were written since the part before, so that the search overtakes what comes in: with values that are written once and never
//! again, a table has at most about twice as many as live. Where no value can have expired yet, the search rests.
//!
//! Knows nothing of keys, nor of where values are kept: tables in memory (`segments`) and in a store (`store/table`) do the
//! looking.

use super::ttl::{Lifetime, Stamped};
use super::user_map::UserMap;
use serde::Serialize;

/// How many calls there are from one part of the search to the next.
pub(super) const SWEEP_EVERY: u32 = 256;

/// What a table with a time to live keeps in one entry: one value with its stamp, or several.
pub(super) trait Perishable {
    /// When each value was used last, in epoch milliseconds.
    fn stamps(&self) -> impl Iterator<Item = i64>;

    /// Removes the values that have expired; whether any is left.
    fn purge(&mut self, lifetime: Lifetime) -> bool;
}

impl<V> Perishable for Stamped<V> {
    fn stamps(&self) -> impl Iterator<Item = i64> {
        std::iter::once(self.at)
    }

    fn purge(&mut self, lifetime: Lifetime) -> bool {
        !lifetime.is_over(self)
    }
}

impl<V> Perishable for Vec<Stamped<V>> {
    fn stamps(&self) -> impl Iterator<Item = i64> {
        self.iter().map(|stamped| stamped.at)
    }

    fn purge(&mut self, lifetime: Lifetime) -> bool {
        self.retain(|stamped| !lifetime.is_over(stamped));
        !self.is_empty()
    }
}

impl<UK: Eq + Serialize, UV> Perishable for UserMap<UK, Stamped<UV>> {
    fn stamps(&self) -> impl Iterator<Item = i64> {
        self.iter().map(|(_, stamped)| stamped.at)
    }

    fn purge(&mut self, lifetime: Lifetime) -> bool {
        self.retain(|stamped| !lifetime.is_over(stamped));
        !self.is_empty()
    }
}

/// The search of one table.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// The segment in memory that is looked at next.
    pub slot: usize,
    /// The key in a store at which the next part begins; the table's first where it is empty.
    pub key: Vec<u8>,
    /// How many values may be looked at now. Negative where one entry had more than that: then later parts pay for it.
    credit: i64,
    /// Values written since the last part.
    written: usize,
    /// Whether the table is being gone through.
    under_way: bool,
    /// The oldest stamp that can be in the table once it was gone through.
    oldest: i64,
    /// Before this time nothing expires, in epoch milliseconds.
    rests_until: Option<i64>,
}

impl Sweep {
    /// So many values came to be.
    pub fn wrote(&mut self, values: usize) {
        self.written = self.written.saturating_add(values);
    }

    /// Begins the next part; whether anything is to be looked at.
    pub fn begin(&mut self, lifetime: Lifetime) -> bool {
        let written = std::mem::take(&mut self.written).max(SWEEP_EVERY as usize);
        if !self.under_way {
            if self.rests_until.is_some_and(|until| lifetime.now < until) {
                return false;
            }
            // What is written from now on has a stamp that is not older.
            (self.under_way, self.oldest) = (true, lifetime.now);
        }
        self.credit = self.credit.saturating_add_unsigned(2 * written as u64);
        self.goes_on()
    }

    /// Whether this part looks at a further entry.
    pub fn goes_on(&self) -> bool {
        self.credit > 0
    }

    /// Takes account of a segment, which may have no entries.
    pub fn pass_segment(&mut self) {
        self.slot += 1;
        self.credit -= 1;
    }

    /// Looks at an entry; whether a value in it has expired.
    pub fn look(&mut self, entry: &impl Perishable, lifetime: Lifetime) -> bool {
        let mut expired = false;
        for at in entry.stamps() {
            self.credit -= 1;
            if lifetime.is_past(at) {
                expired = true;
            } else {
                self.oldest = self.oldest.min(at);
            }
        }
        expired
    }

    /// The whole table was gone through: the search rests until what is left may have expired.
    pub fn end_pass(&mut self, lifetime: Lifetime) {
        // What was not needed is not saved up: it would make one part of the next pass long.
        self.credit = self.credit.min(0);
        self.key.clear();
        (self.slot, self.under_way) = (0, false);
        self.rests_until = Some(lifetime.end_of(self.oldest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::StateTtlConfig;
    use std::time::Duration;

    fn at(now: i64) -> Lifetime {
        Lifetime { config: StateTtlConfig::new(Duration::from_millis(100)), now }
    }

    #[test]
    fn it_rests_until_the_oldest_value_may_have_expired() {
        let mut sweep = Sweep::default();
        assert!(sweep.begin(at(1_000)));
        assert!(!sweep.look(&Stamped { value: (), at: 950 }, at(1_000)));
        assert!(sweep.look(&Stamped { value: (), at: 900 }, at(1_000)));
        sweep.end_pass(at(1_000));
        assert!(!sweep.begin(at(1_049)), "the value of 950 still lives");
        assert!(sweep.begin(at(1_050)));
    }

    #[test]
    fn it_looks_at_twice_what_was_written_and_pays_for_what_it_looked_at_beyond() {
        let mut sweep = Sweep::default();
        sweep.wrote(1_000);
        assert!(sweep.begin(at(0)));
        let long: Vec<Stamped<()>> = vec![Stamped { value: (), at: 0 }; 1_999];
        assert!(!sweep.look(&long, at(0)));
        assert!(sweep.goes_on());
        assert!(!sweep.look(&long, at(0)));
        assert!(!sweep.goes_on());
        let parts = (1..).take_while(|_| !sweep.begin(at(0))).count();
        assert_eq!(parts, 3, "1998 values too many, 512 for each part");
    }

    #[test]
    fn only_what_has_expired_leaves_a_list() {
        let mut list: Vec<Stamped<u8>> = [(1, 0), (2, 60)].map(|(value, at)| Stamped { value, at }).to_vec();
        assert!(list.purge(at(100)));
        assert_eq!(list, [Stamped { value: 2, at: 60 }]);
        assert!(!list.purge(at(160)));
    }
}
