//! Ranges of key groups: which groups a subtask owns, and what two ranges share.
//!
//! A key belongs to one of `max_parallelism` groups; as in Flink's `KeyGroupRangeAssignment`, group `g` belongs to subtask
//! `g * parallelism / max_parallelism`.

use serde::{Deserialize, Serialize};

/// The most key groups that there can be, which is the largest maximum parallelism: Flink's `UPPER_BOUND_MAX_PARALLELISM`
/// (`KeyGroupRangeAssignment`). A store keeps the number of a group in two bytes.
pub const MAX_KEY_GROUPS: u32 = 1 << 15;

/// Key groups from `start` up to, but not including, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyGroups {
    /// The first.
    pub start: u32,
    /// One after the last.
    pub end: u32,
}

impl KeyGroups {
    /// The groups of a subtask. With a parallelism of 0 or a subtask that does not exist, none.
    pub fn of(subtask: u32, parallelism: u32, max_parallelism: u32) -> KeyGroups {
        if subtask >= parallelism {
            return KeyGroups { start: 0, end: 0 };
        }
        let first = |index: u32| {
            (u64::from(index) * u64::from(max_parallelism)).div_ceil(u64::from(parallelism)) as u32
        };
        KeyGroups { start: first(subtask), end: first(subtask + 1) }
    }

    /// What both ranges have; `None` where that is nothing.
    pub fn intersection(self, other: KeyGroups) -> Option<KeyGroups> {
        let (start, end) = (self.start.max(other.start), self.end.min(other.end));
        (start < end).then_some(KeyGroups { start, end })
    }

    /// How many groups.
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_group_has_one_owner(parallelism in 1u32..300, more in 0u32..300) {
            let max = parallelism + more;
            let mut next = 0;
            for subtask in 0..parallelism {
                let groups = KeyGroups::of(subtask, parallelism, max);
                prop_assert_eq!(groups.start, next);
                for group in groups.start..groups.end {
                    prop_assert_eq!(u64::from(group) * u64::from(parallelism) / u64::from(max), u64::from(subtask));
                }
                next = groups.end;
            }
            prop_assert_eq!(next, max);
        }
    }
}
