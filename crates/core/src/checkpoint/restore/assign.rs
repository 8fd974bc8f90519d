//! One subtask's share of an operator's state.
//!
//! Keyed state goes by key group, operator state by its own rule; records in flight go to those who sent them
//! ([`super::in_flight`]). At an unchanged parallelism every subtask gets back exactly what it had, except that a union is
//! everybody's.

use crate::checkpoint::key_groups::KeyGroups;
use crate::checkpoint::metadata::OperatorState;
use crate::checkpoint::state::{KeyedState, NamedState, Redistribution, SubtaskState};
use std::collections::BTreeSet;
use std::ops::Range;

/// The state of subtask `subtask` of `parallelism`.
pub(super) fn share(state: &OperatorState, subtask: u32, parallelism: u32) -> SubtaskState {
    SubtaskState {
        keyed: keyed(state, KeyGroups::of(subtask, parallelism, state.max_parallelism)),
        operator: operator(state, subtask, parallelism),
        channels: Vec::new(),
    }
}

/// Every part of keyed state that lies in a range.
fn keyed(state: &OperatorState, wanted: KeyGroups) -> Vec<KeyedState> {
    state.subtasks.values().flat_map(|s| &s.keyed).filter_map(|k| k.narrowed(wanted)).collect()
}

fn operator(state: &OperatorState, subtask: u32, parallelism: u32) -> Vec<NamedState> {
    let names: BTreeSet<&str> =
        state.subtasks.values().flat_map(|s| &s.operator).map(|named| named.name.as_str()).collect();
    names.into_iter().flat_map(|name| named(state, name, subtask, parallelism)).collect()
}

/// The share of one named state. The rule is that of its first subtask; the program gives one rule to a name.
fn named(state: &OperatorState, name: &str, subtask: u32, parallelism: u32) -> Vec<NamedState> {
    let parts: Vec<(u32, &NamedState)> = state
        .subtasks
        .iter()
        .flat_map(|(i, s)| s.operator.iter().map(move |named| (*i, named)))
        .filter(|(_, named)| named.name == name)
        .collect();
    let rule = parts.first().map(|(_, named)| named.redistribution);
    let own = |i: u32| parts.iter().filter(move |(owner, _)| *owner == i).map(|(_, p)| (*p).clone());
    match rule {
        None => Vec::new(),
        Some(Redistribution::Union) => parts.iter().map(|(_, part)| (*part).clone()).collect(),
        Some(Redistribution::Broadcast) => {
            // Those that joined later, or whose predecessor had finished, take it from the others in turn.
            let holders: BTreeSet<u32> = parts.iter().map(|(owner, _)| *owner).collect();
            let spare = holders.iter().nth(subtask as usize % holders.len()).copied().unwrap_or(subtask);
            own(if holders.contains(&subtask) { subtask } else { spare }).collect()
        }
        Some(Redistribution::Split) if state.parallelism == parallelism => own(subtask).collect(),
        Some(Redistribution::Split) => split(&parts, subtask, parallelism),
    }
}

/// A contiguous share of all elements, in order of the subtasks that had them. Shares differ by one element at most.
fn split(parts: &[(u32, &NamedState)], subtask: u32, parallelism: u32) -> Vec<NamedState> {
    let total: usize = parts.iter().map(|(_, part)| part.elements.len()).sum();
    let wanted = cut(total, subtask, parallelism)..cut(total, subtask + 1, parallelism);
    let mut first = 0;
    let mut share = Vec::new();
    for (_, part) in parts {
        let here = overlap(&wanted, first, part.elements.len());
        first += part.elements.len();
        if !here.is_empty() {
            share.push(NamedState { elements: part.elements[here].to_vec(), ..(*part).clone() });
        }
    }
    share
}

fn cut(total: usize, subtask: u32, parallelism: u32) -> usize {
    (total as u128 * u128::from(subtask) / u128::from(parallelism.max(1))) as usize
}

/// The part of `wanted` that lies in the `len` elements from `first`, counted from there.
fn overlap(wanted: &Range<usize>, first: usize, len: usize) -> Range<usize> {
    let start = wanted.start.clamp(first, first + len) - first;
    let end = wanted.end.clamp(first, first + len) - first;
    start..end
}
