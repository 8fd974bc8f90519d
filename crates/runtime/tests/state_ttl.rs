//! State with a time to live, as functions see it: what gives a value a new life, and what is shown of one that has expired.

#![allow(clippy::unwrap_used)]

use kvick_runtime::state::{
    AggregatingStateDescriptor, KeyedBackend, KeyedStates, ListStateDescriptor, MapStateDescriptor,
    ReducingStateDescriptor, StateAccess, StateTtlConfig, StateVisibility, TtlUpdate, ValueStateDescriptor,
};
use kvick_runtime::time::Clock;
use std::time::Duration;

const GROUPS: u32 = 32;

/// Values live for 100 ms.
fn ttl() -> StateTtlConfig {
    StateTtlConfig::new(Duration::from_millis(100))
}

fn on_read() -> StateTtlConfig {
    ttl().update_type(TtlUpdate::OnReadAndWrite)
}

fn visible() -> StateTtlConfig {
    ttl().state_visibility(StateVisibility::ReturnExpiredIfNotCleanedUp)
}

/// States in memory whose current key is 1, and their clock.
fn states() -> (KeyedStates<u64>, Clock) {
    let clock = Clock::by_hand(0);
    let mut states = KeyedStates::new(KeyedBackend::in_memory(GROUPS)).with_clock(clock.clone());
    let key = states.keyed(1);
    states.set_current(key).unwrap();
    (states, clock)
}

#[test]
fn values_expire_when_they_were_not_used_for_their_time_to_live() {
    for (config, after_read, after_quiet) in
        [(ttl(), None, None), (on_read(), Some(7), None), (visible(), Some(7), Some(7))]
    {
        let (mut states, clock) = states();
        let value =
            states.value_state(ValueStateDescriptor::<u64>::new("v").enable_time_to_live(config)).unwrap();
        let map =
            states.map_state(MapStateDescriptor::<u32, u64>::new("m").enable_time_to_live(config)).unwrap();
        value.update(&mut states, 7).unwrap();
        map.put(&mut states, 1, 7).unwrap();
        for (at, expected) in [(60, Some(7)), (120, after_read), (300, after_quiet)] {
            clock.set(at);
            assert_eq!(value.value(&mut states).unwrap().copied(), expected, "{config:?} at {at}");
            assert_eq!(map.get(&mut states, &1).unwrap().copied(), expected, "{config:?} at {at}");
        }
    }
}

#[test]
fn each_element_of_a_list_expires_by_itself() {
    let (mut states, clock) = states();
    let list = states.list_state(ListStateDescriptor::<u64>::new("l").enable_time_to_live(ttl())).unwrap();
    list.add(&mut states, 1).unwrap();
    clock.set(60);
    list.add_all(&mut states, [2, 3]).unwrap();
    assert_eq!(list.get(&mut states).unwrap(), [1, 2, 3]);
    clock.set(120);
    list.add(&mut states, 4).unwrap();
    assert_eq!(list.get(&mut states).unwrap(), [2, 3, 4]);
    clock.set(170);
    assert_eq!(list.get(&mut states).unwrap(), [4]);
    list.update(&mut states, vec![5, 6]).unwrap();
    clock.set(260);
    assert_eq!(list.get(&mut states).unwrap(), [5, 6]);
    list.clear(&mut states).unwrap();
    assert!(list.get(&mut states).unwrap().is_empty());
}

#[test]
fn reading_a_list_renews_what_lives_and_shows_what_does_not_where_that_is_wanted() {
    let shown = |config: StateTtlConfig| {
        let (mut states, clock) = states();
        let descriptor = ListStateDescriptor::<u64>::new("l").enable_time_to_live(config);
        let list = states.list_state(descriptor).unwrap();
        list.add(&mut states, 1).unwrap();
        clock.set(90);
        list.add(&mut states, 2).unwrap();
        let mut seen = Vec::new();
        for at in [95, 180, 280] {
            clock.set(at);
            seen.push(list.get(&mut states).unwrap().to_vec());
        }
        seen
    };
    assert_eq!(shown(ttl()), [vec![1, 2], vec![2], vec![]]);
    assert_eq!(shown(on_read()), [vec![1, 2], vec![1, 2], vec![]]);
    assert_eq!(shown(visible()), [vec![1, 2], vec![1, 2], vec![1, 2]]);
}

#[test]
fn going_through_a_map_is_a_use_of_its_entries_and_shows_what_is_wanted() {
    let shown = |config: StateTtlConfig| {
        let (mut states, clock) = states();
        let descriptor = MapStateDescriptor::<u32, u64>::new("m").enable_time_to_live(config);
        let map = states.map_state(descriptor).unwrap();
        map.put(&mut states, 1, 10).unwrap();
        clock.set(90);
        map.put(&mut states, 2, 20).unwrap();
        let mut seen = Vec::new();
        for at in [95, 180, 280] {
            clock.set(at);
            let empty = map.is_empty(&mut states).unwrap();
            let mut entries = map.entries(&mut states).unwrap();
            entries.sort_unstable();
            assert_eq!(empty, entries.is_empty());
            seen.push(entries);
        }
        seen
    };
    let both = vec![(1, 10), (2, 20)];
    assert_eq!(shown(ttl()), [both.clone(), vec![(2, 20)], vec![]]);
    assert_eq!(shown(on_read()), [both.clone(), both.clone(), vec![]]);
    assert_eq!(shown(visible()), [both.clone(), both.clone(), both]);
}

#[test]
fn asking_whether_a_map_is_empty_is_no_use_of_it() {
    let (mut states, clock) = states();
    let descriptor = MapStateDescriptor::<u32, u64>::new("m").enable_time_to_live(on_read());
    let map = states.map_state(descriptor).unwrap();
    map.put(&mut states, 1, 10).unwrap();
    clock.set(60);
    assert!(!map.is_empty(&mut states).unwrap());
    clock.set(120);
    assert!(map.is_empty(&mut states).unwrap());
}

#[test]
fn a_changed_entry_of_a_map_lives_anew_and_what_has_expired_is_not_seen() {
    let (mut states, clock) = states();
    let map = states.map_state(MapStateDescriptor::<u32, u64>::new("m").enable_time_to_live(ttl())).unwrap();
    let mut add = |at| {
        clock.set(at);
        let add = |value: &mut Option<u64>| *value.insert(value.unwrap_or(0) + 1);
        map.modify(&mut states, 5, add).unwrap()
    };
    assert_eq!([0, 90, 180, 280].map(&mut add), [1, 2, 3, 1]);
}

#[test]
fn what_is_reduced_and_aggregated_begins_anew_once_it_has_expired() {
    let (mut states, clock) = states();
    let sum = ReducingStateDescriptor::new("sum", |a: u64, b| a + b).enable_time_to_live(ttl());
    let sum = states.reducing_state(sum).unwrap();
    let mean = AggregatingStateDescriptor::new(
        "mean",
        || (0_u64, 0_u64),
        |(total, count): &mut (u64, u64), value: u64| (*total, *count) = (*total + value, *count + 1),
        |(total, count)| *total as f64 / *count as f64,
    );
    let mean = states.aggregating_state(mean.enable_time_to_live(ttl())).unwrap();
    for (at, value, expected_sum, expected_mean) in
        [(0, 1, 1, 1.0), (90, 2, 3, 1.5), (180, 6, 9, 3.0), (280, 4, 4, 4.0)]
    {
        clock.set(at);
        sum.add(&mut states, value).unwrap();
        mean.add(&mut states, value).unwrap();
        assert_eq!(sum.get(&mut states).unwrap(), Some(&expected_sum), "at {at}");
        assert_eq!(mean.get(&mut states).unwrap(), Some(expected_mean), "at {at}");
    }
    clock.set(380);
    assert_eq!(sum.get(&mut states).unwrap(), None);
    assert_eq!(mean.get(&mut states).unwrap(), None);
}
