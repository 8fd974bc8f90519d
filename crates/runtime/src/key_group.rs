//! Key groups: the unit in which keyed state moves when a job changes its parallelism.
//!
//! A key belongs to one of `max_parallelism` groups, a subtask owns a range of groups; as in Flink's
//! `KeyGroupRangeAssignment`, group `g` belongs to subtask `g * parallelism / max_parallelism`.

use kvick_core::checkpoint::{KeyGroups, MAX_KEY_GROUPS};

/// The smallest default maximum parallelism.
pub const LOWER_BOUND: u32 = 128;

/// The largest maximum parallelism.
pub const UPPER_BOUND: u32 = MAX_KEY_GROUPS;

/// The group of a key's hash.
///
/// Taken from the middle of the hash, because hash tables look at its ends: within one subtask the keys must still
/// spread over a table.
#[inline]
pub fn key_group(hash: u64, max_parallelism: u32) -> u32 {
    let middle = (hash >> 20) as u32;
    ((u64::from(middle) * u64::from(max_parallelism)) >> 32) as u32
}

/// The subtask that owns a group.
#[inline]
pub fn owner(group: u32, parallelism: u32, max_parallelism: u32) -> u32 {
    (u64::from(group) * u64::from(parallelism) / u64::from(max_parallelism)) as u32
}

/// The groups that a subtask owns.
pub fn range_of(subtask: u32, parallelism: u32, max_parallelism: u32) -> std::ops::Range<u32> {
    let groups = KeyGroups::of(subtask, parallelism, max_parallelism);
    groups.start..groups.end
}

/// The maximum parallelism of an operator that does not name one: half as much again as its parallelism, rounded up to a
/// power of two, from 128 to 32768.
pub fn default_max_parallelism(parallelism: u32) -> u32 {
    let wanted = u64::from(parallelism) + u64::from(parallelism) / 2;
    let rounded = wanted.max(1).next_power_of_two();
    rounded.clamp(u64::from(LOWER_BOUND), u64::from(UPPER_BOUND)) as u32
}
