//! Which subtasks an edge connects.
//!
//! Forward and rescale edges connect only neighbours; every other partitioning connects all with all. Job master and
//! worker both rely on this one answer: it fixes the channels of a task.

use super::Partitioning;
use std::ops::Range;

/// The producers that send to consumer `consumer` of `consumers`, out of `producers`.
pub fn producers_of(partitioning: Partitioning, producers: u32, consumers: u32, consumer: u32) -> Range<u32> {
    match partitioning {
        Partitioning::Forward => consumer..consumer + 1,
        Partitioning::Rescale => neighbours(producers, consumers, consumer),
        _ => 0..producers,
    }
}

/// The consumers that producer `producer` of `producers` sends to, out of `consumers`.
pub fn consumers_of(partitioning: Partitioning, producers: u32, consumers: u32, producer: u32) -> Range<u32> {
    match partitioning {
        Partitioning::Forward => producer..producer + 1,
        Partitioning::Rescale => neighbours(consumers, producers, producer),
        _ => 0..consumers,
    }
}

/// The subtasks among `there` that lie beside subtask `i` of `here`: a contiguous range, never empty. The relation is
/// symmetric, and every subtask on either side has at least one neighbour.
fn neighbours(there: u32, here: u32, i: u32) -> Range<u32> {
    if there >= here {
        share(there, here, i)
    } else {
        // Several of ours share one of theirs: the one in whose share we are.
        let near = (u64::from(i) * u64::from(there) / u64::from(here)) as u32;
        let holder = (near..there).find(|&j| share(here, there, j).contains(&i)).unwrap_or(near);
        holder..holder + 1
    }
}

/// The `i`-th of `parts` contiguous shares of `whole`, equal but for rounding.
fn share(whole: u32, parts: u32, i: u32) -> Range<u32> {
    let cut = |k: u32| (u64::from(k) * u64::from(whole) / u64::from(parts)) as u32;
    cut(i)..cut(i + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_ends_of_an_edge_agree_and_nobody_is_left_out(m in 1u32..40, n in 1u32..40) {
            for mode in [Partitioning::Rescale, Partitioning::Hash] {
                for j in 0..n {
                    let producers = producers_of(mode, m, n, j);
                    prop_assert!(!producers.is_empty());
                    for i in 0..m {
                        prop_assert_eq!(producers.contains(&i), consumers_of(mode, m, n, i).contains(&j));
                    }
                }
                for i in 0..m {
                    prop_assert!(!consumers_of(mode, m, n, i).is_empty());
                }
            }
        }
    }

    #[test]
    fn rescale_gives_each_producer_its_own_share_of_the_consumers() {
        assert_eq!(consumers_of(Partitioning::Rescale, 2, 4, 0), 0..2);
        assert_eq!(consumers_of(Partitioning::Rescale, 2, 4, 1), 2..4);
        assert_eq!(producers_of(Partitioning::Rescale, 4, 2, 1), 2..4);
    }
}
